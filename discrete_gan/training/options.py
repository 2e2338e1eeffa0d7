"""Options that every recipe has."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from discrete_gan.errors import InputError

Precision = Literal["auto", "32-true", "bf16-mixed"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a run goes, how often it reports, and what it runs on."""

    out: Path | None = None
    """Run directory; runs/RECIPE if not given."""
    resume: Path | None = None
    """Continue the run of this directory from its last checkpoint, with its settings."""
    overwrite: bool = False
    """Replace a run that the run directory already holds."""
    seed: int = 0
    """Of every random draw; a resumed run equals an unbroken one bit for bit on a CPU."""
    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is. torchrun starts several processes."""
    precision: Precision = "32-true"
    """Number format of the networks' matrix products; auto is bf16-mixed where the hardware multiplies bfloat16
    (recent GPUs, CPUs with AMX), else 32-true."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl; with every sample grid and every probe there is one too."""
    sample_every: int = 1000
    """Steps between sample grids; 0 for none but the last."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; 0 for none but the last."""
    probe_every: int = 0
    """Steps between gradient probes; 0 for none."""
    probe_redraws: int = 16
    """Gradients drawn anew at each probe."""
    tensorboard: bool = False
    """Also log to the run directory in TensorBoard's format."""


@dataclass(frozen=True, kw_only=True)
class ImageOptions(RunOptions):
    """Options of a recipe on images: how pictures of any size and shape become equal squares."""

    image_size: int | None = None
    """Side in pixels that the square in the middle of each image is resized to; as the data is if not given."""
    crop: int | None = None
    """Side in pixels of that square; the shorter side of the image if not given. For CelebA 108, resized to 64."""
    corrupt: Literal["refuse", "skip"] = "refuse"
    """What to do with pictures of a folder that cannot be decoded: refuse the data, or skip them and say how many."""


@dataclass(frozen=True, kw_only=True)
class SequenceOptions(RunOptions):
    """Options of a recipe on sequences: estimator, phases of the training, networks."""

    precision: Literal["32-true"] = "32-true"
    """Number format of the networks' matrix products: recipes on sequences run in float32 alone, as many devices have
    no recurrent layers in bfloat16."""
    estimator: str = "maligan:num_samples=2"
    """mle alone, or maligan, boundary-seeking, reinforce, gumbel-softmax, boundary-seeking-steps, reinforce-steps,
    scratchgan, seqgan, maligan-mixed or another one of docs/text.md, with options as NAME:KEY=VALUE,KEY=VALUE, or your
    own as FILE.py:FUNCTION."""
    steps: int = 7500
    """Steps of the run, those of all phases together."""
    pretrain_steps: int = 1500
    """First steps, in which the generator learns by maximum likelihood; all of them with --estimator mle."""
    warmup_steps: int = 1000
    """Steps behind them in which only the discriminator learns."""
    discriminator_steps: int = 1
    """Updates of the discriminator a step."""
    batch_size: int = 64
    """Real sequences, and latents, a step."""
    latent_dim: int = 0
    """Size of z, standard normal; 0 for a generator without latents, whose likelihood is exact."""
    cell: Literal["lstm", "gru"] = "lstm"
    """Of the generator."""
    hidden: int = 128
    """Width of the generator's recurrent layers."""
    embedding: int = 32
    """Size of a token's vector in the generator."""
    num_layers: int = 1
    """Recurrent layers of the generator."""
    discriminator: Literal["lstm", "cnn", "transformer"] = "transformer"
    """lstm has a raw output a step, which boundary-seeking-steps, reinforce-steps and scratchgan need; cnn is
    SeqGAN's kind; transformer a small encoder."""
    discriminator_width: int = 64
    """Hidden units (lstm), channels of each width (cnn), or size of the vectors (transformer)."""
    dropout: float = 0.0
    """Of the discriminator."""
    pretrain_lr: float = 3e-3
    """Adam's learning rate of the maximum likelihood."""
    generator_lr: float = 2e-3
    """Adam's learning rate of the generator in the adversarial phase."""
    discriminator_lr: float = 2e-3
    """Adam's learning rate of the discriminator."""
    likelihood_weight: float = 1.0
    """Weight of the negative log-likelihood of real sequences beside the estimator's loss."""
    decay_from: float = 0.5
    """Part of each of the two phases, likelihood and adversarial, after which the learning rates fall linearly to
    zero."""
    r1: float = 0.0
    """Weight of the gradient penalty on real sequences."""
    average: float = 0.99
    """Decay of the moving average of the generator's weights."""
    num_scored: int | None = None
    """Samples to score at the end; if not given 10,000, but 2,000 equations, of which there are 6,480."""


@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """How text becomes sequences: what ``load_text`` takes beside the text itself, for recipe and check alike."""

    tokenizer: str | None = None
    """char, word, bpe, or a JSON file of the tokenizers library; char for equations and running text, else word."""
    column: str = "text"
    """Of the text, with hub:."""
    held_out: str | None = None
    """Another file or name whose lines are held out; a tenth of the lines if not given."""
    max_length: int | None = None
    """Longest sequence in tokens; the longest of at most 256 if not given."""
    window: int | None = None
    """Take the file as running text, cut into pieces of so many characters, or words."""
    vocabulary_size: int | None = None
    """Most frequent characters or words to keep, or tokens of bpe."""
    corrupt: Literal["refuse", "skip"] = "refuse"
    """What a training does with lines that are not UTF-8: refuse the file, or skip them."""

    def reading(self) -> dict[str, Any]:
        """The options by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(TextOptions)}


def check_options(options: RunOptions, **ranges: tuple[float, float]) -> None:
    """Refuse options out of range before anything is loaded or written.

    Args:
        options: A recipe's arguments.
        ranges: Least allowed value, and the first that is not, under the option's name.

    Raises:
        InputError: If a value is out of its range or not a number.
    """
    for name, (least, end) in ranges.items():
        value = getattr(options, name)
        if not least <= value < end:
            expected = f"at least {least}" if math.isinf(end) else f"from {least} to below {end}"
            raise InputError(f"--{name.replace('_', '-')}: expected {expected}, got {value}")


def check_sequence_options(options: SequenceOptions) -> None:
    """Refuse options of a recipe on sequences that are out of range.

    Raises:
        InputError: If a value is out of its range.
    """
    check_options(
        options,
        pretrain_steps=(0, math.inf),
        warmup_steps=(0, math.inf),
        discriminator_steps=(1, math.inf),
        batch_size=(1, math.inf),
        latent_dim=(0, math.inf),
        hidden=(1, math.inf),
        embedding=(1, math.inf),
        num_layers=(1, math.inf),
        discriminator_width=(1, math.inf),
        dropout=(0, 1),
        pretrain_lr=(0, math.inf),
        generator_lr=(0, math.inf),
        discriminator_lr=(0, math.inf),
        likelihood_weight=(0, math.inf),
        decay_from=(0, 1),
        r1=(0, math.inf),
        average=(0, 1),
    )
    if options.num_scored is not None:
        check_options(options, num_scored=(2, math.inf))

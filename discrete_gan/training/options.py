"""Options of a run and of its optimization. The first line of each class is its heading in ``--help``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from discrete_gan.ranges import AtLeastTwo, Count, CountOrZero, Fraction, Portion, Range, Weight

Precision = Literal["auto", "32-true", "bf16-mixed"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Run."""

    out: Path | None = None
    """Run directory; runs/RECIPE if not given."""
    resume: Path | None = None
    """Continue the run of this directory from its last checkpoint, with its settings."""
    overwrite: bool = False
    """Replace a run that the run directory already holds."""
    seed: int = 0
    """Seed of every random draw; a resumed run equals an unbroken one bit for bit on a CPU."""
    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is. torchrun starts several processes."""
    precision: Precision = "32-true"
    """Number format of the networks' matrix products; auto is bf16-mixed where the hardware multiplies bfloat16
    (recent GPUs, CPUs with AMX), else 32-true."""
    log_every: Count = 50
    """Steps between lines of metrics.jsonl; with every picture of samples and every probe there is one too."""
    sample_every: CountOrZero = 1000
    """Steps between scores and pictures of samples; 0 for none but the last."""
    checkpoint_every: CountOrZero = 1000
    """Steps between checkpoints; 0 for none but the last."""
    scores: tuple[str, ...] = ()
    """Scores of your own beside the others, each as FILE.py:FUNCTION."""
    probe_every: CountOrZero = 0
    """Steps between gradient probes; 0 for none."""
    probe_redraws: AtLeastTwo = 16
    """Gradients drawn anew at each probe."""
    tensorboard: bool = False
    """Also log to the run directory in TensorBoard's format."""


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """Optimization."""

    steps: Count = 2000
    """Steps of the run; in each, both networks are updated."""
    keep_best: str | None = None
    """Score, measured with each picture of samples, such as nll_sequence, frechet or one of your own: the weights that
    were best by it are saved. NAME:more or NAME:less for one that does not say which way is better. The last ones if
    not given."""


@dataclass(frozen=True, kw_only=True)
class LossOptions(StepOptions):
    """Optimization."""

    lr: Weight = 2e-4
    """Adam's learning rate of both networks."""


@dataclass(frozen=True, kw_only=True)
class DecayOptions:
    """Optimization."""

    decay_from: Portion = 0.4
    """Part of the run after which the learning rates fall linearly to zero; 1 for rates that stay."""
    average: Fraction = 0.999
    """Decay of the moving average of weights that samples are drawn from; 0 for the weights as they are."""


@dataclass(frozen=True, kw_only=True)
class EstimatorOptions(DecayOptions, StepOptions):
    """Optimization."""

    estimator: str = "boundary-seeking"
    """boundary-seeking, reinforce, relax, gumbel-softmax or another one of docs/estimators.md, with options as
    NAME:KEY=VALUE,KEY=VALUE (say boundary-seeking:num_samples=10), or your own as FILE.py:FUNCTION."""
    generator_lr: Weight = 2e-3
    """Adam's learning rate of the generator."""
    discriminator_lr: Weight = 8e-4
    """Adam's learning rate of the discriminator."""
    r1: Weight = 1.0
    """Weight of the gradient penalty on real samples."""


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Network."""

    generator: str | None = None
    """A generator of your own as FILE.py:CLASS, with options as FILE.py:CLASS:KEY=VALUE."""
    discriminator: str | None = None
    """A discriminator of your own, likewise."""
    latent_dim: Count = 64
    """Size of z, standard normal."""


@dataclass(frozen=True, kw_only=True)
class SequenceNetworkOptions:
    """Network."""

    latent_dim: CountOrZero = 0
    """Size of z, standard normal; 0 for a generator without latents, whose likelihood is exact."""
    cell: Literal["lstm", "gru"] = "lstm"
    """Recurrent cell of the generator."""
    hidden: Count = 128
    """Width of the generator's recurrent layers."""
    embedding: Count = 32
    """Size of a token's vector in the generator."""
    num_layers: Count = 1
    """Recurrent layers of the generator."""
    init_std: Weight = 0.0
    """Standard deviation of the generator's first weights, all normal; 0 for torch's own."""
    discriminator: Literal["lstm", "cnn", "transformer"] = "transformer"
    """lstm has a raw output per position, which boundary-seeking-steps, reinforce-steps and scratchgan need; cnn is
    SeqGAN's kind; transformer a small encoder."""
    discriminator_width: Count = 64
    """Hidden units (lstm), channels of each width (cnn), or size of the vectors (transformer)."""
    dropout: Fraction = 0.0
    """Dropout of the discriminator."""


@dataclass(frozen=True, kw_only=True)
class PhaseOptions(EstimatorOptions):
    """Optimization."""

    pretrain_steps: CountOrZero = 1500
    """First steps, in which the generator learns by maximum likelihood; all of them with --estimator mle."""
    warmup_steps: CountOrZero = 1000
    """Steps after them in which only the discriminator learns."""
    discriminator_steps: Count = 1
    """Updates of the discriminator per step."""
    pretrain_lr: Weight = 3e-3
    """Adam's learning rate of the maximum likelihood."""
    likelihood_weight: Weight = 1.0
    """Weight of the negative log-likelihood of real data beside the estimator's loss."""
    apart: Annotated[float, Range(0, 0.5, closed=True)] = 0.0
    """Part of the training data that is set apart: what maximum likelihood leaves is then the weights that it was best
    with there, and what the rest of the training leaves the last ones that are about as likely there."""
    check_every: Count = 100
    """Steps between looks at what is set apart."""


@dataclass(frozen=True, kw_only=True)
class SequenceOptions(SequenceNetworkOptions, PhaseOptions, RunOptions):
    """Optimization."""

    precision: Literal["32-true"] = "32-true"
    """Number format of the networks' matrix products: recipes on sequences run in float32 alone, as many devices have
    no recurrent layers in bfloat16."""
    estimator: str = "maligan:num_samples=2"
    """mle alone, or maligan, boundary-seeking, reinforce, gumbel-softmax, boundary-seeking-steps, reinforce-steps,
    scratchgan, seqgan, maligan-mixed or another one of docs/text.md, with options as NAME:KEY=VALUE,KEY=VALUE, or your
    own as FILE.py:FUNCTION."""
    steps: Count = 7500
    """Steps of the run, those of all phases together."""
    generator_lr: Weight = 2e-3
    """Adam's learning rate of the generator in the adversarial phase."""
    discriminator_lr: Weight = 2e-3
    """Adam's learning rate of the discriminator."""
    decay_from: Portion = 0.5
    """Part of each of the two phases, likelihood and adversarial, after which the learning rates fall linearly to
    zero; 1 for rates that stay."""
    r1: Weight = 0.0
    """Weight of the gradient penalty on real sequences."""
    average: Fraction = 0.99
    """Decay of the moving average of weights that samples are drawn from; 0 for the weights as they are."""

"""``discrete-gan refine``: log-ratios for a generator that is trained, by a discriminator that learns to tell.

Reference:
    Noise-Contrastive Estimation (Gutmann and Hyvarinen, 2010), https://proceedings.mlr.press/v9/gutmann10a.html
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from torch import Tensor, nn

from discrete_gan.cli.parsing import parse_plain
from discrete_gan.cli.runs import SavedRun, open_run, saved_args
from discrete_gan.divergences import GAN
from discrete_gan.errors import InputError
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import ConvDiscriminator, MLPDiscriminator, token_discriminator
from discrete_gan.own import is_own
from discrete_gan.ranges import AtLeastTwo, Count, Fraction, Portion, Range, Weight
from discrete_gan.tasks.refinement import Refinement
from discrete_gan.training import Run, RunOptions
from discrete_gan.training.directory import RunDirectory
from discrete_gan.writing import told_in_a_line

REFINED = "refined"
"""Folder of a run that holds what refined it."""
_RESUME = "--resume"


@dataclass(frozen=True, kw_only=True)
class Args(RunOptions):
    """Train a discriminator on the generator of a finished run, which stays as it is, and keep it in RUN/refined.

    Its calibrated outputs are log-ratios: with them the generator is a better model, p(x) w(x) / Z, from which
    ``discrete-gan sample RUN --reweight`` draws and which ``discrete-gan evaluate RUN`` measures beside the generator
    alone. A part of the training data is set apart, to stop by and to calibrate on.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    resume: Annotated[Path | None, tyro.conf.Suppress] = None
    out: Annotated[Path | None, tyro.conf.Suppress] = None
    network: Literal["same", "mlp", "conv", "lstm", "cnn", "transformer"] = "same"
    """same is the kind and size that the run trained; mlp and conv are for images, lstm, cnn and transformer for
    sequences."""
    discriminator: str | None = None
    """A discriminator of your own in its place, as FILE.py:CLASS, with options as FILE.py:CLASS:KEY=VALUE."""
    start: Literal["fresh", "run"] = "fresh"
    """run starts from the weights that the run's own discriminator ended with."""
    width: AtLeastTwo | None = None
    """Of another network than same: 512 for mlp and conv (linear layer), 64 of sequences (channels of each width, size
    of the vectors), 128 for lstm."""
    dropout: Fraction = 0.0
    """Dropout of another network than same, of sequences."""
    steps: Count = 3000
    """Steps at most: it ends where the cross entropy of what is set apart falls no longer."""
    batch_size: AtLeastTwo = 128
    lr: Weight = 1e-3
    """Adam's learning rate."""
    decay_from: Portion = 0.4
    """Part of the steps after which the learning rate falls linearly to zero."""
    average: Fraction = 0.99
    """Decay of the moving average of weights that is kept; 0 for the weights as they are."""
    r1: Weight = 0.0
    """Weight of the gradient penalty on real samples; a strong one makes the log-ratios flat."""
    apart: Annotated[float, Range(0.01, 0.5, closed=True)] = 0.1
    """Part of the training data that is set apart."""
    check_every: Count = 100
    """Steps between looks at what is set apart."""
    patience: Count = 10
    """Looks in a row without a better one, after which it ends."""
    num_scored: Annotated[int, Range(100)] = 20_000
    """Samples that log Z is measured on."""
    trust: tuple[Path, ...] = ()
    """Files of your own that the run names and that may be run: recipe, network, task. No others are."""


def refine(arguments: list[str]) -> None:
    """Train and keep.

    Raises:
        InputError: If the run has no generator yet or an option does not fit it.
    """
    resumed = _RESUME in arguments
    words = [word for word in arguments if word != _RESUME]
    args = parse_plain(Args, words, f"discrete-gan refine [{_RESUME}]")
    args = _taken_up(args) if resumed else dataclasses.replace(args, out=args.run / REFINED)
    if not resumed and not args.overwrite and RunDirectory(args.run / REFINED).holds_run():
        raise InputError(
            f"{args.run / REFINED}: a refinement is there: expected --resume to continue it, or --overwrite"
        )
    with told_in_a_line(args.run):
        main(args)
    from discrete_gan.report.run_page import write_run_page  # and matplotlib: when they are needed

    print(f"{'report':<24} {write_run_page(RunDirectory(args.run / REFINED))}")


def _taken_up(args: Args) -> Args:
    """The settings that the refinement began with."""
    folder = args.run / REFINED
    saved = saved_args(Args, RunDirectory(folder).read_config())
    return dataclasses.replace(saved, run=args.run, out=None, overwrite=False, resume=folder, trust=args.trust)


def task(args: Args, run: SavedRun) -> Refinement:
    """The run's data, and which generator it is about."""
    return Refinement(run.task, generator_digest(args.run), part=args.apart, seed=args.seed)


def generator_digest(run: Path) -> str:
    """Of the weights that RUN/generator holds."""
    return hashlib.blake2b((run / "generator" / "model.safetensors").read_bytes(), digest_size=8).hexdigest()


def networks(args: Args, run: SavedRun, data: Any) -> tuple[Any, Any]:
    """The run's generator, which is not trained, and the discriminator, which is."""
    generator = run.model().eval().requires_grad_(False)
    if args.discriminator is not None and not is_own(args.discriminator):
        raise InputError(f"--discriminator {args.discriminator}: expected one of your own as FILE.py:CLASS")
    if args.network == "same" or args.start == "run":
        return generator, _same(args, run)
    try:
        return generator, _another(args, data, getattr(generator, "num_classes", 0))
    except AttributeError as error:
        told = f"expected data of another kind, which have {error.name}: see --network same"
        raise InputError(f"--network {args.network}: {told}") from None


def _same(args: Args, run: SavedRun) -> nn.Module:
    """The run's discriminator, with its weights or with fresh ones."""
    if args.network != "same":
        raise InputError(f"--network {args.network}: expected same with --start run, whose weights are of that kind")
    trained = run.model("discriminator")
    if hasattr(trained, "posterior"):
        raise InputError("--network same: expected a run with a discriminator, this one has an encoder: see --network")
    return trained.train() if args.start == "run" else type(trained)(**trained._hub_mixin_config)


def _another(args: Args, data: Any, num_classes: int) -> nn.Module:
    if args.network == "mlp":
        width = args.width or 512
        return MLPDiscriminator(data.num_positions, hidden=(width, max(1, width // 2)), num_classes=num_classes)
    if args.network == "conv":
        return ConvDiscriminator(data.image_shape, hidden=args.width or 512, num_classes=num_classes)
    width = args.width or (128 if args.network == "lstm" else 64)
    shape: dict[str, Any] = {"num_categories": data.num_categories, "num_positions": data.max_length, "end": data.end}
    shape["num_classes"] = num_classes
    return token_discriminator(args.network, **shape, width=width, dropout=args.dropout)  # type: ignore[arg-type]


def main(args: Args) -> None:
    """Train by noise-contrastive estimation, and keep the weights that tell best what is set apart."""
    saved = open_run(args.run, args.trust, batch_size=args.batch_size)
    saved.recall()
    saved.check_data()
    data = task(args, saved)
    run = Run(args, data)
    generator, discriminator = run.networks(lambda: networks(args, saved, data))
    g = run.player("generator", generator, lr=0.0)
    d = run.player("discriminator", discriminator, lr=args.lr, average=args.average, keep=True)
    for step in run.steps():
        real, labels = data.batch(step)
        fake = run.draw(g.network, labels)
        given = () if labels is None else (labels,)
        if args.r1 and hasattr(discriminator, "penalized"):
            raw_real, penalty = discriminator.penalized(real, *given)
        else:
            real = _continuous(discriminator, real).requires_grad_() if args.r1 else real
            raw_real = _outputs(discriminator, real, *given)
            penalty = gradient_penalty(raw_real, real) if args.r1 else raw_real.new_zeros(1)
        d_loss = GAN.discriminator_loss(raw_real, _outputs(discriminator, fake, *given))
        d.descend(d_loss + args.r1 * penalty.mean())
        run.log(d_loss=d_loss)
        if run.due(args.check_every):
            entropy = data.cross_entropy(g.network, d.current)
            run.log(cross_entropy=entropy)
            if d.keep(entropy) == args.patience:
                run.end()


def _continuous(discriminator: Any, x: Tensor) -> Tensor:
    """Samples, if a gradient can be taken in them."""
    if not x.is_floating_point():
        raise InputError(f"--r1: expected 0 for {type(discriminator).__name__}, which has no gradient in its samples")
    return x


def _outputs(discriminator: Any, x: Any, *labels: Any) -> Any:
    """All raw outputs, one for each step of a sequence where there are such."""
    return getattr(discriminator, "outputs", discriminator)(x, *labels)

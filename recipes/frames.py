"""GAN on sequences of frames: piano rolls, spike trains, voices of a chorale, or your own arrays.

A frame is a row of bits or categories. An LSTM over frames gives each one a distribution, in which its columns are
drawn one after another, so that notes which sound together make chords, or, with ``--within factorized``, independently
of each other. It begins with maximum likelihood and goes on by a gradient estimator, in the loop of the recipe
``text``.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    Modeling Temporal Dependencies in High-Dimensional Sequences (Boulanger-Lewandowski et al., 2012),
    https://arxiv.org/abs/1206.6392
"""

from dataclasses import dataclass
from typing import Any, Literal

from discrete_gan.cli import recipe_module, run_recipe
from discrete_gan.models import FrameGenerator, RecurrentFrameDiscriminator, TransformerFrameDiscriminator
from discrete_gan.ranges import Count, CountOrZero, Fraction, Weight
from discrete_gan.tasks import FrameOptions, Frames, make_task
from discrete_gan.training import PhaseOptions, RunOptions


@dataclass(frozen=True, kw_only=True)
class Args(FrameOptions, PhaseOptions, RunOptions):
    """Options of the recipe."""

    estimator: str = "boundary-seeking:num_samples=4"
    """mle alone, or boundary-seeking, maligan, reinforce, vimco, gumbel-softmax, st-gumbel-softmax or another one of
    docs/estimators.md that takes any distribution, with options as NAME:KEY=VALUE,KEY=VALUE, or your own as
    FILE.py:FUNCTION."""
    within: Literal["autoregressive", "factorized"] = "autoregressive"
    """Columns of a frame each given those before it, or independent given the frames before."""
    latent_dim: CountOrZero = 0
    """Size of z, standard normal; 0 for a generator without latents, whose likelihood is exact."""
    hidden: Count = 128
    """Width of the LSTM."""
    num_layers: Count = 1
    """Layers of the LSTM."""
    width: Count = 64
    """Width of the network that draws a frame column by column."""
    discriminator: Literal["lstm", "transformer"] = "transformer"
    """lstm has a raw output per frame; transformer is a small encoder."""
    discriminator_width: Count = 64
    """Of its layers; a multiple of 4 for transformer."""
    dropout: Fraction = 0.0
    """Of the discriminator."""
    steps: Count = 2000
    pretrain_steps: CountOrZero = 1000
    warmup_steps: CountOrZero = 300
    generator_lr: Weight = 2e-4
    average: Fraction = 0.995
    apart: float = 0.1


def task(args: Args) -> Frames:
    """Frames as categories."""
    return make_task(args, lambda: Frames(args))


def networks(args: Args, data: Frames) -> tuple[Any, Any]:
    """Generator, at the marginals of the training frames, and discriminator."""
    shape = {"hidden": args.hidden, "num_layers": args.num_layers, "width": args.width, "ends": data.data.ends}
    generator = FrameGenerator(data.sizes, data.num_frames, args.latent_dim, within=args.within, **shape)
    generator.begin_at(data.data.train)
    kind = RecurrentFrameDiscriminator if args.discriminator == "lstm" else TransformerFrameDiscriminator
    return generator, kind(data.sizes, data.num_frames, args.discriminator_width, dropout=args.dropout)


def main(args: Args) -> None:
    """Train."""
    recipe_module("text").train(args, task(args), networks)


if __name__ == "__main__":
    run_recipe(__file__)

"""Reweighted GAN on images in a few colors: every pixel is one category, its color drawn from a palette of K.

The palette is learnt from the training images by k-means and saved with the generator. Otherwise as ``binary_mnist``:
the discriminator with an R1 penalty, the generator by the gradient estimator, learning rates that fall to zero, and
samples from a moving average of the generator's weights.

Reference:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
"""

from dataclasses import dataclass
from typing import Annotated, Any

from discrete_gan.cli import run_recipe
from discrete_gan.data.palette import MOST_COLORS
from discrete_gan.divergences import GAN
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import ConvDiscriminator, PaletteGenerator
from discrete_gan.ranges import Count, Range
from discrete_gan.tasks import ImageOptions, PaletteImages, make_task
from discrete_gan.training import EstimatorOptions, NetworkOptions, Precision, Run, RunOptions


@dataclass(frozen=True, kw_only=True)
class Args(ImageOptions, NetworkOptions, EstimatorOptions, RunOptions):
    """Options of the recipe."""

    colors: Annotated[int, Range(2, MOST_COLORS + 1)] = 16
    """K, colors of the palette, or grey levels where the images are grey."""
    conditional: bool = False
    """Labels into both networks: samples of the class that is asked for."""
    hidden: Count = 512
    """Width of the linear layer of both networks; the paper has 1024."""
    channels: Count = 32
    """Channels at half resolution; the paper has 64."""
    data: str = "fashion_mnist"
    precision: Precision = "auto"
    estimator: str = "boundary-seeking:num_samples=10"
    """boundary-seeking, reinforce, gumbel-softmax or another one of docs/estimators.md that takes categories, with
    options as NAME:KEY=VALUE,KEY=VALUE (say reinforce:num_samples=5), or your own as FILE.py:FUNCTION."""
    steps: int = 3000
    average: float = 0.995


def task(args: Args) -> PaletteImages:
    """Images in K colors."""
    return make_task(args, lambda: PaletteImages(args, args.colors, labels_for="--conditional" * args.conditional))


def networks(args: Args, data: PaletteImages) -> tuple[PaletteGenerator, ConvDiscriminator]:
    """Generator, which knows the colors, and discriminator."""
    widths: Any = {"width": args.channels, "hidden": args.hidden, "num_classes": data.num_classes}
    _, height, width = data.image_shape
    return (
        PaletteGenerator(data.palette.tolist(), args.latent_dim, data.image_shape, **widths),
        ConvDiscriminator((1, height, width), args.colors, **widths),
    )


def main(args: Args) -> None:
    """Train as ``binary_mnist`` does, on one-hot colors."""
    data = task(args)
    run = Run(args, data)
    generator, discriminator = run.networks(lambda: networks(args, data))
    estimate, state = run.estimator(args.estimator, generator, discriminator)
    d = run.player("discriminator", discriminator, lr=args.discriminator_lr)
    g = run.player("generator", generator, lr=args.generator_lr, also=state, average=args.average)
    for step in run.steps():
        real, labels = data.batch(step)
        both = real.requires_grad_(), run.draw(generator, labels)
        raw_real, raw_fake = (discriminator(x, labels) for x in both)
        penalty = gradient_penalty(raw_real, real).mean()
        d_loss = GAN.discriminator_loss(raw_real, raw_fake)
        d.descend(d_loss + args.r1 * penalty)
        run.log(d_loss=d_loss, penalty=penalty)

        z = generator.latents(args.batch_size)
        g_loss = estimate(generator, discriminator, z, real=real, labels=labels).mean()
        g.descend(g_loss)
        run.log(g_loss=g_loss)


if __name__ == "__main__":
    run_recipe(__file__)

"""Reweighted GAN on binary images: MNIST, Fashion-MNIST, binarized MNIST or your own file.

Reference:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
"""

from dataclasses import dataclass
from typing import Any, Literal

from discrete_gan.cli import run_recipe
from discrete_gan.divergences import DIVERGENCES
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import BlockwiseGenerator, ConvDiscriminator, ConvGenerator, MLPDiscriminator, MLPGenerator
from discrete_gan.ranges import AtLeastTwo, Count
from discrete_gan.tasks import BinaryImageOptions, BinaryImages, make_task
from discrete_gan.training import EstimatorOptions, NetworkOptions, Precision, Run, RunOptions


@dataclass(frozen=True, kw_only=True)
class Args(BinaryImageOptions, NetworkOptions, EstimatorOptions, RunOptions):
    """Options of the recipe."""

    data: str = "mnist"
    steps: int = 20000
    estimator: str = "boundary-seeking-cv:num_samples=19"
    generator_lr: float = 4e-3
    precision: Precision = "auto"
    divergence: Literal["gan", "jsd", "kl", "reverse_kl", "hellinger", "pearson", "neyman", "donsker-varadhan"] = "gan"
    """What trains the discriminator."""
    conditional: bool = False
    """Labels into both networks: samples of the class that is asked for."""
    classifier_data: str | None = None
    """Labeled data for the scores' classifier, where the training data has no labels."""
    model: Literal["mlp", "conv", "blocks"] = "mlp"
    """Kind of both networks; blocks has a generator that draws pixels in four blocks, each given those before it, and
    mlp's discriminator."""
    generator_width: Count = 512
    """Width of the generator's hidden layers (mlp), of its linear layer (conv), and those of blocks."""
    discriminator_width: AtLeastTwo = 512
    """Width of the discriminator's first hidden layer (mlp, blocks), or of its linear layer (conv)."""
    channels: Count = 32
    """Channels at half resolution (conv); the paper has 64."""
    spectral_norm: bool = False
    """Spectral normalization of the discriminator."""


def task(args: Args) -> BinaryImages:
    """Images as bits."""
    return make_task(args, lambda: BinaryImages(args, args.classifier_data, conditional=args.conditional))


def networks(args: Args, data: BinaryImages) -> tuple[Any, Any]:
    """Generator and discriminator, conditional where the data come with classes."""
    classes, first, second = {"num_classes": data.num_classes}, args.generator_width, args.discriminator_width
    normalized = {"spectral_normalization": args.spectral_norm, **classes}
    if args.model == "conv":
        generator = ConvGenerator(args.latent_dim, data.image_shape, width=args.channels, hidden=first, **classes)
        return generator, ConvDiscriminator(data.image_shape, width=args.channels, hidden=second, **normalized)
    if args.model == "blocks":
        generator = BlockwiseGenerator(args.latent_dim, data.image_shape, hidden=(first, first), **classes)
    else:
        generator = MLPGenerator(args.latent_dim, data.num_positions, hidden=(first, first), **classes)
    generator.start_at(data.train.mean(dim=0).cpu())
    return generator, MLPDiscriminator(data.num_positions, hidden=(second, second // 2), **normalized)


def main(args: Args) -> None:
    """Train: in each step the discriminator, with an R1 penalty, and then the generator by the estimator."""
    run = Run(args, data := task(args))
    generator, discriminator = run.networks(lambda: networks(args, data))
    estimate, state = run.estimator(args.estimator, generator, discriminator)
    g = run.player("generator", generator, lr=args.generator_lr, also=state, average=args.average)
    d = run.player("discriminator", discriminator, lr=args.discriminator_lr)
    for step in run.steps():
        real, labels = data.batch(step)
        real, fake = real.requires_grad_(), run.draw(generator, labels)
        raw_real, raw_fake = discriminator(real, labels), discriminator(fake, labels)  # in full precision, for R1
        penalty = gradient_penalty(raw_real, real).mean()
        d_loss = DIVERGENCES[args.divergence].discriminator_loss(raw_real, raw_fake)
        d.descend(d_loss + args.r1 * penalty)
        z = generator.latents(args.batch_size)
        g_loss = estimate(generator, discriminator, z, real=real, labels=labels).mean()
        g.descend(g_loss)
        run.log(d_loss=d_loss, g_loss=g_loss, penalty=penalty)


if __name__ == "__main__":
    run_recipe(__file__)

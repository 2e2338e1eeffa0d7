"""Softmax GAN and its rivals on grey or color images: one pair of networks, five losses, and the paper's stress tests.

The stress tests of the paper are ``--no-batch-norm --constant-filters`` (of the generator), ``--relu --pixel-range 0
1`` and ``--discriminator-steps 5`` or ``--generator-steps 5``. A batch as small as 5 trains too.

Reference:
    Softmax GAN (Lin, 2017), https://arxiv.org/abs/1704.06191
"""

from dataclasses import dataclass
from typing import Any, Literal

from discrete_gan.cli import run_recipe
from discrete_gan.errors import InputError
from discrete_gan.losses import gan, hinge, least_squares, softmax_gan, wasserstein
from discrete_gan.losses.penalties import wgan_gp_penalty
from discrete_gan.models import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPImageGenerator
from discrete_gan.ranges import Count, Weight
from discrete_gan.tasks import ContinuousImages, ImageOptions, make_task
from discrete_gan.training import DecayOptions, LossOptions, NetworkOptions, Run, RunOptions


@dataclass(frozen=True, kw_only=True)
class Args(LossOptions, DecayOptions, ImageOptions, NetworkOptions, RunOptions):
    """Losses, updates and networks."""

    loss: Literal["softmax", "gan", "wgan-gp", "lsgan", "hinge"] = "softmax"
    """What both networks descend; gan is the non-saturating one."""
    gradient_penalty: Weight = 10.0
    """Weight of the penalty of wgan-gp."""
    discriminator_steps: Count = 1
    """Updates of the discriminator per step."""
    generator_steps: Count = 1
    """Updates of the generator per step."""
    model: Literal["dcgan", "mlp"] = "dcgan"
    """Kind of both networks; mlp has hidden layers of 128, 256, 512, 1024 and of 512, 256."""
    batch_norm: bool = True
    """Batch norm in the generator (dcgan)."""
    constant_filters: bool = False
    """As many channels in every layer of the generator (dcgan)."""
    relu: bool = False
    """ReLU in place of leaky ReLU in the discriminator (dcgan)."""
    discriminator_norm: Literal["batch", "spectral", "weight", "none"] | None = None
    """Normalization of the discriminator (dcgan): batch if not given, but none for wgan-gp."""
    pixel_range: tuple[float, float] = (-1, 1)
    """Range of the pixels: -1 1 (tanh) or 0 1 (sigmoid)."""
    activation: Literal["tanh", "sigmoid"] | None = None
    """What the generator ends in; if not given, the one that fits the range."""
    width: Count = 32
    """Channels at half resolution (dcgan); the paper's code has 64."""
    data: str = "fashion_mnist"
    latent_dim: int = 100
    """Size of z: uniform in [-1, 1] (dcgan) or standard normal (mlp)."""
    decay_from: float = 1.0
    average: float = 0.0


LOSSES = {"gan": gan, "wgan-gp": wasserstein, "lsgan": least_squares, "hinge": hinge, "softmax": softmax_gan}


def task(args: Args) -> ContinuousImages:
    """Images with pixels in the range that is asked for."""
    return make_task(args, lambda: ContinuousImages(args, pixel_range=args.pixel_range))


def networks(args: Args, data: ContinuousImages) -> tuple[Any, Any]:
    """Generator and discriminator."""
    shape, last = data.image_shape, {"pixel_range": args.pixel_range, "activation": args.activation}
    if args.model == "mlp":
        return MLPImageGenerator(args.latent_dim, data.num_positions, **last), MLPDiscriminator(data.num_positions)
    norm = args.discriminator_norm or ("none" if args.loss == "wgan-gp" else "batch")
    return (
        DCGANGenerator(args.latent_dim, shape, args.width, args.batch_norm, args.constant_filters, **last),
        DCGANDiscriminator(shape, args.width, norm, args.relu),
    )


def main(args: Args) -> None:
    """Train: in each step as many updates of both as are asked for."""
    if args.loss == "wgan-gp" and args.discriminator_norm == "batch":
        raise InputError("--discriminator-norm batch: wgan-gp penalizes each image alone, expected another one")
    data = task(args)
    run = Run(args, data)
    generator, discriminator = run.networks(lambda: networks(args, data))
    d = run.player("discriminator", discriminator, lr=args.lr)
    g = run.player("generator", generator, lr=args.lr, average=args.average)
    loss, most = LOSSES[args.loss], max(args.discriminator_steps, args.generator_steps)
    for step in run.steps():
        batches = [data.batch(step * most + number).x for number in range(most)]
        for real in batches[: args.discriminator_steps]:
            fake = run.draw(generator)
            with run.autocast():
                raw_real = discriminator(real)
                d_loss = loss.discriminator_loss(raw_real, discriminator(fake))
                if args.loss == "wgan-gp":
                    d_loss = d_loss + args.gradient_penalty * wgan_gp_penalty(discriminator, real, fake).mean()
            d.descend(d_loss)
            run.log(d_loss=d_loss, raw_real=raw_real.mean())

        for real in batches[: args.generator_steps]:
            with d.frozen(), run.autocast():
                raw_fake = discriminator(generator(generator.latents(args.batch_size)).rsample())
                given = (discriminator(real).detach(),) if args.loss == "softmax" else ()  # it looks at real ones too
                g_loss = loss.generator_loss(*given, raw_fake).mean()
            g.descend(g_loss)
            run.log(g_loss=g_loss, raw_fake=raw_fake.mean())


if __name__ == "__main__":
    run_recipe(__file__)

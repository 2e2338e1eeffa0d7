"""Softmax GAN and its rivals on grey or color images: one pair of networks, six losses, and the paper's stress tests.

The stress tests of the paper are ``--no-batch-norm --constant-filters`` (of the generator), ``--relu --pixel-range 0
1`` and ``--discriminator-steps 5`` or ``--generator-steps 5``. A batch as small as 5 trains too.

Reference:
    Softmax GAN (Lin, 2017), https://arxiv.org/abs/1704.06191
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import tyro
from torch import Tensor

from discrete_gan.data import Batches, load_images, to_range
from discrete_gan.errors import InputError
from discrete_gan.losses import gan, hinge, least_squares, log_ratio, softmax_gan, wasserstein
from discrete_gan.losses.penalties import wgan_gp_penalty
from discrete_gan.models import (
    DCGANDiscriminator,
    DCGANGenerator,
    Generator,
    HubModel,
    MLPDiscriminator,
    MLPImageGenerator,
)
from discrete_gan.models.base import squashing
from discrete_gan.report import ImageReport
from discrete_gan.training import ImageOptions, Run, check_options


@dataclass(frozen=True, kw_only=True)
class Args(ImageOptions):
    """Arguments of the recipe."""

    data: str = "fashion_mnist"
    """A folder of pictures (any sizes with --image-size) or of MNIST-style idx files, a .npy or .npz file, or
    hub:NAME; with dcgan sides can be halved twice, as 28, 32 or 64."""
    loss: Literal["softmax", "gan", "wgan-gp", "lsgan", "hinge", "log-ratio"] = "softmax"
    """gan is the non-saturating one; log-ratio trains the discriminator as gan does."""
    model: Literal["dcgan", "mlp"] = "dcgan"
    """Kind of both networks; mlp has hidden layers of 128, 256, 512, 1024 and of 512, 256."""
    steps: int = 2000
    """Rounds of updates."""
    batch_size: int = 64
    """Real images, and generated ones, an update."""
    discriminator_steps: int = 1
    """Updates of the discriminator a round."""
    generator_steps: int = 1
    """Updates of the generator a round."""
    batch_norm: bool = True
    """Batch norm in the generator (dcgan)."""
    constant_filters: bool = False
    """As many channels in every layer of the generator (dcgan)."""
    relu: bool = False
    """ReLU in place of leaky ReLU in the discriminator (dcgan)."""
    discriminator_norm: Literal["batch", "spectral", "weight", "none"] | None = None
    """Normalization of the discriminator (dcgan): batch if not given, but none for wgan-gp."""
    pixel_range: tuple[float, float] = (-1, 1)
    """Range of the pixels: -1 1 or 0 1."""
    activation: Literal["tanh", "sigmoid"] | None = None
    """What the generator ends in; if not given, the one that fits the range."""
    latent_dim: int = 100
    """Size of z: uniform in [-1, 1] (dcgan) or standard normal (mlp)."""
    width: int = 32
    """Channels at half resolution (dcgan); the paper's code has 64."""
    lr: float = 2e-4
    """Adam's learning rate of both networks."""
    gradient_penalty: float = 10.0
    """Weight of the penalty of wgan-gp."""
    num_scored: int = 10_000
    """Samples to score at the end."""


DISCRIMINATOR_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": softmax_gan.discriminator_loss,
    "gan": gan.discriminator_loss,
    "wgan-gp": wasserstein.discriminator_loss,
    "lsgan": least_squares.discriminator_loss,
    "hinge": hinge.discriminator_loss,
    "log-ratio": gan.discriminator_loss,
}
GENERATOR_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {  # softmax alone looks at real scores too
    "gan": gan.non_saturating_loss,
    "wgan-gp": wasserstein.generator_loss,
    "lsgan": least_squares.generator_loss,
    "hinge": hinge.generator_loss,
    "log-ratio": log_ratio.generator_loss,
}


def load_report(args: Args) -> ImageReport:
    """The data, with what scores samples against them."""
    data = load_images(args.data, seed=args.seed, image_size=args.image_size, crop=args.crop, corrupt=args.corrupt)
    return ImageReport(data, "grey", labeled=data)


def build(args: Args, image_shape: tuple[int, int, int]) -> tuple[Generator, HubModel]:
    """Generator and discriminator."""
    if args.model == "mlp":
        num_positions = math.prod(image_shape)
        return (
            MLPImageGenerator(args.latent_dim, num_positions, pixel_range=args.pixel_range, activation=args.activation),
            MLPDiscriminator(num_positions),
        )
    normalization = args.discriminator_norm or ("none" if args.loss == "wgan-gp" else "batch")
    return (
        DCGANGenerator(
            args.latent_dim,
            image_shape,
            args.width,
            args.batch_norm,
            args.constant_filters,
            args.pixel_range,
            args.activation,
        ),
        DCGANDiscriminator(image_shape, args.width, normalization, args.relu),
    )


def main(args: Args) -> None:
    """Train, sample, score."""
    check_options(
        args,
        batch_size=(2, math.inf),
        discriminator_steps=(1, math.inf),
        generator_steps=(1, math.inf),
        latent_dim=(1, math.inf),
        width=(1, math.inf),
        lr=(0, math.inf),
        gradient_penalty=(0, math.inf),
        num_scored=(2, math.inf),
    )
    if args.loss == "wgan-gp" and args.discriminator_norm == "batch":
        raise InputError(
            "--discriminator-norm batch: the penalty of wgan-gp is one of each image alone, expected another one"
        )
    try:
        squashing(args.pixel_range, args.activation)
    except ValueError as error:
        raise InputError(f"--pixel-range: {str(error).removeprefix('pixel_range: ')}") from None
    report = load_report(args)
    data = report.data
    run = Run(args, steps=args.steps, data=data.summary())
    num_batches = max(args.discriminator_steps, args.generator_steps)
    batches = Batches(len(data.train_images), args.batch_size, seed=args.seed, rank=run.rank, world_size=run.world_size)
    images = data.train_images.to(run.device)
    try:
        generator, discriminator = build(args, data.image_shape)
    except ValueError as error:
        raise InputError(f"--data {args.data}: {error} (see --image-size)") from None
    report.to(run.device)
    generator.to(run.device)
    discriminator.to(run.device)
    g_adam = torch.optim.Adam(generator.parameters(), args.lr, betas=(0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(discriminator.parameters(), args.lr, betas=(0.5, 0.999), fused=True)
    run.track(
        export={"generator": generator, "discriminator": discriminator},
        generator=generator,
        discriminator=discriminator,
        generator_adam=g_adam,
        discriminator_adam=d_adam,
    )

    def real_batch(number: int) -> Tensor:
        return to_range(images[batches.indices(number, device=run.device)], args.pixel_range, data.maximum)

    for step in run.steps():
        batches_of_round = [real_batch(step * num_batches + number) for number in range(num_batches)]
        for real in batches_of_round[: args.discriminator_steps]:
            with torch.no_grad(), run.autocast():
                fake = generator(generator.latents(args.batch_size)).sample()
            with run.autocast():
                raw_real = discriminator(real)
                d_loss = DISCRIMINATOR_LOSSES[args.loss](raw_real, discriminator(fake))
                if args.loss == "wgan-gp":
                    d_loss = d_loss + args.gradient_penalty * wgan_gp_penalty(discriminator, real, fake).mean()
            run.minimize("discriminator", d_loss, d_adam)
            run.log(d_loss=d_loss, raw_real=raw_real.mean())

        discriminator.requires_grad_(False)  # no gradients for its weights while the generator learns
        for real in batches_of_round[: args.generator_steps]:
            with run.autocast():
                raw_fake = discriminator(generator(generator.latents(args.batch_size)).rsample())
                if args.loss == "softmax":
                    with torch.no_grad():
                        raw_real = discriminator(real)
                    g_loss = softmax_gan.generator_loss(raw_real, raw_fake)
                else:
                    g_loss = GENERATOR_LOSSES[args.loss](raw_fake).mean()
            run.minimize("generator", g_loss, g_adam)
            run.log(g_loss=g_loss)
        discriminator.requires_grad_(True)

        if run.due(args.sample_every) and run.rank == 0:
            report.grid(run.directory.sample_path(run.step), generator)
            run.log(**report.quick(generator))

    if run.rank == 0:
        report.final(run.directory.path, generator, num_samples=args.num_scored, save=run.finish)


if __name__ == "__main__":
    main(tyro.cli(Args))

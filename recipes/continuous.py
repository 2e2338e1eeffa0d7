"""Boundary-seeking GAN for continuous data: the squared log-ratio, beside the non-saturating loss and Softmax GAN.

Grey or color images on a DCGAN pair; learning rates that fall linearly to zero over the last part of the run, and
samples from an exponential moving average of the generator's weights, the same for every loss.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    Softmax GAN (Lin, 2017), https://arxiv.org/abs/1704.06191
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import tyro
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from discrete_gan.data import Batches, load_images, to_range
from discrete_gan.divergences import DIVERGENCES
from discrete_gan.errors import InputError
from discrete_gan.losses import gan, log_ratio, softmax_gan
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import (
    DCGANDiscriminator,
    DCGANGenerator,
    Generator,
    HubModel,
    MLPDiscriminator,
    MLPImageGenerator,
)
from discrete_gan.report import ImageReport
from discrete_gan.training import ImageOptions, MovingAverage, Run, check_options


@dataclass(frozen=True, kw_only=True)
class Args(ImageOptions):
    """Arguments of the recipe."""

    data: str = "mnist"
    """A folder of pictures (any sizes with --image-size) or of MNIST-style idx files, a .npy or .npz file, or
    hub:NAME."""
    loss: Literal["log-ratio", "non-saturating", "softmax"] = "log-ratio"
    """log-ratio is half the squared log w; softmax trains the discriminator by Softmax GAN's loss too."""
    divergence: Literal["gan", "jsd", "kl", "reverse_kl", "hellinger", "pearson", "neyman"] = "gan"
    """What trains the discriminator (log-ratio)."""
    model: Literal["dcgan", "mlp"] = "dcgan"
    """Kind of both networks."""
    steps: int = 3000
    """Updates of discriminator and generator."""
    batch_size: int = 64
    """Real images, and generated ones, a step."""
    latent_dim: int = 100
    """Size of z: uniform in [-1, 1] (dcgan) or standard normal (mlp)."""
    width: int = 16
    """Channels at half resolution (dcgan); the paper's code has 64."""
    discriminator_norm: Literal["batch", "spectral", "weight", "none"] = "batch"
    """Normalization of the discriminator (dcgan)."""
    lr: float = 2e-4
    """Adam's learning rate of both networks."""
    decay_from: float = 0.4
    """Part of the run after which the learning rates fall linearly to zero."""
    r1: float = 0.0
    """Weight of a gradient penalty on real images."""
    average: float = 0.995
    """Decay of the moving average of the generator's weights."""
    num_scored: int = 10_000
    """Samples to score at the end."""


def load_report(args: Args) -> ImageReport:
    """The data, with what scores samples against them."""
    data = load_images(args.data, seed=args.seed, image_size=args.image_size, crop=args.crop, corrupt=args.corrupt)
    return ImageReport(data, "grey", labeled=data)


def build(args: Args, image_shape: tuple[int, int, int]) -> tuple[Generator, HubModel]:
    """Generator of pixels in [-1, 1] and discriminator."""
    if args.model == "mlp":
        num_positions = math.prod(image_shape)
        return MLPImageGenerator(args.latent_dim, num_positions), MLPDiscriminator(num_positions)
    return (
        DCGANGenerator(args.latent_dim, image_shape, args.width),
        DCGANDiscriminator(image_shape, args.width, args.discriminator_norm),
    )


def main(args: Args) -> None:
    """Train, sample, score."""
    check_options(
        args,
        batch_size=(2, math.inf),
        lr=(0, math.inf),
        r1=(0, math.inf),
        num_scored=(2, math.inf),
        latent_dim=(1, math.inf),
        width=(1, math.inf),
        decay_from=(0, 1),
        average=(0, 1),
    )
    if args.r1 and args.model == "dcgan" and args.discriminator_norm == "batch":
        raise InputError(
            "--r1: the penalty is one of each image alone, expected another --discriminator-norm than batch"
        )
    report = load_report(args)
    data = report.data
    run = Run(args, steps=args.steps, data=data.summary())
    batches = Batches(len(data.train_images), args.batch_size, seed=args.seed, rank=run.rank, world_size=run.world_size)
    images = data.train_images.to(run.device)
    try:
        generator, discriminator = build(args, data.image_shape)
    except ValueError as error:
        raise InputError(f"--data {args.data}: {error} (see --image-size)") from None
    report.to(run.device)
    generator.to(run.device)
    discriminator.to(run.device)
    average = MovingAverage(generator, args.average)
    g_adam = torch.optim.Adam(generator.parameters(), args.lr, betas=(0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(discriminator.parameters(), args.lr, betas=(0.5, 0.999), fused=True)
    decay = lambda step: min(1.0, (1 - step / args.steps) / (1 - args.decay_from))  # noqa: E731
    schedules = [LambdaLR(g_adam, decay), LambdaLR(d_adam, decay)]
    divergence = DIVERGENCES[args.divergence if args.loss == "log-ratio" else "gan"]
    run.track(
        export={"generator": average.module, "discriminator": discriminator},
        generator=generator,
        discriminator=discriminator,
        average=average,
        generator_adam=g_adam,
        discriminator_adam=d_adam,
        generator_schedule=schedules[0],
        discriminator_schedule=schedules[1],
    )

    def generator_loss(raw_fake: Tensor, real: Tensor) -> Tensor:
        if args.loss == "log-ratio":
            return log_ratio.generator_loss(raw_fake, divergence=divergence).mean()
        if args.loss == "non-saturating":
            return gan.non_saturating_loss(raw_fake).mean()
        with torch.no_grad():
            raw_real = discriminator(real)
        return softmax_gan.generator_loss(raw_real, raw_fake)

    for step in run.steps():
        real = to_range(images[batches.indices(step, device=run.device)], (-1, 1), data.maximum)
        with torch.no_grad(), run.autocast():
            fake = generator(generator.latents(args.batch_size)).sample()
        # In full precision: the penalty differentiates twice.
        raw_real, raw_fake = discriminator(real.requires_grad_(args.r1 > 0)), discriminator(fake)
        penalty = gradient_penalty(raw_real, real).mean() if args.r1 else torch.zeros(())
        train = softmax_gan.discriminator_loss if args.loss == "softmax" else divergence.discriminator_loss
        d_loss = train(raw_real, raw_fake)
        run.minimize("discriminator", d_loss + args.r1 * penalty, d_adam)

        discriminator.requires_grad_(False)  # no gradients for its weights while the generator learns
        with run.autocast():
            raw_fake = discriminator(generator(generator.latents(args.batch_size)).rsample())
            g_loss = generator_loss(raw_fake, real)
        run.minimize("generator", g_loss, g_adam)
        discriminator.requires_grad_(True)
        average.update_parameters(generator)
        for schedule in schedules:
            schedule.step()

        run.log(d_loss=d_loss, g_loss=g_loss, penalty=penalty, raw_real=raw_real.mean(), raw_fake=raw_fake.mean())
        if run.due(args.sample_every) and run.rank == 0:
            report.grid(run.directory.sample_path(run.step), average.module)
            run.log(**report.quick(average.module))

    if run.rank == 0:
        report.final(run.directory.path, average.module, num_samples=args.num_scored, save=run.finish)


if __name__ == "__main__":
    main(tyro.cli(Args))

"""Boundary-seeking GAN for continuous data: the generator descends the squared log-ratio.

Grey or color images on a DCGAN pair; learning rates that fall linearly to zero over the last part of the run, and
samples from an exponential moving average of the generator's weights. The losses to compare with are those of
``softmax_gan``, which takes the same options.

Reference:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch

from discrete_gan.cli import run_recipe
from discrete_gan.divergences import DIVERGENCES
from discrete_gan.errors import InputError
from discrete_gan.losses import log_ratio
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import DCGANDiscriminator, DCGANGenerator, MLPDiscriminator, MLPImageGenerator
from discrete_gan.ranges import Count, Weight
from discrete_gan.tasks import ContinuousImages, ImageOptions, make_task
from discrete_gan.training import DecayOptions, LossOptions, NetworkOptions, Run, RunOptions


@dataclass(frozen=True, kw_only=True)
class Args(ImageOptions, NetworkOptions, DecayOptions, LossOptions, RunOptions):
    """Options of the recipe."""

    divergence: Literal["gan", "jsd", "kl", "reverse_kl", "hellinger", "pearson", "neyman"] = "gan"
    """What trains the discriminator."""
    r1: Weight = 0.0
    """Weight of a gradient penalty on real images."""
    model: Literal["dcgan", "mlp"] = "dcgan"
    """Kind of both networks."""
    width: Count = 16
    """Channels at half resolution (dcgan); the paper's code has 64."""
    discriminator_norm: Literal["batch", "spectral", "weight", "none"] = "batch"
    """Normalization of the discriminator (dcgan)."""
    data: str = "mnist"
    latent_dim: int = 100
    """Size of z: uniform in [-1, 1] (dcgan) or standard normal (mlp)."""
    steps: int = 3000
    average: float = 0.995


def task(args: Args) -> ContinuousImages:
    """Images with pixels in [-1, 1]."""
    return make_task(args, lambda: ContinuousImages(args))


def networks(args: Args, data: ContinuousImages) -> tuple[Any, Any]:
    """Generator of pixels in [-1, 1] and discriminator."""
    if args.model == "mlp":
        num_positions = math.prod(data.image_shape)
        return MLPImageGenerator(args.latent_dim, num_positions), MLPDiscriminator(num_positions)
    return (
        DCGANGenerator(args.latent_dim, data.image_shape, args.width),
        DCGANDiscriminator(data.image_shape, args.width, args.discriminator_norm),
    )


def main(args: Args) -> None:
    """Train: the generator descends half the squared log-ratio."""
    if args.r1 and args.model == "dcgan" and args.discriminator_norm == "batch":
        reason = "the penalty is one of each image alone, expected another --discriminator-norm than batch"
        raise InputError(f"--r1: {reason}")
    data = task(args)
    run = Run(args, data)
    generator, discriminator = run.networks(lambda: networks(args, data))
    g = run.player("generator", generator, lr=args.lr, average=args.average)
    d = run.player("discriminator", discriminator, lr=args.lr)
    divergence = DIVERGENCES[args.divergence]
    for step in run.steps():
        real, fake = data.batch(step).x.requires_grad_(args.r1 > 0), run.draw(generator)
        # In full precision: the penalty differentiates twice.
        raw_real, raw_fake = discriminator(real), discriminator(fake)
        penalty = gradient_penalty(raw_real, real).mean() if args.r1 else torch.zeros(())
        d_loss = divergence.discriminator_loss(raw_real, raw_fake)
        d.descend(d_loss + args.r1 * penalty)
        run.log(d_loss=d_loss, penalty=penalty, raw_real=raw_real.mean())

        with d.frozen(), run.autocast():
            raw_fake = discriminator(generator(generator.latents(args.batch_size)).rsample())
            g_loss = log_ratio.generator_loss(raw_fake, divergence=divergence).mean()
        g.descend(g_loss)
        run.log(g_loss=g_loss, raw_fake=raw_fake.mean())


if __name__ == "__main__":
    run_recipe(__file__)

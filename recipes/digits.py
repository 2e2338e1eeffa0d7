"""Reweighted GAN on scikit-learn's handwritten digits, 8x8 and binarized: the smallest whole example, no network."""

from dataclasses import dataclass

from discrete_gan.cli import run_recipe
from discrete_gan.divergences import GAN
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.tasks import Binarize, BinaryImageOptions, BinaryImages, make_task
from discrete_gan.training import EstimatorOptions, NetworkOptions, Run, RunOptions


@dataclass(frozen=True, kw_only=True)
class Args(BinaryImageOptions, NetworkOptions, EstimatorOptions, RunOptions):
    """What differs from the options' own defaults."""

    binarize: Binarize = "threshold"
    latent_dim: int = 32
    steps: int = 4000
    generator_lr: float = 1e-3
    discriminator_lr: float = 4e-4
    decay_from: float = 1.0


def task(args: Args) -> BinaryImages:
    """Images as bits."""
    return make_task(args, lambda: BinaryImages(args))


def main(args: Args) -> None:
    """Train: each step updates the discriminator, with an R1 penalty, and then the generator by the estimator."""
    data = task(args)
    run = Run(args, data)
    generator, discriminator = run.networks(
        lambda: (
            MLPGenerator(args.latent_dim, data.num_positions, hidden=(256, 256)),
            MLPDiscriminator(data.num_positions, hidden=(256, 128)),
        )
    )
    estimate, state = run.estimator(args.estimator, generator, discriminator)
    g = run.player("generator", generator, lr=args.generator_lr, also=state, average=args.average)
    d = run.player("discriminator", discriminator, lr=args.discriminator_lr)
    for step in run.steps():
        real = data.batch(step).x.requires_grad_()  # for the penalty, which differentiates twice: in full precision
        raw_real, raw_fake = discriminator(real), discriminator(run.draw(generator))
        d_loss = GAN.discriminator_loss(raw_real, raw_fake)
        penalty = gradient_penalty(raw_real, real).mean()
        d.descend(d_loss + args.r1 * penalty)

        z = generator.latents(args.batch_size)
        g_loss = estimate(generator, discriminator, z, real=real).mean()
        g.descend(g_loss)
        run.log(d_loss=d_loss, g_loss=g_loss)


if __name__ == "__main__":
    run_recipe(__file__)

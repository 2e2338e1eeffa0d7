"""Reweighted GAN on scikit-learn's handwritten digits, 8x8 and binarized: the smallest whole example, no network."""

import math
from dataclasses import dataclass

import torch
import tyro

from discrete_gan.data import Batches, binarize, load_images
from discrete_gan.divergences import GAN
from discrete_gan.estimators import parse_estimator, with_real
from discrete_gan.lab.probe import probe
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.report import Binarize, ImageReport
from discrete_gan.training import MovingAverage, Run, RunOptions, check_options, diagnostics, seeded, try_estimator


@dataclass(frozen=True, kw_only=True)
class Args(RunOptions):
    """Arguments of the recipe."""

    data: str = "digits"
    """digits, a folder of idx or .mat files, a .npy or .npz file, or hub:NAME; with labels for the scores."""
    binarize: Binarize = "threshold"
    """Pixels to bits: threshold at half, stochastic (drawn anew in each batch), or none for 0/1 data."""
    estimator: str = "boundary-seeking"
    """boundary-seeking, reinforce, relax, gumbel-softmax or another one of docs/estimators.md, with options as
    NAME:KEY=VALUE,KEY=VALUE (say boundary-seeking:num_samples=10), or your own as FILE.py:FUNCTION."""
    steps: int = 4000
    """Updates of discriminator and generator."""
    batch_size: int = 64
    """Real images, and latents, a step."""
    generator_lr: float = 1e-3
    """Adam's learning rate of the generator."""
    discriminator_lr: float = 4e-4
    """Adam's learning rate of the discriminator."""
    r1: float = 1.0
    """Weight of the gradient penalty on real images."""
    num_scored: int = 10_000
    """Samples to score at the end."""


def load_report(args: Args) -> ImageReport:
    """The data, with what scores samples against them."""
    data = load_images(args.data, seed=args.seed)
    return ImageReport(data, args.binarize, labeled=data)


def main(args: Args) -> None:
    """Train, sample, score."""
    check_options(
        args,
        batch_size=(2, math.inf),
        generator_lr=(0, math.inf),
        discriminator_lr=(0, math.inf),
        r1=(0, math.inf),
        num_scored=(2, math.inf),
    )
    with seeded(args.seed, "weights", "estimator"):
        estimator = parse_estimator(args.estimator)
    report = load_report(args)
    data = report.data
    run = Run(args, steps=args.steps, data=data.summary())
    batches = Batches(len(data.train_images), args.batch_size, seed=args.seed, rank=run.rank, world_size=run.world_size)
    report.to(run.device)

    images = data.train_images.to(run.device)
    num_positions = images.shape[1]
    generator = MLPGenerator(32, num_positions, hidden=(256, 256)).to(run.device)
    discriminator = MLPDiscriminator(num_positions, hidden=(256, 128)).to(run.device)
    average = MovingAverage(generator, 0.999)
    with seeded(args.seed, "probe"):
        probe_z = generator.latents(args.batch_size)
        probe_real = binarize(images[batches.indices(0, device=run.device)], args.binarize, data.maximum)
    # An estimator that takes real samples gets them here; any other one stays as it is.
    probed = with_real(estimator, probe_real)
    # An estimator may have parameters of its own, which descend their own criterion beside the generator.
    state = try_estimator(run, args.estimator, probed, generator, discriminator, probe_z)
    g_parameters = [*generator.parameters(), *state.parameters()]
    g_adam = torch.optim.Adam(g_parameters, args.generator_lr, betas=(0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(discriminator.parameters(), args.discriminator_lr, betas=(0.5, 0.999), fused=True)
    run.track(
        export={"generator": average.module, "discriminator": discriminator},
        generator=generator,
        discriminator=discriminator,
        average=average,
        generator_adam=g_adam,
        discriminator_adam=d_adam,
        estimator=state,
    )

    for step in run.steps():
        real = binarize(images[batches.indices(step, device=run.device)], args.binarize, data.maximum)
        with run.autocast():
            with torch.no_grad():
                fake = generator(generator.latents(args.batch_size)).sample()
            real.requires_grad_()  # for the penalty
            raw_real, raw_fake = discriminator(real), discriminator(fake)
            d_loss = GAN.discriminator_loss(raw_real, raw_fake)
            penalty = gradient_penalty(raw_real, real).mean()
        run.minimize("discriminator", d_loss + args.r1 * penalty, d_adam)

        z = generator.latents(args.batch_size)
        with run.autocast():
            g_loss = with_real(estimator, real)(generator, discriminator, z).mean()
        run.minimize("generator", g_loss, g_adam)
        average.update_parameters(generator)

        run.log(d_loss=d_loss, g_loss=g_loss)
        if run.probing:
            options = {"seed": args.seed, "step": run.step, "num_redraws": args.probe_redraws}
            with run.autocast():
                run.log(**probe(probed, generator, discriminator, probe_z, **options))
        if run.logging:
            run.log(**diagnostics(generator, discriminator, real, z))
        if run.due(args.sample_every) and run.rank == 0:
            report.grid(run.directory.sample_path(run.step), average.module)
            run.log(**report.quick(average.module))

    if run.rank == 0:
        report.final(run.directory.path, average.module, num_samples=args.num_scored, save=run.finish)


if __name__ == "__main__":
    main(tyro.cli(Args))

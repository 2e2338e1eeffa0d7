"""Reweighted GAN on binary images: MNIST, Fashion-MNIST, binarized MNIST or your own file.

Each step updates the discriminator once, with an R1 penalty, and the generator once, by the gradient estimator.
Both learning rates fall linearly to zero over the last part of the run, and samples come from an exponential
moving average of the generator's weights.

Reference:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import tyro
from torch.optim.lr_scheduler import LambdaLR

from discrete_gan.data import Batches, binarize, load_images
from discrete_gan.divergences import DIVERGENCES
from discrete_gan.errors import InputError
from discrete_gan.estimators import parse_estimator, with_real
from discrete_gan.lab.probe import probe
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import (
    ConvDiscriminator,
    ConvGenerator,
    Generator,
    HubModel,
    MLPDiscriminator,
    MLPGenerator,
    labeled,
)
from discrete_gan.report import Binarize, ImageReport
from discrete_gan.training import (
    ImageOptions,
    MovingAverage,
    Precision,
    Run,
    check_options,
    diagnostics,
    seeded,
    try_estimator,
)


@dataclass(frozen=True, kw_only=True)
class Args(ImageOptions):
    """Arguments of the recipe."""

    precision: Precision = "auto"
    """Number format of the networks' matrix products; auto is bf16-mixed where the hardware multiplies bfloat16
    (recent GPUs, CPUs with AMX), else 32-true."""
    data: str = "mnist"
    """A folder of pictures (any sizes with --image-size), of MNIST-style idx files or of .mat files, a .npy or .npz
    file, hub:NAME, or digits."""
    binarize: Binarize = "stochastic"
    """Pixels to bits: stochastic (drawn anew in each batch), threshold at half, or none for 0/1 data."""
    classifier_data: str | None = None
    """Labeled data for the scores' classifier, where the training data has no labels."""
    estimator: str = "boundary-seeking"
    """boundary-seeking, reinforce, relax, gumbel-softmax or another one of docs/estimators.md, with options as
    NAME:KEY=VALUE,KEY=VALUE (say boundary-seeking:num_samples=10), or your own as FILE.py:FUNCTION."""
    divergence: Literal["gan", "jsd", "kl", "reverse_kl", "hellinger", "pearson", "neyman", "donsker-varadhan"] = "gan"
    """What trains the discriminator."""
    conditional: bool = False
    """Labels into both networks: samples of the class that is asked for."""
    model: Literal["mlp", "conv"] = "mlp"
    """Kind of both networks."""
    steps: int = 16000
    """Updates of discriminator and generator."""
    batch_size: int = 64
    """Real images, and latents, a step."""
    latent_dim: int = 64
    """Size of z, standard normal."""
    generator_width: int = 512
    """Width of the generator's hidden layers (mlp), or of its linear layer (conv)."""
    discriminator_width: int = 512
    """Width of the discriminator's first hidden layer (mlp), or of its linear layer (conv)."""
    channels: int = 32
    """Channels at half resolution (conv); the paper has 64."""
    generator_lr: float = 2e-3
    """Adam's learning rate of the generator."""
    discriminator_lr: float = 8e-4
    """Adam's learning rate of the discriminator."""
    decay_from: float = 0.4
    """Part of the run after which the learning rates fall linearly to zero."""
    r1: float = 1.0
    """Weight of the gradient penalty on real images."""
    spectral_norm: bool = False
    """Spectral normalization of the discriminator."""
    average: float = 0.999
    """Decay of the moving average of the generator's weights."""
    num_scored: int = 10_000
    """Samples to score at the end."""


def load_report(args: Args) -> ImageReport:
    """The data, with what scores samples against them."""
    size = {"image_size": args.image_size, "crop": args.crop, "corrupt": args.corrupt}
    data = load_images(args.data, seed=args.seed, **size)
    labeled = load_images(args.classifier_data, **size) if args.classifier_data else data
    if args.classifier_data and labeled.train_labels is None:
        raise InputError(f"--classifier-data {args.classifier_data}: it has no labels, expected labeled images")
    return ImageReport(data, args.binarize, labeled=labeled)


def build(args: Args, image_shape: tuple[int, int, int], num_classes: int = 0) -> tuple[Generator, HubModel]:
    """Generator and discriminator, conditional with classes."""
    if args.model == "conv":
        return (
            ConvGenerator(
                args.latent_dim,
                image_shape,
                width=args.channels,
                hidden=args.generator_width,
                num_classes=num_classes,
            ),
            ConvDiscriminator(
                image_shape,
                width=args.channels,
                hidden=args.discriminator_width,
                spectral_normalization=args.spectral_norm,
                num_classes=num_classes,
            ),
        )
    num_positions = image_shape[0] * image_shape[1] * image_shape[2]
    return (
        MLPGenerator(
            args.latent_dim,
            num_positions,
            hidden=(args.generator_width, args.generator_width),
            num_classes=num_classes,
        ),
        MLPDiscriminator(
            num_positions,
            hidden=(args.discriminator_width, args.discriminator_width // 2),
            spectral_normalization=args.spectral_norm,
            num_classes=num_classes,
        ),
    )


def main(args: Args) -> None:
    """Train, sample, score."""
    check_options(
        args,
        batch_size=(2, math.inf),
        generator_lr=(0, math.inf),
        discriminator_lr=(0, math.inf),
        r1=(0, math.inf),
        num_scored=(2, math.inf),
        latent_dim=(1, math.inf),
        generator_width=(1, math.inf),
        discriminator_width=(2, math.inf),
        channels=(1, math.inf),
        decay_from=(0, 1),
        average=(0, 1),
    )
    with seeded(args.seed, "weights", "estimator"):
        estimator = parse_estimator(args.estimator)
    report = load_report(args)
    data = report.data
    run = Run(args, steps=args.steps, data=data.summary())
    batches = Batches(len(data.train_images), args.batch_size, seed=args.seed, rank=run.rank, world_size=run.world_size)
    num_classes = data.classes_for("--conditional") if args.conditional else 0
    report.to(run.device)

    images = data.train_images.to(run.device)
    classes = data.train_labels.to(run.device) if args.conditional and data.train_labels is not None else None
    try:
        generator, discriminator = build(args, data.image_shape, num_classes)
    except ValueError as error:
        raise InputError(f"--data {args.data}: {error} (see --image-size)") from None
    generator.to(run.device)
    discriminator.to(run.device)
    average = MovingAverage(generator, args.average)
    with seeded(args.seed, "probe"):
        probe_z = generator.latents(args.batch_size)
        chosen = batches.indices(0, device=run.device)
        probe_real = binarize(images[chosen], args.binarize, data.maximum)
        probe_labels = None if classes is None else classes[chosen]
    # An estimator that takes real samples gets them here; any other one stays as it is.
    probed = with_real(estimator, probe_real)
    # An estimator may have parameters of its own, which descend their own criterion beside the generator.
    probe_networks = labeled(generator, probe_labels), labeled(discriminator, probe_labels)
    state = try_estimator(run, args.estimator, probed, *probe_networks, probe_z)
    g_parameters = [*generator.parameters(), *state.parameters()]
    g_adam = torch.optim.Adam(g_parameters, args.generator_lr, betas=(0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(discriminator.parameters(), args.discriminator_lr, betas=(0.5, 0.999), fused=True)
    decay = lambda step: min(1.0, (1 - step / args.steps) / (1 - args.decay_from))  # noqa: E731
    schedules = [LambdaLR(g_adam, decay), LambdaLR(d_adam, decay)]
    divergence = DIVERGENCES[args.divergence]
    run.track(
        export={"generator": average.module, "discriminator": discriminator},
        generator=generator,
        discriminator=discriminator,
        average=average,
        generator_adam=g_adam,
        discriminator_adam=d_adam,
        generator_schedule=schedules[0],
        discriminator_schedule=schedules[1],
        estimator=state,
    )

    for step in run.steps():
        chosen = batches.indices(step, device=run.device)
        real = binarize(images[chosen], args.binarize, data.maximum)
        # Without labels these are the networks themselves; with them, those of this batch's classes.
        labels = None if classes is None else classes[chosen]
        g, d = labeled(generator, labels), labeled(discriminator, labels)
        with torch.no_grad(), run.autocast():
            fake = g(generator.latents(args.batch_size)).sample()
        # In full precision: the penalty differentiates twice, and so small a batch gains nothing from bfloat16.
        real.requires_grad_()
        raw_real, raw_fake = d(real), d(fake)
        penalty = gradient_penalty(raw_real, real).mean()
        d_loss = divergence.discriminator_loss(raw_real, raw_fake)
        run.minimize("discriminator", d_loss + args.r1 * penalty, d_adam)

        z = generator.latents(args.batch_size)
        with run.autocast():
            g_loss = with_real(estimator, real)(g, d, z).mean()
        run.minimize("generator", g_loss, g_adam)
        average.update_parameters(generator)
        for schedule in schedules:
            schedule.step()

        run.log(d_loss=d_loss, g_loss=g_loss, penalty=penalty)
        if run.probing:
            options = {"seed": args.seed, "step": run.step, "num_redraws": args.probe_redraws}
            with run.autocast():
                run.log(**probe(probed, *probe_networks, probe_z, **options))
        if run.logging:
            run.log(**diagnostics(g, d, real, z))
        if run.due(args.sample_every) and run.rank == 0:
            report.grid(run.directory.sample_path(run.step), average.module)
            run.log(**report.quick(average.module))

    if run.rank == 0:
        report.final(run.directory.path, average.module, num_samples=args.num_scored, save=run.finish)


if __name__ == "__main__":
    main(tyro.cli(Args))

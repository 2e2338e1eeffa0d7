"""Reweighted GAN on images in a few colors: every pixel is one category, its color drawn from a palette of K.

The palette is learnt from the training images by k-means and saved with the generator. Otherwise as ``binary_mnist``:
the discriminator with an R1 penalty, the generator by the gradient estimator, learning rates that fall to zero, and
samples from a moving average of the generator's weights.

Reference:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
"""

import math
from dataclasses import dataclass

import torch
import tyro
from torch import Tensor
from torch.nn.functional import one_hot
from torch.optim.lr_scheduler import LambdaLR

from discrete_gan.data import Batches, ImageData, load_images
from discrete_gan.data.palette import MOST_COLORS, learn_palette, quantized
from discrete_gan.divergences import GAN
from discrete_gan.errors import InputError
from discrete_gan.estimators import parse_estimator, with_real
from discrete_gan.lab.probe import probe
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import ConvDiscriminator, PaletteGenerator, labeled
from discrete_gan.report import ImageReport
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
    data: str = "fashion_mnist"
    """A folder of pictures (any sizes with --image-size) or of MNIST-style idx files, a .npy or .npz file, or
    hub:NAME."""
    colors: int = 16
    """K, colors of the palette, or grey levels where the images are grey."""
    estimator: str = "boundary-seeking:num_samples=10"
    """boundary-seeking, reinforce, gumbel-softmax or another one of docs/estimators.md that takes categories, with
    options as NAME:KEY=VALUE,KEY=VALUE (say reinforce:num_samples=5), or your own as FILE.py:FUNCTION."""
    conditional: bool = False
    """Labels into both networks: samples of the class that is asked for."""
    steps: int = 3000
    """Updates of discriminator and generator."""
    batch_size: int = 64
    """Real images, and latents, a step."""
    latent_dim: int = 64
    """Size of z, standard normal."""
    hidden: int = 512
    """Width of the linear layer of both networks; the paper has 1024."""
    channels: int = 32
    """Channels at half resolution; the paper has 64."""
    generator_lr: float = 2e-3
    """Adam's learning rate of the generator."""
    discriminator_lr: float = 8e-4
    """Adam's learning rate of the discriminator."""
    decay_from: float = 0.4
    """Part of the run after which the learning rates fall linearly to zero."""
    r1: float = 1.0
    """Weight of the gradient penalty on real images."""
    average: float = 0.995
    """Decay of the moving average of the generator's weights."""
    num_scored: int = 10_000
    """Samples to score at the end."""


def load_data(args: Args) -> tuple[Tensor, Tensor, ImageData]:
    """Colors (K, C), the color of every training pixel (N, H * W), and the data as they look in these colors."""
    data = load_images(args.data, seed=args.seed, image_size=args.image_size, crop=args.crop, corrupt=args.corrupt)
    palette = learn_palette(data, args.colors, seed=args.seed)
    return palette, *quantized(data, palette)


def load_report(args: Args) -> ImageReport:
    """The data, with what scores samples against them."""
    _, _, data = load_data(args)
    return ImageReport(data, "grey", labeled=data)


def main(args: Args) -> None:
    """Train, sample, score."""
    check_options(
        args,
        colors=(2, MOST_COLORS + 1),
        batch_size=(2, math.inf),
        generator_lr=(0, math.inf),
        discriminator_lr=(0, math.inf),
        r1=(0, math.inf),
        num_scored=(2, math.inf),
        latent_dim=(1, math.inf),
        hidden=(1, math.inf),
        channels=(1, math.inf),
        decay_from=(0, 1),
        average=(0, 1),
    )
    with seeded(args.seed, "weights", "estimator"):
        estimator = parse_estimator(args.estimator)
    palette, indices, data = load_data(args)
    run = Run(args, steps=args.steps, data=data.summary())
    batches = Batches(len(indices), args.batch_size, seed=args.seed, rank=run.rank, world_size=run.world_size)

    num_classes = data.classes_for("--conditional") if args.conditional else 0
    indices = indices.to(run.device)
    classes = data.train_labels.to(run.device) if args.conditional and data.train_labels is not None else None
    _, height, width = data.image_shape
    try:
        generator = PaletteGenerator(
            palette.tolist(),
            args.latent_dim,
            data.image_shape,
            width=args.channels,
            hidden=args.hidden,
            num_classes=num_classes,
        )
    except ValueError as error:
        raise InputError(f"--data {args.data}: {error} (see --image-size)") from None
    discriminator = ConvDiscriminator(
        (1, height, width), args.colors, width=args.channels, hidden=args.hidden, num_classes=num_classes
    )
    report = ImageReport(data, "grey", labeled=data)
    report.to(run.device)
    generator.to(run.device)
    discriminator.to(run.device)
    average = MovingAverage(generator, args.average)

    def real_batch(step: int) -> tuple[Tensor, Tensor | None]:
        chosen = batches.indices(step, device=run.device)
        return one_hot(indices[chosen].long(), args.colors).float(), None if classes is None else classes[chosen]

    with seeded(args.seed, "probe"):
        probe_z = generator.latents(args.batch_size)
    probe_real, probe_labels = real_batch(0)
    probed = with_real(estimator, probe_real)
    probe_networks = labeled(generator, probe_labels), labeled(discriminator, probe_labels)
    state = try_estimator(run, args.estimator, probed, *probe_networks, probe_z)
    g_parameters = [*generator.parameters(), *state.parameters()]
    g_adam = torch.optim.Adam(g_parameters, args.generator_lr, betas=(0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(discriminator.parameters(), args.discriminator_lr, betas=(0.5, 0.999), fused=True)
    decay = lambda step: min(1.0, (1 - step / args.steps) / (1 - args.decay_from))  # noqa: E731
    schedules = [LambdaLR(g_adam, decay), LambdaLR(d_adam, decay)]
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
        real, labels = real_batch(step)
        real.requires_grad_()
        # Without labels these are the networks themselves; with them, those of this batch's classes.
        g, d = labeled(generator, labels), labeled(discriminator, labels)
        with torch.no_grad(), run.autocast():
            fake = g(generator.latents(args.batch_size)).sample()
        raw_real, raw_fake = d(real), d(fake)
        penalty = gradient_penalty(raw_real, real).mean()
        d_loss = GAN.discriminator_loss(raw_real, raw_fake)
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

"""GANs that learn from class labels: LabelGAN, AC-GAN and its variants, AM-GAN, and what they do without.

One pair of networks, small or that of AM-GAN's paper, and seven losses. With dynamic labeling the target of a generated
sample is the class that the discriminator finds likeliest, and the generator has noise alone; with predefined labeling
the label is given to the generator, and the discriminator has one more layer.

Reference:
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), https://arxiv.org/abs/1703.02000
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import tyro
from torch import Tensor
from torch.optim.lr_scheduler import StepLR

from discrete_gan.data import Batches, load_images, to_range
from discrete_gan.losses import ac_gan, am_gan, gan, label_gan
from discrete_gan.losses.class_labels import dynamic_labels
from discrete_gan.models import (
    AMGANDiscriminator,
    AMGANGenerator,
    Generator,
    HubModel,
    MLPImageGenerator,
    NoisyMLPClassifier,
    labeled,
)
from discrete_gan.report import ImageReport
from discrete_gan.training import ImageOptions, Run, check_options

Loss = Literal["gan", "gan-star", "ac-gan", "ac-gan-star", "ac-gan-star-plus", "label-gan", "am-gan"]


@dataclass(frozen=True, kw_only=True)
class Args(ImageOptions):
    """Arguments of the recipe."""

    data: str = "mnist"
    """Labeled images (gan with dynamic labeling takes others): a folder with one of pictures a class (any sizes with
    --image-size), one of MNIST-style idx files, a .npz file, hub:NAME, or digits."""
    loss: Loss = "am-gan"
    """gan takes no labels; gan-star has a classifier beside it that the generator does not see; ac-gan-star trains the
    generator by it too, ac-gan also the classifier by generated images, ac-gan-star-plus by their being of no class;
    label-gan and am-gan have one class of generated images beside the real ones."""
    labeling: Literal["dynamic", "predefined"] = "dynamic"
    """Targets of generated images: what the discriminator finds likeliest, or labels that the generator is given."""
    model: Literal["mlp", "conv"] = "mlp"
    """Kind of both networks: mlp, with hidden layers of 512, 512 and of 512, 256, trains on a CPU; conv is the paper's,
    with --generator-width 96 --discriminator-width 64."""
    steps: int = 3000
    """Updates of discriminator and generator."""
    batch_size: int = 100
    """Real images, and generated ones, an update."""
    latent_dim: int = 100
    """Size of z, standard normal."""
    generator_width: int = 8
    """Channels of the generator at full resolution, doubled at every halving (conv)."""
    discriminator_width: int = 8
    """The discriminator's (conv)."""
    dropout: float = 0.3
    """Of the discriminator (conv), or the standard deviation of the noise between its layers (mlp)."""
    noise: float = 0.1
    """Standard deviation of the noise on the discriminator's images, whose pixels lie in [-1, 1]."""
    class_weight: float = 1.0
    """Weight of the classifier's loss in the generator's, of the three forms of ac-gan."""
    smoothing_real: float = 0.0
    """Part of real images' target that goes to the generated class."""
    lr: float = 4e-4
    """Adam's first learning rate, of both networks."""
    lr_decay: float = 0.8
    """What the learning rate is multiplied with ten times in a run, at equal distances; the paper does not say."""
    num_scored: int = 10_000
    """Samples to score at the end."""


def load_report(args: Args) -> ImageReport:
    """The data, with what scores samples against them."""
    data = load_images(args.data, seed=args.seed, image_size=args.image_size, crop=args.crop, corrupt=args.corrupt)
    return ImageReport(data, "grey", labeled=data)


def build(args: Args, image_shape: tuple[int, int, int], num_classes: int) -> tuple[Generator, HubModel]:
    """Generator and discriminator: of K + 1 outputs, or one without classes."""
    predefined = args.labeling == "predefined"
    given, num_outputs = num_classes if predefined else 0, 1 if args.loss == "gan" else num_classes + 1
    if args.model == "conv":
        return (
            AMGANGenerator(args.latent_dim, image_shape, args.generator_width, given),
            AMGANDiscriminator(
                image_shape,
                num_outputs,
                args.discriminator_width,
                extra_layer=predefined,
                noise=args.noise,
                dropout=args.dropout,
            ),
        )
    num_positions = math.prod(image_shape)
    hidden = (512, 256, 256) if predefined else (512, 256)
    return (
        MLPImageGenerator(args.latent_dim, num_positions, hidden=(512, 512), num_classes=given),
        NoisyMLPClassifier(num_positions, num_outputs, hidden, input_noise=args.noise, noise=args.dropout),
    )


def discriminator_loss(args: Args, real: Tensor, labels: Tensor, fake: Tensor, targets: Tensor) -> Tensor:
    """Of logits (B, K + 1); the last is that of the generated class, or the raw output of AC-GAN and GAN."""
    smoothing = {"smoothing_real": args.smoothing_real}
    if args.loss == "gan":
        return gan.discriminator_loss(real[:, -1], fake[:, -1], **smoothing)
    if args.loss in ("label-gan", "am-gan"):
        return label_gan.discriminator_loss(real, labels, fake, **smoothing)
    loss = ac_gan.discriminator_loss(real[:, -1], real[:, :-1], labels, fake[:, -1], **smoothing)
    if args.loss == "ac-gan":
        loss = loss + ac_gan.fake_class_loss(fake[:, :-1], targets)
    if args.loss == "ac-gan-star-plus":
        loss = loss + ac_gan.uniform_class_loss(fake[:, :-1])
    return loss


def generator_loss(args: Args, fake: Tensor, targets: Tensor) -> Tensor:
    """Of logits (B, K + 1), shape (B,)."""
    if args.loss in ("gan", "gan-star"):
        return gan.non_saturating_loss(fake[:, -1])
    if args.loss == "label-gan":
        return label_gan.generator_loss(fake)
    if args.loss == "am-gan":
        return am_gan.generator_loss(fake, targets)
    return ac_gan.generator_loss(fake[:, -1], fake[:, :-1], targets, class_weight=args.class_weight)


def main(args: Args) -> None:
    """Train, sample, score."""
    check_options(
        args,
        batch_size=(2, math.inf),
        latent_dim=(1, math.inf),
        generator_width=(1, math.inf),
        discriminator_width=(1, math.inf),
        dropout=(0, 1),
        noise=(0, math.inf),
        class_weight=(0, math.inf),
        smoothing_real=(0, 1),
        lr=(0, math.inf),
        lr_decay=(0, math.inf),
        num_scored=(2, math.inf),
    )
    report = load_report(args)
    data = report.data
    predefined = args.labeling == "predefined"
    without = args.loss == "gan" and not predefined  # labels play no part
    num_classes = 0 if without else data.classes_for(f"--loss {args.loss} --labeling {args.labeling}")
    run = Run(args, steps=args.steps, data=data.summary())
    batches = Batches(len(data.train_images), args.batch_size, seed=args.seed, rank=run.rank, world_size=run.world_size)
    images = data.train_images.to(run.device)
    no_labels = torch.zeros(len(images), dtype=torch.int64)
    classes = (no_labels if without or data.train_labels is None else data.train_labels).to(run.device)
    generator, discriminator = build(args, data.image_shape, num_classes)
    report.to(run.device)
    generator.to(run.device)
    discriminator.to(run.device)
    g_adam = torch.optim.Adam(generator.parameters(), args.lr, betas=(0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(discriminator.parameters(), args.lr, betas=(0.5, 0.999), fused=True)
    schedules = [StepLR(adam, max(1, args.steps // 10), args.lr_decay) for adam in (g_adam, d_adam)]
    run.track(
        export={"generator": generator, "discriminator": discriminator},
        generator=generator,
        discriminator=discriminator,
        generator_adam=g_adam,
        discriminator_adam=d_adam,
        generator_schedule=schedules[0],
        discriminator_schedule=schedules[1],
    )

    def targets_of(logits: Tensor, labels: Tensor) -> Tensor:
        return labels if predefined or args.loss == "gan" else dynamic_labels(logits, num_classes)

    for step in run.steps():
        chosen = batches.indices(step, device=run.device)
        real, labels = to_range(images[chosen], (-1, 1), data.maximum), classes[chosen]
        # Generated images of the real ones' classes, where the generator is given any.
        g = labeled(generator, labels if predefined else None)
        with torch.no_grad(), run.autocast():
            fake = g(generator.latents(args.batch_size)).sample()
        with run.autocast():
            real_logits, fake_logits = discriminator(real), discriminator(fake)
            d_loss = discriminator_loss(args, real_logits, labels, fake_logits, targets_of(fake_logits, labels))
        run.minimize("discriminator", d_loss, d_adam)

        discriminator.requires_grad_(False)  # no gradients for its weights while the generator learns
        with run.autocast():
            fake_logits = discriminator(g(generator.latents(args.batch_size)).rsample())
            g_loss = generator_loss(args, fake_logits, targets_of(fake_logits, labels)).mean()
        run.minimize("generator", g_loss, g_adam)
        discriminator.requires_grad_(True)
        for schedule in schedules:
            schedule.step()

        run.log(d_loss=d_loss, g_loss=g_loss)
        if run.logging and args.loss != "gan":
            run.log(class_accuracy=(dynamic_labels(real_logits, num_classes) == labels).float().mean())
        if run.due(args.sample_every) and run.rank == 0:
            report.grid(run.directory.sample_path(run.step), generator)
            run.log(**report.quick(generator))

    if run.rank == 0:
        report.final(run.directory.path, generator, num_samples=args.num_scored, save=run.finish)


if __name__ == "__main__":
    main(tyro.cli(Args))

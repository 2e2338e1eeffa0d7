"""GANs that learn from class labels: LabelGAN, AC-GAN and its variants, AM-GAN, and what they do without.

With dynamic labeling the target of a generated sample is the class that the discriminator finds likeliest, and the
generator has noise alone; with predefined labeling it is given the label, and the discriminator has one more layer.

Reference:
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), https://arxiv.org/abs/1703.02000
"""

from dataclasses import dataclass
from typing import Any, Literal

from torch.optim.lr_scheduler import StepLR

from discrete_gan.cli import run_recipe
from discrete_gan.losses.class_labels import dynamic_labels
from discrete_gan.losses.label_family import FAMILY
from discrete_gan.models import AMGANDiscriminator, AMGANGenerator, MLPImageGenerator, NoisyMLPClassifier, labeled
from discrete_gan.ranges import Count, Fraction, Weight
from discrete_gan.tasks import ContinuousImages, ImageOptions, make_task
from discrete_gan.training import LossOptions, NetworkOptions, Run, RunOptions


@dataclass(frozen=True, kw_only=True)
class Args(ImageOptions, NetworkOptions, LossOptions, RunOptions):
    """Options of the recipe."""

    loss: Literal["gan", "gan-star", "ac-gan", "ac-gan-star", "ac-gan-star-plus", "label-gan", "am-gan"] = "am-gan"
    """What both descend, see docs/losses.md: gan takes no labels, gan-star has a classifier that the generator does not
    see, the three forms of ac-gan train it by one, label-gan and am-gan have a class of generated images."""
    labeling: Literal["dynamic", "predefined"] = "dynamic"
    """Targets of generated images: what the discriminator finds likeliest, or labels that the generator is given."""
    class_weight: Weight = 1.0
    """Weight of the classifier's loss in the generator's, of the three forms of ac-gan."""
    smoothing_real: Fraction = 0.0
    """Part of real images' target that goes to the generated class."""
    model: Literal["mlp", "conv"] = "mlp"
    """Kind of both networks: mlp, with hidden layers of 512, 512 and of 512, 256, trains on a CPU; conv is the paper's,
    with --generator-width 96 --discriminator-width 64."""
    generator_width: Count = 8
    """Channels of the generator at full resolution, doubled at every halving (conv)."""
    discriminator_width: Count = 8
    """Channels of the discriminator at full resolution (conv)."""
    dropout: Fraction = 0.3
    """Dropout of the discriminator (conv), or the standard deviation of the noise between its layers (mlp)."""
    noise: Weight = 0.1
    """Standard deviation of the noise on the discriminator's images, whose pixels lie in [-1, 1]."""
    lr_decay: Weight = 0.8
    """What the learning rate is multiplied with ten times in a run, at equal distances."""
    data: str = "mnist"
    batch_size: int = 100
    latent_dim: int = 100
    steps: int = 3000
    lr: float = 4e-4


def task(args: Args) -> ContinuousImages:
    """Images with pixels in [-1, 1], with classes unless labels play no part."""
    unlabeled = args.loss == "gan" and args.labeling == "dynamic"
    purpose = "" if unlabeled else f"--loss {args.loss} --labeling {args.labeling}"
    return make_task(args, lambda: ContinuousImages(args, labels_for=purpose))


def networks(args: Args, data: ContinuousImages) -> tuple[Any, Any]:
    """Generator and discriminator: of K + 1 outputs, or one without classes."""
    predefined = args.labeling == "predefined"
    given, num_outputs = data.num_classes if predefined else 0, 1 if args.loss == "gan" else data.num_classes + 1
    if args.model == "conv":
        shape, more = data.image_shape, {"extra_layer": predefined, "noise": args.noise, "dropout": args.dropout}
        return (
            AMGANGenerator(args.latent_dim, shape, args.generator_width, given),
            AMGANDiscriminator(shape, num_outputs, args.discriminator_width, **more),
        )
    hidden, num_positions = (512, 256, 256) if predefined else (512, 256), data.num_positions
    return (
        MLPImageGenerator(args.latent_dim, num_positions, hidden=(512, 512), num_classes=given),
        NoisyMLPClassifier(num_positions, num_outputs, hidden, input_noise=args.noise, noise=args.dropout),
    )


def main(args: Args) -> None:
    """Train both networks by the losses of the family."""
    data = task(args)
    run = Run(args, data)
    generator, discriminator = run.networks(lambda: networks(args, data))
    rate = lambda adam: StepLR(adam, max(1, args.steps // 10), args.lr_decay)  # noqa: E731
    g = run.player("generator", generator, lr=args.lr, schedule=rate)
    d = run.player("discriminator", discriminator, lr=args.lr, schedule=rate)
    loss, num_classes = FAMILY[args.loss], data.num_classes

    for step in run.steps():
        real, labels = data.batch(step)
        given = labels if args.labeling == "predefined" else None  # generated images of the real ones' classes
        fake = run.draw(generator, given)
        with run.autocast():
            real_logits, fake_logits = discriminator(real), discriminator(fake)
            d_loss = loss.discriminator_loss(real_logits, labels, fake_logits, given, args.smoothing_real)
        d.descend(d_loss)

        with d.frozen(), run.autocast():
            fake_logits = discriminator(labeled(generator, given)(generator.latents(args.batch_size)).rsample())
            g_loss = loss.generator_loss(fake_logits, given, args.class_weight).mean()
        g.descend(g_loss)
        run.log(d_loss=d_loss, g_loss=g_loss)
        if run.logging and args.loss != "gan":
            run.log(class_accuracy=(dynamic_labels(real_logits, num_classes) == labels).float().mean())


if __name__ == "__main__":
    run_recipe(__file__)

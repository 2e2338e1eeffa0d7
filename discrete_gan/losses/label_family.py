"""The losses that learn from class labels under one signature: what AM-GAN's paper compares.

All take logits of K classes and one more output, the last: the class of generated images (LabelGAN, AM-GAN) or the raw
output of a discriminator beside the classifier (GAN, AC-GAN).

Reference:
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), https://arxiv.org/abs/1703.02000
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from discrete_gan.losses import ac_gan, am_gan, gan, label_gan
from discrete_gan.losses.class_labels import dynamic_labels


class LabelLoss(NamedTuple):
    """Losses of both networks.

    Attributes:
        discriminator_loss: ``(real, labels, fake, given, smoothing_real)`` to a scalar in nats: logits of real images,
            shape (B, K + 1), and their labels, (B,); logits of generated ones, (B', K + 1), and the labels that the
            generator was given, (B',), None for the class that the discriminator finds likeliest; and the smoothing
            of real targets.
        generator_loss: ``(fake, given, class_weight)`` to one loss per image in nats, shape (B,); ``class_weight`` is
            that of the classes in the forms of AC-GAN.
    """

    discriminator_loss: Callable[..., Tensor]
    generator_loss: Callable[..., Tensor]


def _gan(real: Tensor, labels: Any, fake: Tensor, given: Any, smoothing: float) -> Tensor:
    return gan.discriminator_loss(real[:, -1], fake[:, -1], smoothing_real=smoothing)


def _label_gan(real: Tensor, labels: Tensor, fake: Tensor, given: Any, smoothing: float) -> Tensor:
    return label_gan.discriminator_loss(real, labels, fake, smoothing_real=smoothing)


def _classified(real: Tensor, labels: Tensor, fake: Tensor, given: Any, smoothing: float) -> Tensor:
    return ac_gan.discriminator_loss(real[:, -1], real[:, :-1], labels, fake[:, -1], smoothing_real=smoothing)


def _ac_gan(real: Tensor, labels: Tensor, fake: Tensor, given: Tensor | None, smoothing: float) -> Tensor:
    classes = ac_gan.fake_class_loss(fake[:, :-1], _targets(fake, given))
    return _classified(real, labels, fake, given, smoothing) + classes


def _ac_gan_plus(real: Tensor, labels: Tensor, fake: Tensor, given: Any, smoothing: float) -> Tensor:
    return _classified(real, labels, fake, given, smoothing) + ac_gan.uniform_class_loss(fake[:, :-1])


def _non_saturating(fake: Tensor, given: Any, class_weight: float) -> Tensor:
    return gan.non_saturating_loss(fake[:, -1])


def _of_class(fake: Tensor, given: Tensor | None, class_weight: float) -> Tensor:
    return ac_gan.generator_loss(fake[:, -1], fake[:, :-1], _targets(fake, given), class_weight=class_weight)


def _of_any_class(fake: Tensor, given: Any, class_weight: float) -> Tensor:
    return label_gan.generator_loss(fake)


def _activation_maximization(fake: Tensor, given: Tensor | None, class_weight: float) -> Tensor:
    return am_gan.generator_loss(fake, _targets(fake, given))


def _targets(fake: Tensor, given: Tensor | None) -> Tensor:
    """The labels that were given, or the likeliest classes."""
    return dynamic_labels(fake, fake.shape[1] - 1) if given is None else given


FAMILY = {
    "gan": LabelLoss(_gan, _non_saturating),
    "gan-star": LabelLoss(_classified, _non_saturating),
    "ac-gan": LabelLoss(_ac_gan, _of_class),
    "ac-gan-star": LabelLoss(_classified, _of_class),
    "ac-gan-star-plus": LabelLoss(_ac_gan_plus, _of_class),
    "label-gan": LabelLoss(_label_gan, _of_any_class),
    "am-gan": LabelLoss(_label_gan, _activation_maximization),
}

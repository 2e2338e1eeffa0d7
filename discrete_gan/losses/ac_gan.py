r"""AC-GAN and its variants: real against generated, and an auxiliary classifier of the K real classes beside it.

The discriminator has two outputs that are independent of each other: the raw output F of real against generated, with
D its logistic function, and K class logits, with C their softmax. The variants differ in what they add up:

- GAN*: :func:`discriminator_loss`, and a generator that has no class loss, ``gan.non_saturating_loss``;
- AC-GAN*: :func:`discriminator_loss` and :func:`generator_loss`;
- AC-GAN*+: AC-GAN* with :func:`uniform_class_loss` in the discriminator;
- AC-GAN of Odena et al.: AC-GAN* with :func:`fake_class_loss` in the discriminator.

References:
    Conditional Image Synthesis with Auxiliary Classifier GANs (Odena et al., 2017), https://arxiv.org/abs/1610.09585
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), https://arxiv.org/abs/1703.02000
"""

from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan.losses import gan
from discrete_gan.losses.class_labels import check_labels, check_logits, class_cross_entropy, uniform_cross_entropy


def discriminator_loss(
    real: Tensor,
    real_classes: Tensor,
    labels: Tensor,
    fake: Tensor,
    *,
    smoothing_real: float = 0.0,
    smoothing_fake: float = 0.0,
) -> Tensor:
    r"""The original GAN's loss, and the classifier's on data (equations 8 and 9).

    .. math:: L_{GAN}(F(x_{real}), F(x_{fake})) + \operatorname{mean} H(u(y), C(x_{real}))

    Generated samples do not reach the classifier: nothing in it is adversarial, and it does not notice when they all
    collapse to one point (section 4.3).

    Args:
        real: Raw outputs on data, shape (B,).
        real_classes: Class logits of the same data, shape (B, K).
        labels: Their classes from 0 to K - 1, int64, shape (B,).
        fake: Raw outputs on generated samples, shape (B',).
        smoothing_real: As in ``gan.discriminator_loss``; labels are not smoothed.
        smoothing_fake: As in ``gan.discriminator_loss``.

    Returns:
        Scalar in nats. Gradients reach ``real``, ``real_classes`` and ``fake``.

    Raises:
        ValueError: If a shape, a smoothing, or a label on the CPU is wrong.
    """
    check_logits("real_classes", real_classes)
    _check_raw("real", real, "real_classes", real_classes)
    check_labels("labels", labels, *real_classes.shape)
    real_or_generated = gan.discriminator_loss(real, fake, smoothing_real=smoothing_real, smoothing_fake=smoothing_fake)
    return real_or_generated + class_cross_entropy(real_classes, labels).mean()


def fake_class_loss(fake_classes: Tensor, targets: Tensor) -> Tensor:
    """The discriminator's term of the original AC-GAN: generated samples are of their targets too (section 5.3).

    Against mode collapse, but with a worse Inception Score in the paper's experiments (section 7.1.5): classifier and
    generator pull the same way, whatever the samples look like.

    Args:
        fake_classes: Class logits of generated samples, shape (B, K).
        targets: Their classes from 0 to K - 1, int64, shape (B,).

    Returns:
        Scalar in nats. Gradients reach ``fake_classes``.

    Raises:
        ValueError: If a shape, or a target on the CPU, is wrong.
    """
    check_logits("fake_classes", fake_classes)
    check_labels("targets", targets, *fake_classes.shape)
    return class_cross_entropy(fake_classes, targets).mean()


def uniform_class_loss(fake_classes: Tensor) -> Tensor:
    """The discriminator's term of AC-GAN*+: generated samples are of no class (equation 20).

    Args:
        fake_classes: Class logits of generated samples, shape (B, K).

    Returns:
        Scalar in nats, at least log K. Gradients reach ``fake_classes``.

    Raises:
        ValueError: If the shape is another one.
    """
    check_logits("fake_classes", fake_classes)
    return uniform_cross_entropy(fake_classes).mean()


def generator_loss(fake: Tensor, fake_classes: Tensor, targets: Tensor, *, class_weight: float = 1.0) -> Tensor:
    r"""The non-saturating loss, and the classifier's on the target (equations 6 and 7).

    .. math:: -\log D(x) + w H(u(y), C(x))

    With w = 1 it is the cross-entropy to v(y) of a hierarchical model of K + 1 classes, [D C, 1 - D] (equation 19).

    Args:
        fake: Raw outputs on generated samples, shape (B,).
        fake_classes: Class logits of the same samples, shape (B, K).
        targets: Classes from 0 to K - 1, int64, shape (B,): those that the samples were made for, or
            ``class_labels.dynamic_labels(fake_classes, K)``.
        class_weight: w, at least 0. Against mode collapse take less, such as 0.1 (section 4.3); 0 is GAN*.

    Returns:
        One loss per sample in nats, shape (B,). Gradients reach ``fake`` and ``fake_classes``.

    Raises:
        ValueError: If a shape, the weight, or a target on the CPU is wrong.
    """
    check_logits("fake_classes", fake_classes)
    _check_raw("fake", fake, "fake_classes", fake_classes)
    check_labels("targets", targets, *fake_classes.shape)
    check_at_least("class_weight", class_weight, 0)
    return gan.non_saturating_loss(fake) + class_weight * class_cross_entropy(fake_classes, targets)


def _check_raw(name: str, raw: Tensor, classes_name: str, classes: Tensor) -> None:
    if raw.shape != classes.shape[:1]:
        raise ValueError(
            f"{name}: expected shape ({len(classes)},), one raw output per sample of {classes_name}, "
            f"got {tuple(raw.shape)}"
        )

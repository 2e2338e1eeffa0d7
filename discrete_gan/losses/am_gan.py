r"""AM-GAN: LabelGAN whose generator has one target class for each sample.

References:
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), https://arxiv.org/abs/1703.02000
"""

from torch import Tensor

from discrete_gan._precision import at_least_float32
from discrete_gan.losses import label_gan
from discrete_gan.losses.class_labels import check_labels, check_logits, class_cross_entropy
from discrete_gan.losses.label_gan import discriminator_loss  # equation 15 is equation 5

__all__ = ["discriminator_loss", "generator_loss"]


def generator_loss(fake_logits: Tensor, targets: Tensor, *, smoothing_real: float = 0.0) -> Tensor:
    r"""Cross-entropy of generated samples to their target classes (equation 14).

    .. math:: H\big((1 - \lambda) v(y) + \lambda v(K+1), D(x)\big)
              = H([1 - \lambda, \lambda], [D_r, D_{K+1}]) + (1 - \lambda) H(u(y), R(D(x)))

    LabelGAN's loss plus an auxiliary classifier's (equations 17 and 18), u being one-hot over the K real classes and R
    the softmax over them alone. The slope in the logits is D minus the target (lemma 1).

    Args:
        fake_logits: Of generated samples, shape (B, K + 1), generated class last.
        targets: Classes from 0 to K - 1, int64, shape (B,): those that the samples were made for, or
            ``class_labels.dynamic_labels(fake_logits, K)``, which does not bind the latent to a class and collapses
            less within one.
        smoothing_real: :math:`\lambda`, as in :func:`discriminator_loss`.

    Returns:
        One loss per sample in nats, shape (B,). Gradients reach ``fake_logits``.

    Raises:
        ValueError: If a shape, the smoothing, or a target on the CPU is wrong.
    """
    check_logits("fake_logits", fake_logits, generated_class=True)
    check_labels("targets", targets, len(fake_logits), fake_logits.shape[1] - 1)
    fake_logits = at_least_float32(fake_logits)
    any_class = label_gan.generator_loss(fake_logits, smoothing_real=smoothing_real)
    return any_class + (1 - smoothing_real) * class_cross_entropy(fake_logits[:, :-1], targets)

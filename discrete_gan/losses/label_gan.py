r"""LabelGAN: the discriminator classifies into K real classes and one of generated samples.

A cross-entropy over K + 1 classes is one of real against generated plus one over the real classes (lemma 2, equation
16), and that is how both losses are computed here: ``losses.gan`` on the raw output ``real_logit``, and an auxiliary
classifier on the first K logits.

References:
    Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), https://arxiv.org/abs/1703.02000
"""

from torch import Tensor

from discrete_gan._precision import at_least_float32
from discrete_gan.losses import gan
from discrete_gan.losses.class_labels import (
    check_labels,
    check_logits,
    class_cross_entropy,
    real_logit,
    uniform_cross_entropy,
)


def discriminator_loss(
    real_logits: Tensor,
    labels: Tensor,
    fake_logits: Tensor,
    *,
    smoothing_real: float = 0.0,
    smoothing_fake: float = 0.0,
) -> Tensor:
    r"""Cross-entropy of data to their labels and of generated samples to class K + 1 (equations 3, 5 and 24).

    .. math:: \operatorname{mean} H\big((1 - \lambda_2) v(y) + \lambda_2 v(K+1), D(x_{real})\big)
              + \operatorname{mean} H\big((1 - \lambda_1) v(K+1)
              + \tfrac{\lambda_1}{K} \textstyle\sum_k v(k), D(x_{fake})\big)

    v is one-hot and D the softmax of K + 1 logits. Without smoothing the optimum is
    :math:`l_y - l_{K+1} = \log p_{data}(x, y) / p_g(x)`, so ``real_logit`` is the log-ratio. With K = 1 this is
    ``gan.discriminator_loss``.

    Args:
        real_logits: Of data, shape (B, K + 1), generated class last.
        labels: Classes of the data from 0 to K - 1, int64, shape (B,).
        fake_logits: Of generated samples, shape (B', K + 1).
        smoothing_real: :math:`\lambda_2`, between 0 and 1, of data's target on class K + 1.
        smoothing_fake: :math:`\lambda_1`, between 0 and 1, of the generated samples' target, spread evenly over the
            real classes (appendix B.1). Above zero it rewards generated samples where there are none of the data.

    Returns:
        Scalar in nats. Gradients reach both logits.

    Raises:
        ValueError: If a shape, a smoothing, or a label on the CPU is wrong.
    """
    check_logits("real_logits", real_logits, generated_class=True)
    check_labels("labels", labels, len(real_logits), real_logits.shape[1] - 1)
    check_logits("fake_logits", fake_logits, num_logits=real_logits.shape[1])
    real_logits, fake_logits = at_least_float32(real_logits), at_least_float32(fake_logits)
    real_or_generated = gan.discriminator_loss(
        real_logit(real_logits),
        real_logit(fake_logits),
        smoothing_real=smoothing_real,
        smoothing_fake=smoothing_fake,
    )
    which_class = (1 - smoothing_real) * class_cross_entropy(real_logits[:, :-1], labels).mean()
    no_class = smoothing_fake * uniform_cross_entropy(fake_logits[:, :-1]).mean()
    return real_or_generated + which_class + no_class


def generator_loss(fake_logits: Tensor, *, smoothing_real: float = 0.0) -> Tensor:
    r"""The generator aims at any real class (equations 2, 4 and 28).

    .. math:: H([1 - \lambda, \lambda], [D_r, D_{K+1}]), \quad D_r = \textstyle\sum_{k=1}^{K} D_k

    Its slope in a real class's logit is :math:`(D_r - 1 + \lambda) D_k / D_r` (equation 11 with the target of equation
    29): the pull is shared out among the real classes by their present probabilities, so a sample between two is
    pulled to both. ``am_gan`` gives each sample one target instead.

    Args:
        fake_logits: Of generated samples, shape (B, K + 1), generated class last.
        smoothing_real: :math:`\lambda`, as in :func:`discriminator_loss`.

    Returns:
        One loss per sample in nats, shape (B,). Gradients reach ``fake_logits``.

    Raises:
        ValueError: If the shape or the smoothing is wrong.
    """
    check_logits("fake_logits", fake_logits, generated_class=True)
    return gan.non_saturating_loss(real_logit(fake_logits), smoothing_real=smoothing_real)

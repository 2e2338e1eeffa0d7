r"""Losses of the least-squares GAN.

The raw output regresses a label instead of the log-ratio: it makes no importance weights.

References:
    Least Squares Generative Adversarial Networks (Mao et al., 2017), https://arxiv.org/abs/1611.04076
"""

from torch import Tensor

from discrete_gan._precision import at_least_float32


def discriminator_loss(real: Tensor, fake: Tensor, *, real_label: float = 1.0, fake_label: float = 0.0) -> Tensor:
    r"""Half the squared distance to each side's label (equation 2).

    .. math:: \tfrac12 \operatorname{mean} (F(x_{real}) - b)^2 + \tfrac12 \operatorname{mean} (F(x_{fake}) - a)^2

    The optimum is :math:`(b\, p_{data} + a\, p_g) / (p_{data} + p_g)`.

    Args:
        real: Raw outputs on data, any shape.
        fake: Raw outputs on generated samples, any shape, not necessarily as many.
        real_label: b.
        fake_label: a.

    Returns:
        Scalar. Gradients reach both arguments.
    """
    real, fake = at_least_float32(real), at_least_float32(fake)
    return 0.5 * (real - real_label).square().mean() + 0.5 * (fake - fake_label).square().mean()


def generator_loss(fake: Tensor, *, label: float = 1.0) -> Tensor:
    r"""Half the squared distance to the label that the generator aims at.

    .. math:: \tfrac12 (F(x_{fake}) - c)^2

    With b - c = 1 and b - a = 2 (labels -1, 1 and c = 0) the game minimizes Pearson's divergence between
    :math:`p_{data} + p_g` and :math:`2 p_g`; the defaults are the paper's 0-1 coding, where c = b.

    Args:
        fake: Raw outputs on generated samples, any shape.
        label: c.

    Returns:
        One loss per sample, the shape of ``fake``. Gradients reach ``fake``.
    """
    return 0.5 * (at_least_float32(fake) - label).square()

r"""Losses of the original GAN, with label smoothing.

D is the logistic function of the raw output F, so :math:`\log D = -\mathrm{softplus}(-F)` and
:math:`\log(1 - D) = -\mathrm{softplus}(F)`: nothing is exponentiated and logged again.

References:
    Generative Adversarial Nets (Goodfellow et al., 2014), https://arxiv.org/abs/1406.2661
    Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), https://arxiv.org/abs/1703.02000
"""

from torch import Tensor

from discrete_gan._precision import at_least_float32
from discrete_gan.divergences import GAN


def discriminator_loss(
    real: Tensor, fake: Tensor, *, smoothing_real: float = 0.0, smoothing_fake: float = 0.0
) -> Tensor:
    r"""Cross-entropy of real against generated, each with a smoothed target.

    .. math:: \operatorname{mean} H(1 - \lambda_2, D(x_{real})) + \operatorname{mean} H(\lambda_1, D(x_{fake}))

    where :math:`H(t, D) = -t \log D - (1 - t) \log(1 - D)` (equation 24 of Zhou et al. has the targets). Without
    smoothing the loss is that of ``divergences.GAN``, whose optimum is the log-ratio. With it the optimum is
    :math:`D = ((1 - \lambda_2) p_{data} + \lambda_1 p_g) / (p_{data} + p_g)`: the raw output stays between
    :math:`\log(\lambda_1 / (1 - \lambda_1))` and :math:`\log((1 - \lambda_2) / \lambda_2)`, and is no log-ratio any
    more: weights made of it understate large ratios.

    Args:
        real: Raw outputs on data, any shape.
        fake: Raw outputs on generated samples, any shape, not necessarily as many.
        smoothing_real: :math:`\lambda_2`, between 0 and 1. Salimans et al. smooth this side only, by 0.1.
        smoothing_fake: :math:`\lambda_1`, between 0 and 1. Above zero it rewards generated samples where there are
            none of the data, and turns :func:`minimax_loss` around.

    Returns:
        Scalar in nats. Gradients reach both arguments.

    Raises:
        ValueError: If a smoothing is not between 0 and 1.
    """
    _check_smoothing("smoothing_real", smoothing_real)
    _check_smoothing("smoothing_fake", smoothing_fake)
    return _cross_entropy(1 - smoothing_real, real).mean() + _cross_entropy(smoothing_fake, fake).mean()


def minimax_loss(fake: Tensor, *, smoothing_fake: float = 0.0) -> Tensor:
    r"""The generator's side of the minimax game: minus the discriminator's loss on generated samples.

    .. math:: \lambda_1 \log D + (1 - \lambda_1) \log(1 - D)

    Its slope in the raw output is :math:`\lambda_1 - D` (equation 26 of Zhou et al.). Without smoothing that is
    :math:`-D`, which vanishes where the discriminator is sure of a sample, D near 0, and so where the generator has
    most to learn. With smoothing it changes sign at :math:`D = \lambda_1` (equation 27): samples below are pushed
    further down, to D = 0.

    Args:
        fake: Raw outputs on generated samples, any shape.
        smoothing_fake: :math:`\lambda_1`, as in :func:`discriminator_loss`.

    Returns:
        One loss per sample in nats, the shape of ``fake``. Gradients reach ``fake``.

    Raises:
        ValueError: If the smoothing is not between 0 and 1.
    """
    _check_smoothing("smoothing_fake", smoothing_fake)
    return -_cross_entropy(smoothing_fake, fake)


def non_saturating_loss(fake: Tensor, *, smoothing_real: float = 0.0) -> Tensor:
    r"""The generator aims at the discriminator's target for data.

    .. math:: -(1 - \lambda_2) \log D - \lambda_2 \log(1 - D)

    Its slope in the raw output is :math:`D - (1 - \lambda_2)` (equation 29 of Zhou et al.): largest where the
    discriminator is sure of a generated sample, and with smoothing zero where D is the target itself.

    Args:
        fake: Raw outputs on generated samples, any shape.
        smoothing_real: :math:`\lambda_2`, as in :func:`discriminator_loss`.

    Returns:
        One loss per sample in nats, the shape of ``fake``. Gradients reach ``fake``.

    Raises:
        ValueError: If the smoothing is not between 0 and 1.
    """
    _check_smoothing("smoothing_real", smoothing_real)
    return _cross_entropy(1 - smoothing_real, fake)


generator_loss = non_saturating_loss  # under the name that every loss's module has


def log_odds_loss(fake: Tensor) -> Tensor:
    r"""Both of the above together, minus the raw output: the slope is the same wherever a sample stands.

    .. math:: \log(1 - D) - \log D = -F

    With F the log-ratio its mean is the reverse KL divergence :math:`KL(p_g \| p_{data})`.

    Args:
        fake: Raw outputs on generated samples, any shape.

    Returns:
        One loss per sample in nats, the shape of ``fake``. Gradients reach ``fake``.
    """
    return -at_least_float32(fake)


def _cross_entropy(target: float, raw: Tensor) -> Tensor:
    """H(target, D), a term left out where its factor is zero: that times an infinite loss would be NaN."""
    if target in (0, 1):
        return -GAN.activation(raw) if target else GAN.conjugate(raw)
    raw = at_least_float32(raw)  # once: two slopes that nearly cancel are rounded together
    return (1 - target) * GAN.conjugate(raw) - target * GAN.activation(raw)


def _check_smoothing(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: expected a number between 0 and 1, got {value}")

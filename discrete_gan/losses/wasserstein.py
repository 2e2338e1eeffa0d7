r"""Losses of the Wasserstein GAN.

The discriminator is a critic: its raw output is a potential, not a log-ratio, and makes no importance weights. It must
be Lipschitz, which the losses do not see to: clip its weights, or add ``penalties.wgan_gp_penalty``.

References:
    Wasserstein GAN (Arjovsky et al., 2017), https://arxiv.org/abs/1701.07875
"""

from torch import Tensor

from discrete_gan._precision import at_least_float32


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    r"""Minus the critic's bound on the Wasserstein distance.

    .. math:: \operatorname{mean} F(x_{fake}) - \operatorname{mean} F(x_{real})

    Args:
        real: Raw outputs on data, any shape.
        fake: Raw outputs on generated samples, any shape, not necessarily as many.

    Returns:
        Scalar, in the units of the critic. Gradients reach both arguments.
    """
    return at_least_float32(fake).mean() - at_least_float32(real).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Minus the raw output.

    Args:
        fake: Raw outputs on generated samples, any shape.

    Returns:
        One loss per sample, the shape of ``fake``. Gradients reach ``fake``.
    """
    return -at_least_float32(fake)

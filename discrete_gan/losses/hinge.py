r"""Hinge losses: the discriminator separates real from generated samples by a margin.

The raw output is no log-ratio and makes no importance weights: at the optimum it is the sign of
:math:`p_{data} - p_g`.

References:
    Geometric GAN (Lim and Ye, 2017), https://arxiv.org/abs/1705.02894
    Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), https://arxiv.org/abs/1802.05957
"""

import torch.nn.functional as F
from torch import Tensor

from discrete_gan._precision import at_least_float32


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    r"""How far raw outputs fall short of the margins at 1 and -1.

    .. math:: \operatorname{mean} \max(0, 1 - F(x_{real})) + \operatorname{mean} \max(0, 1 + F(x_{fake}))

    Samples beyond their margin carry no gradient.

    Args:
        real: Raw outputs on data, any shape.
        fake: Raw outputs on generated samples, any shape, not necessarily as many.

    Returns:
        Scalar. Gradients reach both arguments.
    """
    return F.relu(1 - at_least_float32(real)).mean() + F.relu(1 + at_least_float32(fake)).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Minus the raw output, without a margin.

    Args:
        fake: Raw outputs on generated samples, any shape.

    Returns:
        One loss per sample, the shape of ``fake``. Gradients reach ``fake``.
    """
    return -at_least_float32(fake)

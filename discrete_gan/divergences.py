r"""Divergences that train a discriminator, each parameterized so that its raw output is the log-ratio.

A discriminator with raw output :math:`y = F(x)` maximizes the variational bound

.. math:: E_{data}[\nu(y)] - E_g[f^\star(\nu(y))] \le D_f(p_{data} \| p_g),

and with the activations :math:`\nu` below the optimum of every member is
:math:`F(x) = \log p_{data}(x) / p_g(x)`, because :math:`(\partial f^\star/\partial T)(\nu(y)) = e^y`. So the
estimators need not know which divergence trained the discriminator: only its loss changes.

References:
    f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization (Nowozin et al., 2016),
    https://arxiv.org/abs/1606.00709
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from discrete_gan._precision import at_least_float32, log_sum_exp
from discrete_gan.distributed import mean_over_batch, whole_batch

LOG_2 = math.log(2)


@dataclass(frozen=True)
class FDivergence:
    r"""One member: two functions of the raw output, applied elementwise.

    Attributes:
        name: As in :data:`DIVERGENCES`.
        activation: :math:`\nu(y)`, the term of real samples, in nats, at least float32.
        conjugate: :math:`f^\star(\nu(y))`, the term of generated samples, likewise.
    """

    name: str
    activation: Callable[[Tensor], Tensor]
    conjugate: Callable[[Tensor], Tensor]

    def __post_init__(self) -> None:
        # Exponentials overflow, and differences vanish, in half precision.
        for field in ("activation", "conjugate"):
            object.__setattr__(self, field, _upcasting(getattr(self, field)))

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        r"""Minus the variational bound, to be minimized by the discriminator.

        .. math:: -\operatorname{mean} \nu(y_{real}) + \operatorname{mean} f^\star(\nu(y_{fake}))

        Args:
            real: Raw outputs on data, any shape.
            fake: Raw outputs on generated samples, any shape, not necessarily as many.

        Returns:
            Scalar in nats; at the optimum minus the divergence. Gradients reach both arguments.
        """
        return self.conjugate(fake).mean() - self.activation(real).mean()

    def log_weight(self, raw: Tensor) -> Tensor:
        """Log-ratio log p_data / p_g in nats that a raw output stands for: the raw output itself."""
        return raw


@dataclass(frozen=True)
class DonskerVaradhan:
    r"""Bound on KL(p_data || p_g) whose optimum is the log-ratio up to a constant.

    .. math:: E_{data}[y] - \log E_g[e^y]

    The logarithm couples the generated samples, on several processes those of all of them, so a minibatch gives a
    biased gradient.

    References:
        Asymptotic Evaluation of Certain Markov Process Expectations for Large Time, IV (Donsker and Varadhan,
        1983), https://doi.org/10.1002/cpa.3160360204
    """

    name: str = "donsker-varadhan"

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the bound.

        Args:
            real: Raw outputs on data, any shape, equally many on every process.
            fake: Raw outputs on generated samples, any shape, not necessarily as many, but equally many on every
                process.

        Returns:
            Scalar in nats, at the optimum -KL; that of the whole batch on every process. Gradients reach both
            arguments, those of ``fake`` sum to one to rounding; their mean over processes is that of the whole batch.
        """
        fake, real = whole_batch(fake.flatten()), at_least_float32(real.flatten())
        return log_sum_exp(fake) - math.log(len(fake)) - mean_over_batch(real)

    def log_weight(self, raw: Tensor) -> Tensor:
        """Log-ratio in nats, up to a constant: normalized weights do not see it."""
        return raw


def _upcasting(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda raw: function(at_least_float32(raw))


Divergence = FDivergence | DonskerVaradhan

# log D and -log(1 - D). F.softplus is linear above 20, wrong by 2e-9; logsigmoid is exact.
GAN = FDivergence("gan", F.logsigmoid, lambda y: -F.logsigmoid(-y))
JENSEN_SHANNON = FDivergence("jsd", lambda y: LOG_2 + F.logsigmoid(y), lambda y: -F.logsigmoid(-y) - LOG_2)
# The bounds of the five below hold exponentials of the raw output: large outputs give large, then infinite, losses.
KL = FDivergence("kl", lambda y: y + 1, torch.exp)
REVERSE_KL = FDivergence("reverse_kl", lambda y: -torch.exp(-y), lambda y: y - 1)
SQUARED_HELLINGER = FDivergence("hellinger", lambda y: -torch.expm1(-y / 2), lambda y: torch.expm1(y / 2))
PEARSON = FDivergence("pearson", lambda y: 2 * torch.expm1(y), lambda y: torch.expm1(2 * y))
NEYMAN = FDivergence("neyman", lambda y: -torch.expm1(-2 * y), lambda y: -2 * torch.expm1(-y))

DIVERGENCES: dict[str, Divergence] = {
    divergence.name: divergence
    for divergence in (
        GAN,
        JENSEN_SHANNON,
        KL,
        REVERSE_KL,
        SQUARED_HELLINGER,
        PEARSON,
        NEYMAN,
        DonskerVaradhan(),
    )
}

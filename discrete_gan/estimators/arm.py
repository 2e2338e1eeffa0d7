r"""ARM, DisARM and ARMS: antithetic binary samples, in pairs or more at once.

References:
    ARM: Augment-REINFORCE-Merge Gradient for Stochastic Binary Networks (Yin and Zhou, 2019),
    https://arxiv.org/abs/1807.11143
    DisARM: An Antithetic Gradient Estimator for Binary Latent Variables (Dong et al., 2020),
    https://arxiv.org/abs/2006.10680
    ARMS: Antithetic-REINFORCE-Multi-Sample Gradient for Binary Variables (Dimitriev and Zhou, 2021),
    https://arxiv.org/abs/2105.14141
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan._precision import at_least_float32
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.estimators._common import (
    LossEstimator,
    binary,
    log_ratios,
    loss_of_gradient,
    per_sample,
    sample_loss,
)
from discrete_gan.estimators.claims import Claims

_BINARY = (FactorizedBernoulli,)


def arm_gradient(loss: Tensor, antithetic_loss: Tensor, uniform: Tensor) -> Tensor:
    r"""Gradient in the logits, :math:`(f(1[u \ge \sigma(-l)]) - f(1[u < \sigma(l)])) (u - \frac12)`.

    Args:
        loss: f of the samples from u, shape (M, B).
        antithetic_loss: f of the samples from 1 - u, shape (M, B).
        uniform: u, shape (M, B, D).

    Returns:
        Shape (M, B, D).
    """
    return per_sample(at_least_float32(loss) - antithetic_loss, uniform) * (at_least_float32(uniform) - 0.5)


def disarm_gradient(loss: Tensor, antithetic_loss: Tensor, x: Tensor, antithetic: Tensor, logits: Tensor) -> Tensor:
    r"""Gradient in the logits: :func:`arm_gradient` averaged over all u that give the same pair.

    .. math:: \tfrac12 (f(x) - f(\tilde x)) (x - \tilde x)\, \sigma(|l|)

    Args:
        loss: f of the samples, shape (M, B).
        antithetic_loss: f of the antithetic samples, shape (M, B).
        x: The samples, shape (M, B, D).
        antithetic: The antithetic samples, shape (M, B, D).
        logits: Shape (B, D).

    Returns:
        Shape (M, B, D); zero at positions where the pair agrees.
    """
    difference = per_sample(at_least_float32(loss) - antithetic_loss, x)
    return difference / 2 * (x - antithetic) * torch.sigmoid(at_least_float32(logits).abs())


def arms_gradient(loss: Tensor, x: Tensor, agreement: Tensor) -> Tensor:
    r"""Gradient in the logits from M samples that are antithetic to each other: the mean of that of all their pairs.

    .. math:: \frac{M}{M-1} (f(x_m) - \bar f)\, \frac{x_m - \bar x}{1 - \rho}

    Two samples that are exchangeable at each position, whatever their correlation :math:`\rho` there, differ at it with
    probability :math:`2 p (1 - p) (1 - \rho)`, and then their losses tell of that position alone. With :math:`\rho = 0`
    it is REINFORCE with leave-one-out baselines, and of one pair of the least correlation :func:`disarm_gradient`.

    Args:
        loss: f of the samples, shape (M, B).
        x: The samples, shape (M, B, D).
        agreement: :math:`\rho`, correlation of two samples, shape (B, D).

    Returns:
        Shape (M, B, D), whose mean over M is the estimate.
    """
    loss, x, number = at_least_float32(loss), at_least_float32(x), len(x)
    scale = number / (number - 1) / (1 - at_least_float32(agreement))
    return per_sample(loss - loss.mean(dim=0), x) * (x - x.mean(dim=0)) * scale


@dataclass(frozen=True)
class Arm(LossEstimator):
    """ARM estimator, for binary generators: see :func:`arm_gradient`.

    Unbiased (see ``Claims.unbiased``). Costs 2 ``num_samples`` discriminator evaluations per latent, without a backward
    pass.

    Attributes:
        num_samples: M, antithetic pairs per latent.
        objective: f, the loss of a sample: ``"log-ratio"``, -log w, for the reverse KL, or ``"non-saturating"``.

    Raises:
        ValueError: If M is below 1 or the objective is unknown.
    """

    num_samples: int = 10

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        return Claims(
            self.objective, "none", 2 * self.num_samples, "Yin and Zhou 2019, arXiv 1807.11143", accepts=_BINARY
        )

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution is not a FactorizedBernoulli.
        """
        g = binary(generator(z), self)
        with torch.no_grad():
            probs = g.probs
            uniform = torch.rand(self.num_samples, *g.logits.shape, dtype=probs.dtype, device=probs.device)
            pair = torch.stack([uniform >= 1 - probs, uniform < probs]).to(probs.dtype)
            loss, antithetic_loss = sample_loss(log_ratios(discriminator, pair.flatten(0, 1)), self.objective).chunk(2)
        return loss_of_gradient(g, arm_gradient(loss, antithetic_loss, uniform))


@dataclass(frozen=True)
class DisArm(LossEstimator):
    """DisARM estimator (also U2G), for binary generators: see :func:`disarm_gradient`.

    Unbiased (see ``Claims.unbiased``), and never of more variance than ARM. Costs 2 ``num_samples`` discriminator
    evaluations per latent, without a backward pass.

    Attributes:
        num_samples: M, antithetic pairs per latent.
        objective: f, the loss of a sample: ``"log-ratio"``, -log w, for the reverse KL, or ``"non-saturating"``.

    Raises:
        ValueError: If M is below 1 or the objective is unknown.
    """

    num_samples: int = 10

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        return Claims(
            self.objective, "none", 2 * self.num_samples, "Dong et al. 2020, arXiv 2006.10680", accepts=_BINARY
        )

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution is not a FactorizedBernoulli.
        """
        g = binary(generator(z), self)
        x, antithetic = g.antithetic_sample((self.num_samples,))
        with torch.no_grad():
            loss, antithetic_loss = sample_loss(
                log_ratios(discriminator, torch.cat([x, antithetic])), self.objective
            ).chunk(2)
        return loss_of_gradient(g, disarm_gradient(loss, antithetic_loss, x, antithetic, g.logits))


@dataclass(frozen=True)
class Arms(LossEstimator):
    """ARMS estimator, for binary generators: see :func:`arms_gradient`.

    Unbiased (see ``Claims.unbiased``). Costs ``num_samples`` discriminator evaluations per latent, without a backward
    pass.

    Attributes:
        num_samples: M, samples per latent, all antithetic to each other.
        objective: f, the loss of a sample: ``"log-ratio"``, -log w, for the reverse KL, or ``"non-saturating"``.

    Raises:
        ValueError: If M is below 2 or the objective is unknown.
    """

    num_samples: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least("num_samples", self.num_samples, 2)

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        source = "Dimitriev and Zhou 2021, arXiv 2105.14141"
        return Claims(self.objective, "none", self.num_samples, source, accepts=_BINARY)

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution is not a FactorizedBernoulli.
        """
        g = binary(generator(z), self)
        x, agreement = g.jointly_antithetic_sample(self.num_samples)
        with torch.no_grad():
            loss = sample_loss(log_ratios(discriminator, x), self.objective)
        return loss_of_gradient(g, arms_gradient(loss, x, agreement))

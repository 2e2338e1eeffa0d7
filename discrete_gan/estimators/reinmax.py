r"""ReinMax: straight-through made exact to second order.

References:
    Bridging Discrete and Backpropagation: Straight-Through and Beyond (Liu et al., 2023),
    https://arxiv.org/abs/2304.08612
"""

import torch
from torch import Tensor

from discrete_gan._precision import at_least_float32
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.estimators._common import (
    FACTORIZED,
    Objective,
    TemperedEstimator,
    factorized,
    jacobian_product,
    loss_of_gradient,
    losses_and_slopes,
)
from discrete_gan.estimators.claims import Claims


def reinmax_gradient(slope: Tensor, x: Tensor, probs: Tensor, tempered: Tensor, *, binary: bool) -> Tensor:
    r"""Gradient in the logits from the gradient in the sample.

    .. math:: 2 J(\tfrac{\pi_\tau + x}{2})^\top s - \tfrac12 J(\pi)^\top s, \quad J(p) = diag(p) - p p^\top

    Heun's method in place of Euler's: exact where the loss is quadratic in the sample and the temperature is 1.

    Args:
        slope: s, gradient of the loss in each sample, shape (M, B, *event).
        x: The samples, the same shape.
        probs: :math:`\pi`, shape (B, *event).
        tempered: :math:`\pi_\tau`, probabilities at the temperature, shape (B, *event).
        binary: Whether positions are bits, of one probability each, and not K categories.

    Returns:
        Shape (M, B, *event). Carries gradient as its arguments do.
    """
    slope, probs = at_least_float32(slope), at_least_float32(probs)
    middle = (at_least_float32(tempered) + x) / 2
    return 2 * jacobian_product(middle, slope, binary=binary) - jacobian_product(probs, slope, binary=binary) / 2


class ReinMax(TemperedEstimator):
    """ReinMax estimator: see :func:`reinmax_gradient`.

    Biased, second order. Costs ``num_samples`` discriminator evaluations per latent, each with a backward pass.

    Args:
        temperature: Of the probabilities that are averaged with the sample; above 1 is smoother.
        num_samples: M, samples per latent.
        objective: ``"non-saturating"`` or ``"log-ratio"``.
        annealing_rate: r of :class:`Temperature`; 0 keeps the temperature constant.
        min_temperature: Where annealing stops.

    Raises:
        ValueError: If a temperature is not above 0, M is below 1 or the objective is unknown.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        num_samples: int = 1,
        objective: Objective = "non-saturating",
        annealing_rate: float = 0.0,
        min_temperature: float = 0.1,
    ) -> None:
        super().__init__(temperature, num_samples, objective, annealing_rate, min_temperature)

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        bias = "second order" if self.temperature == 1 and self.annealing_rate == 0 else "of the temperature"
        return Claims(self.objective, bias, self.num_samples, "Liu et al. 2023, arXiv 2304.08612", FACTORIZED)

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution is not factorized.
        """
        g = factorized(generator(z), self)
        x = g.sample(torch.Size((self.num_samples,)))
        _, slope = losses_and_slopes(discriminator, x, self.objective)
        tempered = g.relax(g.logits, self.schedule())
        gradient = reinmax_gradient(slope, x, g.mean, tempered, binary=isinstance(g, FactorizedBernoulli))
        return loss_of_gradient(g, gradient)

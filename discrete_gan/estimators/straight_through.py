r"""Straight-through: discrete samples forward, the gradient of the probabilities backward.

References:
    Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation (Bengio et al.,
    2013), https://arxiv.org/abs/1308.3432
    Hierarchical Multiscale Recurrent Neural Networks (Chung et al., 2017), https://arxiv.org/abs/1609.01704
    Improving Discrete Optimisation via Decoupled Straight-Through Estimator (Shah et al., 2024),
    https://arxiv.org/abs/2410.13331
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from discrete_gan._arguments import check_choice, check_positive
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributions import RaggedCategorical
from discrete_gan.estimators._common import (
    COLUMNS,
    FACTORIZED,
    Factorized,
    LossEstimator,
    Objective,
    TemperedEstimator,
    columns,
    factorized,
    frozen,
    log_ratios,
    sample_loss,
)
from discrete_gan.estimators.claims import Claims

Jacobian = Literal["probabilities", "identity"]


def straight_through(x: Tensor, mean: Tensor) -> Tensor:
    """The samples, with the gradient of their mean.

    Args:
        x: Discrete samples, shape (M, B, *event). No gradient.
        mean: Mean of their distribution, shape (B, *event); whatever else is given here carries the gradient.

    Returns:
        Equal to ``x``. Gradients reach ``mean``, as if each sample were it.
    """
    return x.detach() + (mean - mean.detach())


@dataclass(frozen=True)
class StraightThrough(LossEstimator):
    """Straight-through estimator with the Jacobian of the probabilities (sigmoid or softmax), or with none.

    Biased, first order: exact where the discriminator is affine in the sample. Costs ``num_samples``
    discriminator evaluations per latent, each with a backward pass.

    Attributes:
        num_samples: M, samples per latent.
        objective: ``"non-saturating"`` descends -log D(x) = log(1 + 1/w), ``"log-ratio"`` descends -log w, the
            reverse KL.
        jacobian: ``"probabilities"``, or ``"identity"`` to hand the gradient of the sample to the logits as it
            is: another length and, for categories, another direction.
        temperature: Of the probabilities whose Jacobian it is, and not of the samples, which stay the generator's:
            the backward temperature of decoupled straight-through, whose forward one is 1.

    Raises:
        ValueError: If M is below 1, the objective or the Jacobian is unknown, or the temperature is not above 0 or has
            no probabilities to change.
    """

    objective: Objective = "non-saturating"
    jacobian: Jacobian = "probabilities"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("temperature", self.temperature)
        if self.jacobian == "identity" and self.temperature != 1:
            raise ValueError(f"temperature: expected 1 beside jacobian='identity', got {self.temperature}")
        check_choice("jacobian", self.jacobian, ("probabilities", "identity"))

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        bias = "first order" if self.jacobian == "probabilities" else "in length and direction"
        bias = bias if self.temperature == 1 else "first order, and of the temperature"
        return Claims(self.objective, bias, self.num_samples, "Bengio et al. 2013, arXiv 1308.3432", COLUMNS)

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution has no mean that is a relaxed sample.
        """
        g = columns(generator(z), self)
        bounds = torch.finfo(g.logits.dtype)
        logits = g.logits.clamp(bounds.min, bounds.max)  # a category ruled out, a bit decided: inf - inf
        drawn = g.sample(torch.Size((self.num_samples,)))
        hard = g.to_one_hot(drawn) if isinstance(g, RaggedCategorical) else drawn
        x = straight_through(hard, self._mean(g) if self.jacobian == "probabilities" else logits)
        with frozen(discriminator):
            return sample_loss(log_ratios(discriminator, x), self.objective).mean(dim=0)

    def _mean(self, g: Factorized | RaggedCategorical) -> Tensor:
        if self.temperature == 1:
            return g.mean
        if isinstance(g, RaggedCategorical):
            return RaggedCategorical(g.logits / self.temperature, g.sizes).mean
        return g.relax(g.logits, self.temperature)


class SlopeAnnealedStraightThrough(TemperedEstimator):
    r"""Straight-through with a slope that grows: backward, the Jacobian of :math:`\operatorname{softmax}(l / \tau)`.

    Samples come from the generator's distribution all the while. The slope is :math:`1/\tau`: at temperature 1 it
    is :class:`StraightThrough`, towards 0 the backward pass nears the step function of the forward pass, and
    positions that are already decided get no gradient. Costs as much.

    Args:
        temperature: :math:`\tau > 0` of the first call, one over the slope.
        annealing_rate: r of :class:`Temperature`.
        min_temperature: Where annealing stops.
        num_samples: M, samples per latent.
        objective: ``"non-saturating"`` or ``"log-ratio"``.

    Raises:
        ValueError: If a temperature is not above 0, M is below 1 or the objective is unknown.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        annealing_rate: float = 1e-4,
        min_temperature: float = 0.2,
        num_samples: int = 1,
        objective: Objective = "non-saturating",
    ) -> None:
        super().__init__(temperature, num_samples, objective, annealing_rate, min_temperature)

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        bias = "first order, and of the slope"
        return Claims(self.objective, bias, self.num_samples, "Chung et al. 2017, arXiv 1609.01704", FACTORIZED)

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution has no mean that is a relaxed sample.
        """
        g = factorized(generator(z), self)
        x = straight_through(g.sample(torch.Size((self.num_samples,))), g.relax(g.logits, self.schedule()))
        with frozen(discriminator):
            return sample_loss(log_ratios(discriminator, x), self.objective).mean(dim=0)

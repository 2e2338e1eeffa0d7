r"""Gumbel-Rao: the straight-through Gumbel-softmax gradient, averaged over the Gumbels that give the same sample.

References:
    Rao-Blackwellizing the Straight-Through Gumbel-Softmax Gradient Estimator (Paulus et al., 2021),
    https://arxiv.org/abs/2010.04838
"""

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators._common import (
    FACTORIZED,
    Objective,
    TemperedEstimator,
    factorized,
    frozen,
    log_ratios,
    sample_loss,
)
from discrete_gan.estimators.claims import Claims
from discrete_gan.estimators.straight_through import straight_through


class GumbelRao(TemperedEstimator):
    r"""Gumbel-Rao estimator: discrete samples forward, a mean of relaxed Jacobians backward.

    For each sample, ``num_gumbels`` Gumbel noises are drawn from their law given the sample, and the Jacobians of
    :math:`\operatorname{softmax}((l + G) / \tau)` are averaged. Same expectation as straight-through
    Gumbel-softmax and no more variance, so the temperature may be smaller. Costs ``num_samples`` discriminator
    evaluations per latent, each with a backward pass, whatever ``num_gumbels`` is.

    Args:
        temperature: :math:`\tau > 0` of the first call.
        num_gumbels: Noises averaged for each sample.
        num_samples: M, samples per latent.
        objective: ``"non-saturating"`` or ``"log-ratio"``.
        annealing_rate: r of :class:`Temperature`; 0 keeps the temperature constant.
        min_temperature: Where annealing stops.

    Raises:
        ValueError: If a temperature is not above 0, a number is below 1 or the objective is unknown.
    """

    def __init__(
        self,
        temperature: float = 0.5,
        num_gumbels: int = 10,
        num_samples: int = 1,
        objective: Objective = "non-saturating",
        annealing_rate: float = 0.0,
        min_temperature: float = 0.1,
    ) -> None:
        super().__init__(temperature, num_samples, objective, annealing_rate, min_temperature)
        check_at_least("num_gumbels", num_gumbels, 1)
        self.num_gumbels = num_gumbels

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        bias = "that of st-gumbel-softmax"
        return Claims(self.objective, bias, self.num_samples, "Paulus et al. 2021, arXiv 2010.04838", FACTORIZED)

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution has no relaxation.
        """
        g = factorized(generator(z), self)
        x = g.sample(torch.Size((self.num_samples,)))
        # The noise is what the logits lack to the perturbed logits; it stays as it is when the logits move.
        bounds = torch.finfo(g.logits.dtype)
        logits = g.logits.clamp(bounds.min, bounds.max)  # a category ruled out, a bit decided: inf - inf
        noise = (g.perturbed_logits_given(x.expand(self.num_gumbels, *x.shape)) - logits).detach()
        relaxed = g.relax(logits + noise, self.schedule()).mean(dim=0)
        with frozen(discriminator):
            return sample_loss(log_ratios(discriminator, straight_through(x, relaxed)), self.objective).mean(dim=0)

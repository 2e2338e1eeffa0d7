"""The exact gradient, by enumeration: the ground truth of every other estimator."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from discrete_gan._arguments import check_choice
from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.estimators._common import FACTORIZED, Factorized, factorized, log_ratios, sample_loss
from discrete_gan.estimators.claims import Claims

ExactObjective = Literal["reweighted", "log-ratio", "non-saturating"]

# 2^16 states of 16 positions and 64 latents are half a gigabyte in float64.
MOST_STATES = 2**16


@dataclass(frozen=True)
class Exact:
    r"""Exact gradient over all K^D values of the sample. No bias, no variance.

    Costs K^D discriminator evaluations per latent, without a backward pass.

    Attributes:
        objective: ``"reweighted"``, :math:`KL(\tilde p_z \| g(\cdot \mid z))` with
            :math:`\tilde p_z \propto g(x \mid z)\, w(x)` held fixed; ``"log-ratio"``, :math:`-E_g[\log w]`, the
            reverse KL; or ``"non-saturating"``, :math:`-E_g[\log D]`. The log-ratio is held fixed in each.

    Raises:
        ValueError: If the objective is unknown.
    """

    objective: ExactObjective = "reweighted"

    def __post_init__(self) -> None:
        check_choice("objective", self.objective, ("reweighted", "log-ratio", "non-saturating"))

    @property
    def claims(self) -> Claims:
        """What the estimator states about itself."""
        return Claims(self.objective, "none", None, "enumeration", accepts=FACTORIZED)

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        """One loss per latent, shape (B,). Gradients reach the generator only.

        Raises:
            TypeError: If the generator's distribution is not factorized.
            ValueError: If it has more than 2^16 values.
        """
        g = factorized(generator(z), self)
        states = enumerated(g)
        with torch.no_grad():
            log_w = log_ratios(discriminator, states)
        log_prob = g.log_prob(states)  # (S, B)
        if self.objective == "reweighted":
            return -((log_prob.detach() + log_w).softmax(dim=0) * log_prob).sum(dim=0)
        return (log_prob.detach().exp() * sample_loss(log_w, self.objective) * log_prob).sum(dim=0)


def enumerated(g: Factorized) -> Tensor:
    """All values, shape (S, B, *event).

    Raises:
        ValueError: If there are more than 2^16.
    """
    base = 2 if isinstance(g, FactorizedBernoulli) else g.event_shape[1]
    if base ** g.event_shape[0] > MOST_STATES:
        raise ValueError(f"Exact: expected at most {MOST_STATES} values of x, got {base}^{g.event_shape[0]}")
    return g.enumerate_support()

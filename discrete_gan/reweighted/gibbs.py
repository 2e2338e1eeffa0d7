r"""Moves of bits and of categories along :math:`g(x \mid z)\, w(x)`, informed by the slope of both.

log g of independent positions is affine in x, so its part of the slope is exact; what the slope of log w gets wrong
costs moves that are refused, and no bias.

References:
    Oops I Took A Gradient: Scalable Sampling for Discrete Distributions (Grathwohl et al., 2021),
        https://arxiv.org/abs/2102.04509
    A Langevin-like Sampler for Discrete Distributions (Zhang et al., 2022), https://arxiv.org/abs/2206.09914
"""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical, as_factorized
from discrete_gan.errors import InputError
from discrete_gan.metrics.annealed import Flips, LogLikelihood, tune_path

_LARGEST = 1e4  # of a logit: beyond, nothing is left of the other values, and 0 times infinity would be NaN
_PILOT_STEPS = 400  # of which a quarter tune the step size


class Changes(Flips):
    r"""As :class:`~discrete_gan.metrics.annealed.Flips`, of one-hot categories in place of bits.

    Each position may change, all at once: to category k with the odds :math:`s\, e^{d_k / 2}` against staying, where
    :math:`d_k` is what the slope of :math:`\log \pi_\beta` says of that change. States are flat, (C, N, D K).

    Args:
        logits: Of the base, shape (N, D, K), or one that broadcasts. Minus infinity rules a category out.
    """

    def __init__(self, logits: Tensor) -> None:
        self.categories = logits.shape[-1]
        super().__init__(logits.clamp(min=-_LARGEST).flatten(-2))

    def proposed(self, state: Any, beta: float, step_size: Tensor) -> Tensor:
        """One-hot categories, some of them others, the shape of the state."""
        log_odds = self.log_odds(state, beta, step_size)
        gumbel = -torch.empty_like(log_odds).exponential_().log()
        return FactorizedCategorical.discretize(log_odds + gumbel).to(state.z.dtype).flatten(-2)

    def log_odds(self, state: Any, beta: float, step_size: Tensor) -> Tensor:
        """Of each category against the one that is there, whose are 0, shape (C, N, D, K)."""
        z, slope = (self._unflat(each) for each in (state.z, self.logits + beta * state.gradient))
        rise = slope - (z * slope).sum(dim=-1, keepdim=True)
        return (1 - z) * (step_size.log().unsqueeze(-1) + rise / 2)

    def log_proposal(self, state: Any, z: Tensor, beta: float, step_size: Tensor) -> Tensor:
        """Log-probability that these categories are proposed, float64, shape (C, N)."""
        log_probs = self.log_odds(state, beta, step_size).double().log_softmax(dim=-1)
        return (self._unflat(z).double() * log_probs).sum(dim=(-2, -1))

    def _unflat(self, value: Tensor) -> Tensor:
        return value.unflatten(-1, (-1, self.categories))


def moves_along(g: Distribution) -> Flips:
    """Moves from x of g(x | z), flat, shape (1, B, D) or (1, B, D K), that leave g(x | z) w(x) invariant at beta 1.

    Raises:
        InputError: If the positions of g are not independent bits or one-hot categories.
    """
    g = as_factorized(g)
    if isinstance(g, FactorizedBernoulli):
        return Flips(g.logits.clamp(-_LARGEST, _LARGEST))
    if isinstance(g, FactorizedCategorical):
        return Changes(g.logits)
    raise InputError(f"method gibbs: expected a generator of independent bits or categories, got {type(g).__name__}")


def tuned_step(moves: Flips, log_w: LogLikelihood, x: Tensor) -> Tensor:
    """Step size, shape (), with which about half of the moves from x are accepted.

    From samples of its own: one that depends on the chain it is used in would break the invariance.

    Raises:
        InputError: If log w has no slope.
    """
    try:
        return tune_path(log_w, x, num_steps=_PILOT_STEPS, num_leapfrog=1, moves=moves).step_sizes[-1].to(x.dtype)
    except RuntimeError as error:
        if "require grad" not in str(error) and "in the graph" not in str(error):
            raise
        raise InputError("method gibbs: expected a discriminator with a gradient in x, got one without") from None

r"""Likelihood of held-out text: exact, or bounded from below by importance weighting over latents.

References:
    Importance Weighted Autoencoders (Burda et al., 2016), https://arxiv.org/abs/1509.00519
    Debiasing Evidence Approximations: On Importance-weighted Autoencoders and Jackknife Variational Inference
        (Nowozin, 2018), https://openreview.net/forum?id=HyZoi-WRb
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least


class TokenNLLResult(NamedTuple):
    """Mean negative log-likelihood in nats per token and per sequence, and exp(per_token); float64 scalars."""

    per_token: Tensor
    per_sequence: Tensor
    perplexity: Tensor


class ImportanceWeightedBound(NamedTuple):
    """A bound of log p(x) and the estimate of what it lacks, both in nats, float64, shape (N,)."""

    bound: Tensor
    gap: Tensor


def importance_weighted_bound(log_prob: Tensor) -> ImportanceWeightedBound:
    r"""Lower bound of the log-likelihood of a model with latents, and its gap.

    .. math:: L_S = \log \tfrac{1}{S} \sum_{s=1}^{S} p(x \mid z_s), \qquad
              \mathrm{gap} = (S - 1) \left(L_S - \tfrac{1}{S} \sum_{s=1}^{S} L_{S \setminus s}\right)

    In expectation over z_s from the prior, L_S is below log p(x), rises with S and lacks c / S + O(1 / S^2). The
    jackknife estimates that first term from the S bounds that leave one latent out: ``bound + gap`` has a bias of
    O(1 / S^2), but bounds nothing. A large gap says that S is too small.

    Args:
        log_prob: log p(x | z_s) in nats, one row for each latent, shape (S, N).

    Returns:
        Bound and gap; the gap is at least 0, and infinite where at most one latent gives x any probability.
        No gradient.

    Raises:
        ValueError: If the shape is not (S, N) or S is below 2.

    Example:
        >>> importance_weighted_bound(torch.tensor([[-1.0], [-1.0]]).double()).bound
        tensor([-1.], dtype=torch.float64)
    """
    if log_prob.ndim != 2:
        raise ValueError(f"log_prob: expected shape (S, N), got {tuple(log_prob.shape)}")
    size = len(log_prob)
    check_at_least("log_prob", size, 2, "rows, one for each latent")
    log_prob = log_prob.detach().double()
    largest, index = log_prob.max(0)
    excess = log_prob - largest.clamp(min=torch.finfo(torch.float64).min)  # -inf - -inf would be NaN
    # Only the largest weight can be near 1, where log(1 - w) cancels: leave it out of its sum instead.
    log_others = excess.scatter(0, index[None], -math.inf).logsumexp(0)
    log_sum = log_others.exp().log1p()  # relative to the largest
    log_left = torch.log1p(-(excess - log_sum).exp()).scatter(0, index[None], (log_others - log_sum)[None])
    drop = math.log1p(-1 / size) - log_left.mean(0)  # of the bound when one latent is left out, on average
    return ImportanceWeightedBound(largest + log_sum - math.log(size), (size - 1) * drop.clamp(min=0))

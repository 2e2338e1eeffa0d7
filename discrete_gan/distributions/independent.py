"""Torch's own distributions of independent bits and categories beside those of the package."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Distribution,
    Independent,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
    kl_divergence,
    register_kl,
)

from discrete_gan.distributions.bernoulli import FactorizedBernoulli
from discrete_gan.distributions.categorical import FactorizedCategorical


def as_factorized(g: Distribution) -> Distribution:
    """The same law as the package has it: of ``Independent(Bernoulli(logits), 1)`` or of ``OneHotCategorical`` there.

    Args:
        g: Any distribution.

    Returns:
        :class:`FactorizedBernoulli` or :class:`FactorizedCategorical` of the same logits, to which gradients pass; any
        other distribution as it is, one of more axes among them.

    Example:
        >>> g = torch.distributions.Independent(torch.distributions.Bernoulli(logits=torch.zeros(2, 3)), 1)
        >>> type(as_factorized(g)).__name__
        'FactorizedBernoulli'
    """
    if type(g) is not Independent:  # a class made of it may be another law
        return g
    base = g.base_dist
    if type(base) is Bernoulli and len(g.event_shape) == 1:
        return FactorizedBernoulli(base.logits)
    if type(base) in (OneHotCategorical, OneHotCategoricalStraightThrough) and len(g.event_shape) == 2:
        return FactorizedCategorical(base.logits)
    return g


@register_kl(FactorizedBernoulli, FactorizedBernoulli)
def _kl_of_bits(p: FactorizedBernoulli, q: FactorizedBernoulli) -> Tensor:
    """Nats, shape (B,). Carries gradient; infinite where p has what q rules out."""
    _check_event(p, q)
    ones = _mean_difference(p.probs, F.logsigmoid(p.logits), F.logsigmoid(q.logits))
    zeros = _mean_difference(torch.sigmoid(-p.logits), F.logsigmoid(-p.logits), F.logsigmoid(-q.logits))
    return (ones + zeros).sum(dim=-1)


@register_kl(FactorizedCategorical, FactorizedCategorical)
def _kl_of_categories(p: FactorizedCategorical, q: FactorizedCategorical) -> Tensor:
    """Nats, shape (B,). Carries gradient; infinite where p has what q rules out."""
    _check_event(p, q)
    return _mean_difference(p.probs, p.logits, q.logits).sum(dim=(-2, -1))


@register_kl(FactorizedBernoulli, Independent)
@register_kl(FactorizedCategorical, Independent)
def _kl_to_torch(p: Distribution, q: Independent) -> Tensor:
    return kl_divergence(p, _converted(q))


@register_kl(Independent, FactorizedBernoulli)
@register_kl(Independent, FactorizedCategorical)
def _kl_from_torch(p: Independent, q: Distribution) -> Tensor:
    return kl_divergence(_converted(p), q)


def _converted(g: Independent) -> Distribution:
    converted = as_factorized(g)
    if converted is g:
        raise NotImplementedError(f"kl_divergence: expected independent bits or one-hot categories, got {g}")
    return converted


def _check_event(p: Distribution, q: Distribution) -> None:
    if p.event_shape != q.event_shape:
        raise ValueError(f"q: expected the event shape of p, {tuple(p.event_shape)}, got {tuple(q.event_shape)}")


def _mean_difference(probs: Tensor, log_p: Tensor, log_q: Tensor) -> Tensor:
    """What each outcome adds to the mean of log p - log q: one of probability zero nothing, whatever q says.

    Infinite, and without gradient, where p has what q rules out.
    """
    impossible, ruled_out = probs == 0, log_q.isneginf()
    skipped = impossible | ruled_out
    difference = torch.where(skipped, 0.0, log_p) - torch.where(skipped, 0.0, log_q)
    return (probs * difference).masked_fill(ruled_out & ~impossible, torch.inf)

"""Torch's own independent bits and categories beside those of the package, and divergences between them."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Independent,
    Normal,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
    kl_divergence,
)

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical, PointMass, as_factorized
from tests.problems import OwnBits, assert_exact, seeded_normal

Kind = tuple[Callable[[Tensor], Distribution], Callable[[Tensor], Distribution], tuple[int, ...]]
KINDS: dict[str, Kind] = {
    "bits": (FactorizedBernoulli, lambda logits: Independent(Bernoulli(logits=logits), 1), (3, 4)),
    "categories": (FactorizedCategorical, lambda logits: Independent(OneHotCategorical(logits=logits), 1), (3, 4, 5)),
}
ALL = pytest.mark.parametrize(("own", "torchs", "shape"), KINDS.values(), ids=KINDS)


@ALL
def test_the_same_law_by_the_package(own: Callable, torchs: Callable, shape: tuple[int, ...]) -> None:
    logits = seeded_normal(*shape).requires_grad_()
    given = torchs(logits)
    found = as_factorized(given)
    assert type(found) is type(own(logits))
    x = given.sample(torch.Size((6,)))
    assert_exact(found.log_prob(x), given.log_prob(x))
    assert_exact(found.entropy(), given.entropy())
    gradients = [torch.autograd.grad(g.log_prob(x).sum(), logits, retain_graph=True)[0] for g in (found, given)]
    assert_exact(*gradients)


def test_all_others_stay_as_they_are() -> None:
    logits = seeded_normal(3, 4, 5)
    for g in (
        OwnBits(logits[0]),
        Independent(Bernoulli(logits=logits), 2),  # of two axes
        Independent(Categorical(logits=logits), 1),  # of indices
        Independent(OneHotCategorical(logits=logits), 0),
        Independent(Normal(logits, 1.0), 1),
        Bernoulli(logits=logits),
        PointMass(logits),
        FactorizedBernoulli(logits),
    ):
        assert as_factorized(g) is g
    straight_through = as_factorized(Independent(OneHotCategoricalStraightThrough(logits=logits), 1))
    assert isinstance(straight_through, FactorizedCategorical)
    from_probabilities = as_factorized(Independent(Bernoulli(probs=torch.full((2, 3), 0.25)), 1))
    torch.testing.assert_close(from_probabilities.mean, torch.full((2, 3), 0.25))


@ALL
def test_divergence_equals_enumeration_and_torch(own: Callable, torchs: Callable, shape: tuple[int, ...]) -> None:
    p, q = seeded_normal(*shape, scale=2), seeded_normal(*shape, seed=1, scale=2)
    found = kl_divergence(own(p), own(q))
    states = own(p).enumerate_support()
    log_p, log_q = own(p).log_prob(states), own(q).log_prob(states)
    assert_exact(found, (log_p.exp() * (log_p - log_q)).sum(dim=0), rtol=1e-11)
    for pair in ((torchs(p), torchs(q)), (own(p), torchs(q)), (torchs(p), own(q))):
        assert_exact(kl_divergence(*pair), found, rtol=1e-11)
    assert torch.autograd.gradcheck(
        lambda *logits: kl_divergence(*map(own, logits)), (p[:1, :2].requires_grad_(), q[:1, :2].requires_grad_())
    )


def test_divergence_where_something_is_ruled_out() -> None:
    inf = math.inf
    decided = torch.tensor([[inf, -inf], [0.0, -inf], [inf, 0.0]]).requires_grad_()
    other = torch.tensor([[0.0, 0.0], [0.0, -inf], [0.0, inf]]).requires_grad_()
    found = kl_divergence(FactorizedBernoulli(decided), FactorizedBernoulli(other))
    assert found.tolist() == [pytest.approx(2 * math.log(2)), 0, inf]
    gradients = torch.autograd.grad(found.sum(), (decided, other))
    assert all(each.isfinite().all() for each in gradients)
    p = torch.tensor([[[0.0, 0.0, -inf]], [[0.0, 0.0, 0.0]]]).requires_grad_()
    q = torch.tensor([[[0.0, 0.0, 0.0]], [[0.0, 0.0, -inf]]]).requires_grad_()
    found = kl_divergence(FactorizedCategorical(p), FactorizedCategorical(q))
    assert found.tolist() == [pytest.approx(math.log(1.5)), inf]
    gradients = torch.autograd.grad(found.sum(), (p, q))
    assert all(each.isfinite().all() for each in gradients)


def test_divergences_that_there_are_not() -> None:
    bits = FactorizedBernoulli(torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"^q: expected the event shape of p, \(4,\), got \(5,\)$"):
        kl_divergence(bits, FactorizedBernoulli(torch.zeros(3, 5)))
    with pytest.raises(NotImplementedError, match=r"^kl_divergence: expected independent bits or one-hot categories"):
        kl_divergence(bits, Independent(Normal(torch.zeros(3, 4), 1.0), 1))
    with pytest.raises(NotImplementedError):
        kl_divergence(bits, FactorizedCategorical(torch.zeros(3, 4, 2)))

"""All values of a factorized distribution, in the order of itertools.product."""

import itertools

import pytest
import torch
from torch import Tensor

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from tests.problems import assert_exact, seeded_normal

Factorized = type[FactorizedBernoulli] | type[FactorizedCategorical]
CASES = pytest.mark.parametrize(
    ("factorized", "event"),
    [
        (FactorizedBernoulli, (1,)),
        (FactorizedBernoulli, (5,)),
        (FactorizedCategorical, (3, 4)),
        (FactorizedCategorical, (4, 2)),
        (FactorizedCategorical, (1, 7)),
    ],
)


def product(event: tuple) -> Tensor:
    if len(event) == 1:
        return torch.tensor(list(itertools.product([0.0, 1.0], repeat=event[0]))).double()
    digits = torch.tensor(list(itertools.product(range(event[1]), repeat=event[0])))
    return torch.nn.functional.one_hot(digits, event[1]).double()


@CASES
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_order_and_shapes(factorized: Factorized, event: tuple, batch: tuple) -> None:
    g = factorized(seeded_normal(*batch, *event))
    expected = product(event).view(-1, *[1] * len(batch), *event)
    assert torch.equal(g.enumerate_support(expand=False), expected)
    assert torch.equal(g.enumerate_support(), expected.expand(len(expected), *batch, *event))


@CASES
def test_probabilities_sum_to_one(factorized: Factorized, event: tuple) -> None:
    g = factorized(seeded_normal(3, *event))
    assert_exact(g.log_prob(g.enumerate_support()).exp().sum(dim=0), torch.ones(3).double())


@CASES
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_type_is_that_of_samples(factorized: Factorized, event: tuple, dtype: torch.dtype) -> None:
    g = factorized(torch.zeros(2, *event, dtype=dtype))
    assert g.has_enumerate_support
    assert g.enumerate_support().dtype == g.sample().dtype

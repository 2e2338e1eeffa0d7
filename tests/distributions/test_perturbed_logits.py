"""Perturbed logits and their law given the sample: what couples relaxed draws with discrete ones."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy.stats import chisquare, gumbel_r, ks_2samp, kstest, logistic
from torch import Tensor

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from tests.problems import assert_exact, seeded_normal

Factorized = type[FactorizedBernoulli] | type[FactorizedCategorical]
Draw = Callable[[FactorizedBernoulli | FactorizedCategorical], Tensor]

B, D, K = 2, 3, 4
NUM = 100_000
# A test that a right sampler fails once in a million seeds.
LEAST_P_VALUE = 1e-6
BOTH = pytest.mark.parametrize(
    ("factorized", "event"), [(FactorizedBernoulli, (D,)), (FactorizedCategorical, (D, K))], ids=["binary", "one-hot"]
)


def unconditional(g: FactorizedBernoulli | FactorizedCategorical) -> Tensor:
    return g.perturbed_logits((NUM,))


def mixture_of_conditionals(g: FactorizedBernoulli | FactorizedCategorical) -> Tensor:
    return g.perturbed_logits_given(g.sample((NUM,)))


LAWS = pytest.mark.parametrize("draw", [unconditional, mixture_of_conditionals])


@BOTH
@LAWS
def test_each_follows_its_law(factorized: Factorized, event: tuple, draw: Draw) -> None:
    torch.manual_seed(0)
    g = factorized(seeded_normal(B, *event))
    law = logistic if factorized is FactorizedBernoulli else gumbel_r
    draws = draw(g).flatten(1)
    for column, location in zip(draws.T, g.logits.flatten(), strict=True):
        assert kstest(column.numpy(), law(loc=location.item()).cdf).pvalue > LEAST_P_VALUE


@BOTH
@LAWS
def test_all_are_independent(factorized: Factorized, event: tuple, draw: Draw) -> None:
    torch.manual_seed(0)
    draws = draw(factorized(seeded_normal(B, *event))).flatten(1)
    # Of the values and, as the conditional law depends on it, of their squares.
    for each in (draws, (draws - draws.mean(dim=0)).square().log()):
        correlation = torch.corrcoef(each.T) - torch.eye(each.shape[1])
        # 5.5 standard errors for 276 pairs: as rare as 5 for a few
        assert correlation.abs().max() < 5.5 / math.sqrt(NUM)


@LAWS
def test_differences_of_categories_are_logistic(draw: Draw) -> None:
    # As of independent Gumbels, and as of nothing else with the same sums.
    torch.manual_seed(0)
    g = FactorizedCategorical(seeded_normal(B, D, K))
    draws = draw(g)
    for other in range(1, K):
        difference = draws[:, 1, 2, other] - draws[:, 1, 2, 0]
        location = (g.logits[1, 2, other] - g.logits[1, 2, 0]).item()
        assert kstest(difference.numpy(), logistic(loc=location).cdf).pvalue > LEAST_P_VALUE


@BOTH
def test_they_round_to_samples_of_the_distribution(factorized: Factorized, event: tuple) -> None:
    torch.manual_seed(0)
    g = factorized(seeded_normal(1, 2, *event[1:]))
    x = g.discretize(g.perturbed_logits((NUM,)))
    assert g.support is not None
    assert bool(g.support.check(x).all())
    states = g.enumerate_support()
    counts = torch.stack([(x == state).flatten(1).all(dim=1).sum() for state in states])
    expected = NUM * g.log_prob(states).exp().flatten()
    assert chisquare(counts.numpy(), expected.numpy()).pvalue > LEAST_P_VALUE


@BOTH
def test_given_a_sample_they_round_to_it(factorized: Factorized, event: tuple) -> None:
    torch.manual_seed(0)
    g = factorized(seeded_normal(B, *event, scale=2))
    for x in (g.sample((1000,)), g.enumerate_support()):
        assert torch.equal(g.discretize(g.perturbed_logits_given(x)), x)


@BOTH
@pytest.mark.parametrize("state", [0, 1])
def test_conditional_law_is_that_of_the_draws_that_round_to_it(
    factorized: Factorized, event: tuple, state: int
) -> None:
    torch.manual_seed(0)
    g = factorized(seeded_normal(1, 1, *event[1:]))
    x = g.enumerate_support()[state]
    draws = g.perturbed_logits((NUM,))
    kept = draws[(g.discretize(draws) == x).flatten(1).all(dim=1)].flatten(1)
    given = g.perturbed_logits_given(x.expand(NUM, *x.shape)).flatten(1)
    assert len(kept) > 1000
    for first, second in zip(kept.T, given.T, strict=True):
        assert ks_2samp(first.numpy(), second.numpy()).pvalue > LEAST_P_VALUE  # type: ignore[attr-defined]


@BOTH
@pytest.mark.parametrize("conditional", [False, True])
def test_gradient_is_that_of_the_draws_with_the_same_seed(
    factorized: Factorized, event: tuple, conditional: bool
) -> None:
    logits = seeded_normal(B, *event)
    x = factorized(logits).sample((5,))
    weights = seeded_normal(5, B, *event, seed=1)

    def weighted(logits: Tensor) -> Tensor:
        torch.manual_seed(0)
        g = factorized(logits)
        return ((g.perturbed_logits_given(x) if conditional else g.perturbed_logits((5,))) * weights).sum()

    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(weighted(leaf), leaf)
    step = 1e-5 * torch.eye(logits.numel()).double().view(-1, *logits.shape)
    expected = torch.stack([(weighted(logits + each) - weighted(logits - each)) / 2e-5 for each in step])
    # central differences with steps of 1e-5 are right to about 1e-9
    assert_exact(gradient, expected.view(logits.shape), rtol=1e-7, atol=1e-7)


@BOTH
def test_extreme_logits_stay_finite_in_float32(factorized: Factorized, event: tuple) -> None:
    torch.manual_seed(0)
    logits = torch.full((B, *event), 50.0)
    logits.view(-1)[::2] = -50
    g = factorized(logits.requires_grad_())
    # Certain values and values that happen once in e^50 alike.
    for x in (g.sample((1000,)), g.enumerate_support()):
        for draws in (g.perturbed_logits_given(x), g.perturbed_logits((1000,))):
            (gradient,) = torch.autograd.grad(draws.sum(), logits, retain_graph=True)
            assert bool(draws.isfinite().all())
            assert bool(gradient.isfinite().all())
        assert torch.equal(g.discretize(g.perturbed_logits_given(x)), x)


def test_a_category_ruled_out_stays_below_in_its_conditional_law() -> None:
    logits = torch.tensor([[[0.0, -math.inf, 1.0]]], requires_grad=True)
    g = FactorizedCategorical(logits)
    x = g.sample((1000,))
    given = g.perturbed_logits_given(x)
    (gradient,) = torch.autograd.grad(given[..., [0, 2]].sum(), logits, retain_graph=True)
    assert bool(gradient.isfinite().all())
    # As in the law without the condition.
    assert bool(given[..., [0, 2]].isfinite().all() and given[..., 1].isneginf().all())
    assert bool(g.perturbed_logits((5,))[..., 1].isneginf().all())
    assert torch.equal(g.discretize(given), x)


@BOTH
def test_discretize_has_no_gradient_and_keeps_the_type(factorized: Factorized, event: tuple) -> None:
    perturbed = seeded_normal(6, B, *event).requires_grad_()
    x = factorized.discretize(perturbed)
    assert not x.requires_grad
    assert x.dtype == torch.float64
    if factorized is FactorizedBernoulli:
        assert torch.equal(x, perturbed.sigmoid().round())
    else:
        assert torch.equal(x, torch.nn.functional.one_hot(perturbed.argmax(dim=-1), K).double())


@BOTH
@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_relax_by_its_formula(factorized: Factorized, event: tuple, temperature: float) -> None:
    perturbed = seeded_normal(6, B, *event).requires_grad_()
    scaled = (perturbed / temperature).exp()
    expected = scaled / (1 + scaled) if len(event) == 1 else scaled / scaled.sum(dim=-1, keepdim=True)
    relaxed = factorized.relax(perturbed, temperature)
    assert_exact(relaxed, expected)
    weights = seeded_normal(*relaxed.shape, seed=1)
    (gradient,) = torch.autograd.grad((relaxed * weights).sum(), perturbed)
    assert_exact(gradient, *torch.autograd.grad((expected * weights).sum(), perturbed))
    # A tensor may be learned; it is not read back to be checked.
    learned = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
    assert_exact(factorized.relax(perturbed, learned), expected)
    (factorized.relax(perturbed, learned) * weights).sum().backward()
    assert learned.grad is not None
    assert learned.grad != 0


@BOTH
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_relax_needs_a_positive_temperature(factorized: Factorized, event: tuple, temperature: float) -> None:
    with pytest.raises(ValueError, match=r"^temperature: expected a number above 0"):
        factorized.relax(torch.zeros(B, *event), temperature)


@BOTH
@pytest.mark.parametrize("sample_shape", [(), (6,), (2, 3)])
def test_shapes_and_types(factorized: Factorized, event: tuple, sample_shape: tuple) -> None:
    for dtype, drawn in ((torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64,) * 2):
        g = factorized(torch.zeros(B, *event, dtype=dtype, requires_grad=True))
        perturbed = g.perturbed_logits(sample_shape)
        given = g.perturbed_logits_given(g.sample(sample_shape))
        for each in (perturbed, given):
            assert each.shape == (*sample_shape, B, *event)
            assert each.dtype == drawn
            assert each.requires_grad

"""Frequencies, limits and exactness of categorical draws."""

import math

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from discrete_gan._precision import widest_float
from discrete_gan.distributions import FactorizedCategorical, _draw, categorical
from discrete_gan.distributions._draw import draw
from tests.problems import seeded_normal

# A chi-square test that a right sampler fails once in a million seeds.
LEAST_P_VALUE = 1e-6


def with_probs(probs: Tensor) -> FactorizedCategorical:
    """One latent, one position."""
    return FactorizedCategorical(probs.log()[None, None])


def drawn(g: FactorizedCategorical, num: int, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return g.sample_indices((num,))


def feed(monkeypatch: pytest.MonkeyPatch, uniform: Tensor) -> None:
    """Make every uniform number drawn come from ``uniform``, shape (n,), in the precision asked for."""
    monkeypatch.setattr(torch, "rand", lambda shape, *, dtype, device: uniform.to(dtype).expand(shape).clone())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_categories", [2, 5, 96, 5000])
def test_frequencies(num_categories: int, dtype: torch.dtype) -> None:
    num = 300_000
    g = with_probs(torch.softmax(seeded_normal(num_categories, scale=1.5), dim=0).to(dtype))
    counts = drawn(g, num).flatten().bincount(minlength=num_categories).double()
    cell = torch.arange(num_categories) // math.ceil(num_categories / 200)  # neighbors are pooled, at most 200 cells
    expected = num * torch.zeros(int(cell[-1]) + 1).double().index_add(0, cell, g.probs[0, 0].double())
    observed = torch.zeros_like(expected).index_add(0, cell, counts)
    assert expected.min() > 5
    assert chisquare(observed.numpy(), (expected / expected.sum() * num).numpy()).pvalue > LEAST_P_VALUE


def test_every_one_of_many_rare_categories_has_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    # The middle of the k-th interval of the distribution function must give k, down to a width of 1e-8: a sum in
    # float32, whose spacing is 6e-8 below 1, would lose five of six.
    probs = torch.full((50_000,), 1e-8)
    probs[:100] = torch.softmax(seeded_normal(100), dim=0).float()
    g = with_probs(probs)
    upper = g.probs[0, 0].double().cumsum(0)
    middle = (upper - 0.5 * g.probs[0, 0].double()) / upper[-1]
    feed(monkeypatch, middle)
    assert torch.equal(g.sample_indices((50_000,)).flatten(), torch.arange(50_000))


def test_tail_of_a_large_vocabulary_is_drawn_as_often_as_it_should() -> None:
    num, head, total = 1_000_000, 10_000, 50_000
    probs = torch.cat([torch.full((head,), 1.0), torch.full((total - head,), 1e-3)]).double()
    probs /= probs.sum()  # 1e-4 a category of the head, 1e-7 a category of the tail
    indices = drawn(with_probs(probs.float()), num).flatten()
    in_tail = indices[indices >= head]
    expected = num * probs[head:].sum().item()
    assert abs(len(in_tail) - expected) < 5 * math.sqrt(expected)
    quarters = (in_tail - head).mul(4).div(total - head, rounding_mode="floor").bincount(minlength=4)
    assert chisquare(quarters.numpy()).pvalue > LEAST_P_VALUE


IMPOSSIBLE = torch.tensor([0, 0, 0.2, 0, 0.5, 0.3, 0, 0])


def test_impossible_categories_are_never_drawn() -> None:
    indices = drawn(with_probs(IMPOSSIBLE), 200_000)
    assert indices.unique().tolist() == [2, 4, 5]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_numbers_at_both_ends(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    g = with_probs(IMPOSSIBLE.to(dtype))
    feed(monkeypatch, torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64))
    assert g.sample_indices((2,)).flatten().tolist() == [2, 5]
    # An exact total below, at and above one, where u S is rounded differently.
    for scale in (0.5, 1.0, 1 + 2**-52):
        monkeypatch.setattr(
            FactorizedCategorical, "probs", property(lambda g, s=scale: s * IMPOSSIBLE.double()[None, None])
        )
        assert g.sample_indices((2,)).flatten().tolist() == [2, 5]


def test_a_boundary_belongs_to_the_category_above(monkeypatch: pytest.MonkeyPatch) -> None:
    g = with_probs(torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64))
    monkeypatch.setattr(g, "logits", torch.tensor([[[-2.0, -2.0, -1.0]]]).double() * math.log(2))
    below = 2.0**-50
    feed(monkeypatch, torch.tensor([0.25 - below, 0.25 + below, 0.5 - below, 0.5 + below], dtype=torch.float64))
    assert g.sample_indices((4,)).flatten().tolist() == [0, 1, 1, 2]


def test_each_position_has_its_own_law() -> None:
    g = FactorizedCategorical(torch.eye(6).log().view(2, 3, 6))
    assert torch.equal(g.sample_indices((5,)), torch.arange(6).view(2, 3).expand(5, 2, 3))
    assert torch.equal(g.sample_indices((2, 2)), torch.arange(6).view(2, 3).expand(2, 2, 2, 3))


def test_samples_latents_and_positions_are_independent() -> None:
    x = drawn(FactorizedCategorical(seeded_normal(2, 2, 5)), 100_000)  # (M, 2, 2)
    pairs = {
        "samples": (x[0::2, 0, 0], x[1::2, 0, 0]),
        "latents": (x[:, 0, 0], x[:, 1, 0]),
        "positions": (x[:, 0, 0], x[:, 0, 1]),
    }
    for name, (first, second) in pairs.items():
        table = (5 * first + second).bincount(minlength=25).view(5, 5)
        expected = table.sum(dim=1, keepdim=True) * table.sum(dim=0).double() / table.sum()
        # 25 cells less the 2 * 4 free margins
        assert chisquare(table.flatten(), expected.flatten(), ddof=8).pvalue > LEAST_P_VALUE, name


def test_indices_and_one_hot_values_round_trip() -> None:
    g = FactorizedCategorical(seeded_normal(4, 3, 5))
    indices = torch.randint(5, (7, 4, 3), generator=torch.Generator().manual_seed(0))
    one_hot = g.from_indices(indices)
    assert one_hot.dtype == torch.float64
    assert torch.equal(one_hot, torch.nn.functional.one_hot(indices, 5).double())
    assert torch.equal(g.to_indices(one_hot), indices)
    assert torch.equal(g.to_indices(0.6 * one_hot + 0.1), indices)


def test_samples_are_their_indices() -> None:
    g = FactorizedCategorical(seeded_normal(4, 3, 5))
    torch.manual_seed(3)
    x = g.sample((6,))
    assert torch.equal(g.to_indices(x), drawn(g, 6, seed=3))


def test_logits_are_normalized_and_shift_invariant() -> None:
    logits = seeded_normal(4, 3, 5)
    g = FactorizedCategorical(logits)
    torch.testing.assert_close(g.logits, logits - logits.logsumexp(-1, keepdim=True), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(FactorizedCategorical(logits + 100).logits, g.logits, rtol=1e-12, atol=1e-12)


def test_impossible_category_in_log_prob_and_entropy() -> None:
    logits = torch.tensor([[[0.0, 0.0, -math.inf]]], dtype=torch.float64, requires_grad=True)
    g = FactorizedCategorical(logits)
    log_prob = g.log_prob(g.from_indices(torch.tensor([[[0]], [[2]]])))
    assert log_prob[0].item() == pytest.approx(-math.log(2), abs=1e-15)
    assert -math.inf < log_prob[1].item() <= torch.finfo(torch.float64).min / 2
    assert g.entropy().item() == pytest.approx(math.log(2), abs=1e-15)
    (gradient,) = torch.autograd.grad(log_prob[0].sum() + g.entropy().sum(), logits)
    torch.testing.assert_close(gradient, torch.tensor([[[0.5, -0.5, 0]]]).double(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("number", [0.0, 0.5, 1.0])
def test_no_draw_is_of_probability_zero_or_outside_with_or_without_float64(
    dtype: torch.dtype, number: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The least and the largest number that uniform draws give, and totals on both sides of 1.
    largest = 1 - torch.finfo(dtype).eps / 2
    for module in (categorical, _draw):
        monkeypatch.setattr(module, "widest_float", lambda device_type: dtype)
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(_size(shape), min(number, largest), dtype=dtype))
    torch.manual_seed(0)
    for num_categories in (2, 3, 10, 1000):
        logits = 3 * torch.randn(50, 1, num_categories)
        logits[:, :, 0] = logits[:, :, -1] = -math.inf
        if num_categories == 2:
            logits[:, :, 0] = 0.0
        g = FactorizedCategorical(logits)
        for index in (g.sample_indices((4,)), draw(logits[:, 0])[None, :, None]):
            assert bool(((index >= 0) & (index < num_categories)).all())
            assert bool((g.probs.expand(len(index), -1, -1, -1).gather(-1, index[..., None]) > 0).all())


def _size(shape: tuple) -> tuple:
    return tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape


def test_frequencies_without_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (categorical, _draw):
        monkeypatch.setattr(module, "widest_float", lambda device_type: torch.float32)
    torch.manual_seed(0)
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    counts = FactorizedCategorical(logits[None, None]).sample_indices((100_000,)).flatten().bincount(minlength=4)
    assert chisquare(counts.numpy(), 100_000 * logits.double().softmax(dim=0).numpy()).pvalue > LEAST_P_VALUE


def test_devices_without_float64_are_found() -> None:
    assert widest_float("cpu") == torch.float64
    assert widest_float("none of that name") == torch.float32


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_draws_of_logits_that_are_not_numbers_are_categories_and_their_log_prob_is_none(value: float) -> None:
    for num_categories in (1, 2, 5, 1000):
        logits = torch.zeros(3, 2, num_categories)
        logits[1] = value
        g = FactorizedCategorical(logits)
        index = g.sample_indices((50,))
        assert bool(((index >= 0) & (index < num_categories)).all())
        assert bool(g.log_prob(g.sample((50,)))[:, 1].isnan().all())
        tokens = draw(logits.flatten(0, 1))
        assert bool(((tokens >= 0) & (tokens < num_categories)).all())

"""Resampling: expectations and variances integrated over the uniform numbers, without drawing any."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from discrete_gan.weights import (
    METHODS,
    Method,
    effective_sample_size,
    log_partition,
    normalized_weights,
    resample,
    resample_if,
    resampling,
    take,
)
from tests.problems import assert_exact, seeded_normal

PROBLEMS = {
    "five of three": (seeded_normal(3, scale=1.0), 5),
    "three of five": (seeded_normal(5, seed=1, scale=2.0), 3),
    "six of six": (seeded_normal(6, seed=2, scale=1.5), 6),
    "whole numbers": (torch.tensor([1.0, 2.0, 1.0, 4.0]).double().log(), 8),
    "none of one": (torch.tensor([0.0, -torch.inf, 1.0, -torch.inf]).double(), 4),
}
ALL = pytest.mark.parametrize(("log_w", "num"), PROBLEMS.values(), ids=PROBLEMS)


class Integrated(NamedTuple):
    """Of intervals of one uniform number: their lengths (I,), and the ancestors with it in every place, (num, I)."""

    length: Tensor
    ancestors: Tensor

    @property
    def chances(self) -> Tensor:
        """Of each ancestor (M) to be that of each place, (num, M): what a uniform number for each place gives."""
        one_hot = torch.nn.functional.one_hot(self.ancestors, int(self.ancestors.max()) + 1)
        return torch.einsum("i,nim->nm", self.length, one_hot.double())


def integrated(log_w: Tensor, num: int, method: Method, monkeypatch: pytest.MonkeyPatch) -> Integrated:
    """Between numbers at which any of the methods changes its mind nothing does."""
    share = normalized_weights(log_w)
    whole = (num * share * (1 + 1e-12)).floor()
    left = (num * share - whole).clamp(min=0)
    changes = [-(num * share.cumsum(0)) % 1, share.cumsum(0), left.cumsum(0) / left.sum().clamp(min=1e-30)]
    ends = torch.cat([torch.zeros(1), *changes, torch.ones(1)]).clamp(0, 1).double().sort().values
    middle, length = (ends[1:] + ends[:-1]) / 2, ends.diff()

    def rand(shape: tuple[int, int], **_: Any) -> Tensor:
        return middle[:, None].expand(shape).clone()

    def sorted_uniform(number: Tensor, num: int, *_: Any) -> Tensor:
        return torch.where(torch.arange(num) < number, middle[:, None], 1.0)

    monkeypatch.setattr(torch, "rand", rand)
    monkeypatch.setattr(resampling, "_sorted_uniform", sorted_uniform)
    columns = log_w[:, None].expand(-1, len(middle))
    return Integrated(length, resample(columns, num, method=method))


def counts(found: Integrated, num_samples: int) -> Tensor:
    """How often each is taken with one number for all, (I, M)."""
    return torch.nn.functional.one_hot(found.ancestors, num_samples).sum(dim=0).double()


@ALL
@pytest.mark.parametrize("method", METHODS)
def test_counts_are_unbiased(log_w: Tensor, num: int, method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    found = integrated(log_w, num, method, monkeypatch)
    assert found.ancestors.shape == (num, len(found.length))
    expected = (found.length[:, None] * counts(found, len(log_w))).sum(dim=0)
    assert_exact(expected, num * normalized_weights(log_w), rtol=1e-11)


def variances(log_w: Tensor, num: int, f: Tensor, monkeypatch: pytest.MonkeyPatch) -> dict[Method, Tensor]:
    """Of the sums of functions (M, F) over what is taken, (F,)."""
    found = {method: integrated(log_w, num, method, monkeypatch) for method in METHODS}
    whole = (num * normalized_weights(log_w) * (1 + 1e-12)).floor()
    result = {}
    for method, each in found.items():
        if method == "stratified":  # a number of its own for each place
            chances = each.chances
            values = f[: chances.shape[1]]
            result[method] = (chances @ values.square() - (chances @ values).square()).sum(dim=0)
        else:
            sums = counts(each, len(log_w)) @ f
            variance = each.length @ (sums - each.length @ sums).square()
            # R independent numbers have a variance 1 / R of that of R times the same one.
            number = {"multinomial": num, "residual": num - int(whole.sum())}.get(method, 1)
            result[method] = variance / max(number, 1)
    return result


@ALL
def test_variances_have_their_order(log_w: Tensor, num: int, monkeypatch: pytest.MonkeyPatch) -> None:
    of_counts = variances(log_w, num, torch.eye(len(log_w)).double(), monkeypatch)
    expected = num * normalized_weights(log_w)
    assert_exact(of_counts["multinomial"], expected * (1 - expected / num), rtol=1e-10, atol=1e-12)
    fraction = expected - (expected + 1e-12).floor()
    assert_exact(of_counts["systematic"], fraction * (1 - fraction), rtol=1e-9, atol=1e-10)
    of_means = variances(log_w, num, seeded_normal(len(log_w), 20, seed=3), monkeypatch)
    for found in (of_counts, of_means):
        for method in ("stratified", "residual"):
            assert bool((found[method] <= found["multinomial"] + 1e-12).all())
            # The one with a floor under the counts of all.
            assert bool((of_counts["systematic"] <= of_counts[method] + 1e-10).all())
    if bool((fraction > 0.01).any()):
        assert of_means["stratified"].sum() < 0.9 * of_means["multinomial"].sum()
        assert of_means["residual"].sum() < 0.9 * of_means["multinomial"].sum()


@pytest.mark.parametrize("method", ["systematic", "stratified"])
@pytest.mark.parametrize("num", [1, 7, 50, 80])
def test_counting_finds_what_a_search_does(method: Method, num: int) -> None:
    mass = seeded_normal(9, 50, scale=3).exp()
    mass[:, [0, 20, 49]] = 0
    cumulative = mass.cumsum(dim=1)
    shape = (9, 1 if method == "systematic" else num)
    uniform = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # The least number, and the largest below one.
    extremes = torch.tensor([[0], [1 - 2**-53]], dtype=torch.float64)
    uniform = torch.cat([uniform, extremes.expand(2, shape[1])])
    cumulative = torch.cat([cumulative, cumulative[:2]])
    point = (torch.arange(num) + 1 - uniform) * (cumulative[:, -1:] / num)
    counted = resampling._spread(resampling._count(cumulative.clone(), uniform, num), num)
    assert torch.equal(counted.long(), resampling._search(cumulative, point))


def test_uniform_numbers_in_their_order() -> None:
    number = torch.tensor([0, 1, 3, 5]).repeat(20_000)[:, None]
    found = resampling._sorted_uniform(number, 5, torch.float64, torch.Generator().manual_seed(0)).view(-1, 4, 5)
    for row, count in enumerate([0, 1, 3, 5]):
        assert bool((found[:, row, count:] >= 1).all()) and bool((found[:, row, :count] < 1).all())
        assert bool((found[:, row].diff(dim=1) > 0).all())
        # The i-th of n has the distribution Beta(i, n + 1 - i).
        place = torch.arange(1, count + 1).double()
        mean = place / (count + 1)
        variance = mean * (1 - mean) / (count + 2)
        assert bool(((found[:, row, :count].mean(dim=0) - mean).abs() < 5 * (variance / 20_000).sqrt()).all())
        assert_exact(found[:, row, :count].var(dim=0), variance, rtol=0.05)


@pytest.mark.parametrize("method", ["residual", "multinomial"])
def test_counts_that_are_drawn_have_their_mean_and_variance(method: Method) -> None:
    num_columns, num = 20_000, 7
    log_w = torch.tensor([0.0, -torch.inf, 1.0, 0.5]).double()
    index = resample(
        log_w[:, None].expand(-1, num_columns), num, method=method, generator=torch.Generator().manual_seed(0)
    )
    times = torch.nn.functional.one_hot(index, 4).sum(dim=0).double()
    expected = num * normalized_weights(log_w)
    whole = expected.floor() if method == "residual" else torch.zeros(4)
    chance = (expected - whole) / (num - whole.sum())
    variance = (num - whole.sum()) * chance * (1 - chance)
    assert bool(((times.mean(dim=0) - expected).abs() <= 5 * (variance / num_columns).sqrt()).all())
    assert_exact(times.var(dim=0), variance, rtol=0.06)
    assert bool((times[:, 1] == 0).all())


@pytest.mark.parametrize("method", METHODS)
def test_no_sample_without_weight_is_taken(method: Method) -> None:
    log_w = seeded_normal(50, 30, scale=40)
    log_w[[0, 13, 49]] = -torch.inf
    index = resample(log_w, 400, method=method)
    taken = log_w.take_along_dim(index, dim=0)
    assert taken.isfinite().all()
    huge = log_w.clone()
    huge[7] = 1e4
    assert bool((resample(huge, 5, method=method) == 7).all())
    # Where none has a weight, or a weight is unknown, the ancestors are samples still.
    for fill in (-torch.inf, torch.nan):
        index = resample(torch.full((6, 2), fill), method=method)
        assert bool(((index >= 0) & (index < 6)).all())


@pytest.mark.parametrize("method", METHODS)
def test_samples_that_are_not_there_are_not_taken(method: Method) -> None:
    log_w = seeded_normal(50, 8)
    there = torch.rand(50, 8) < 0.5
    for fill in (9.0, torch.nan):
        index = resample(log_w.masked_fill(~there, fill), 60, method=method, where=there)
        assert there.take_along_dim(index, dim=0).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_generator_decides(method: Method) -> None:
    log_w = seeded_normal(30, 4)
    first, again, other = (
        resample(log_w, method=method, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.manual_seed(1)
    assert torch.equal(resample(log_w, method=method), first)


def test_columns_draw_independently() -> None:
    index = resample(torch.zeros(40, 2).double(), method="multinomial")
    assert not torch.equal(index[:, 0], index[:, 1])


def test_half_precision_and_whole_blocks() -> None:
    log_w = seeded_normal(100, 6000, scale=2).float()  # more than one block of columns
    index = resample(log_w)
    times = torch.zeros(100, 6000).scatter_add(0, index, torch.ones(100, 6000))
    expected = 100 * normalized_weights(log_w.double())
    assert bool(((times - expected).abs() < 1 + 1e-4).all())
    assert resample(log_w.bfloat16()).shape == (100, 6000)


def test_resample_if_leaves_what_is_even_enough() -> None:
    log_w = torch.cat([seeded_normal(40, 3, scale=0.1), seeded_normal(40, 3, scale=3)], dim=1).requires_grad_()
    few = effective_sample_size(log_w) < 20
    assert few.tolist() == [False] * 3 + [True] * 3
    source = torch.Generator().manual_seed(0)
    found = resample_if(log_w, 0.5, generator=source)
    assert torch.equal(found.resampled, few)
    assert torch.equal(found.log_w[:, ~few], log_w[:, ~few])
    assert torch.equal(found.ancestors[:, ~few], torch.arange(40)[:, None].expand(-1, 3))
    assert_exact(found.log_w[:, few], log_partition(log_w)[few].expand(40, -1))
    assert_exact(log_partition(found.log_w), log_partition(log_w))
    expected = resample(log_w, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.ancestors[:, few], expected[:, few])
    (gradient,) = torch.autograd.grad(log_partition(found.log_w).sum(), log_w)
    assert_exact(gradient, normalized_weights(log_w.detach()))


def test_resample_if_at_its_bounds() -> None:
    log_w = seeded_normal(40, 3)
    assert not resample_if(log_w, 0.0).resampled.any()
    assert resample_if(log_w, 1.0).resampled.all()
    assert not resample_if(torch.zeros(40, 3), 1.0).resampled.any()
    there = torch.arange(40)[:, None] < torch.tensor([40, 20, 10])
    found = resample_if(torch.zeros(40, 3), 0.9, where=there)
    assert not found.resampled.any()  # as many as there are


@pytest.mark.parametrize("event", [(), (4,), (2, 3)])
def test_take_takes_samples_with_their_events(event: tuple[int, ...]) -> None:
    x, index = seeded_normal(5, 3, *event).requires_grad_(), torch.tensor([[0, 4, 4], [2, 2, 0]])
    taken = take(x, index)
    assert taken.shape == (2, 3, *event)
    for column in range(3):
        assert torch.equal(taken[:, column], x[index[:, column], column])
    assert torch.equal(take(x.movedim(0, 1), index.T, dim=-1), taken.movedim(0, 1))
    (gradient,) = torch.autograd.grad(taken.sum(), x)
    assert gradient.sum() == taken.numel()


def test_errors() -> None:
    log_w = torch.zeros(4, 3)
    with pytest.raises(ValueError, match=r"^num: expected at least 1, got 0$"):
        resample(log_w, 0)
    with pytest.raises(ValueError, match=r"^method: expected one of systematic, .* got 'best'$"):
        resample(log_w, method="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^fraction: expected from 0 to 1, got 20$"):
        resample_if(log_w, 20)
    message = r"^x: expected a shape beginning with that of index, \(2, 3\), but for axis 0"
    for x in (torch.zeros(4, 2), torch.zeros(4)):
        with pytest.raises(ValueError, match=message):
            take(x, torch.zeros(2, 3).long())

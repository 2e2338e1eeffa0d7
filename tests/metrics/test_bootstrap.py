"""Bootstrap intervals against the whole distribution of resamples, their coverage, and what they leave alone."""

import math
from collections.abc import Callable, Iterable
from itertools import product

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics import bootstrap
from discrete_gan.metrics.bootstrap import bootstrap_interval, mean_interval, paired_difference


def exact_ends(outcomes: Iterable[float], num_resamples: int) -> tuple[float, float, float]:
    """A level, and the quantiles of equally likely outcomes that so many draws find at it, at five standard errors."""
    ordered = sorted(outcomes)
    for level in (0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5):
        tail = (1 - level) / 2
        margin = 5 * math.sqrt(tail * (1 - tail) / num_resamples)
        around = [
            [ordered[math.floor((quantile + shift) * len(ordered))] for shift in (-margin, 0, margin)]
            for quantile in (tail, 1 - tail)
        ]
        if all(len(set(values)) == 1 for values in around):
            return level, around[0][0], around[1][0]
    raise AssertionError("no level at which the quantile lies well inside one outcome")


def test_ends_of_a_mean_are_those_of_all_resamples() -> None:
    values = torch.tensor([0, 1, 3, 10, 11])
    outcomes = [sum(chosen) / 5 for chosen in product(values.tolist(), repeat=5)]
    level, low, high = exact_ends(outcomes, 50_000)
    # Sums of small integers are exact, so the ends are the same float.
    assert mean_interval(values, level=level, num_resamples=50_000) == (5, low, high)


@pytest.mark.parametrize(
    "statistic",
    [
        lambda x, y: x.mean() - y.mean(),
        lambda x, y: x.var(correction=0) + y.mean(),  # a resample's variance is two thirds of the value on average
        lambda x, y: float((x[:, None] < y).sum()),
    ],
)
def test_ends_of_a_statistic_are_those_of_all_resamples_around_their_mean(
    statistic: Callable[[Tensor, Tensor], Tensor | float],
) -> None:
    x, y = torch.tensor([0.0, 0, 6]).double(), torch.tensor([3.0, 3, 9]).double()
    outcomes = [
        round(float(statistic(torch.stack(a), torch.stack(b))), 9)  # equal ones round differently by the order of terms
        for a in product(x, repeat=3)
        for b in product(y, repeat=3)
    ]
    num_resamples = 4000
    level, low, high = exact_ends(outcomes, num_resamples)
    found = bootstrap_interval(statistic, x, y, level=level, num_resamples=num_resamples)
    assert found.value == float(statistic(x, y))
    assert found.high - found.low == pytest.approx(high - low, abs=1e-8)  # twice the rounding to nine digits
    exact = torch.tensor(outcomes, dtype=torch.float64)
    # The mean of the resampled values has this standard error.
    tolerance = 5 * exact.std(correction=0).item() / math.sqrt(num_resamples)
    assert found.low == pytest.approx(found.value + low - exact.mean().item(), abs=tolerance)


def test_coverage() -> None:
    level, repetitions = 0.8, 400
    samples = torch.randn(repetitions, 60, generator=torch.Generator().manual_seed(0)) + 3
    found = [mean_interval(row, level=level, num_resamples=300, seed=seed) for seed, row in enumerate(samples)]
    inside = sum(interval.low <= 3 <= interval.high for interval in found) / repetitions
    # Student's t of 59 degrees of freedom is within 1.2816 * sqrt(59 / 60) of 0 with probability 0.792.
    assert inside == pytest.approx(0.792, abs=5 * math.sqrt(0.8 * 0.2 / repetitions))


def test_groups_are_resampled_independently() -> None:
    x = torch.arange(20.0)
    joint = bootstrap_interval(lambda a, b: (a - b).abs().sum(), x, x)
    assert joint.value == 0
    assert joint.high - joint.low > 10


def test_rows_stay_whole_and_groups_may_differ_in_size() -> None:
    x, y = torch.arange(12).view(4, 3), torch.arange(10).view(5, 2)
    sizes = []

    def statistic(a: Tensor, b: Tensor) -> float:
        assert (a - a[:, :1] == torch.arange(3)).all()
        assert (b - b[:, :1] == torch.arange(2)).all()
        sizes.append((len(a), len(b)))
        return 0.0

    assert bootstrap_interval(statistic, x, y, num_resamples=7) == (0, 0, 0)
    assert sizes == [(4, 5)] * 8


def test_pieces_of_the_work_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.rand(9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = mean_interval(values, num_resamples=101)
    monkeypatch.setattr(bootstrap, "ELEMENTS_AT_A_TIME", 90)
    assert mean_interval(values, num_resamples=101) == whole
    monkeypatch.setattr(bootstrap, "ELEMENTS_AT_A_TIME", 1)
    assert mean_interval(values, num_resamples=101) == whole


def test_wider_with_level_and_repeatable_by_seed() -> None:
    values = torch.rand(30, generator=torch.Generator().manual_seed(1))
    narrow, wide = mean_interval(values, level=0.5), mean_interval(values, level=0.99)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    assert mean_interval(values) == mean_interval(values, seed=0) != mean_interval(values, seed=1)
    first, second = (bootstrap_interval(torch.mean, values, seed=seed) for seed in (0, 1))
    assert first == bootstrap_interval(torch.mean, values) != second


def test_the_callers_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    mean_interval(torch.arange(5))
    bootstrap_interval(lambda a: a.double().mean(), torch.arange(5), num_resamples=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_constants_have_no_width_and_infinity_no_nan() -> None:
    assert mean_interval(torch.full((7,), 0.5)) == (0.5, 0.5, 0.5)
    assert bootstrap_interval(lambda a: 0.1, torch.zeros(7)) == (0.1, 0.1, 0.1)
    low_end = mean_interval(torch.tensor([1.0, 2.0, math.inf]), level=0.5)  # no resample of 8 in 27 has it
    assert (low_end.value, low_end.high) == (math.inf, math.inf)
    assert 1 < low_end.low <= 2
    assert mean_interval(torch.full((4,), math.inf)) == (math.inf,) * 3
    assert all(math.isnan(end) for end in mean_interval(torch.tensor([1.0, 2.0, math.nan])))


def test_one_sample_has_no_interval() -> None:
    for value, low, high in (
        mean_interval(torch.tensor([3])),
        bootstrap_interval(lambda a, b: 3.0, torch.zeros(4), torch.zeros(1)),
        paired_difference(torch.tensor([4.0]), torch.tensor([1.0])),
    ):
        assert value == 3
        assert math.isnan(low)
        assert math.isnan(high)


def test_pairs() -> None:
    b = 100 * torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert paired_difference(b.round() + 2, b.round()) == (2, 2, 2)
    a = b + torch.rand(50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    options = {"level": 0.5, "num_resamples": 100, "seed": 3}
    assert paired_difference(a, b, **options) == mean_interval(a - b, **options)
    # Unsigned numbers would wrap around.
    assert paired_difference(torch.zeros(3, dtype=torch.uint8), torch.ones(3, dtype=torch.uint8)) == (-1, -1, -1)


def test_wrong_arguments_are_errors() -> None:
    two = torch.zeros(2)
    with pytest.raises(ValueError, match="number of values: expected at least 1, got 0"):
        mean_interval(torch.zeros(0))
    with pytest.raises(ValueError, match=r"values: expected shape \(N,\), got \(2, 1\)"):
        mean_interval(two[:, None])
    for level in (0, 1, math.nan):
        with pytest.raises(ValueError, match="level: expected a number between 0 and 1, got"):
            mean_interval(two, level=level)
    with pytest.raises(ValueError, match="num_resamples: expected at least 1, got 0"):
        bootstrap_interval(torch.mean, two, num_resamples=0)
    with pytest.raises(ValueError, match="number of samples: expected at least 1, got 0"):
        bootstrap_interval(torch.mean)
    with pytest.raises(ValueError, match=r"rows of samples\[1\]: expected at least 1, got 0"):
        bootstrap_interval(torch.mean, two, two[:0])
    with pytest.raises(ValueError, match=r"b: expected the shape of a, \(2,\), got \(2, 1\)"):
        paired_difference(two, two[:, None])
    with pytest.raises(ValueError, match=r"a: expected shape \(N,\), got \(2, 1\)"):
        paired_difference(two[:, None], two[:, None])

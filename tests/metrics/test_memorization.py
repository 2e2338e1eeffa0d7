"""The Mann-Whitney figures pair by pair, and verdicts on known generators."""

import math

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.metrics.memorization import Memorization, memorization


def integers(seed: int, high: int, *shape: int) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def test_figures_pair_by_pair() -> None:
    samples, held_out = integers(0, 12, 150), integers(1, 14, 250)
    found = memorization(samples, held_out)
    pairs = [(a < b) + 0.5 * (a == b) for a in samples.tolist() for b in held_out.tolist()]
    assert found.nearer.value == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    threshold = sorted(held_out.tolist())[1]  # the second of 250: a perfect generator is below with 2 in 251
    assert found.copies.value == sum(a < threshold for a in samples.tolist()) / 150
    assert found.exact == samples.tolist().count(0) / 150
    assert found.sample_distance == mean_interval(samples)
    assert found.held_out_distance == mean_interval(held_out)


@pytest.mark.parametrize(("num_held_out", "below"), [(100, 0), (199, 0), (200, 1), (1000, 9)])
def test_the_threshold_is_the_nearest_hundredth(num_held_out: int, below: int) -> None:
    held_out = torch.arange(num_held_out).flip(0)
    assert memorization(held_out, held_out).copies.value == below / num_held_out


def test_the_interval_of_nearer_has_the_standard_error_of_mann_whitney() -> None:
    n = 400
    samples, held_out = torch.arange(0, 2 * n, 2), torch.arange(1, 2 * n, 2)
    found = memorization(samples, held_out)
    assert found.nearer.value == (n + 1) / (2 * n)  # of n^2 pairs, n (n + 1) / 2
    width = 2 * 1.96 * math.sqrt(1 / (6 * n))  # the variance is (N + N' + 1) / (12 N N')
    # Each end is a quantile of 500 draws, with a standard error of 0.12 of the standard deviation; five of them.
    assert found.nearer.high - found.nearer.low == pytest.approx(width, rel=5 * 0.12 * math.sqrt(2) / 3.92)


def distances(seed: int, n: int, mean: float = 60) -> Tensor:
    noise = torch.randn(n, generator=torch.Generator().manual_seed(seed))
    return (mean + 15 * noise).round().clamp(min=1).long()


def mixed(copied: float, at: int) -> Tensor:
    samples = distances(0, 400)
    samples[: int(400 * copied)] = at
    return samples


@pytest.mark.parametrize(
    ("samples", "verdict"),
    [
        (distances(0, 400), "no sign of copying"),
        (distances(0, 400, 80), "no sign of copying"),  # far from all data: bad, and no copies
        (mixed(0.1, at=3), "copies"),
        (mixed(1, at=0), "copies"),
        (mixed(0.04, at=0), "copies"),
        (mixed(0.005, at=0), "no sign of copying"),  # two in four hundred are not seen
        (distances(0, 400, 50), "cannot say"),  # all of them simpler
        (distances(0, 400, 40), "cannot say"),  # and so much so that a tenth is nearer than the nearest held-out ones
        (mixed(0.1, at=0)[:99], "cannot say"),
    ],
)
def test_verdicts(samples: Tensor, verdict: str) -> None:
    found = memorization(samples, distances(1, 500))
    assert found.verdict.startswith(verdict + ": ")
    assert "\n" not in found.verdict


def test_data_that_repeats_itself_is_no_copying() -> None:
    held_out = distances(1, 500)
    held_out[:150] = 0
    assert memorization(mixed(0.3, at=0), held_out).verdict.startswith("no sign of copying")
    # No sample can be nearer than 0, so here it is the exact ones that tell.
    more = memorization(mixed(0.5, at=0), held_out)
    assert more.copies == (0, 0, 0)
    assert more.verdict.startswith("copies: ")


def test_perfect_generators_are_not_accused() -> None:
    verdicts = [memorization(distances(seed, 150), distances(1000 + seed, 150)).verdict for seed in range(8)]
    # The interval of nearer lies above 0.5 in one of 40 cases; three of eight would be one in 1,000.
    assert sum(verdict.startswith("no sign of copying") for verdict in verdicts) >= 6
    assert not any(verdict.startswith("copies") for verdict in verdicts)


def test_the_verdict_gives_its_figures() -> None:
    found = memorization(mixed(0.25, at=0), distances(1, 500))
    for figure in (
        f"{found.copies.value:.1%}",
        f"{found.copies.low:.1%} to",
        "25.0% equal",
        f"{found.nearer.value:.3f}",
    ):
        assert figure in found.verdict
    few = memorization(distances(0, 99), distances(1, 100))
    assert few.verdict == "cannot say: needs 100 samples and 100 held-out ones, got 99 and 100"


def test_ends_are_probabilities_and_one_distance_has_none() -> None:
    found = memorization(mixed(0.005, at=0), distances(1, 100))
    assert 0 <= found.copies.low <= found.copies.value <= found.copies.high <= 1
    alone = memorization(torch.tensor([3]), torch.tensor([5, 3]))
    assert alone.nearer.value == 0.75
    assert isinstance(alone, Memorization)
    assert all(math.isnan(end) for end in (*alone.nearer[1:], *alone.copies[1:], alone.sample_distance.low))


def test_wrong_arguments_are_errors() -> None:
    bits = torch.zeros(3, 4)
    with pytest.raises(ValueError, match=r"held_out_distances: expected shape \(N,\), got \(3, 4\)"):
        memorization(bits[0], bits)
    with pytest.raises(ValueError, match="number of sample_distances: expected at least 1, got 0"):
        memorization(bits[0, :0], bits[0])

"""Nearest neighbors against plain loops, the Mann-Whitney figures pair by pair, and verdicts on known generators."""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics import memorization as module
from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.metrics.memorization import Memorization, Nearest, memorization, nearest_edit, nearest_hamming


def integers(seed: int, high: int, *shape: int) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def hamming(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def edit(a: Sequence[object], b: Sequence[object]) -> int:
    """By the recursion that defines it."""

    @lru_cache(None)
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return distance(len(a), len(b))


def check(found: Nearest, distances: list[list[int]]) -> None:
    assert found.distance.tolist() == [min(row) for row in distances]
    assert found.index.tolist() == [row.index(min(row)) for row in distances]
    assert found.distance.dtype == found.index.dtype == torch.int64


@pytest.mark.parametrize("num_categories", [1, 2, 3, 32, 33, 1000])
@pytest.mark.parametrize("chunk_size", [1, 7, 1024])
def test_hamming_agrees_with_loops(num_categories: int, chunk_size: int) -> None:
    queries, references = integers(0, num_categories, 20, 5), integers(1, num_categories, 23, 5)
    references[13] = references[2] = queries[4]  # the first of two copies, in different chunks
    expected = [[hamming(a, b) for b in references.tolist()] for a in queries.tolist()]
    found = nearest_hamming(queries, references, chunk_size=chunk_size)
    check(found, expected)
    assert found.distance[4] == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8, torch.bool, torch.int64])
def test_bits_of_any_type(dtype: torch.dtype) -> None:
    queries, references = integers(0, 2, 10, 30), integers(1, 2, 12, 30)
    expected = [[hamming(a, b) for b in references.tolist()] for a in queries.tolist()]
    check(nearest_hamming(queries.to(dtype), references.to(dtype)), expected)


def test_categories_that_one_side_lacks() -> None:
    queries, references = torch.tensor([[0, 1, 1]]), torch.tensor([[2, 2, 2], [0, 1, 2]])
    check(nearest_hamming(queries, references), [[3, 1]])
    check(nearest_hamming(references, queries), [[3], [1]])


def test_nothing_to_look_for() -> None:
    assert nearest_hamming(torch.zeros(0, 3), torch.zeros(2, 3)).distance.shape == (0,)
    assert nearest_edit([], ["a"]).index.shape == (0,)
    check(nearest_hamming(torch.zeros(2, 0), torch.zeros(2, 0)), [[0, 0]] * 2)


@pytest.mark.parametrize("at_a_time", [1, 12, 2**24])
def test_edit_distance_agrees_with_the_recursion(at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EDIT_DISTANCES_AT_A_TIME", at_a_time)
    words = ["", "a", "abba", "baba", "kitten", "sitting", "詩", "abba"]
    others = ["bab", "abab", "mitten", "詩人", "sit"]
    expected = [[edit(a, b) for b in others] for a in words]
    check(nearest_edit(words, others), expected)
    check(nearest_edit([list(word) for word in words], [tuple(word) for word in others]), expected)


def test_tokens_are_compared_as_they_are() -> None:
    # 97 is the code of "a", Python gives -1 and -2 one hash, and "ab" is a token here, not two characters.
    tokens = ["a", 97, -1, -2, "ab", ("a", 1)]
    sentences = list(product(tokens, repeat=2))
    expected = [[edit(a, b) for b in sentences[1:]] for a in sentences]
    check(nearest_edit(sentences, sentences[1:]), expected)


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
    assert few.verdict == "cannot say: needs 100 samples and held-out ones, got 99 and 100"


def test_ends_are_probabilities_and_one_distance_has_none() -> None:
    found = memorization(mixed(0.005, at=0), distances(1, 100))
    assert 0 <= found.copies.low <= found.copies.value <= found.copies.high <= 1
    alone = memorization(torch.tensor([3]), torch.tensor([5, 3]))
    assert alone.nearer.value == 0.75
    assert isinstance(alone, Memorization)
    assert all(math.isnan(end) for end in (*alone.nearer[1:], *alone.copies[1:], alone.sample_distance.low))


def test_wrong_arguments_are_errors() -> None:
    bits = torch.zeros(3, 4)
    with pytest.raises(ValueError, match=r"queries: expected shape \(N, D\), got \(4,\)"):
        nearest_hamming(bits[0], bits)
    with pytest.raises(ValueError, match="references: expected 4 a row as in queries, got 2"):
        nearest_hamming(bits, bits[:, :2])
    with pytest.raises(ValueError, match="number of references: expected at least 1, got 0"):
        nearest_hamming(bits, bits[:0])
    with pytest.raises(ValueError, match="chunk_size: expected at least 1, got 0"):
        nearest_hamming(bits, bits, chunk_size=0)
    for wrong in (0.5, math.nan, 2):
        with pytest.raises(ValueError, match="references: expected bits, 0 or 1, or an integer type, got"):
            nearest_hamming(bits, bits + wrong)
    with pytest.raises(ValueError, match="queries: expected category indices from 0 to 2\\^24 - 1, got -1 to -1"):
        nearest_hamming(bits.long() - 1, bits)
    with pytest.raises(ValueError, match="number of references: expected at least 1, got 0"):
        nearest_edit(["a"], [])
    with pytest.raises(ValueError, match=r"held_out_distances: expected shape \(N,\), got \(3, 4\)"):
        memorization(bits[0], bits)
    with pytest.raises(ValueError, match="number of sample_distances: expected at least 1, got 0"):
        memorization(bits[0, :0], bits[0])

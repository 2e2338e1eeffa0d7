"""Nearest neighbors against plain loops."""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics import nearest
from discrete_gan.metrics.nearest import Nearest, nearest_edit, nearest_hamming


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
    monkeypatch.setattr(nearest, "EDIT_DISTANCES_AT_A_TIME", at_a_time)
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


def test_wrong_arguments_are_errors() -> None:
    bits = torch.zeros(3, 4)
    with pytest.raises(ValueError, match=r"queries: expected shape \(N, D\), got \(4,\)"):
        nearest_hamming(bits[0], bits)
    with pytest.raises(ValueError, match="references: expected 4 per row as in queries, got 2"):
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

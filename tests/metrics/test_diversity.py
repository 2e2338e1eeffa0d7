"""Distinct n-grams and samples, and copies of training sequences, against sets."""

from itertools import product

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics import (
    CopiedFraction,
    DistinctN,
    DistinctSamples,
    copied_fraction,
    distinct_n,
    distinct_samples,
)
from discrete_gan.metrics.ngrams import Sequences, flatten, row_ids
from discrete_gan.metrics.sequence_metrics import SequenceMetric


def random_tokens(seed: int, count: int, size: int, end: int = 3) -> Tensor:
    """Rows over few symbols, so that many are equal, with anything after the first ``end``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(end + 1, (count, size), generator=generator)


def rows_of(tokens: Tensor, end: int = 3) -> list[tuple[int, ...]]:
    rows = [tuple(row) for row in tokens.tolist()]
    return [row[: row.index(end)] if end in row else row for row in rows]


def test_rows_have_equal_ids_exactly_where_they_are_equal() -> None:
    rows = [row for size in range(6) for row in product(range(3), repeat=size)]
    order = torch.randperm(2 * len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    shuffled = [(rows * 2)[i] for i in order]
    tokens = torch.tensor([token for row in shuffled for token in row])
    ids = row_ids(Sequences(tokens, torch.tensor([len(row) for row in shuffled]))).tolist()
    assert len(set(zip(ids, shuffled, strict=True))) == len(set(ids)) == len(rows)


def test_ids_of_one_long_row_among_empty_ones() -> None:
    tokens = torch.full((50, 7), 3)
    tokens[20] = torch.tensor([0, 1, 2, 0, 1, 2, 0])
    assert len(row_ids(flatten("tokens", tokens, 3)).unique()) == 2


@pytest.mark.parametrize("seed", range(10))
def test_fractions_are_those_of_sets(seed: int) -> None:
    samples, train = random_tokens(seed, 40, 5), random_tokens(50 + seed, 30, 6)
    rows, train_rows = rows_of(samples), rows_of(train)
    for n, value in enumerate(distinct_n(samples, end=3).tolist(), 1):
        grams = [row[i : i + n] for row in rows for i in range(len(row) - n + 1)]
        assert value == pytest.approx(len(set(grams)) / len(grams))
    assert distinct_samples(samples, end=3).item() == pytest.approx(len(set(rows)) / 40)
    copied = sum(row in train_rows for row in rows) / 40
    assert 0 < copied < 1
    assert copied_fraction(samples, train, end=3).item() == pytest.approx(copied)


def test_without_end_every_position_counts() -> None:
    tokens = torch.tensor([[0, 3, 0], [0, 3, 1], [0, 3, 1]])
    assert distinct_samples(tokens, end=3).item() == pytest.approx(1 / 3)
    assert distinct_samples(tokens, end=None).item() == pytest.approx(2 / 3)
    assert distinct_n(tokens, max_order=2, end=None).tolist() == pytest.approx([3 / 9, 3 / 6])
    assert copied_fraction(tokens, tokens[:1], end=None).item() == pytest.approx(1 / 3)


def test_short_and_empty_rows() -> None:
    assert distinct_n(torch.tensor([[0, 1, 3]]), end=3).tolist() == [1, 1, 0, 0]
    empty = torch.full((4, 2), 3)
    assert distinct_n(empty, end=3).tolist() == [0, 0, 0, 0]
    assert distinct_samples(empty, end=3).item() == 0.25
    assert copied_fraction(empty, empty[:1], end=3).item() == 1
    assert copied_fraction(empty, random_tokens(0, 5, 4, 2), end=3).item() == 0


def test_metrics_in_pieces_equal_functions_on_whole() -> None:
    samples, train = random_tokens(0, 40, 5), random_tokens(1, 30, 6)
    expected: dict[type[SequenceMetric], list[float]] = {
        DistinctN: distinct_n(samples, max_order=2, end=3).tolist(),
        DistinctSamples: [distinct_samples(samples, end=3).item()],
        CopiedFraction: [copied_fraction(samples, train, end=3).item()],
    }

    def metrics() -> list[SequenceMetric]:
        return [DistinctN(3, max_order=2), DistinctSamples(3), CopiedFraction(train, 3)]

    for first, second in zip(metrics(), metrics(), strict=True):
        first.update(samples[:7])
        first.update(torch.cat([samples[7:20], torch.full((13, 2), 3)], 1))
        second.update(samples[20:])
        first.merge_state(second)
        assert first.compute().flatten().tolist() == pytest.approx(expected[type(first)])


def test_wrong_arguments_are_errors() -> None:
    tokens = random_tokens(0, 3, 4)
    with pytest.raises(ValueError, match="train: expected at least 1 row"):
        copied_fraction(tokens, tokens[:0], end=3)
    with pytest.raises(ValueError, match="samples: expected int64 of shape"):
        distinct_samples(tokens.float(), end=3)
    with pytest.raises(ValueError, match="max_order: expected at least 1"):
        distinct_n(tokens, max_order=0, end=3)

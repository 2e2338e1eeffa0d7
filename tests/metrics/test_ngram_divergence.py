"""n-grams and their Jensen-Shannon divergence against counting one by one."""

import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics import NgramJS, ngram_js
from discrete_gan.metrics.ngrams import flatten, ngrams, row_counts


def random_tokens(seed: int, count: int, size: int, end: int, num_symbols: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(num_symbols, (count, size), generator=generator)
    lengths = torch.randint(size + 1, (count, 1), generator=generator)
    return torch.where(torch.arange(size) == lengths, end, tokens)


def rows_of(tokens: Tensor, end: int) -> list[tuple[int, ...]]:
    rows = [tuple(row) for row in tokens.tolist()]
    return [row[: row.index(end)] if end in row else row for row in rows]


def grams_of(row: tuple[int, ...], n: int) -> list[tuple[int, ...]]:
    return [row[i : i + n] for i in range(len(row) - n + 1)]


@pytest.mark.parametrize("seed", range(10))
def test_ids_stand_for_n_grams_one_to_one(seed: int) -> None:
    # symbols far apart: a hash of base 10 would collide
    tokens = random_tokens(seed, 12, 9, 4) * 1_000_003
    rows = rows_of(tokens, 4_000_012)
    for n, found in enumerate(ngrams(flatten("tokens", tokens, 4_000_012), 6), 1):
        expected = [(gram, i) for i, row in enumerate(rows) for gram in grams_of(row, n)]
        assert found.rows.tolist() == [i for _, i in expected]
        pairs = set(zip(found.ids.tolist(), [gram for gram, _ in expected], strict=True))
        assert len(pairs) == found.size == len({gram for gram, _ in expected}) == len({i for i, _ in pairs})
        assert set(found.ids.tolist()) == set(range(found.size))
        names = dict(pairs)
        counted = Counter(expected)
        counts = row_counts(found)
        for row, gram, count in zip(*(part.tolist() for part in counts), strict=True):
            assert counted.pop((names[gram], row)) == count
        assert not counted


def js_by_counting(samples: list[tuple[int, ...]], reference: list[tuple[int, ...]], n: int) -> float:
    p, q = (Counter(gram for row in rows for gram in grams_of(row, n)) for rows in (samples, reference))
    value = 0.0
    for gram in p | q:
        a, b = p[gram] / p.total(), q[gram] / q.total()
        value += sum(x * math.log2(x / ((a + b) / 2)) for x in (a, b) if x > 0) / 2
    return value


@pytest.mark.parametrize("seed", range(10))
def test_agrees_with_counting(seed: int) -> None:
    samples, reference = random_tokens(seed, 30, 9, 4), random_tokens(50 + seed, 20, 8, 4, num_symbols=3)
    expected = [js_by_counting(rows_of(samples, 4), rows_of(reference, 4), n) for n in range(1, 7)]
    found = ngram_js(samples, reference, end=4)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(expected, abs=1e-12)
    assert ngram_js(reference, samples, max_order=3, end=4).tolist() == pytest.approx(expected[:3], abs=1e-12)


def test_equal_text_is_at_zero_and_disjoint_text_at_one_bit() -> None:
    tokens = random_tokens(0, 30, 9, 4)
    assert ngram_js(tokens, tokens[torch.randperm(30)], end=4).tolist() == pytest.approx([0] * 6, abs=1e-12)
    assert ngram_js(tokens, tokens.where(tokens == 4, tokens + 10), end=4).tolist() == pytest.approx([1] * 6)
    # same tokens, but never two in the same order
    assert ngram_js(torch.tensor([[0, 1, 2]]), torch.tensor([[2, 1, 0]]), end=4).tolist()[:3] == pytest.approx(
        [0, 1, 1]
    )


def test_rows_shorter_than_n() -> None:
    short, long = torch.tensor([[0, 1, 4], [0, 4, 4]]), torch.tensor([[0, 1, 0, 1]])
    assert ngram_js(short, long, end=4).tolist()[2:] == [1, 1, 0, 0]
    empty = torch.full((3, 2), 4)
    assert ngram_js(empty, long, end=4).tolist() == [1, 1, 1, 1, 0, 0]
    assert ngram_js(long, empty, end=4).tolist() == [1, 1, 1, 1, 0, 0]
    assert ngram_js(empty, empty, end=4).tolist() == [0] * 6


def test_metric_in_pieces_equals_function_on_whole() -> None:
    samples, reference = random_tokens(0, 30, 9, 4), random_tokens(1, 20, 8, 4)
    expected = ngram_js(samples, reference, max_order=4, end=4).tolist()
    first, second = (NgramJS(reference, 4, max_order=4) for _ in range(2))
    first.update(samples[:3])
    first.update(torch.cat([samples[3:11], torch.full((8, 2), 4)], 1))
    second.update(samples[11:])
    first.merge_state(second)
    assert first.compute().tolist() == pytest.approx(expected, abs=1e-14)


def test_wrong_arguments_are_errors() -> None:
    tokens = random_tokens(0, 3, 4, 4)
    with pytest.raises(ValueError, match="reference: expected int64 of shape"):
        ngram_js(tokens, tokens[0], end=4)
    with pytest.raises(ValueError, match="samples: expected at least 1 row"):
        ngram_js(tokens[:0], tokens, end=4)
    with pytest.raises(ValueError, match="max_order: expected at least 1, got 0"):
        ngram_js(tokens, tokens, max_order=0, end=4)

"""BLEU and self-BLEU against NLTK and sacrebleu, and the metrics against the functions."""

import gzip
from pathlib import Path

import pytest
import torch
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from sacrebleu.metrics import bleu as sacrebleu
from torch import Tensor

from discrete_gan.metrics import BLEU, SelfBLEU, bleu, self_bleu

ORDERS = range(2, 6)


def random_tokens(seed: int, count: int, size: int, end: int | None, num_symbols: int = 4) -> Tensor:
    """Rows of all lengths from 0; what comes after an ``end`` is arbitrary."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(num_symbols, (count, size), generator=generator)
    if end is not None:
        lengths = torch.randint(size + 1, (count, 1), generator=generator)
        tokens = torch.where(torch.arange(size) == lengths, end, tokens)
    return tokens


def rows_of(tokens: Tensor, end: int | None) -> list[list[str]]:
    rows = [[str(token) for token in row] for row in tokens.tolist()]
    return [row[: row.index(str(end))] if str(end) in row else row for row in rows]


def nltk_bleu(row: list[str], references: list[list[str]]) -> list[float]:
    weights = [(1 / n,) * n for n in ORDERS]
    scores = sentence_bleu(references, row, weights, SmoothingFunction().method1)
    assert isinstance(scores, list)
    return [float(score) for score in scores]


def mean(scores: list[list[float]]) -> list[float]:
    return torch.tensor(scores, dtype=torch.float64).mean(0).tolist()


@pytest.mark.parametrize("end", [4, None])
@pytest.mark.parametrize("num_references", [1, 2, 12])
def test_bleu_is_that_of_nltk(num_references: int, end: int | None) -> None:
    for seed in range(15):
        samples = random_tokens(seed, 6, 9 if end else 2 + seed % 6, end)
        references = random_tokens(100 + seed, num_references, 8, end, num_symbols=5 if end is None else 4)
        expected = [nltk_bleu(row, rows_of(references, end)) for row in rows_of(samples, end)]
        scores = bleu(samples, references, end=end)
        assert scores.dtype == torch.float64
        assert scores.tolist() == pytest.approx(mean(expected), abs=1e-12)


def test_bleu_is_that_of_sacrebleu_where_no_sample_is_shorter_than_the_order() -> None:
    for seed in range(10):
        samples = random_tokens(seed, 8, 9, 4)
        references = random_tokens(100 + seed, 3, 8, 4)
        rows, reference_lines = rows_of(samples, 4), [" ".join(row) for row in rows_of(references, 4)]
        for n in ORDERS:
            long_enough = [len(row) >= n for row in rows]
            theirs = sacrebleu.BLEU(
                tokenize="none", smooth_method="floor", smooth_value=0.1, max_ngram_order=n, force=True
            )
            expected = [
                theirs.sentence_score(" ".join(row), reference_lines).score / 100
                for row, kept in zip(rows, long_enough, strict=True)
                if kept
            ]
            scores = bleu(samples[torch.tensor(long_enough)], references, max_order=n, end=4)
            assert scores[-1].item() == pytest.approx(sum(expected) / len(expected), abs=1e-12)


@pytest.mark.parametrize("end", [4, None])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_self_bleu_is_that_of_nltk_against_all_others(count: int, end: int | None) -> None:
    for seed in range(15):
        samples = random_tokens(seed, count, 7, end)
        if seed % 3 == 1:
            samples = samples[torch.randint(count, (count + 2,), generator=torch.Generator().manual_seed(seed))]
        rows = rows_of(samples, end)
        expected = [nltk_bleu(row, rows[:i] + rows[i + 1 :]) for i, row in enumerate(rows)]
        assert self_bleu(samples, end=end).tolist() == pytest.approx(mean(expected), abs=1e-12)


def test_self_bleu_of_copies_is_one_and_of_strangers_zero() -> None:
    assert self_bleu(torch.arange(6).repeat(3, 1), end=None).tolist() == [1, 1, 1, 1]
    assert self_bleu(torch.arange(12).view(2, 6), end=None).tolist() == [0, 0, 0, 0]


def test_length_goes_to_the_nearest_reference_and_of_two_to_the_shorter() -> None:
    # references of 3 and 5 tokens: for a sample of 4 the shorter counts, and there is no penalty
    samples, references = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[0, 1, 2, 9, 9], [0, 1, 2, 3, 4]])
    assert bleu(samples, references, end=9).tolist()[:3] == pytest.approx([1, 1, 1])
    assert bleu(samples, references[1:], end=9).tolist()[:3] == pytest.approx([torch.e ** (1 - 5 / 4)] * 3)


def test_real_captions_are_as_nltk_says(shared_data: Path) -> None:
    def read(name: str, count: int) -> list[list[str]]:
        with gzip.open(shared_data / "text" / "image_coco" / name, "rt", encoding="utf-8") as file:
            return [next(file).split() for _ in range(count)]

    lines, references = read("image_coco.txt.gz", 30), read("test_coco.txt.gz", 200)
    words = sorted({word for line in lines + references for word in line})
    end, width = len(words), max(map(len, lines + references))

    def encode(lines: list[list[str]]) -> Tensor:
        index = {word: i for i, word in enumerate(words)}
        return torch.tensor([[index[word] for word in line] + [end] * (width - len(line)) for line in lines])

    expected = mean([nltk_bleu(line, references) for line in lines])
    assert bleu(encode(lines), encode(references), end=end).tolist() == pytest.approx(expected, abs=1e-12)
    expected = mean([nltk_bleu(line, lines[:i] + lines[i + 1 :]) for i, line in enumerate(lines)])
    assert self_bleu(encode(lines), end=end).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["bleu", "self_bleu"])
def test_metric_in_pieces_equals_function_on_whole(name: str) -> None:
    samples, references = random_tokens(0, 20, 9, 4), random_tokens(1, 7, 8, 4)
    expected = (bleu(samples, references, end=4) if name == "bleu" else self_bleu(samples, end=4)).tolist()

    def metric(*parts: Tensor) -> BLEU | SelfBLEU:
        new = BLEU(references, 4) if name == "bleu" else SelfBLEU(4)
        for part in parts:
            new.update(part)
        return new

    wider = torch.cat([samples[5:12], torch.full((7, 3), 4)], 1)
    assert metric(samples[:5], wider, samples[12:]).compute().tolist() == pytest.approx(expected, abs=1e-14)

    first, second = metric(samples[:8]), metric(samples[8:12], samples[12:])
    first.merge_state(second)
    assert first.compute().tolist() == pytest.approx(expected, abs=1e-14)


def test_orders_are_the_first_of_more() -> None:
    samples, references = random_tokens(0, 20, 9, 4), random_tokens(1, 7, 8, 4)
    assert bleu(samples, references, max_order=3, end=4).equal(bleu(samples, references, end=4)[:2])
    assert self_bleu(samples, max_order=3, end=4).equal(self_bleu(samples, end=4)[:2])
    metric = SelfBLEU(4, max_order=3)
    metric.update(samples)
    assert metric.compute().equal(self_bleu(samples, end=4)[:2])


def test_too_few_rows_and_wrong_shapes_are_errors() -> None:
    tokens = torch.zeros(3, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match="samples: expected int64 of shape"):
        bleu(tokens[0], tokens, end=1)
    with pytest.raises(ValueError, match="references: expected int64 of shape"):
        bleu(tokens, tokens.float(), end=1)
    with pytest.raises(ValueError, match="references: expected at least 1 row, got 0"):
        bleu(tokens, tokens[:0], end=1)
    with pytest.raises(ValueError, match="samples: expected at least 2, got 1"):
        self_bleu(tokens[:1], end=1)
    with pytest.raises(ValueError, match="max_order: expected at least 2, got 1"):
        bleu(tokens, tokens, max_order=1, end=1)
    with pytest.raises(ValueError, match="SelfBLEU: needs at least 1 sample, got 0"), pytest.warns(UserWarning):
        SelfBLEU(1).compute()
    metric = SelfBLEU(None)
    metric.update(tokens)
    metric.update(tokens[:0])  # adds nothing, whatever else is wrong with it
    metric.update(tokens[:0, :3])
    assert metric.compute().equal(self_bleu(tokens, end=None))
    with pytest.raises(ValueError, match="expected D = 4 as before, since there is no end, got 3"):
        metric.update(tokens[:, :3])

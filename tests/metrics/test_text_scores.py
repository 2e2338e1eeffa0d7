"""Text scores: the parts put together, real text beside them, the protocol, the two ways out."""

import gzip
import json
import random
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics import (
    TextScorer,
    bleu,
    copied_fraction,
    distinct_n,
    distinct_samples,
    ngram_js,
    self_bleu,
)

WORDS = ["a", "the", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "and"]


def sentences(seed: int, count: int, words: list[str] = WORDS) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choice(words) for _ in range(draw.randint(1, 9))) for _ in range(count)]


TRAIN, HELD_OUT = sentences(1, 60), sentences(2, 40)
SAMPLES = [*sentences(3, 25, [*WORDS, "zebra", "yak"]), *TRAIN[:5], "", "zebra yak"]


def encode(lines: list[str], unit: str) -> Tensor:
    """Tokens with 0 as the end."""
    rows = [line.split() if unit == "word" else list(line) for line in lines]
    units = sorted({unit for line in TRAIN + HELD_OUT + SAMPLES for unit in [*line.split(), *line]})
    index = {unit: i for i, unit in enumerate(units, 1)}
    width = max(map(len, rows))
    return torch.tensor([[index[unit] for unit in row] + [0] * (width - len(row)) for row in rows])


@pytest.mark.parametrize("unit", ["word", "char"])
def test_parts_are_those_of_the_functions(unit: Literal["word", "char"]) -> None:
    scores = TextScorer(TRAIN, HELD_OUT, unit=unit)(SAMPLES)
    samples, train, held_out = (encode(lines, unit) for lines in (SAMPLES, TRAIN, HELD_OUT))
    expected = {
        **{f"bleu{n}": v for n, v in enumerate(bleu(samples, held_out, end=0).tolist(), 2)},
        **{f"self_bleu{n}": v for n, v in enumerate(self_bleu(samples, end=0).tolist(), 2)},
        **{f"js{n}": v for n, v in enumerate(ngram_js(samples, held_out, end=0).tolist(), 1)},
        **{f"distinct{n}": v for n, v in enumerate(distinct_n(samples, end=0).tolist(), 1)},
        "distinct_samples": distinct_samples(samples, end=0).item(),
        "mean_length": (samples != 0).sum(1).double().mean().item(),
        "copied": copied_fraction(samples, train, end=0).item(),
    }
    assert scores.values == pytest.approx(expected, abs=1e-12)
    assert scores.signatures.keys() == scores.values.keys()
    assert scores.real.keys() == scores.values.keys() - {"copied"}
    assert (scores.num_samples, scores.num_real, scores.num_held_out) == (32, 32, 40)
    assert scores.mean_length_held_out == pytest.approx((held_out != 0).sum(1).double().mean().item())


def test_real_text_is_as_many_training_lines_scored_as_samples() -> None:
    scorer = TextScorer(TRAIN, HELD_OUT)
    all_lines = scorer(TRAIN)
    assert {**all_lines.real, "copied": 1.0} == pytest.approx(all_lines.values)  # all: the choice has no part
    more = scorer(TRAIN + SAMPLES)
    assert (more.num_samples, more.num_real) == (92, 60)
    assert more.real == all_lines.real
    few = scorer(SAMPLES[:10])
    assert few.num_real == 10
    assert few.real["js2"] > all_lines.real["js2"]  # bias of fewer lines
    assert few.real == TextScorer(TRAIN, HELD_OUT)(SAMPLES[:10]).real  # always the same choice
    assert few.real["bleu2"] != scorer(TRAIN[:10]).values["bleu2"]  # and not the first lines


def test_unknown_words_differ_from_each_other() -> None:
    scores = TextScorer(TRAIN, HELD_OUT)(["xx yy zz", "ww vv uu"])
    assert scores.values["distinct1"] == 1
    assert scores.values["self_bleu2"] == scores.values["bleu2"] == 0
    assert scores.values["js1"] == pytest.approx(1)


def test_lines_are_copies_whatever_their_white_space() -> None:
    scorer = TextScorer([" the  cat\tsat", "a dog ran"], HELD_OUT)
    assert scorer(["the cat sat", "the cats at", "thecat sat", "a dog ran "]).values["copied"] == 0.5
    scorer = TextScorer(["the cat", "a dog"], HELD_OUT, unit="char")
    assert scorer(["the cat", "the  cat", "a dog ", "thecat"]).values["copied"] == 0.25


def test_calls_do_not_depend_on_earlier_ones() -> None:
    scorer = TextScorer(TRAIN, HELD_OUT)
    known = len(scorer._ids)
    first = scorer(SAMPLES)
    scorer(sentences(5, 40, ["quite", "other", "words"]))
    assert len(scorer._ids) == known  # it does not grow with what generators make up
    assert scorer(SAMPLES) == first


def test_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    TextScorer(TRAIN, HELD_OUT, max_references=5)(SAMPLES)
    assert torch.equal(torch.get_rng_state(), before)


def test_bleu_takes_at_most_so_many_references() -> None:
    full, few = (TextScorer(TRAIN, HELD_OUT, max_references=limit)(SAMPLES) for limit in (None, 10))
    assert few.values["bleu3"] < full.values["bleu3"]
    assert few.real["bleu3"] < full.real["bleu3"]
    assert few.values["js3"] == full.values["js3"]
    assert few.mean_length_held_out == full.mean_length_held_out
    assert few == TextScorer(TRAIN, HELD_OUT, max_references=10)(SAMPLES)
    assert TextScorer(TRAIN, HELD_OUT, max_references=99)(SAMPLES) == full


def test_signatures_hold_the_protocol() -> None:
    signatures = TextScorer(TRAIN, HELD_OUT, split="ab12", max_references=10)(SAMPLES).signatures
    assert signatures["bleu4"] == "bleu4|n:32|refs:10|smooth:method1-0.1|unit:word|split:ab12|v:1"
    assert signatures["self_bleu2"] == "self_bleu2|n:32|refs:others|smooth:method1-0.1|unit:word|split:ab12|v:1"
    assert signatures["js6"] == "js6|n:32|refs:40|base:2|unit:word|split:ab12|v:1"
    assert signatures["distinct1"] == "distinct1|n:32|unit:word|split:ab12|v:1"
    assert signatures["copied"] == "copied|n:32|train:60|unit:word|split:ab12|v:1"
    other = TextScorer(TRAIN, HELD_OUT, unit="char")(SAMPLES[:9]).signatures
    assert other["mean_length"] == "mean_length|n:9|unit:char|split:unknown|v:1"


def test_lines_and_dict() -> None:
    scores = TextScorer(TRAIN, HELD_OUT, split="ab12")(SAMPLES)
    text = "\n".join(scores.lines())
    values, real = scores.values, scores.real
    assert f"distinct samples  {values['distinct_samples']:#.3g} ({real['distinct_samples']:#.3g}), copied" in text
    assert f"{values['bleu5']:#.3g} ({real['bleu2']:#.3g} " in text
    assert f"{real['js6']:#.3g}) bits" in text
    assert f"{values['distinct4']:#.3g} ({real['distinct1']:#.3g} " in text
    assert f"{values['self_bleu5']:#.3g} ({real['self_bleu2']:#.3g} " in text
    assert f"words, held-out lines {scores.mean_length_held_out:#.3g}" in text
    assert "32 samples against 40 held-out lines (in parentheses 32 training lines)" in text
    for title, name in (("BLEU", "bleu5"), ("self-BLEU", "self_bleu5"), ("JS", "js6"), ("copied", "copied")):
        assert f" {title}|{scores.signatures[name].partition('|')[2]}" in text
    content = json.loads(json.dumps(scores.as_dict(), allow_nan=False))
    assert content["bleu4"] == values["bleu4"]
    assert content["real"] == {**real, "num_samples": 32}
    assert content["signatures"] == scores.signatures
    assert (content["num_samples"], content["num_held_out"]) == (32, 40)
    assert content["mean_length_held_out"] == scores.mean_length_held_out


@pytest.mark.parametrize("unit", ["word", "char"])
def test_empty_samples_get_the_worst_scores(unit: Literal["word", "char"]) -> None:
    values = TextScorer(TRAIN, HELD_OUT, unit=unit)(["", "", ""]).values
    assert [values[f"bleu{n}"] for n in range(2, 6)] == [0, 0, 0, 0]
    assert [values[f"js{n}"] for n in range(1, 7)] == [1] * 6
    assert [values[name] for name in ("distinct1", "copied", "mean_length", "self_bleu5")] == [0, 0, 0, 0]
    assert values["distinct_samples"] == pytest.approx(1 / 3)
    empty = TextScorer(["", ""], [""], unit=unit)(["", "a"])
    json.dumps(empty.as_dict(), allow_nan=False)
    assert empty.values["copied"] == 0.5


def test_too_few_lines_and_unknown_units_are_errors() -> None:
    with pytest.raises(ValueError, match="train: expected at least 2, got 1"):
        TextScorer(TRAIN[:1], HELD_OUT)
    with pytest.raises(ValueError, match="held_out: expected at least 1, got 0"):
        TextScorer(TRAIN, [])
    with pytest.raises(ValueError, match="max_references: expected at least 1, got 0"):
        TextScorer(TRAIN, HELD_OUT, max_references=0)
    with pytest.raises(ValueError, match="unit: expected one of word, char, got 'token'"):
        TextScorer(TRAIN, HELD_OUT, unit="token")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="samples: expected at least 2, got 1"):
        TextScorer(TRAIN, HELD_OUT)(SAMPLES[:1])


def test_real_captions(shared_data: Path) -> None:
    folder = shared_data / "text" / "image_coco"
    train, held_out = (
        gzip.decompress((folder / name).read_bytes()).decode().splitlines()
        for name in ("image_coco.txt.gz", "test_coco.txt.gz")
    )
    scorer = TextScorer(train, held_out)
    scores = scorer([line for line in held_out if line][:2000])
    assert scores.values["bleu5"] == pytest.approx(1)
    assert scores.values["js4"] < scores.real["js4"]
    assert 0.5 < scores.real["bleu2"] < 0.9
    shuffled = [" ".join(random.Random(0).sample(line.split(), len(line.split()))) for line in train[:2000]]
    assert scorer(shuffled).values["bleu3"] < scores.real["bleu3"] / 2

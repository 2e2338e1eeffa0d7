"""Text scores: each against the function that defines it, real text beside them, protocols, intervals."""

import gzip
import json
import math
import random
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics import bleu, copied_fraction, distinct_n, distinct_samples, ngram_js, self_bleu
from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.tasks.score import Score, as_json
from discrete_gan.tasks.text_scores import TextScorer

WORDS = ["a", "the", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "and"]


def sentences(seed: int, count: int, words: list[str] = WORDS) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choice(words) for _ in range(draw.randint(1, 9))) for _ in range(count)]


TRAIN, HELD_OUT = sentences(1, 60), sentences(2, 40)
SAMPLES = [*sentences(3, 25, [*WORDS, "zebra", "yak"]), *TRAIN[:5], "", "zebra yak"]


def values(scores: list[Score]) -> dict[str, float]:
    assert len({score.name for score in scores}) == len(scores)
    return {score.name: score.value for score in scores}


def real(scores: list[Score]) -> dict[str, float]:
    """What real text gets, of what it can be asked for."""
    return {score.name: score.real for score in scores if score.real is not None}


def protocols(scores: list[Score]) -> dict[str, str]:
    return {score.name: score.protocol for score in scores}


def encode(lines: list[str], unit: str) -> Tensor:
    """Tokens with 0 as the end."""
    rows = [line.split() if unit == "word" else list(line) for line in lines]
    units = sorted({unit for line in TRAIN + HELD_OUT + SAMPLES for unit in [*line.split(), *line]})
    index = {unit: i for i, unit in enumerate(units, 1)}
    width = max(map(len, rows))
    return torch.tensor([[index[unit] for unit in row] + [0] * (width - len(row)) for row in rows])


@pytest.mark.parametrize("unit", ["word", "char"])
def test_parts_are_those_of_the_functions(unit: Literal["word", "char"]) -> None:
    scores = TextScorer(TRAIN, HELD_OUT, unit=unit).scores(SAMPLES)
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
    assert values(scores) == pytest.approx(expected, abs=1e-12)
    assert real(scores).keys() == expected.keys() - {"copied"}
    (length,) = (score for score in scores if score.name == "mean_length")
    of_held_out = (held_out != 0).sum(1).double().mean().item()
    assert length.unit == f"{unit}s, of held-out lines {of_held_out:.4g}"


def test_what_is_better_and_what_would_be_perfect() -> None:
    scores = {score.name: score for score in TextScorer(TRAIN, HELD_OUT).scores(SAMPLES)}
    less = {name for name, score in scores.items() if score.better == "less"}
    assert less == {f"self_bleu{n}" for n in range(2, 6)} | {f"js{n}" for n in range(1, 7)} | {"copied"}
    assert {name for name, score in scores.items() if score.better is None} == {"mean_length"}
    perfect = {name: score.perfect for name, score in scores.items() if score.perfect is not None}
    assert perfect == {**{f"js{n}": 0 for n in range(1, 7)}, "distinct_samples": 1}
    assert [scores[name].title for name in ("bleu5", "self_bleu2", "js6", "distinct1")] == [
        "BLEU-5",
        "self-BLEU-2",
        "Jensen-Shannon-6",
        "distinct-1",
    ]
    assert (scores["js6"].unit, scores["distinct4"].unit) == ("bits", "of all 4-grams")
    assert next(iter(scores)) == "bleu2"


def test_real_text_is_as_many_training_lines_scored_as_samples() -> None:
    scorer = TextScorer(TRAIN, HELD_OUT)
    all_lines = scorer.scores(TRAIN)
    assert {**real(all_lines), "copied": 1.0} == pytest.approx(values(all_lines))  # all: the choice has no part
    more = scorer.scores(TRAIN + SAMPLES)
    assert real(more) == real(all_lines)  # there are no more
    said = {score.name for score in more if score.unit.endswith(f"real data: of {len(TRAIN)} lines")}
    assert said == {score.name for score in more if score.name.startswith(("self_bleu", "js", "distinct"))}
    assert not any("real data" in score.unit for score in all_lines)
    few = scorer.scores(SAMPLES[:10])
    assert real(few)["js2"] > real(all_lines)["js2"]  # bias of fewer lines
    assert real(few) == real(TextScorer(TRAIN, HELD_OUT).scores(SAMPLES[:10]))  # always the same choice
    assert real(few)["bleu2"] != values(scorer.scores(TRAIN[:10]))["bleu2"]  # and not the first lines


def test_unknown_words_differ_from_each_other() -> None:
    scores = values(TextScorer(TRAIN, HELD_OUT).scores(["xx yy zz", "ww vv uu"]))
    assert scores["distinct1"] == 1
    assert scores["self_bleu2"] == scores["bleu2"] == 0
    assert scores["js1"] == pytest.approx(1)


def test_lines_are_copies_whatever_their_white_space() -> None:
    scorer = TextScorer([" the  cat\tsat", "a dog ran"], HELD_OUT)
    assert values(scorer.scores(["the cat sat", "the cats at", "thecat sat", "a dog ran "]))["copied"] == 0.5
    scorer = TextScorer(["the cat", "a dog"], HELD_OUT, unit="char")
    assert values(scorer.scores(["the cat", "the  cat", "a dog ", "thecat"]))["copied"] == 0.25


def test_calls_do_not_depend_on_earlier_ones() -> None:
    scorer = TextScorer(TRAIN, HELD_OUT)
    known = len(scorer._ids)
    first = as_json(scorer.scores(SAMPLES))
    scorer.scores(sentences(5, 40, ["quite", "other", "words"]), intervals=True)
    assert len(scorer._ids) == known  # it does not grow with what generators make up
    assert as_json(scorer.scores(SAMPLES)) == first


def test_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    TextScorer(TRAIN, HELD_OUT, max_references=5).scores(SAMPLES, intervals=True)
    assert torch.equal(torch.get_rng_state(), before)


def test_bleu_takes_at_most_so_many_references() -> None:
    full, few = (TextScorer(TRAIN, HELD_OUT, max_references=limit).scores(SAMPLES) for limit in (None, 10))
    assert values(few)["bleu3"] < values(full)["bleu3"]
    assert real(few)["bleu3"] < real(full)["bleu3"]
    assert values(few)["js3"] == values(full)["js3"]
    assert few[-1].unit == full[-1].unit
    again, all_of_them = (TextScorer(TRAIN, HELD_OUT, max_references=limit).scores(SAMPLES) for limit in (10, 99))
    assert as_json(few) == as_json(again) != as_json(full) == as_json(all_of_them)


def test_protocols_are_all_that_scores_depend_on() -> None:
    found = protocols(TextScorer(TRAIN, HELD_OUT, split="ab12", max_references=10).scores(SAMPLES))
    assert found["bleu4"] == "n:32|refs:10|smooth:method1-0.1|unit:word|split:ab12|v:1"
    assert found["self_bleu2"] == "n:32|refs:others|smooth:method1-0.1|unit:word|split:ab12|v:1"
    assert found["js6"] == "n:32|refs:40|base:2|unit:word|split:ab12|v:1"
    assert found["distinct1"] == "n:32|unit:word|split:ab12|v:1"
    assert found["copied"] == "n:32|train:60|unit:word|split:ab12|v:1"
    other = protocols(TextScorer(TRAIN, HELD_OUT, unit="char").scores(SAMPLES[:9]))
    assert other["mean_length"] == "n:9|unit:char|split:unknown|v:1"


def test_intervals_are_of_means_over_samples() -> None:
    scorer = TextScorer(TRAIN, HELD_OUT)
    plain, full = scorer.scores(SAMPLES), scorer.scores(SAMPLES, intervals=True)
    assert values(plain) == values(full)
    assert all(math.isnan(score.low) and math.isnan(score.high) for score in plain)
    rows = scorer.by_sample(SAMPLES)
    assert rows.keys() == {
        *(f"{of}{n}" for of in ("bleu", "self_bleu") for n in range(2, 6)),
        "copied",
        "distinct_samples",
    }
    for score in full:
        assert math.isfinite(score.low) == (score.name in rows), score.name
        if score.name in rows:
            assert score.value == pytest.approx(float(rows[score.name].mean())), score.name
            expected = mean_interval(rows[score.name])
            assert (score.low, score.high) == (expected.low, expected.high)


@pytest.mark.parametrize("unit", ["word", "char"])
def test_empty_samples_get_the_worst_scores(unit: Literal["word", "char"]) -> None:
    found = values(TextScorer(TRAIN, HELD_OUT, unit=unit).scores(["", "", ""]))
    assert [found[f"bleu{n}"] for n in range(2, 6)] == [0, 0, 0, 0]
    assert [found[f"js{n}"] for n in range(1, 7)] == [1] * 6
    assert [found[name] for name in ("distinct1", "copied", "mean_length", "self_bleu5")] == [0, 0, 0, 0]
    assert found["distinct_samples"] == pytest.approx(1 / 3)
    empty = TextScorer(["", ""], [""], unit=unit).scores(["", "a"])
    json.dumps(as_json(empty), allow_nan=False)
    assert all(math.isfinite(score.value) for score in empty)
    assert values(empty)["copied"] == 0.5


def test_too_few_lines_and_unknown_units_are_errors() -> None:
    with pytest.raises(ValueError, match="train: expected at least 2, got 1"):
        TextScorer(TRAIN[:1], HELD_OUT)
    with pytest.raises(ValueError, match="held_out: expected at least 1, got 0"):
        TextScorer(TRAIN, [])
    with pytest.raises(ValueError, match="max_references: expected at least 1, got 0"):
        TextScorer(TRAIN, HELD_OUT, max_references=0)
    with pytest.raises(ValueError, match="unit: expected one of word, char, got 'token'"):
        TextScorer(TRAIN, HELD_OUT, unit="token")  # pyright: ignore[reportArgumentType]
    for call in (TextScorer(TRAIN, HELD_OUT).scores, TextScorer(TRAIN, HELD_OUT).by_sample):
        with pytest.raises(ValueError, match="samples: expected at least 2, got 1"):
            call(SAMPLES[:1])


def test_real_captions(shared_data: Path) -> None:
    folder = shared_data / "text" / "image_coco"
    train, held_out = (
        gzip.decompress((folder / name).read_bytes()).decode().splitlines()
        for name in ("image_coco.txt.gz", "test_coco.txt.gz")
    )
    scorer = TextScorer(train, held_out)
    scores = scorer.scores([line for line in held_out if line][:2000])
    assert values(scores)["bleu5"] == pytest.approx(1)
    assert values(scores)["js4"] < real(scores)["js4"]
    assert 0.5 < real(scores)["bleu2"] < 0.9
    shuffled = [" ".join(random.Random(0).sample(line.split(), len(line.split()))) for line in train[:2000]]
    assert values(scorer.scores(shuffled))["bleu3"] < real(scores)["bleu3"] / 2

"""The currency of measured numbers: what is kept of it in files, and how it reads on a terminal."""

import json
import math

import pytest

from discrete_gan.metrics.bootstrap import Interval
from discrete_gan.tasks.score import Score, as_json, from_json, lines

FULL = Score(
    "frechet",
    1.23456,
    "Frechet distance",
    "squared feature units",
    "less",
    0,
    0.5,
    1.0,
    2.0,
    "n:10|test:7",
    "a sentence",
    (0.25, 0.75),
    b"picture",
)
PLAIN = Score("mean_length", 12)
MISSING = Score("precision", math.nan, note="these need more images")


def same(one: Score, other: Score) -> bool:
    """Equal, NaN to NaN, but for the picture."""
    pairs = zip(one._replace(picture=None), other._replace(picture=None), strict=True)
    return all(a == b or (a != a and b != b) for a, b in pairs)


def test_scores_come_back_from_json_as_they_went() -> None:
    written = json.dumps(as_json([FULL, PLAIN, MISSING]), allow_nan=False)
    back = from_json(json.loads(written))
    assert [score.name for score in back] == ["frechet", "mean_length", "precision"]  # in their order
    assert all(same(*pair) for pair in zip(back, [FULL, PLAIN, MISSING], strict=True))
    assert all(score.picture is None for score in back)


def test_numbers_that_there_are_none_of_are_null() -> None:
    content = as_json([PLAIN, MISSING, Score("lost", math.inf, low=-math.inf, high=3)])
    assert content["mean_length"]["value"] == 12
    assert content["mean_length"]["low"] is content["mean_length"]["real"] is content["mean_length"]["better"] is None
    assert content["precision"]["value"] is None and content["precision"]["note"] == "these need more images"
    assert content["lost"]["value"] is content["lost"]["low"] is None and content["lost"]["high"] == 3
    (parted,) = from_json(json.loads(json.dumps(as_json([PLAIN._replace(parts=(1.0, math.nan))]), allow_nan=False)))
    assert parted.parts[0] == 1 and math.isnan(parted.parts[1]) and len(parted.parts) == 2
    assert "name" not in content["lost"] and "picture" not in content["lost"]
    (lost,) = from_json({"lost": content["lost"]})
    assert math.isnan(lost.value) and math.isnan(lost.low) and lost.high == 3 and lost.real is None


def test_fields_of_later_versions_are_left_out_and_missing_ones_are_as_by_default() -> None:
    (found,) = from_json({"new": {"value": 1.5, "color": "green"}})
    assert same(found, Score("new", 1.5))


@pytest.mark.parametrize("content", [{"frechet": 1.5}, {"frechet": {"label": "no value"}}, [1, 2], {"frechet": [1]}])
def test_anything_else_is_refused(content: object) -> None:
    with pytest.raises(ValueError, match="expected scores by name: "):
        from_json(content)  # pyright: ignore[reportArgumentType]


def test_an_interval_leaves_the_value_and_all_else() -> None:
    found = FULL.within(Interval(9.0, 7.0, 8.0))
    assert (found.low, found.high) == (7.0, 8.0)
    assert found._replace(low=FULL.low, high=FULL.high) == FULL


def test_a_line_names_all_that_is_needed_to_read_the_number() -> None:
    line = str(FULL)
    for part in ("Frechet distance", "1.235 squared feature units", "(1 to 2)", "real data 0.5", "perfect 0"):
        assert part in line
    assert "less is better" in line and "frechet" not in line
    assert str(PLAIN).split() == ["mean", "length", "12"]
    told = str(MISSING)
    assert "precision" in told and "not measured: these need more images" in told and "nan" not in told
    assert str(Score("x", math.nan)).split() == ["x", "not", "measured"]


@pytest.mark.parametrize("better", ["less", "more"])
def test_a_line_says_which_way_is_better(better: str) -> None:
    line = str(PLAIN._replace(better=better))
    assert f"{better} is better" in line and len([way for way in ("less", "more") if way in line]) == 1


def test_lines_give_each_protocol_once() -> None:
    beside = Score("am_score", 3.0, "AM Score", protocol=FULL.protocol, note="said")
    other = Score("recall", 0.5, protocol="n:9")
    told = lines([FULL, PLAIN, beside, other, MISSING])
    text = "\n".join(told)
    assert told[:5] == [str(score) for score in (FULL, PLAIN, beside, other, MISSING)]
    assert text.count("n:10|test:7") == text.count("n:9") == 1
    (shared,) = (line for line in told if "n:10|test:7" in line)
    assert shared.startswith("protocol") and shared.endswith("(Frechet distance, AM Score)")
    # What they say, each under its label; what was not measured has said it already.
    assert text.count("a sentence") == text.count("said") == text.count("these need more images") == 1
    (said,) = (line for line in told if line.endswith(" said"))
    assert said.startswith("AM Score")
    assert lines([]) == []


def test_of_many_protocols_brief_lines_have_what_is_common() -> None:
    some = [Score(f"score_{index}", 1.0, protocol=f"n:{index}|seed:0|temperature:1") for index in range(3)]
    assert lines(some[:2], brief=True) == lines(some[:2])
    *scores, told = lines(some, brief=True)
    assert scores == [str(score) for score in some]
    assert told.split(maxsplit=1) == ["protocol", "seed:0|temperature:1; of each figure in full (results.json)"]
    third = some[2]._replace(protocol="n:0|temperature:1")  # shares a part with one, and one with both
    assert lines([*some[:2], third], brief=True)[-1].split(maxsplit=2)[1] == "temperature:1;"
    other = [Score(score.name, 1.0, protocol=score.name) for score in some]
    assert lines(other, brief=True)[-1].split(maxsplit=1) == ["protocol", "of each figure (results.json)"]


def test_long_protocols_are_wrapped_between_scores_that_share_them() -> None:
    many = [Score(f"score_{index}", 1.0, protocol="n:1|seed:0") for index in range(20)]
    wrapped = next(line for line in lines(many) if line.startswith("protocol")).split("\n")
    assert len(wrapped) > 1 and all(len(line) <= 120 for line in wrapped)
    whole = " ".join(line.strip() for line in wrapped)
    assert all(score.title in whole for score in many)


def test_a_label_is_made_of_the_name_where_there_is_none() -> None:
    assert (PLAIN.title, FULL.title) == ("mean length", "Frechet distance")

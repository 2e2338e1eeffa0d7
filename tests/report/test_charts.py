import math
import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest

from discrete_gan.report.charts import COLORS, Series, line_chart

NAN, INF = math.nan, math.inf
PAPERS = ("#ffffff", "#14161a")  # of the page by day and by night
# matplotlib writes coordinates with six decimals, and a scale from two of them is at most a few times as wrong
ROUNDING = 2e-5


class Drawn:
    """What stands in a chart."""

    def __init__(self, svg: str) -> None:
        self.svg = svg
        self.root = ElementTree.fromstring(re.sub(r' xmlns="[^"]*"', "", svg, count=1))
        self.texts = [element.text for element in self.root.iter("text")]
        self.titles = [element.text for element in self.root.iter("title")]
        self.targets = [(float(circle.attrib["cx"]), float(circle.attrib["cy"])) for circle in self.root.iter("circle")]

    def lines(self, color: str, *, dashed: bool = False) -> list[list[list[tuple[float, float]]]]:
        """The lines of a color within the axes, not those of the legend: of each its pieces."""
        paths = [path for path in self.root.iter("path") if "clip-path" in path.attrib]
        paths = [path for path in paths if f"stroke: {color}" in path.attrib["style"]]
        return [pieces(path) for path in paths if ("dasharray" in path.attrib["style"]) == dashed]

    def areas(self, color: str) -> list[set[tuple[float, float]]]:
        """The corners of each band of a color."""
        filled = [path for path in self.root.iter("path") if "clip-path" in path.attrib]
        corners = [set(pieces(path)[0]) for path in filled if f"fill: {color}" in path.attrib["style"]]
        defined = {path.attrib["id"]: path for path in self.root.iter("path") if "id" in path.attrib}
        for use in self.root.iter("use"):
            if f"fill: {color}" in use.attrib["style"] and "stroke" not in use.attrib["style"]:
                x, y = float(use.attrib["x"]), float(use.attrib["y"])
                corners.append({(x + dx, y + dy) for dx, dy in pieces(defined[use.attrib["href"][1:]])[0]})
        return corners

    def marks(self, index: int = 0) -> list[float]:
        """Where across a series is marked, the legend's mark last."""
        return [float(use.attrib["x"]) for use in self.root.iter("use") if COLORS[index] in use.attrib["style"]]


def pieces(path: ElementTree.Element) -> list[list[tuple[float, float]]]:
    texts = path.attrib["d"].split("M")[1:]
    numbers = [[float(number) for number in re.findall(r"-?[\d.]+", text)] for text in texts]
    return [list(zip(each[::2], each[1::2], strict=True)) for each in numbers]


def chart(series: Sequence[Series], **options: Any) -> Drawn:
    return Drawn(line_chart(series, x_label="steps", y_label="nats", **options))


def test_points_stand_at_their_values_and_say_them() -> None:
    drawn = chart([Series("loss", [0, 1, 4], [2.0, 3.0, 1.0], [1.5, 2.5, 0.5], [2.5, 3.5, 12345.6])])
    assert drawn.titles == [
        "loss: x = 0, y = 2 (1.5 to 2.5)",
        "loss: x = 1, y = 3 (2.5 to 3.5)",
        "loss: x = 4, y = 1 (0.5 to 12,346)",
    ]
    (x0, y0), (x1, y1), (x4, y4) = drawn.targets
    assert x1 > x0 and (x4 - x0) == pytest.approx(4 * (x1 - x0), abs=4 * ROUNDING)
    assert y1 < y0 < y4 and (y4 - y0) == pytest.approx(y0 - y1, abs=ROUNDING)  # upwards is less
    assert drawn.lines(COLORS[0]) == [[drawn.targets]]
    assert {"steps", "nats"} <= set(drawn.texts)


def test_band_reaches_from_low_to_high() -> None:
    drawn = chart([Series("loss", [0, 1], [2.0, 3.0], [1.0, 2.0], [3.0, 4.0])])
    (band,) = drawn.areas(COLORS[0])
    (x0, y0), (x1, y1) = drawn.targets
    unit = y0 - y1
    for corner in ((x0, y0 + unit), (x0, y0 - unit), (x1, y1 + unit), (x1, y1 - unit)):
        assert min(math.dist(corner, drawn_corner) for drawn_corner in band) < ROUNDING
    assert len(band) == 4


def test_what_is_not_finite_leaves_a_gap() -> None:
    drawn = chart([Series("loss", [0, 1, 2, 3, 4, NAN, 6], [1, 2, NAN, 4, INF, 5, 6], [0] * 7, [NAN] * 7)])
    assert drawn.titles == [f"loss: x = {x}, y = {y} (0 to –)" for x, y in ((0, 1), (1, 2), (3, 4), (6, 6))]
    (found,) = drawn.lines(COLORS[0])
    assert [piece for piece in found if len(piece) > 1] == [drawn.targets[:2]]


def test_logarithmic_axes_have_gaps_at_zero_and_plain_labels() -> None:
    series = [Series("bias", [0, 1, 10, 1000, 10000], [1, 1e-3, 1e-2, -1, 10], [-1] * 5, [20] * 5)]
    drawn = chart(series, log_x=True, log_y=True)
    assert [title and title.split(" (")[0] for title in drawn.titles] == [
        "bias: x = 1, y = 0.001",
        "bias: x = 10, y = 0.01",
        "bias: x = 10,000, y = 10",
    ]
    (x0, y0), (x1, y1), (x4, y4) = drawn.targets
    assert x4 - x0 == pytest.approx(4 * (x1 - x0), abs=4 * ROUNDING)
    assert y0 - y4 == pytest.approx(4 * (y0 - y1), abs=4 * ROUNDING)
    assert {"1", "100", "10,000", "0.001", "0.1", "10"} <= set(drawn.texts)
    assert not any("$" in (text or "") for text in drawn.texts)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(
    ("values", "finite", "above"),
    [
        ([0.0, 0.0, 0.0], 3, 0),
        ([-1.0, -2.0, -1e-300], 3, 0),
        ([NAN, NAN, NAN], 0, 0),
        ([INF, -INF, INF], 0, 0),
        ([1.7e308, 1.7e308, -1.7e308], 0, 0),  # beyond what matplotlib can put margins around
        ([0.0, -1.0, 5.0], 3, 1),
        ([NAN, 1e-9, INF], 1, 1),
        ([1e-300, 1.0, 1e199], 3, 3),
        ([5e-324, 5e-324, 5e-324], 3, 3),
        ([2.0], 1, 1),
        ([0.0], 1, 0),
        ([], 0, 0),
    ],
)
def test_any_values_on_any_axes(values: list[float], finite: int, above: int, both: bool) -> None:
    places = [float(at + 1) for at in range(len(values))]
    for low, high in ((None, None), ([-1.0] * len(values), [INF] * len(values))):
        upwards = chart([Series("a", places, values, low, high)], log_y=True, log_x=both)
        assert len(upwards.targets) == above and ("no data" in upwards.texts) == (not above)
    across = chart([Series("a", values, places)], log_x=both, log_y=True, diagonal=True)
    assert len(across.targets) == (above if both else finite)


def test_less_than_two_decades_are_labeled_between() -> None:
    drawn = chart([Series("bias", [1, 2, 16], [0.3, 0.2, 0.1])], log_x=True)
    assert {"1", "2", "10"} <= set(drawn.texts)


def test_long_lines_keep_their_points_and_thin_their_tooltips() -> None:
    zigzag = [float(at % 2) for at in range(1001)]  # nothing that a line could be simplified by
    drawn = chart([Series("loss", range(1001), zigzag)])
    assert len(drawn.titles) == len(drawn.targets) == 200
    assert (drawn.titles[0], drawn.titles[-1]) == ("loss: x = 0, y = 0", "loss: x = 1000, y = 0")
    ((piece,),) = drawn.lines(COLORS[0])
    assert len(set(piece)) == 1001 and piece[0] == drawn.targets[0] and piece[-1] == drawn.targets[-1]
    assert len(chart([Series("loss", range(200), zigzag[:200])]).titles) == 200


def test_every_point_of_a_short_line_is_marked_and_some_of_long_ones() -> None:
    short = chart([Series("a", range(40), range(40))])
    assert short.marks() == [x for x, _ in short.targets]
    assert chart([Series("a", range(41), range(41))]).marks() == []
    both = chart([Series("a", range(80), range(80)), Series("b", range(80), range(80))])
    xs = [x for x, _ in both.targets[:80]]
    assert both.marks(0)[:-1] == xs[0::10]
    assert both.marks(1)[:-1] == xs[3::10]


def test_marks_can_be_forced_and_forbidden() -> None:
    series = [Series("a", range(60), range(60)), Series("b", range(60), range(60))]
    assert len(chart(series, markers=True).marks(1)) == 61
    plain = chart(series, markers=False)
    assert plain.marks(0) == plain.marks(1) == []
    assert len(plain.lines(COLORS[0])) == len(plain.lines(COLORS[1], dashed=True)) == 1


def test_points_between_gaps_are_marked_even_on_plain_lines() -> None:
    values = [0.0, NAN, 2.0, NAN, 4.0, 5.0, NAN, 7.0]
    drawn = chart([Series("a", range(8), values)], markers=False)
    xs = [x for x, _ in drawn.targets]
    assert drawn.marks() == [xs[0], xs[1], xs[4]]
    assert len(chart([Series("a", [3], [4])], markers=False).marks()) == 1


def test_colors_repeat_with_dashes() -> None:
    count = len(COLORS)
    drawn = chart([Series(f"line {at}", [0, 1], [at, at + 1]) for at in range(count + 1)])
    assert drawn.lines(COLORS[0]) == [[drawn.targets[:2]]]
    assert drawn.lines(COLORS[0], dashed=True) == [[drawn.targets[2 * count :]]]
    assert not drawn.lines(COLORS[1], dashed=True)


@pytest.mark.parametrize("log", [False, True])
def test_diagonal_is_where_both_are_equal(log: bool) -> None:
    drawn = chart([Series("a", [0.1, 0.5, 1.0], [0.1, 0.2, 1.0])], diagonal=True, log_x=log)
    (((first, *_, last),),) = drawn.lines("currentColor", dashed=True)
    assert math.dist(first, drawn.targets[0]) < ROUNDING and math.dist(last, drawn.targets[2]) < ROUNDING
    assert {"y = x", "a"} <= set(drawn.texts)


def test_diagonal_spans_the_values_of_both_axes() -> None:
    drawn = chart([Series("a", [0, 1], [4, 2])], diagonal=True)
    (((first, *_, last),),) = drawn.lines("currentColor", dashed=True)
    (x0, y4), (x1, y2) = drawn.targets
    unit = (y2 - y4) / 2
    assert first == pytest.approx((x0, y4 + 4 * unit), abs=4 * ROUNDING)
    assert last == pytest.approx((x0 + 4 * (x1 - x0), y4), abs=4 * ROUNDING)


def test_diagonal_begins_above_zero_where_an_axis_is_logarithmic() -> None:
    drawn = chart([Series("a", [1, 100], [-5, 100])], diagonal=True, log_x=True)
    (((first, *_, last),),) = drawn.lines("currentColor", dashed=True)
    assert abs(first[0] - drawn.targets[0][0]) < ROUNDING and math.dist(last, drawn.targets[1]) < ROUNDING


def test_legend_tells_several_series_apart_and_names_stay_as_they_are() -> None:
    names = ["_hidden", "$x^2$ and $y$", "<b> & 'c'", "two\nlines\x00", "漢字", "n" * 70]
    drawn = chart([Series(name, [0, 1], [0, 1]) for name in names])
    shown = ["_hidden", "$x^2$ and $y$", "<b> & 'c'", "two lines\ufffd", "漢字", "n" * 59 + "…"]
    assert [text for text in drawn.texts if text in shown] == shown
    assert drawn.titles[-1] == f"{'n' * 70}: x = 1, y = 1"
    assert "alone" not in chart([Series("alone", [0, 1], [0, 1])]).texts


def test_chart_grows_with_its_legend() -> None:
    def height(count: int) -> float:
        series = [Series(f"{'name' * 12} {at}", [0, 1], [0, 1]) for at in range(count)]
        return float(chart(series).root.attrib["viewBox"].split()[3])

    assert height(1) == height(2) - 0.2 * 72 == height(5) - 4 * 0.2 * 72 == 4 * 72


@pytest.mark.parametrize("series", [[], [Series("a", [], [])], [Series("a", [1.0, NAN], [INF, 2.0])]])
def test_chart_without_data_says_so(series: list[Series]) -> None:
    drawn = chart(series, diagonal=True)
    assert sorted(filter(None, drawn.texts)) == ["nats", "no data", "steps"] and not drawn.targets
    assert "no data" in chart([Series("a", [1], [0])], log_y=True).texts


def test_empty_series_beside_others_is_only_named() -> None:
    drawn = chart([Series("none", [], []), Series("some", [0, 1], [0, 1])])
    assert {"none", "some"} <= set(drawn.texts) and len(drawn.titles) == 2


def test_charts_take_the_page_s_color_and_font_and_share_no_ids() -> None:
    charts = [line_chart([Series(name, [0, 1], [0, 1])], x_label="", y_label="") for name in ("a", "b")]
    ids = [set(re.findall(r' id="([^"]+)"', chart)) for chart in charts]
    references = [set(re.findall(r'(?:href="|url\()#([^")]+)', chart)) for chart in charts]
    assert ids == references and ids[0] and not ids[0] & ids[1]
    for chart in charts:
        assert "currentColor" in chart and "#010203" not in chart and "font-family" not in chart
        assert re.search(r"font-size: 9px", chart)
        assert not re.search("metadata|<style|matplotlib|<!--|<!DOCTYPE", chart)
        assert chart.startswith("<svg ") and not re.search(r"<svg[^>]* (width|height)=", chart)


def test_same_input_gives_the_same_characters_and_leaves_no_settings_behind() -> None:
    series = [Series("a", [0, 1], [0, 1])]
    once = line_chart(series, x_label="x", y_label="y")
    with matplotlib.rc_context({"axes.linewidth": 5, "axes.titlesize": 30, "font.size": 30}):
        before = dict(matplotlib.rcParams)
        assert line_chart(series, x_label="x", y_label="y") == once
        assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("paper", PAPERS)
def test_colors_can_be_seen_on_the_page(paper: str) -> None:
    def luminance(color: str) -> float:
        parts = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for color in COLORS:  # WCAG 2.2, 1.4.11: graphical objects have a contrast of at least 3
        darker, lighter = sorted((luminance(color), luminance(paper)))
        assert (lighter + 0.05) / (darker + 0.05) >= 3
    assert len(set(COLORS)) == len(COLORS)


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"y of 'a': expected the length of x, 2, got 1"):
        chart([Series("a", [0, 1], [0])])
    with pytest.raises(ValueError, match=r"high of 'a': expected the length of x, 2, got 3"):
        chart([Series("a", [0, 1], [0, 1], [0, 1], [0, 1, 2])])
    with pytest.raises(ValueError, match=r"low, high of 'a': expected both or neither, got one"):
        chart([Series("a", [0, 1], [0, 1], low=[0, 1])])

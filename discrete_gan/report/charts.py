"""Charts as SVG for the inside of a page: texts and axes take the page's color and font, points say their values.

The same input gives the same characters.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatter
from numpy.typing import NDArray

from discrete_gan.report.page import format_number
from discrete_gan.report.svg import INK, inline_svg, plain

# Okabe and Ito's colors for the color-blind, those that are too bright for white paper darkened: each has a contrast of
# at least 3 with white and with the dark page. https://jfly.uni-koeln.de/color/
COLORS = ("#0072b2", "#d55e00", "#00936b", "#c4699c", "#b98000", "#2f93cc", "#7f7f7f")
_MARKERS = "osD^vPX"
_DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))
_FEW = 40  # points of a line that are all marked
_SPARSE = 8  # marks on a longer line, to tell it from others
_TARGETS = 200  # points of a series that say their values
_LARGEST = 1e200  # matplotlib's margins around what is much larger overflow
_SETTINGS = {
    "axes.edgecolor": INK,
    "axes.formatter.useoffset": False,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "discrete_gan",
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "xtick.bottom": False,  # the grid says where the labels belong
    "xtick.color": INK,
    **{f"{axis}tick.{kind}.size": 0 for axis in "xy" for kind in ("major", "minor")},
    **{f"{axis}tick.{kind}.pad": 6 for axis in "xy" for kind in ("major", "minor")},  # labels of both on one line
    "ytick.color": INK,
    "ytick.left": False,
}

_CHARACTER = 0.6  # of the font's size across, on average

_Floats = NDArray[np.float64]


class Series(NamedTuple):
    """A line of a chart.

    Attributes:
        name: In the legend and beside each value.
        x: Where the points are, in order.
        y: Their values; what is not finite, or beyond 1e200, leaves a gap.
        low: Lower ends of the band around the line, with ``high`` or not at all.
        high: Upper ends.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None


def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
    diagonal: bool = False,
    markers: bool | None = None,
    size: tuple[float, float] = (7, 4),
) -> str:
    """Lines with bands, each told from the others by its color and by its marks or dashes.

    Every point has a tooltip with its values; of a line of more than 200 points, 200 have one.

    Args:
        series: What to draw. A point that is not finite, or not above 0 on a logarithmic axis, leaves a gap.
        x_label: Beside the axis across.
        y_label: Beside the axis upwards.
        log_x: A logarithmic axis across.
        log_y: A logarithmic axis upwards.
        diagonal: Draw y = x too, as in a reliability diagram.
        markers: Mark every point or none; if not given, every point of a short line and some of a long one.
        size: Width and height in inches, the legend's rows after the first aside; the page scales it.

    Returns:
        An SVG element; "no data" is written in it if there is no finite point.

    Raises:
        ValueError: If the lists of a series differ in length, or one end of its band is missing.
    """
    for each in series:
        _check_lengths(each.name, x=each.x, y=each.y, low=each.low, high=each.high)
    small = {"font.size": 10} if size[0] < 5 else {}  # which a page shows at their least
    with matplotlib.style.context(["default", _SETTINGS | small]):
        figure, axes = _start(size, x_label, y_label)
        points = [(_finite(each.x, above_zero=log_x), _finite(each.y, above_zero=log_y)) for each in series]
        present = [np.flatnonzero(np.isfinite(x) & np.isfinite(y)) for x, y in points]
        if not any(map(len, present)):
            return _no_data(figure, axes)
        if log_x:
            axes.set_xscale("log")
            _label_decades(axes.xaxis)
        if log_y:
            axes.set_yscale("log")
            _label_decades(axes.yaxis)
        entries, titles = [], {}
        for index, (each, (x, y), finite) in enumerate(zip(series, points, present, strict=True)):
            color = COLORS[index % len(COLORS)]
            if each.low is not None and each.high is not None:
                axes.fill_between(x, _finite(each.low), _finite(each.high), color=color, alpha=0.16, linewidth=0)
            style = _DASHES[(index if markers is False else index // len(COLORS)) % len(_DASHES)]
            marks = _marks(finite, markers, index if len(series) > 1 else None)
            marker = _MARKERS[index % len(_MARKERS)] if marks else ""  # the legend shows none either
            entries += axes.plot(x, y, color=color, linestyle=style, marker=marker, markevery=marks, label=each.name)
            targets = finite[_thinned(len(finite), _TARGETS)].tolist()
            axes.plot(x[targets], y[targets], "o", gid=f"points-{index}")
            titles[f"points-{index}"] = [_point_title(each, at) for at in targets]
        if diagonal:
            values = np.concatenate([xy[at] for both, at in zip(points, present, strict=True) for xy in both])
            entries += _draw_diagonal(axes, values, log=log_x or log_y)
        if len(entries) > 1:
            _add_legend(figure, entries)
        return inline_svg(figure, titles)


def _check_lengths(name: str, **lists: Sequence[object] | None) -> None:
    if (lists["low"] is None) != (lists["high"] is None):
        raise ValueError(f"low, high of {name!r}: expected both or neither, got one")
    (first, expected), *others = ((key, len(values)) for key, values in lists.items() if values is not None)
    for key, length in others:
        if length != expected:
            raise ValueError(f"{key} of {name!r}: expected the length of {first}, {expected}, got {length}")


def _finite(values: Sequence[float], *, above_zero: bool = False) -> _Floats:
    """NaN where a value is not finite, as good as infinite, or cannot stand on a logarithmic axis."""
    array = np.asarray(values, dtype=np.float64)
    return np.where((np.abs(array) < _LARGEST) & ((array > 0) | (not above_zero)), array, np.nan)


def _start(size: tuple[float, float], x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(plain(x_label))
    axes.set_ylabel(plain(y_label))
    axes.grid(visible=True)
    axes.set_axisbelow(True)
    return figure, axes


def _no_data(figure: Figure, axes: Axes) -> str:
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center")
    return inline_svg(figure, {})


class _PlainLogFormatter(LogFormatter):
    """Labels the same ticks as matplotlib does, without its mathematical typesetting."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return format_number(x) if super().__call__(x, pos) else ""


def _label_decades(axis: Axis) -> None:
    """Each power of ten, and where there are less than two of them, numbers between."""
    axis.set_major_formatter(_PlainLogFormatter())
    axis.set_minor_formatter(_PlainLogFormatter(minor_thresholds=(2, 0.5)))
    axis.grid(visible=True, which="minor", alpha=0.06)


def _thinned(count: int, most: int) -> NDArray[np.int64]:
    """At most so many of the indices below ``count``, evenly, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _marks(finite: NDArray[np.int64], markers: bool | None, place: int | None) -> list[int]:
    """Indices of the points that get a mark.

    Args:
        finite: Indices of the points that are drawn.
        markers: As in :func:`line_chart`.
        place: Of the series among others, which shifts its marks against theirs; None if it is alone.
    """
    if markers or (markers is None and len(finite) <= _FEW):
        return finite.tolist()
    # a point between two gaps has no line to be seen by
    gaps = np.diff(finite, prepend=-2, append=finite[-1:] + 2) > 1 if len(finite) else np.array([False])
    marked = set(finite[gaps[:-1] & gaps[1:]].tolist())
    if markers is None and place is not None:
        step = math.ceil(len(finite) / _SPARSE)
        marked |= set(finite[place * step // 3 % step :: step].tolist())
    return sorted(marked)


def _draw_diagonal(axes: Axes, values: _Floats, *, log: bool) -> list[Line2D]:
    """Y = x over the range of all values, a curve if only one axis is logarithmic."""
    drawn = values[values > 0] if log else values
    if not len(drawn):
        return []
    at = np.linspace(drawn.min(), drawn.max(), 200)
    return axes.plot(at, at, color=INK, alpha=0.6, linewidth=1, linestyle=_DASHES[1], zorder=1, label="y = x")


def _add_legend(figure: Figure, entries: Sequence[Line2D]) -> None:
    """Above the axes, where it hides no point; the figure grows by its rows after the first."""
    names = [_shortened(str(entry.get_label()), 60) for entry in entries]
    character = _CHARACTER * matplotlib.rcParams["font.size"]
    columns = int(72 * figure.get_figwidth() / (40 + character * max(map(len, names))))
    columns = min(max(columns, 1), len(names))
    figure.set_figheight(figure.get_figheight() + 0.2 * (math.ceil(len(names) / columns) - 1))
    figure.legend(
        entries, names, loc="outside upper left", ncols=columns, frameon=False, columnspacing=1.5, handlelength=3
    )


def _point_title(series: Series, at: int) -> str:
    x, y = format_number(series.x[at]), _value(series, at)
    return f"{series.name}: x = {x}, y = {y}"


def _value(series: Series, at: int) -> str:
    value = format_number(series.y[at])
    if series.low is None or series.high is None:
        return value
    return f"{value} ({format_number(series.low[at])} to {format_number(series.high[at])})"


def _shortened(text: str, most: int) -> str:
    text = plain(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"

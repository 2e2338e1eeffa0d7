"""Curves of quality against diversity over temperatures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure


class Axis(NamedTuple):
    """A score as an axis of a picture.

    Attributes:
        name: Of the score.
        label: What to write beside the axis.
    """

    name: str
    label: str


def save_temperature_curves(
    path: Path,
    curves: Mapping[str, Sequence[Mapping[str, float]]],
    axes: tuple[Axis, Axis],
    *,
    real: Mapping[str, float] | None = None,
    title: str = "",
) -> None:
    """One curve per generator, one point per temperature, without those that have no finite value of a score.

    Args:
        path: Picture to write.
        curves: By the generator's name, scores at rising temperatures, ``temperature`` among them.
        axes: Scores across and upwards.
        real: The same scores of real text, drawn as a star.
        title: Of the picture.
    """
    figure = Figure(figsize=(7, 5), layout="constrained")
    plot = figure.add_subplot()
    across, upward = axes
    for name, points in curves.items():
        drawn = [point for point in points if _has_place(point, axes)]
        xs, ys = ([point[axis.name] for point in drawn] for axis in axes)
        (line,) = plot.plot(xs, ys, marker="o", label=name)
        for x, y, point in zip(xs, ys, drawn, strict=True):
            plot.annotate(
                f"{point['temperature']:g}",
                (x, y),
                textcoords="offset points",
                xytext=(5, 5),
                fontsize=8,
                color=line.get_color(),
            )
    if real is not None and _has_place(real, axes):
        plot.plot(real[across.name], real[upward.name], "k*", markersize=12, label="real text")
    plot.set_xlabel(across.label)
    plot.set_ylabel(upward.label)
    plot.set_title(title, fontsize=8)
    plot.grid(alpha=0.3)
    if plot.lines:
        plot.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def _has_place(scores: Mapping[str, float], axes: Sequence[Axis]) -> bool:
    values = [scores.get(axis.name) for axis in axes]
    return all(value is not None and math.isfinite(value) for value in values)

"""Curves of quality against diversity over temperatures."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from discrete_gan.tasks.score import Score
from discrete_gan.writing import write_aside


def save_temperature_curves(
    path: Path, curves: Mapping[str, Sequence[tuple[float, Sequence[Score]]]], axes: tuple[str, str]
) -> None:
    """One curve per generator, one point per temperature, without those that have no finite value of a score.

    Args:
        path: Picture to write.
        curves: By the generator's name, temperatures as they rise, each with its scores; what real data get of both
            axes' scores is drawn as a star.
        axes: Names of the scores across and upwards.
    """
    with matplotlib.rc_context({"text.parse_math": False}):  # a dollar in a name is a dollar
        figure = _draw(curves, axes)
        write_aside(path, lambda file: figure.savefig(file, format="png", dpi=120))


def _draw(curves: Mapping[str, Sequence[tuple[float, Sequence[Score]]]], axes: tuple[str, str]) -> Figure:
    figure = Figure(figsize=(7, 5), layout="constrained")
    plot = figure.add_subplot()
    across, upward = axes
    described: dict[str, Score] = {}
    for name, points in curves.items():
        found = [(temperature, {score.name: score for score in scores}) for temperature, scores in points]
        drawn = [
            (temperature, scores[across], scores[upward])
            for temperature, scores in found
            if all(axis in scores and math.isfinite(scores[axis].value) for axis in axes)
        ]
        (line,) = plot.plot([x.value for _, x, _ in drawn], [y.value for _, _, y in drawn], marker="o", label=name)
        for temperature, x, y in drawn:
            described = {across: x, upward: y}
            plot.annotate(
                f"{temperature:g}",
                (x.value, y.value),
                textcoords="offset points",
                xytext=(5, 5),
                fontsize=8,
                color=line.get_color(),
            )
    real = [score.real for score in described.values() if score.real is not None]
    if len(real) == 2:
        plot.plot(real[:1], real[1:], "k*", markersize=12, label="real text")
    if described:
        plot.set_xlabel(_labeled(described[across]))
        plot.set_ylabel(_labeled(described[upward]))
        plot.set_title(f"numbers at the points are temperatures\n{described[upward].protocol}", fontsize=8)
    plot.grid(alpha=0.3)
    if plot.lines:
        plot.legend(fontsize=8)
    return figure


def _labeled(score: Score) -> str:
    unit = f", {score.unit}" if score.unit else ""
    return score.title + unit + (f" ({score.better} is better)" if score.better else "")

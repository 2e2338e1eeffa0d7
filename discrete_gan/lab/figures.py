"""Pictures of the lab's results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import ArrayLike, NDArray

from discrete_gan.lab.analysis import Analysis
from discrete_gan.lab.training import Curve

# Okabe and Ito's colors, told apart by color-blind readers too; markers tell the rounds apart.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKERS = ("o", "s", "^", "D", "v")
_DIVERGENCES = ("KL(data || g), nats", "KL(g || data), nats", "Jensen-Shannon, nats", "total variation")
_ROUNDING = 1e-10  # of what is enumerated: no larger figure is told from zero
_LARGEST = 1e200  # matplotlib's margins around what is much larger overflow


class _Line(NamedTuple):
    """Points of an estimator, NaN or None where there is none, with a band if both its ends are there. Shapes (N,)."""

    x: ArrayLike
    y: ArrayLike
    low: ArrayLike | None = None
    high: ArrayLike | None = None


def _styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    count = len(_COLORS)
    return {
        name: {"color": _COLORS[i % count], "marker": _MARKERS[i // count % len(_MARKERS)], "markersize": 4}
        for i, name in enumerate(names)
    }


def _draw(
    axes: Axes, lines: Mapping[str, _Line], styles: Mapping[str, dict[str, Any]], *, log_x: bool, log_y: bool
) -> None:
    """Draw what can be drawn, on axes that are logarithmic as far as there is anything to draw on them.

    What is not finite, or not above zero on a logarithmic axis, leaves a gap; matplotlib refuses to draw a logarithmic
    axis without anything above zero. Without a point at all the axes say so.
    """
    empty = True
    for name, line in lines.items():
        x, y = _drawable(line.x, log=log_x), _drawable(line.y, log=log_y)
        empty = empty and not np.isfinite(x + y).any()
        axes.plot(x, y, label=name, lw=1.2, **styles[name])
        if line.low is not None and line.high is not None:
            low, high = _drawable(line.low), _drawable(line.high)
            axes.fill_between(x, low, high, color=styles[name]["color"], alpha=0.12, lw=0)
    if empty:
        axes.text(0.5, 0.5, "nothing to draw", transform=axes.transAxes, ha="center", va="center", color="0.4")
        axes.tick_params(which="both", length=0, labelbottom=False, labelleft=False)
        return
    axes.grid(alpha=0.25)
    if log_x:
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter("{x:g}")
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")


def _drawable(values: ArrayLike, *, log: bool = False) -> NDArray[np.float64]:
    """NaN where a value has no place on the axis."""
    array = np.asarray(values, dtype=np.float64)  # None becomes NaN
    return np.where((np.abs(array) < _LARGEST) & ((array > 0) | (not log)), array, np.nan)


def save_analyses(path: Path, analyses: dict[str, list[Analysis]], *, title: str) -> None:
    """Bias, variance and mean squared error against M and against discriminator evaluations, as a PNG.

    A bias that is zero, or within two standard errors of it, has no place on a logarithmic axis and is not drawn.

    Args:
        path: File to write.
        analyses: Of one problem, over M, under the name of each estimator.
        title: Line above all.
    """
    figure = Figure(figsize=(14, 8), dpi=110, layout="constrained")
    figure.suptitle(f"{title}; each estimator beside the exact gradient of its own target", fontsize=11)
    panels = figure.subplots(2, 3, sharey="col", sharex="row")
    columns = {
        "bias": "length of the bias / length of the gradient",
        "variance": "variance / squared length of the gradient",
        "mse": "mean squared error / squared length",
    }
    rows = {"num_samples": "M", "evaluations": "discriminator evaluations per latent"}
    styles = _styles(list(analyses))
    for row, (x_name, x_label) in zip(panels, rows.items(), strict=True):
        for axes, (y_name, y_label) in zip(row, columns.items(), strict=True):
            lines = {
                name: _Line([getattr(each, x_name) for each in found], [_told(each, y_name) for each in found])
                for name, found in analyses.items()
            }
            axes.set(xlabel=x_label, ylabel=y_label)
            _draw(axes, lines, styles, log_x=True, log_y=True)
            if axes.get_yscale() == "log":
                axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    panels[0][0].set_title("not drawn within two standard errors of zero", fontsize=9)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _told(analysis: Analysis, name: str) -> float:
    """A figure, or zero where it is rounding, or a bias that two standard errors do not tell from zero."""
    value = getattr(analysis, name)
    within = name == "bias" and value <= 2 * analysis.bias_error
    return 0.0 if within or value <= _ROUNDING else value


def save_curves(
    path: Path, curves: dict[str, list[Curve]], mode_names: Sequence[str], data_mass: Sequence[float]
) -> None:
    """Exact divergences and the mass on each mode against steps, as a PNG: mean and range over seeds.

    Args:
        path: File to write.
        curves: One for each seed, under the name of each estimator.
        mode_names: Of the problem.
        data_mass: Probability of each mode under the data, drawn as a dashed line.
    """
    panels = [*_DIVERGENCES, *(f"mass on {name!r}" for name in mode_names[:8])]
    num_columns = 4
    num_rows = -(-len(panels) // num_columns)
    figure = Figure(figsize=(15, 3.4 * num_rows), dpi=110, layout="constrained")
    grid = figure.subplots(num_rows, num_columns, squeeze=False)
    styles = _styles(list(curves))
    for index, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
        is_mode = index >= len(_DIVERGENCES)
        lines = {}
        for name, runs in curves.items():
            values = torch.stack([torch.cat([run.divergences, run.mode_mass], dim=1)[:, index] for run in runs])
            steps, band = runs[0].steps, (values.amin(dim=0), values.amax(dim=0)) if len(runs) > 1 else ()
            styles[name]["markevery"] = max(1, len(steps) // 6)
            lines[name] = _Line(steps, values.mean(dim=0), *band)
        _draw(axes, lines, styles, log_x=False, log_y=not is_mode)
        if is_mode:
            axes.axhline(data_mass[index - len(_DIVERGENCES)], ls="--", color="0.4", lw=1)
        axes.set(title=panel, xlabel="step")
        axes.title.set_size(10)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)

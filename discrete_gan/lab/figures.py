"""Pictures of the lab's results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from discrete_gan.lab.analysis import Analysis
from discrete_gan.lab.training import Curve

# Okabe and Ito's colors, told apart by color-blind readers too; markers tell the rounds apart.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKERS = ("o", "s", "^", "D", "v")
_DIVERGENCES = ("KL(data || g), nats", "KL(g || data), nats", "Jensen-Shannon, nats", "total variation")


def _styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    count = len(_COLORS)
    return {
        name: {"color": _COLORS[i % count], "marker": _MARKERS[i // count % len(_MARKERS)], "markersize": 4}
        for i, name in enumerate(names)
    }


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
    rows = {"num_samples": "M", "evaluations": "discriminator evaluations a latent"}
    styles = _styles(list(analyses))
    for row, (x_name, x_label) in zip(panels, rows.items(), strict=True):
        for axes, (y_name, y_label) in zip(row, columns.items(), strict=True):
            for name, found in analyses.items():
                drawn = [each for each in found if getattr(each, x_name) and getattr(each, y_name) > 1e-10]
                if y_name == "bias":
                    drawn = [each for each in drawn if each.bias > 2 * each.bias_error]
                x, y = [getattr(each, x_name) for each in drawn], [getattr(each, y_name) for each in drawn]
                axes.plot(x, y, label=name, lw=1.2, **styles[name])
            axes.set(yscale="log", xlabel=x_label, ylabel=y_label)
            axes.set_xscale("log", base=2)
            for which in (
                axes.xaxis.set_major_formatter,
                axes.yaxis.set_major_formatter,
                axes.yaxis.set_minor_formatter,
            ):
                which("{x:g}")
            axes.grid(alpha=0.25)
            axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    panels[0][0].set_title("not drawn within two standard errors of zero", fontsize=9)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


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
        for name, runs in curves.items():
            values = torch.stack([torch.cat([run.divergences, run.mode_mass], dim=1)[:, index] for run in runs])
            steps = runs[0].steps
            style = {**styles[name], "markevery": max(1, len(steps) // 6)}
            axes.plot(steps, values.mean(dim=0), label=name, lw=1.2, **style)
            if len(runs) > 1:
                low, high = values.amin(dim=0), values.amax(dim=0)
                axes.fill_between(steps, low, high, color=style["color"], alpha=0.12, lw=0)
        if is_mode:
            axes.axhline(data_mass[index - len(_DIVERGENCES)], ls="--", color="0.4", lw=1)
        axes.set(title=panel, xlabel="step", yscale="linear" if is_mode else "log")
        axes.title.set_size(10)
        for which in () if is_mode else (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            which("{x:g}")
        axes.grid(alpha=0.25)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_axis_off()
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)

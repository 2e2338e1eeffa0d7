"""Marginals and pairs of a table's columns, generated beside real, as one picture."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from discrete_gan.data.table_schema import NUMERIC, Column, Schema
from discrete_gan.data.table_values import from_numbers
from discrete_gan.writing import write_aside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ABREAST = 4  # columns of the table beside each other
_MOST_PICTURED = 40  # columns of the table
_MOST_BARS = 20  # categories, the others joined
_MOST_NAMED, _LONGEST = 6, 9  # bars whose values are named, and characters of a name
_COLORS = ("#0072b2", "#d55e00")
_DOWN, _MAP = 1.9, 4.5  # inches of a row of charts, and of the maps of pairs


def write_marginals(path: Path, schema: Schema, real: Tensor, generated: Tensor) -> Path:
    """Write a chart for each column, of the share of each category, or of parts of the range of a number, and two maps.

    The maps show how far columns tell of each other, :func:`associations`, in real rows and in generated ones.

    Args:
        path: A PNG.
        schema: Of the columns; the first 40 that are learnt are pictured.
        real: Categories, shape (N, D).
        generated: Categories, shape (N', D).
    """
    from matplotlib.figure import Figure

    columns = schema.learnt[:_MOST_PICTURED]
    down = math.ceil(len(columns) / _ABREAST)
    figure = Figure(figsize=(3 * _ABREAST, _DOWN * down + _MAP), layout="constrained")
    parts: Any = figure.subfigures(2, height_ratios=(_DOWN * down, _MAP))
    above, below = parts
    sides = [
        torch.stack([_grouped(side[:, d], column) for d, column in enumerate(columns)], dim=1)
        for side in (real, generated)
    ]
    axes = above.subplots(down, _ABREAST, squeeze=False).flatten()
    for index, (column, axis) in enumerate(zip(columns, axes, strict=False)):
        shares = [(side[:, index].bincount(minlength=_bars(column)) / len(side)).tolist() for side in sides]
        for shift, share, color, label in zip((-0.2, 0.2), shares, _COLORS, ("real", "generated"), strict=True):
            axis.bar([place + shift for place in range(len(share))], share, width=0.4, color=color, label=label)
        axis.set_title(column.name, fontsize=8, parse_math=False)
        ticks = _ticks(column)
        axis.set_xticks(list(ticks), list(ticks.values()), fontsize=6, parse_math=False)
        axis.tick_params(labelsize=6)
    for axis in axes[len(columns) :]:
        axis.set_axis_off()
    above.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    maps = below.subplots(1, 2)
    for axis, side, label in zip(maps, sides, ("real", "generated"), strict=True):
        _map(axis, associations(side, [_bars(column) for column in columns]), [column.name for column in columns])
        axis.set_title(f"{label} pairs of columns: Cramer's V, 1 where one decides the other", fontsize=8)
    below.colorbar(maps[0].images[0], ax=list(maps), shrink=0.8).ax.tick_params(labelsize=6)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_aside(path, lambda file: file.write(picture.getvalue()))
    return path


def associations(x: Tensor, sizes: Sequence[int]) -> Tensor:
    r"""Cramer's V of each pair of columns: 0 for independent ones, 1 where one decides the other, 1 with itself.

    .. math:: V^2 = \frac{\chi^2 / N}{\min(K, K') - 1}

    Of columns with at most one value among the rows it is 0.

    Args:
        x: Categories, int64, shape (N, D).
        sizes: Categories of each column.

    Returns:
        Shape (D, D), float64.

    Reference:
        Mathematical Methods of Statistics (Cramer, 1946), section 21.9
    """
    num = len(sizes)
    found = torch.zeros(num, num, dtype=torch.float64)
    for i in range(num):
        for j in range(i + 1):
            table = (x[:, i] * sizes[j] + x[:, j]).bincount(minlength=sizes[i] * sizes[j]).view(sizes[i], sizes[j])
            table = table[table.sum(dim=1) > 0][:, table.sum(dim=0) > 0].double() / len(x)
            least = min(table.shape) - 1
            if least > 0:
                expected = table.sum(dim=1, keepdim=True) * table.sum(dim=0, keepdim=True)
                found[i, j] = found[j, i] = ((table - expected).square() / expected).sum().div(least).sqrt()
    return found


def _map(axis: "Axes", values: Tensor, names: Sequence[str]) -> None:
    axis.imshow(values.numpy(), vmin=0, vmax=1, cmap="viridis")
    size = max(3, min(7, 120 // len(names)))
    axis.set_xticks(range(len(names)), names, rotation=90, fontsize=size, parse_math=False)
    axis.set_yticks(range(len(names)), names, fontsize=size, parse_math=False)


def _ticks(column: Column) -> dict[int, str]:
    """What stands below a chart: the values of few bars, the ends of a range, and where missing values are."""
    last = _bars(column) - 1
    ticks: dict[int, str] = {}
    if column.kind in NUMERIC:
        found = [*column.points, *(knots[end] for knots in column.bins for end in (0, -1))]
        ends = np.array([min(found), max(found)])
        named = from_numbers(ends, column.format).dt.strftime(column.format) if column.kind == "datetime" else ends
        texts = [str(end) if isinstance(end, str) else f"{end:.6g}" for end in named]
        # Beside that of missing values there is room for it further to the left only.
        apart = 0 if column.missing is None else max(1, last // 5)
        ticks = {0: texts[0], last - apart: texts[1]}
    elif column.size <= _MOST_NAMED:
        ticks = {place: _short(str(value)) for place, value in enumerate(column.values)}
    return ticks | ({last: "missing"} if column.missing is not None else {})


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _bars(column: Column) -> int:
    return min(column.size, _MOST_BARS)


def _grouped(indices: Tensor, column: Column) -> Tensor:
    """The bar of each category: itself, or its part of the range of a number, whose categories come in their order."""
    if column.kind in NUMERIC:
        starts = [*column.points, *(knots[0] for knots in column.bins)]
        order = sorted(range(len(starts)), key=starts.__getitem__) + list(range(len(starts), column.size))
        indices = indices.new_tensor(order).argsort()[indices] * _bars(column) // column.size
    return indices.clamp(max=_bars(column) - 1)

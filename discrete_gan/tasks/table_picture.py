"""Marginals of a table, generated beside real, as one picture."""

import io
import math
from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from discrete_gan.data.table_schema import NUMERIC, Column, Schema
from discrete_gan.writing import write_aside

_ABREAST = 4  # columns of the table beside each other
_MOST_PICTURED = 40  # columns of the table
_MOST_BARS = 20  # categories, the others joined
_COLORS = ("#0072b2", "#d55e00")


def write_marginals(path: Path, schema: Schema, real: Tensor, generated: Tensor) -> Path:
    """Write a chart for each column, of the share of each category, or of parts of the range of a number.

    Args:
        path: A PNG.
        schema: Of the columns; the first 40 that are learnt are pictured.
        real: Categories, shape (N, D).
        generated: Categories, shape (N', D).
    """
    columns = schema.learnt[:_MOST_PICTURED]
    across = min(_ABREAST, len(columns))
    down = math.ceil(len(columns) / across)
    figure = Figure(figsize=(3 * across, 1.9 * down))
    figure.subplots_adjust(0.06, 0.1 / down, 0.99, 1 - 0.2 / down, wspace=0.25, hspace=0.3)
    axes = figure.subplots(down, across, squeeze=False).flatten()
    for index, (column, axis) in enumerate(zip(columns, axes, strict=False)):
        shares = [_shares(side[:, index], column) for side in (real, generated)]
        for shift, share, color, label in zip((-0.2, 0.2), shares, _COLORS, ("real", "generated"), strict=True):
            axis.bar([place + shift for place in range(len(share))], share, width=0.4, color=color, label=label)
        axis.set_title(column.name, fontsize=8, parse_math=False)
        axis.set_xticks([])
        axis.tick_params(labelsize=6)
    for axis in axes[len(columns) :]:
        axis.set_axis_off()
    axes[0].legend(fontsize=6, frameon=False)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_aside(path, lambda file: file.write(picture.getvalue()))
    return path


def _shares(indices: Tensor, column: Column) -> list[float]:
    """The share of each bar: of a category, or of a number of categories in the order of their values."""
    if column.kind in NUMERIC:
        starts = [*column.points, *(knots[0] for knots in column.bins)]
        order = sorted(range(len(starts)), key=starts.__getitem__) + list(range(len(starts), column.size))
        place = indices.new_tensor(order).argsort()
        indices = place[indices]
    number = min(column.size, _MOST_BARS)
    if column.kind in NUMERIC:
        indices = indices * number // column.size
    return (indices.clamp(max=number - 1).bincount(minlength=number) / len(indices)).tolist()

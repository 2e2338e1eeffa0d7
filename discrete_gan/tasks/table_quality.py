"""How far the columns of two tables, and their pairs, are apart.

The distances are those of SDMetrics' quality report (version 0.25), so that figures compare with what is published; its
column shapes and pair trends are one minus them. The tests hold the two equal.
"""

import itertools
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas
from scipy.stats import ks_2samp

from discrete_gan.data.table_schema import NUMERIC, Schema

_DIGITS = sys.float_info.dig - 1  # of numbers that count as different


def shape_distance(real: Any, other: Any, schema: Schema) -> float:
    """Mean distance of the columns that are learnt, from 0 to 1; NaN if none has a value on both sides.

    Of numbers and dates the Kolmogorov-Smirnov distance of those that are there, else total variation, where missing is
    a category of its own.

    Args:
        real: A data frame.
        other: Another one with the same columns.
        schema: What they are.
    """
    found = []
    for column in schema.learnt:
        sides = [_cells(side, column) for side in (real, other)]
        if column.kind in NUMERIC:
            here, there = (side[~np.isnan(side)].round(_DIGITS) for side in sides)
            tested: Any = ks_2samp(here, there, method="asymp") if len(here) and len(there) else None
            found.append(np.nan if tested is None else float(tested.statistic))
        else:
            found.append(_variation(*_codes(*sides)))
    return _mean(found)


def trend_distance(real: Any, other: Any, schema: Schema) -> float:
    """Mean distance of the pairs of columns, from 0 to 1; NaN if there is none that has one.

    Of two numbers half the difference of their correlations, which a column without spread has not; of any others total
    variation of the table of their combinations, for which a number counts as one of ten bins between the least and the
    greatest of its own side.

    Args:
        real: A data frame.
        other: Another one with the same columns.
        schema: What they are.
    """
    columns = schema.learnt
    cells = [[_cells(side, column) for side in (real, other)] for column in columns]
    codes = [
        [_bins(side) for side in sides] if column.kind in NUMERIC else _codes(*sides)
        for column, sides in zip(columns, cells, strict=True)
    ]
    found = []
    for a, b in itertools.combinations(range(len(columns)), 2):
        if {columns[a].kind, columns[b].kind} <= set(NUMERIC):
            here, there = (_correlation(*sides) for sides in zip(cells[a], cells[b], strict=True))
            found.append(abs(here - there) / 2)
        else:
            size = 1 + max(int(side.max(initial=0)) for side in codes[b])
            found.append(_variation(*(x * size + y for x, y in zip(codes[a], codes[b], strict=True))))
    return _mean(found)


def _cells(frame: Any, column: Any) -> np.ndarray:
    """Numbers as floats, dates as nanoseconds, NaN where missing; else text, empty where missing."""
    cells = frame[column.name]
    if column.kind == "datetime":
        return cells.astype("int64").astype("float64").where(cells.notna()).to_numpy()
    if column.kind in NUMERIC:
        return cells.astype("float64").to_numpy()
    return cells.astype("object").where(cells.notna(), "").astype("str").to_numpy(dtype=object)


def _codes(real: np.ndarray, other: np.ndarray) -> list[np.ndarray]:
    """Categories of both sides as the same whole numbers."""
    codes = pandas.factorize(np.concatenate([real, other]))[0]
    return [codes[: len(real)], codes[len(real) :]]


def _bins(numbers: np.ndarray) -> np.ndarray:
    """The greatest has a bin of its own, with what is missing, as there."""
    there = numbers[~np.isnan(numbers)]
    return np.digitize(numbers, np.histogram_bin_edges(there)) if len(there) else np.zeros(len(numbers), dtype=int)


def _variation(real: np.ndarray, other: np.ndarray) -> float:
    """Total variation of whole numbers."""
    codes = _codes(real, other)
    size = 1 + max(int(side.max(initial=0)) for side in codes)
    shares = [np.bincount(side, minlength=size) / max(1, len(side)) for side in codes]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    there = ~(np.isnan(a) | np.isnan(b))
    # Asked of each column as a whole, missing values apart: rounding would make a spread of a constant one.
    if any(len(np.unique(side[~np.isnan(side)])) < 2 for side in (a, b)) or there.sum() < 2:
        return np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(a[there], b[there])[0, 1])


def _mean(distances: Iterable[float]) -> float:
    there = [each for each in distances if not np.isnan(each)]
    return float(np.mean(there)) if there else np.nan

r"""Numbers as categories: frequent single values apart, the others in bins at quantiles.

A number of a bin is drawn from a quantile function of few knots, linear between them, and not from what was in the bin.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_KNOTS = 5  # of a bin's quantile function
_FEWEST = 10  # numbers in a bin
_ALL_KEPT = 10  # different values, up to which each is a category however few there are
_REDRAWS = 8  # where a number of a bin would be a single value that has a category of its own


class Bins(NamedTuple):
    """Categories of a column of numbers: first the points, then the bins.

    Attributes:
        points: Single values, rising.
        knots: Of each bin its least value, the quantiles between, and its largest, rising from bin to bin.
    """

    points: tuple[float, ...]
    knots: tuple[tuple[float, ...], ...]


def fit_bins(values: np.ndarray, num_bins: int, step: float) -> Bins:
    """Categories for numbers.

    The number of bins is the one given, or less so that each has ten values or more. Where no more different values
    occur, or ten, each is a point. Else those are that have more than a bin would, and the others are cut into bins of
    about equally many.

    Args:
        values: Finite numbers, shape (N,), N at least 1.
        num_bins: Most bins.
        step: Distance of two neighbors as they are written, 1 of integers; 0 where there is no least one.
    """
    different, counts = np.unique(values, return_counts=True)
    num_bins = max(1, min(num_bins, len(values) // _FEWEST))
    if len(different) <= max(num_bins, _ALL_KEPT):
        return Bins(tuple(different.tolist()), ())
    is_point = counts * num_bins > len(values)
    rest, counts = different[~is_point], counts[~is_point]
    total = counts.sum()
    number = max(1, min(num_bins, int(total) // _FEWEST))
    middle = counts.cumsum() - counts / 2
    bin_of = np.unique((middle * number / total).astype(int), return_inverse=True)[1]
    knots = [_quantiles(rest[bin_of == index], counts[bin_of == index], step) for index in range(int(bin_of.max()) + 1)]
    return Bins(tuple(different[is_point].tolist()), tuple(knots))


def _quantiles(different: np.ndarray, counts: np.ndarray, step: float) -> tuple[float, ...]:
    """Knots of values that occur so often, each spread over a step around it."""
    place = np.concatenate([np.arange(count) + 0.5 for count in counts]) / counts.repeat(counts) - 0.5
    spread = different.repeat(counts) + step * place
    between = np.quantile(spread, np.linspace(0, 1, _KNOTS)[1:-1]).clip(different[0], different[-1])
    return (float(different[0]), *between.tolist(), float(different[-1]))


def encode_numbers(values: np.ndarray, bins: Bins) -> np.ndarray:
    """The category of each number, int64, shape (N,); of one that lies in no bin, the nearest."""
    points = np.array(bins.points)
    place = np.searchsorted(points, values).clip(max=max(0, len(points) - 1))
    starts, ends = (np.array([knots[end] for knots in bins.knots]) for end in (0, -1))
    if not bins.knots:  # all values are points: the nearest
        below = (place - 1).clip(min=0)
        return np.where(np.abs(values - points[below]) < np.abs(points[place] - values), below, place)
    category = len(points) + np.searchsorted((ends[:-1] + starts[1:]) / 2, values)
    return np.where(points[place] == values, place, category) if len(points) else category


def decode_numbers(categories: np.ndarray, bins: Bins, decimals: int | None, random: np.random.Generator) -> np.ndarray:
    """A number of each category, float64, shape (N,): the point itself, or a draw from the bin.

    Args:
        categories: From 0 to below the number of points and bins, shape (N,).
        bins: As they were fitted.
        decimals: Places after the point that numbers are rounded to; None for all there are.
        random: What is drawn with.
    """
    points = np.array(bins.points)
    values = np.zeros(len(categories))
    is_point = categories < len(points)
    values[is_point] = points[categories[is_point]]
    for index, knots in enumerate(bins.knots):
        here = np.flatnonzero(categories == len(points) + index)
        values[here] = _draw(knots, len(here), decimals, random)
        for _ in range(_REDRAWS):
            here = here[np.isin(values[here], points)]
            values[here] = _draw(knots, len(here), decimals, random)
        values[here[np.isin(values[here], points)]] = knots[0]
    return values


def _draw(knots: Sequence[float], num: int, decimals: int | None, random: np.random.Generator) -> np.ndarray:
    step = 0.0 if decimals is None else 10.0**-decimals
    widened = [knots[0] - step / 2, *knots[1:-1], knots[-1] + step / 2]
    drawn = np.interp(random.random(num), np.linspace(0, 1, len(knots)), widened)
    return drawn if decimals is None else drawn.round(decimals)

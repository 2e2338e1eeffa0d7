"""Functional dependencies of a table, such as a code and its name, and how many rows break them.

Reference:
    TANE: An Efficient Algorithm for Discovering Functional and Approximate Dependencies (Huhtala et al., 1999),
    https://doi.org/10.1093/comjnl/42.2.100, for those of one column
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan.data.table_schema import LISTED, Column

_MOST_COLUMNS = 60  # whose pairs are looked at: the first that have listed values
_MOST_CATEGORIES = 1000
_ROWS_OF_VALUE = 10  # rows of a value, on average, below which it may have one partner by chance


class Dependency(NamedTuple):
    """One column decides another one.

    Attributes:
        of: Position of the column that decides.
        on: Position of the other.
        partner: The category of the other for each of the first, -1 of one that no row has, int64, shape (K,).
    """

    of: int
    on: int
    partner: Tensor


def dependencies(rows: Tensor, columns: Sequence[Column]) -> list[Dependency]:
    """Those that hold in every row, between columns of single values.

    A column that is nearly an identifier decides all others, which says nothing: each value has to stand in ten rows on
    average.

    Args:
        rows: Categories, int64, shape (N, D).
        columns: Of which they are.
    """
    usable = [d for d, column in enumerate(columns) if _is_single(column) and column.size <= _MOST_CATEGORIES]
    found = []
    for of in usable[:_MOST_COLUMNS]:
        seen = rows[:, of].bincount(minlength=columns[of].size) > 0
        if seen.sum() < 2 or len(rows) < _ROWS_OF_VALUE * seen.sum():
            continue
        for on in usable[:_MOST_COLUMNS]:
            size = columns[on].size
            pairs = (rows[:, of] * size + rows[:, on]).bincount(minlength=columns[of].size * size).view(-1, size) > 0
            if of != on and pairs.any(dim=0).sum() > 1 and (pairs.sum(dim=1) <= 1).all():
                found.append(Dependency(of, on, pairs.long().argmax(dim=1).where(seen, -1)))
    return found


def broken(rows: Tensor, held: Sequence[Dependency]) -> Tensor:
    """Which rows break one of them, bool, shape (N,): a value that no row of the data has breaks none.

    Args:
        rows: Categories, int64, shape (N, D).
        held: Of :func:`dependencies`.
    """
    breaks = torch.zeros(len(rows), dtype=torch.bool)
    for of, on, partner in held:
        expected = partner[rows[:, of]]
        breaks |= (expected >= 0) & (rows[:, on] != expected)
    return breaks


def _is_single(column: Column) -> bool:
    """Whether each of its categories is one value."""
    return not column.rare if column.kind in LISTED else not column.bins

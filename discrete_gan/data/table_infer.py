"""The schema of a table, found in its cells: what each column is, and its categories."""

import difflib
from typing import Any

import numpy as np
from msgspec.structs import replace

from discrete_gan.data.table_bins import fit_bins
from discrete_gan.data.table_files import RawTable
from discrete_gan.data.table_schema import NUMERIC, Column, Kind, Rare, Schema, TableReading
from discrete_gan.data.table_values import (
    are_integers,
    as_numbers,
    date_format,
    decimals_of,
    is_code,
    required_numbers,
)
from discrete_gan.errors import InputError

_TRUTHS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"}, {"0", "1"})
_MOST_OUTSIDE = 0.01  # of the rows, beyond what a schema has
_FEWEST = 20  # rows, below which values that are all different say nothing


def infer_schema(table: RawTable, reading: TableReading) -> Schema:
    """What the columns are: as far as a schema says it, and the rest by their cells.

    Text that is all numbers becomes integers or real numbers, that is all dates a date, and any other text categories.
    A column of one value is a constant. One of text that is all different, or of integers that count up, is an
    identifier, of 20 rows or more.

    Raises:
        InputError: If an option names no column, no column is left, or a column is all missing, mixed, or does not fit
            the schema: one line that names the row and column.
    """
    names = list(table.frame.columns)
    for option in ("drop", "categorical", "keep"):
        for name in getattr(reading, option):
            _find(name, names, f"{table.where}: {option}")
    known = {column.name: column for column in reading.schema.columns} if reading.schema else {}
    for name in known:
        _find(name, names, f"{table.where}: the schema")
    wanted = [*known] if reading.schema else names
    columns = [_column(table, name, known.get(name), reading) for name in wanted if name not in reading.drop]
    schema = Schema(tuple(columns), table.header, table.separator)
    if not schema.learnt:
        raise InputError(f"{table.where}: expected columns to learn, found only constants and identifiers")
    return schema


def _find(name: str, names: list[str], where: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"{where}: no column {name!r}: {hint}expected one of {', '.join(names)}")


def _column(table: RawTable, name: str, known: Column | None, reading: TableReading) -> Column:
    """A column with its categories; what is known of it stays."""
    cells = table.frame[name].dropna()
    if not len(cells):
        raise InputError(f"{table.where}: column {name!r}: all {len(table.frame)} values are missing, expected some")
    if known is None:
        kind, form = _kind(table, name, reading)
        known = Column(name, kind, format=form)
    if known.missing is None and name in table.missing:
        known = replace(known, missing=table.missing[name])
    if known.kind == "datetime" and not known.format:
        known = replace(known, format=date_format(table, name) or _no_date(table, name))
    if known.kind in NUMERIC:
        return _with_bins(table, known, reading)
    if known.kind == "constant":
        _check_constant(table, name, cells)
    if known.kind == "identifier" or known.values:
        return known
    return _with_values(table, known, reading)


def _check_constant(table: RawTable, name: str, cells: Any) -> None:
    other = (cells != cells.iloc[0]).to_numpy()
    if other.any():
        row = int(cells.index[int(other.argmax())])
        raise InputError(
            f"{table.at(row, name)}: expected {cells.iloc[0]!r} in all rows, as a constant, found {cells[row]!r}"
        )


def _no_date(table: RawTable, name: str) -> str:
    raise InputError(f"{table.where}: column {name!r}: expected the format of its dates in the schema")


def _kind(table: RawTable, name: str, reading: TableReading) -> tuple[Kind, str]:
    """What a column is, and the format of dates."""
    cells = table.frame[name].dropna()
    if cells.dtype.kind == "O":
        _check_types(table, name)
    number = cells.nunique()
    if number == 1 and name not in table.missing:
        return "constant", ""
    if name in reading.categorical:
        return "categorical", ""
    if cells.dtype.name == "category":
        return ("ordinal" if cells.dtype.ordered else "categorical"), ""
    if cells.dtype.kind == "b" or {str(value).lower() for value in cells.unique()[:3]} in _TRUTHS:
        return "boolean", ""
    all_different = number == len(cells) >= _FEWEST and name not in reading.keep
    if cells.dtype.kind == "M":
        return "datetime", date_format(table, name)
    numbers = None
    if table.is_text or cells.dtype.kind in "iuf":
        if table.is_text and is_code(cells):
            return ("identifier" if all_different else "categorical"), ""
        numbers = as_numbers(table, name)
    if numbers is None:
        if form := date_format(table, name):
            return "datetime", form
        return ("identifier" if all_different else "categorical"), ""
    if not are_integers(numbers, cells, is_text=table.is_text) or (
        cells.dtype.kind == "f" and name not in table.missing
    ):
        return "real", ""
    counts_up = len(numbers) > 1 and (numbers.max() - numbers.min() < 2 * len(numbers) or (np.diff(numbers) > 0).all())
    return ("identifier" if all_different and counts_up else "integer"), ""


def _check_types(table: RawTable, name: str) -> None:
    """Refuse a column of Python objects of several types, or of none that is a value."""
    cells = table.frame[name].dropna()
    kinds = cells.map(type)
    common = kinds.mode()[0]
    other = (kinds != common).to_numpy()
    if other.any():
        row = int(cells.index[int(other.argmax())])
        told = f"expected {common.__name__}, as in other rows, found {type(cells[row]).__name__} {cells[row]!r}"
        raise InputError(f"{table.at(row, name)}: {told}")
    if common not in (str, bool, int, float):
        told = f"expected text, numbers, booleans or dates, found {common.__name__}"
        raise InputError(f"{table.where}: column {name!r}: {told}")


def _with_bins(table: RawTable, column: Column, reading: TableReading) -> Column:
    cells = table.frame[column.name].dropna()
    numbers = required_numbers(table, column)
    if column.kind == "real" and column.decimals is None and not column.bins:
        found = decimals_of(cells, is_text=table.is_text)
        column = replace(column, decimals=found.decimals, padded=found.padded)
    if column.points or column.bins:
        _check_in_range(table, column, numbers)
        return column
    step = 0.0 if column.decimals is None and column.kind == "real" else 10.0 ** -(column.decimals or 0)
    bins = fit_bins(numbers, reading.num_bins, step)
    return replace(column, points=bins.points, bins=bins.knots)


def _check_in_range(table: RawTable, column: Column, numbers: np.ndarray) -> None:
    """Refuse a schema whose points and bins do not reach over the data; a few values beyond go to the nearest."""
    found = [*column.points, *(knots[end] for knots in column.bins for end in (0, -1))]
    outside = (numbers < min(found)) | (numbers > max(found))
    if outside.mean() > _MOST_OUTSIDE:
        row = int(table.frame[column.name].dropna().index[int(outside.argmax())])
        told = f"expected values from {min(found):g} to {max(found):g}, as the schema's points and bins have"
        others = f", and in {outside.sum() - 1:,} other rows" if outside.sum() > 1 else ""
        raise InputError(f"{table.at(row, column.name)}: {told}, found {table.frame[column.name][row]!r}{others}")


def _with_values(table: RawTable, column: Column, reading: TableReading) -> Column:
    """The values by their number of rows, the rare ones apart."""
    cells = table.frame[column.name].dropna()
    counts: dict[Any, int] = {_plain(value): int(count) for value, count in cells.value_counts().items()}
    order = sorted(counts, key=lambda value: (-counts[value], str(value)))
    if column.kind == "boolean":
        order = sorted(counts, key=str)
    if column.kind == "ordinal" and cells.dtype.name == "category":
        order = [value for value in map(_plain, cells.cat.categories) if counts[value]]
    rare = [value for value in order if counts[value] < reading.rare] if column.kind == "categorical" else []
    if len(rare) < 2:
        rare = []
    kept = tuple(value for value in order if value not in set(rare) and counts[value])
    return replace(column, values=kept, rare=tuple(Rare(value, counts[value]) for value in rare))


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return value.item() if isinstance(value, np.generic) else value

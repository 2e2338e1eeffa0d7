"""Columns of cells as values of a kind: numbers, dates and text, and back as they are written."""

import re
from typing import Any, NamedTuple

import numpy as np

from discrete_gan.data.extras import require
from discrete_gan.data.table_files import RawTable
from discrete_gan.data.table_schema import Column
from discrete_gan.errors import InputError

FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%H:%M:%S",
    "%H:%M",
)
"""Date and time that are found in text, the first one first that fits all cells."""
_COMMA = r"\s*[-+]?\d+,\d+\s*"
_MOSTLY = 0.9  # numbers of a column, above which the others are taken for mistakes
_MOST_DECIMALS = 12
_NEEDED = 0.95
_LOOKED_AT = 10_000  # different values whose decimals are counted
_LARGEST = 2.0**53  # integers that a float holds
_EPOCH = "1970-01-01"


class Decimals(NamedTuple):
    """How real numbers are written: as in :class:`Column`."""

    decimals: int | None
    padded: bool


def as_numbers(table: RawTable, name: str) -> np.ndarray | None:
    """The cells of a column that are there as numbers, float64; None if it holds text.

    Raises:
        InputError: If nearly all cells are numbers and one is not, or one is infinite: names its row.
    """
    pandas = require("pandas", "pandas", "reading tables")
    cells = table.frame[name].dropna()
    numbers = pandas.to_numeric(cells, errors="coerce")
    bad = numbers.isna().to_numpy()
    if table.is_text and bad.any():
        commas = cells.str.fullmatch(_COMMA).to_numpy(dtype=bool)
        if commas.any() and (commas | ~bad).mean() > _MOSTLY:
            told = f"expected a decimal point, found {_first(cells, commas)}"
            raise InputError(f"{_place(table, name, cells, commas)}: {told}")
    if bad.any() and bad.mean() < 1 - _MOSTLY:
        told = f"expected a number, as in other rows, found {_first(cells, bad)}; as categorical it takes any text"
        raise InputError(f"{_place(table, name, cells, bad)}: {told}")
    if bad.any() or not len(bad):
        return None
    found = numbers.to_numpy(dtype=np.float64)
    infinite = np.isinf(found)
    if infinite.any():
        raise InputError(
            f"{_place(table, name, cells, infinite)}: expected finite numbers, found {_first(cells, infinite)}"
        )
    return found


def required_numbers(table: RawTable, column: Column) -> np.ndarray:
    """The cells of a numeric column that are there, as numbers; dates are counted in :func:`step_of` from 1970.

    Raises:
        InputError: If one is none: names its row.
    """
    pandas = require("pandas", "pandas", "reading tables")
    cells = table.frame[column.name].dropna()
    if column.kind == "datetime":
        dates = _dates(cells, column.format)
        bad = dates.isna().to_numpy()
        told = f"a date as {column.format}"
        found = _seconds(dates) / step_of(column.format)
    else:
        numbers = pandas.to_numeric(cells, errors="coerce").astype("float64")
        bad = ~np.isfinite(numbers.to_numpy())
        told, found = "a finite number", numbers.to_numpy()
        if column.kind == "integer" and not bad.any():
            bad, told = found != np.floor(found), "an integer"
    if bad.any():
        raise InputError(f"{_place(table, column.name, cells, bad)}: expected {told}, found {_first(cells, bad)}")
    return found


def date_format(table: RawTable, name: str) -> str:
    """The format of a column of dates; empty if it is none.

    Raises:
        InputError: If nearly all cells are dates of a format and one is not: names its row.
    """
    cells = table.frame[name].dropna()
    if cells.dtype.kind == "M":
        on_days = (cells == cells.dt.normalize()).all()
        return FORMATS[0] if on_days else FORMATS[1]
    start = cells.iloc[:_LOOKED_AT]
    mostly = [each for each in FORMATS if _dates(start, each).notna().mean() > _MOSTLY]
    bad = {each: _dates(cells, each).isna().to_numpy() for each in mostly}
    if fitting := [each for each in mostly if not bad[each].any()]:
        return fitting[0]
    for each in (each for each in mostly if bad[each].mean() < 1 - _MOSTLY):
        told = f"expected a date as {each}, as in other rows, found {_first(cells, bad[each])}"
        raise InputError(f"{_place(table, name, cells, bad[each])}: {told}; as categorical it takes any text")
    return ""


def step_of(form: str) -> int:
    """Seconds between neighbors of a format."""
    return 1 if "%S" in form else 60 if "%M" in form else 86_400


def from_numbers(values: np.ndarray, form: str) -> Any:
    """Dates of counts from 1970, as a series of datetime64."""
    pandas = require("pandas", "pandas", "reading tables")
    seconds = pandas.Series(values.round().astype(np.int64) * step_of(form))
    return pandas.to_datetime(seconds, unit="s")


def decimals_of(cells: Any, *, is_text: bool) -> Decimals:
    """Places after the point that 95 % of the different numbers need; the others are those of broken arithmetic."""
    texts = cells.drop_duplicates().iloc[:_LOOKED_AT]
    texts = [text.strip() for text in texts] if is_text else [repr(float(value)) for value in texts]
    if any(re.search("[eE]", text) for text in texts):
        return Decimals(None, False)
    if not is_text:
        texts = [text.removesuffix(".0") for text in texts]
    places = [len(text.partition(".")[2]) for text in texts]
    most = int(np.quantile(places, _NEEDED, method="higher"))
    if most > _MOST_DECIMALS:
        return Decimals(None, False)
    return Decimals(most, is_text and min(places) == max(places) > 0)


def are_integers(numbers: np.ndarray, cells: Any, *, is_text: bool) -> bool:
    """Whether all are integers, and written without a point, an exponent or zeros in front."""
    if (numbers != np.floor(numbers)).any() or np.abs(numbers).max() > _LARGEST:
        return False
    return not is_text or bool(cells.str.fullmatch(r"\s*[-+]?\d+\s*").all())


def is_code(cells: Any) -> bool:
    """Whether digits are written as no number is: with zeros in front, or more than a number holds."""
    return bool(cells.str.fullmatch(r"\s*(0\d+|\d{16,})\s*").any())


def written(values: Any, column: Column) -> Any:
    """A column of a decoded table as text, as the data have it."""
    missing = column.missing or ""
    if column.kind == "datetime":
        return values.dt.strftime(column.format).fillna(missing)
    if column.kind == "real":
        return values.map(lambda value: missing if value != value else written_number(value, column))
    return values.astype("object").where(values.notna(), missing).astype("str")


def written_number(value: float, column: Column) -> str:
    """One real number."""
    if column.decimals is None:
        return f"{value:.12g}"
    text = f"{value:.{column.decimals}f}"
    if not column.padded and "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _dates(cells: Any, form: str) -> Any:
    pandas = require("pandas", "pandas", "reading tables")
    if cells.dtype.kind == "M":
        return cells if getattr(cells.dtype, "tz", None) is None else cells.dt.tz_convert(None)
    dates = pandas.to_datetime(cells, format=form, errors="coerce")
    if "%d" in form:
        return dates
    return dates + (pandas.Timestamp(_EPOCH) - pandas.Timestamp("1900-01-01"))  # a time of day alone


def _seconds(dates: Any) -> np.ndarray:
    pandas = require("pandas", "pandas", "reading tables")
    return ((dates - pandas.Timestamp(_EPOCH)) / pandas.Timedelta(seconds=1)).to_numpy(dtype=np.float64)


def _place(table: RawTable, name: str, cells: Any, bad: np.ndarray) -> str:
    return table.at(int(cells.index[int(bad.argmax())]), name)


def _first(cells: Any, bad: np.ndarray) -> str:
    return repr(cells.iloc[int(bad.argmax())])

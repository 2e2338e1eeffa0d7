"""Cells of tables: from delimited text and Parquet files, data sets of the hub, and data frames."""

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from discrete_gan.data.extras import nearest_path, one_line, require
from discrete_gan.data.hub import is_hub, load_splits
from discrete_gan.data.limits import OPENERS, Unpacked, check_size, open_regular
from discrete_gan.errors import InputError
from discrete_gan.writing import write_aside

TEXT_SUFFIXES = (".csv", ".tsv")
SUFFIXES = (*TEXT_SUFFIXES, ".parquet", ".xlsx")
TABLE_FORMATS = "a .csv or .tsv file (plain, .gz or .xz), a .parquet or .xlsx file, or hub:NAME"
"""What ``read_table`` reads, as a phrase."""
MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "?", "<NA>", "#N/A")
"""How text files write that a value is missing."""
_SEPARATORS = ",;\t|"
_LOOKED_AT = 100  # lines, for the separator
_ROWS = 50_000  # at a time
_BYTES_PER_CELL = 8
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")


class RawTable(NamedTuple):
    """Cells as they were read.

    Attributes:
        name: What to call it.
        where: The file or split, as messages name it.
        frame: Data frame: of text files all strings, else of the types that the data had; missing values are none.
        missing: How a missing value was written, by column, where any is missing.
        unit: What rows are called: ``line`` of a file from 1, ``row`` from 0.
        numbers: The number of each row, int64, shape (N,).
        header: Whether the file has names.
        separator: Of a text file.
    """

    name: str
    where: str
    frame: Any
    missing: dict[str, str]
    unit: str
    numbers: np.ndarray
    header: bool = True
    separator: str = ","

    @property
    def is_text(self) -> bool:
        """Whether the cells are strings that may stand for anything."""
        return self.unit == "line"

    def at(self, row: int, column: str) -> str:
        """Where a cell is, for a message."""
        return f"{self.where}: {self.unit} {self.numbers[row]}, column {column!r}"


def is_table(spec: str) -> bool:
    """Whether the name is that of a file of a table; it need not exist."""
    return _bare(Path(spec)).suffix in SUFFIXES


def read_table(spec: str, *, missing: Sequence[str] = MISSING) -> tuple[RawTable, RawTable | None]:
    """Reads a table, and the one held out where the data have such a split.

    Args:
        spec: Names it.
        missing: How text files write that a value is missing.

    Raises:
        InputError: If it is not there, cannot be read or holds no two rows: one line that names the row and column.
    """
    path = Path(spec).expanduser()
    if is_hub(spec):
        return _read_hub(spec)
    if not is_table(spec):
        raise InputError(f"{spec}: expected {TABLE_FORMATS}")
    try:
        if path.is_dir():
            raise IsADirectoryError
        if path.suffix in (".parquet", ".xlsx"):
            return (_read_parquet if path.suffix == ".parquet" else _read_excel)(path), None
        return _read_text(path, missing), None
    except FileNotFoundError:
        raise InputError(f"no table at {spec!r}: {nearest_path(path)}expected {TABLE_FORMATS}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: this is a folder: expected {TABLE_FORMATS}") from None
    except (OSError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error


def of_frame(frame: Any, name: str, where: str) -> RawTable:
    """A data frame as a table.

    Raises:
        InputError: If two columns have one name, or there are no two rows.
    """
    names = [str(column) for column in frame.columns]
    _check_names(names, where)
    frame = frame.set_axis(names, axis=1).reset_index(drop=True)
    missing = {column: "" for column in names if frame[column].isna().any()}
    return _checked(RawTable(name, where, frame, missing, "row", np.arange(len(frame))))


def write_rows(path: Path, table: RawTable, rows: np.ndarray) -> None:
    """Some rows of a table as they were read, into a .csv or .parquet file.

    Args:
        path: The file.
        table: As read.
        rows: Their places, shape (N,), which may come more than once.
    """
    frame = table.frame.iloc[rows]
    if path.suffix == ".parquet":
        write_aside(path, lambda file: frame.to_parquet(file, index=False))
        return
    for name, text in table.missing.items():
        frame = frame.assign(**{name: frame[name].astype("object").fillna(text)})
    text = frame.to_csv(index=False, sep=table.separator, header=table.header, lineterminator="\n")
    write_aside(path, lambda file: file.write(text.encode()))


def _read_text(path: Path, absent: Sequence[str]) -> RawTable:
    with Unpacked(path) as file:
        content = file.read().removeprefix(b"\xef\xbb\xbf")
    if file.broken:
        raise InputError(f"{path}: cannot be read: the packed file breaks off after {len(content)} unpacked bytes")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: this is UTF-16, expected UTF-8")
    if not content.strip():
        raise InputError(f"{path}: the file is empty")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line} is not UTF-8") from None
    del content
    separator = "\t" if _bare(path).suffix == ".tsv" else _separator(text)
    rows = _rows(text, separator, path)
    number, first = next(rows)
    header = not all(map(_NUMBER.fullmatch, first))
    names = [name.strip() for name in first] if header else [str(place) for place in range(len(first))]
    _check_names(names, f"{path}: line {number}")
    if header and (of_number := next(filter(_NUMBER.fullmatch, names), None)):
        raise InputError(f"{path}: line {number}: expected names of columns in the first line, found {of_number}")
    return _assembled(path, names, rows, None if header else (number, first), header, separator, absent)


def _assembled(
    path: Path,
    names: list[str],
    rows: Iterator[tuple[int, list[str]]],
    first: tuple[int, list[str]] | None,
    header: bool,
    separator: str,
    absent: Sequence[str],
) -> RawTable:
    """A table of strings from rows, so many at a time, which then take little."""
    pandas = require("pandas", "pandas", "reading tables")
    parts: list[Any] = []
    numbers: list[int] = []
    cells = [] if first is None else [first[1]]
    numbers += [] if first is None else [first[0]]

    def keep() -> None:
        parts.append(pandas.DataFrame(cells, columns=names, dtype="str"))
        cells.clear()

    for number, row in rows:
        if len(row) != len(names):
            raise InputError(f"{path}: line {number}: expected {len(names)} fields, as in the first, found {len(row)}")
        numbers.append(number)
        cells.append(row)
        if len(cells) == _ROWS:
            keep()
    if cells or not parts:
        keep()
    frame = pandas.concat(parts, ignore_index=True)
    missing = {}
    for name in names:
        is_absent = frame[name].str.strip().isin(absent)
        if is_absent.any():
            missing[name] = str(frame[name][is_absent].mode()[0])
            frame[name] = frame[name].mask(is_absent)
    return _checked(RawTable(_stem(path), str(path), frame, missing, "line", np.array(numbers), header, separator))


def _rows(text: str, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line it ends on."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num} cannot be read: {one_line(error)}") from None


def _separator(text: str) -> str:
    """Of the characters that may be one, that which cuts the first lines into as many fields each, and most of them."""
    lines = io.StringIO(text, newline="")
    start = "".join(line for line, _ in zip(lines, range(_LOOKED_AT), strict=False))

    def fields(separator: str) -> tuple[float, int]:
        reader = csv.reader(io.StringIO(start, newline=""), delimiter=separator, skipinitialspace=True)
        try:
            counts = [len(row) for row in reader if row]
        except csv.Error:
            return 0.0, 0
        common = max(set(counts), key=counts.count, default=0)
        return (counts.count(common) / len(counts) if common > 1 else 0.0), common

    return max(_SEPARATORS, key=fields)


def _read_parquet(path: Path) -> RawTable:
    parquet = require("pyarrow.parquet", "pyarrow", "reading Parquet files")
    with open_regular(path) as file:
        try:
            held = parquet.ParquetFile(file)
            about = held.metadata
            stated = sum(about.row_group(group).total_byte_size for group in range(about.num_row_groups))
            check_size(str(path), max(stated, about.num_rows * about.num_columns * _BYTES_PER_CELL))
            frame = held.read().to_pandas()
        except InputError:
            raise
        except Exception as error:  # Damage shows as any of the library's errors.
            raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    return of_frame(frame, _stem(path), str(path))


def _read_excel(path: Path) -> RawTable:
    """The first sheet, below a line of names."""
    pandas = require("pandas", "pandas", "reading tables")
    with open_regular(path) as file:  # first: a file that is not there needs no library
        require("openpyxl", "openpyxl", "reading .xlsx files", extra="excel")
        try:
            with zipfile.ZipFile(file) as packed:
                held = packed.infolist()
            check_size(str(path), sum(each.file_size for each in held), sum(each.compress_size for each in held))
            # As objects, so that text of digits stays text.
            frame = pandas.read_excel(file, engine="openpyxl", na_values=MISSING, dtype=object).infer_objects()
        except InputError:
            raise
        except zipfile.BadZipFile:
            raise InputError(f"{path}: expected an Excel workbook, .xlsx, which this is not") from None
        except Exception as error:  # Damage shows as any of the library's errors.
            raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    return of_frame(frame, _stem(path), str(path))


def _read_hub(spec: str) -> tuple[RawTable, RawTable | None]:
    """The split ``train``, and ``test`` or else ``validation``."""
    name, splits = load_splits(require("datasets", "datasets", spec), spec.removeprefix("hub:"))
    if "train" not in splits:
        raise InputError(f"{spec}: expected a split named train, found {', '.join(splits) or 'none'}")
    held_out = next((split for split in ("test", "validation") if split in splits), None)

    def read(split: str) -> RawTable:
        try:
            frame = splits[split].to_pandas()
        except Exception as error:  # A damaged file shows when its rows are asked for, as anything.
            raise InputError(f"{name}, split {split}: cannot be read: {one_line(error)}") from error
        return of_frame(frame, name.rpartition("/")[2], f"{name}, split {split}")

    return read("train"), None if held_out is None else read(held_out)


def _check_names(names: list[str], where: str) -> None:
    for place, name in enumerate(names):
        if not name:
            raise InputError(f"{where}: expected a name for each column, column {place + 1} has none")
        if name in names[:place]:
            told = f"columns {names.index(name) + 1} and {place + 1} are both named {name!r}"
            raise InputError(f"{where}: expected different names, {told}")


def _checked(table: RawTable) -> RawTable:
    if len(table.frame) < 2:
        raise InputError(f"{table.where}: expected at least two rows below the header, found {len(table.frame)}")
    return table


def _bare(path: Path) -> Path:
    return path.with_suffix("") if path.suffix in OPENERS else path


def _stem(path: Path) -> str:
    return _bare(path).stem or path.name

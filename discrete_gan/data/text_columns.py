"""Lines of text from a column of a table: .csv, .tsv, .jsonl, .parquet and .xlsx files."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from discrete_gan.data.limits import OPENERS, Unpacked
from discrete_gan.data.table_files import is_table, read_table
from discrete_gan.data.text_lines import Lines, Source, TextReading, require_text, select
from discrete_gan.errors import InputError, unknown_name

_BY_DEFAULT = "text"


def has_columns(spec: str) -> bool:
    """Whether the name is that of such a file; it need not exist."""
    return is_table(spec) or _is_json(spec)


def read_columns(spec: str, reading: TextReading) -> Source:
    """Reads a column; each cell is a line, and an empty one an empty line.

    Raises:
        InputError: If it cannot be read, has no such column, or a cell is no text.
        FileNotFoundError: If there is none.
        IsADirectoryError: If it is a folder.
    """
    path = Path(spec)
    if path.is_dir():
        raise IsADirectoryError
    if not path.exists():
        raise FileNotFoundError
    if _is_json(spec):
        columns, numbers = _read_json(path)
        lines = of_columns(str(path), "line", columns, columns.__getitem__, numbers, reading)
        return Source(_bare(path).stem, lines, None)
    table, _ = read_table(spec, missing=("",))  # a cell of text may well be NA or None

    def cells(name: str) -> list[Any]:
        column = table.frame[name].astype(object)
        return column.where(column.notna(), None).tolist()

    names = [str(name) for name in table.frame.columns]
    lines = of_columns(table.where, table.unit, names, cells, table.numbers.tolist(), reading)
    return Source(table.name, lines, None)


def _read_json(path: Path) -> tuple[dict[str, list[Any]], list[int]]:
    """A file of an object per line: cells by name, and the line of each.

    Raises:
        InputError: If a line is no JSON object: it says which.
    """
    with Unpacked(path) as file:
        content = file.read()
    if file.broken:
        raise InputError(f"{path}: cannot be read: the packed file breaks off after {len(content)} unpacked bytes")
    rows, numbers = [], []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError(f"{path}: line {number}: expected a JSON object, this is no JSON") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {number}: expected a JSON object, found {type(row).__name__}")
        rows.append(row)
        numbers.append(number)
    if not rows:
        raise InputError(f"{path}: the file is empty")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}, numbers


def of_columns(
    where: str,
    unit: str,
    columns: Iterable[str],
    cells: Callable[[str], Sequence[Any]],
    numbers: Sequence[int],
    reading: TextReading,
) -> Lines:
    """The lines of one column, with the labels of another where they are asked for.

    Args:
        where: As in ``Lines``.
        unit: As in ``Lines``.
        columns: Their names.
        cells: Those of a column; None is an empty one.
        numbers: The number of each row.
        reading: Names the columns.

    Raises:
        InputError: If there is no such column or a cell of the text is none: it says which there are.
    """
    others = [name for name in columns if name != reading.label_column]
    by_default = _BY_DEFAULT if _BY_DEFAULT in others else others[0] if len(others) == 1 else None
    chosen = _require(where, "column", reading.column or by_default, columns)
    labels = None
    if reading.labeled:
        if reading.label_column == chosen:
            raise InputError(f"{where}: label_column {chosen!r}: expected another column than that of the text")
        found = cells(_require(where, "label_column", reading.label_column, columns))
        labels = [None if cell is None else str(cell) for cell in found]
    texts = cells(chosen)
    for number, text in zip(numbers, texts, strict=True):
        if text is not None and not isinstance(text, str):
            told = f"column {chosen!r}: expected text, found {type(text).__name__}"
            raise InputError(f"{where}: {unit} {number}, {told}")
    return require_text(select(where, unit, [text or "" for text in texts], numbers, reading.running, labels))


def _require(where: str, argument: str, name: str | None, columns: Iterable[str]) -> str:
    """The column that is asked for."""
    if name is None:
        raise InputError(f"{where}: expected the name of a {argument}, one of {', '.join(columns)}")
    if name not in columns:
        raise InputError(f"{where}: {unknown_name(argument, name, columns)}")
    return name


def _is_json(spec: str) -> bool:
    return _bare(Path(spec)).suffix == ".jsonl"


def _bare(path: Path) -> Path:
    return path.with_suffix("") if path.suffix in OPENERS else path

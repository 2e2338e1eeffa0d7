"""Tables as tensors of categories, and back."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from discrete_gan.data.extras import require
from discrete_gan.data.table_bins import Bins, decode_numbers, encode_numbers
from discrete_gan.data.table_files import RawTable
from discrete_gan.data.table_schema import NUMERIC, Column, Schema
from discrete_gan.data.table_values import from_numbers, required_numbers, written
from discrete_gan.errors import InputError
from discrete_gan.writing import write_aside


def encode(table: RawTable, schema: Schema) -> Tensor:
    """The category of each cell that is learnt, int64, shape (N, D), each from 0 to below its column's size.

    Raises:
        InputError: If a column is not there or a cell does not fit it: names its row and column.
    """
    for column in schema.learnt:
        if column.name not in table.frame.columns:
            raise InputError(f"{table.where}: expected a column {column.name!r}, as the schema has")
    indices = [encode_column(table, column) for column in schema.learnt]
    return torch.from_numpy(np.stack(indices, axis=1))


def encode_column(table: RawTable, column: Column) -> np.ndarray:
    """The category of each cell of a column, int64, shape (N,); raises as :func:`encode` does."""
    cells = table.frame[column.name]
    is_there = cells.notna().to_numpy()
    if column.missing is None and not is_there.all():
        row = int((~is_there).argmax())
        raise InputError(f"{table.at(row, column.name)}: expected a value, as the schema has none missing")
    indices = np.full(len(cells), column.size - 1)
    if column.kind in NUMERIC:
        numbers = required_numbers(table, column)
        indices[is_there] = encode_numbers(numbers, Bins(column.points, column.bins))
    else:
        indices[is_there] = _encode_values(table, column, cells[is_there])
    return indices


def _encode_values(table: RawTable, column: Column, cells: Any) -> np.ndarray:
    pandas = require("pandas", "pandas", "reading tables")
    index = pandas.Index([*column.values, *(each.value for each in column.rare)], dtype=object)
    found = index.get_indexer(pandas.Index(cells.astype(object)))
    if (found < 0).any():
        row = int(cells.index[int((found < 0).argmax())])
        raise InputError(
            f"{table.at(row, column.name)}: expected one of the {len(index)} values of the schema, found {cells[row]!r}"
        )
    return found.clip(max=len(column.values))


def decode(indices: Tensor, schema: Schema) -> Any:
    """A data frame of values, drawn where a category stands for several: the same for the same categories.

    Args:
        indices: Shape (N, D), integers.
        schema: Of the columns.

    Returns:
        Its columns but identifiers, in their order: text, integers, real numbers, booleans and datetime64.
    """
    pandas = require("pandas", "pandas", "writing tables")
    content = indices.detach().cpu().long().contiguous().numpy()
    digest = hashlib.blake2b(content.data, digest_size=8).digest()
    random = np.random.default_rng(int.from_bytes(digest, "little"))
    place = {column.name: number for number, column in enumerate(schema.learnt)}
    columns = {}
    for column in schema.written:
        if column.kind == "constant":
            columns[column.name] = pandas.Series([column.values[0]] * len(content))
        else:
            columns[column.name] = _decode_column(content[:, place[column.name]], column, random)
    return pandas.DataFrame(columns)


def _decode_column(indices: np.ndarray, column: Column, random: np.random.Generator) -> Any:
    pandas = require("pandas", "pandas", "writing tables")
    is_missing = (indices == column.size - 1) & (column.missing is not None)
    there = np.where(is_missing, 0, indices)
    if column.kind in NUMERIC:
        decimals = column.decimals if column.kind == "real" else 0
        numbers = decode_numbers(there, Bins(column.points, column.bins), decimals, random)
        if column.kind == "datetime":
            return from_numbers(numbers, column.format).mask(is_missing)
        if column.kind == "real":
            return pandas.Series(numbers).mask(is_missing)
        whole = pandas.Series(numbers.round().astype(np.int64))
        return whole.astype("Int64").mask(is_missing) if column.missing is not None else whole
    values = np.array([*column.values, *(each.value for each in column.rare)], dtype=object)
    if column.rare:
        counts = np.array([each.count for each in column.rare], dtype=np.float64)
        joined = there == len(column.values)
        there[joined] += random.choice(len(counts), int(joined.sum()), p=counts / counts.sum())
    series = pandas.Series(values[there]).infer_objects()
    return series.mask(is_missing) if column.missing is not None else series


def as_text(frame: Any, schema: Schema) -> Any:
    """A decoded table with each cell as the data write it."""
    pandas = require("pandas", "pandas", "writing tables")
    return pandas.DataFrame({column.name: written(frame[column.name], column) for column in schema.written})


def text_of_dates(dates: Any, schema: Schema) -> Any:
    """A column of dates or times of a decoded table as text, none where one is missing."""
    column = next(column for column in schema.written if column.name == dates.name)
    return written(dates, column).astype("object").where(dates.notna(), None)


def write_table(path: Path, frames: Iterable[Any], schema: Schema) -> Path:
    """Write a decoded table, part by part: as delimited text in the form of the data, or into a .parquet file."""
    write_aside(path, lambda file: (_write_parquet if path.suffix == ".parquet" else _write_csv)(file, frames, schema))
    return path


def as_csv(frame: Any, schema: Schema, *, header: bool = True) -> str:
    """A decoded table as delimited text, in the form of the data, with their header if they have one."""
    form: dict[str, Any] = {"index": False, "sep": schema.separator, "lineterminator": "\n"}
    return as_text(frame, schema).to_csv(header=header and schema.header, **form)


def _write_csv(file: IO[bytes], frames: Iterable[Any], schema: Schema) -> None:
    for number, frame in enumerate(frames):
        file.write(as_csv(frame, schema, header=number == 0).encode())


def _write_parquet(file: IO[bytes], frames: Iterable[Any], schema: Schema) -> None:
    arrow, parquet = (require(name, "pyarrow", "writing .parquet") for name in ("pyarrow", "pyarrow.parquet"))
    times = {column.name for column in schema.written if column.kind == "datetime" and "%d" not in column.format}
    writer = None
    for frame in frames:
        frame = frame.assign(**{name: text_of_dates(frame[name], schema) for name in times})
        table = arrow.Table.from_pandas(frame, schema=writer and writer.schema, preserve_index=False)
        writer = writer or parquet.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()

"""A table as whole tensors of categories, for training and held out, with the schema that makes rows of them again."""

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
import torch
from torch import Tensor

from discrete_gan.data.extras import require
from discrete_gan.data.table_codec import decode, encode
from discrete_gan.data.table_files import RawTable, of_frame, read_table
from discrete_gan.data.table_infer import infer_schema
from discrete_gan.data.table_schema import NUMERIC, Column, Schema, TableReading
from discrete_gan.errors import InputError
from discrete_gan.seeds import generator_of

EMBEDDED = ("wine", "breast_cancer")
"""Tables that scikit-learn ships."""
_HELD_OUT = 5  # one row in so many
_NAMED = 4  # values in the report


@dataclass
class TableData:
    """A table.

    Attributes:
        name: What to call it.
        schema: What the columns are.
        train: Categories, int64, shape (N, D).
        held_out: Others, shape (N', D).
        left_out: Columns of the data that the schema lacks.
    """

    name: str
    schema: Schema
    train: Tensor
    held_out: Tensor
    left_out: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Changes with any row and any column."""
        digest = hashlib.blake2b(msgspec.json.encode(self.schema), digest_size=8)
        for part in (self.train, self.held_out):
            digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()

    def summary(self) -> dict[str, Any]:
        """What config.json says of it."""
        sizes = {"num_train": len(self.train), "num_held_out": len(self.held_out)}
        positions = {"num_positions": self.train.shape[1], "num_categories": sum(self.schema.sizes)}
        return {"name": self.name, **sizes, **positions, "fingerprint": self.fingerprint()}

    def frame(self, part: Tensor) -> Any:
        """Rows of categories as a data frame."""
        return decode(part, self.schema)


def load_table(
    spec: str, *, seed: int = 0, reading: TableReading | None = None, held_out: str | None = None
) -> TableData:
    """Reads a table; without a split or file that is held out, a fifth of the rows, drawn with the seed, is.

    Args:
        spec: ``wine`` or ``breast_cancer``, which scikit-learn ships, or what ``read_table`` reads.
        seed: Chooses the rows held out.
        reading: How columns are read.
        held_out: Another table whose rows are held out.

    Raises:
        InputError: If it cannot be read or a cell does not fit: one line that names the row and column.
    """
    table, other = read_any(spec)
    if held_out is not None:
        other = read_any(held_out)[0]
    return make_table(table, other, seed=seed, reading=reading)


def read_any(spec: str) -> tuple[RawTable, RawTable | None]:
    """A table by its name, as of :func:`load_table`, and the one held out where the data have such a split."""
    return (_embedded(spec), None) if spec in EMBEDDED else read_table(spec)


def make_table(
    table: RawTable, other: RawTable | None = None, *, seed: int = 0, reading: TableReading | None = None
) -> TableData:
    """The same from cells that have been read. The schema is that of all rows, those held out among them."""
    reading = reading or TableReading()
    schema = infer_schema(_both(table, other), reading)
    rows = encode(table, schema)
    read = {column.name for column in schema.columns}
    left_out = tuple(name for name in table.frame.columns if name not in read)
    if other is not None:
        return TableData(table.name, schema, rows, encode(other, schema), left_out)
    order = torch.randperm(len(rows), generator=generator_of(seed))
    number = max(1, len(rows) // _HELD_OUT)
    chosen, rest = order[:number].sort().values, order[number:].sort().values
    return TableData(table.name, schema, rows[rest], rows[chosen], left_out)


def _both(table: RawTable, other: RawTable | None) -> RawTable:
    """All rows, for the schema alone: rows of the second are called by their place after the first."""
    if other is None:
        return table
    if lacking := [name for name in table.frame.columns if name not in other.frame.columns]:
        raise InputError(f"{other.where}: expected a column {lacking[0]!r}, as in {table.where}")
    pandas, numpy = require("pandas", "pandas", "reading tables"), require("numpy", "numpy", "reading tables")
    frame = pandas.concat([table.frame, other.frame[list(table.frame.columns)]], ignore_index=True)
    numbers = numpy.concatenate([table.numbers, other.numbers])
    return table._replace(frame=frame, numbers=numbers, missing=other.missing | table.missing)


def _embedded(name: str) -> RawTable:
    datasets = require("sklearn.datasets", "scikit-learn", name)
    found = getattr(datasets, f"load_{name}")(as_frame=True)
    names = [str(label) for label in found.target_names]
    frame = found.frame.rename(columns={"target": "class"})
    frame["class"] = [names[label] for label in frame["class"]]
    return of_frame(frame, name, name)


def report_table(data: TableData) -> str:
    """Rows, and a line for each column, for people."""
    schema = data.schema
    width = min(24, max(len(column.name) for column in schema.columns))
    lines = [
        f"{data.name}: {len(data.train):,} rows for training, {len(data.held_out):,} held out",
        f"columns    {len(schema.learnt)} to learn, of {sum(schema.sizes):,} categories in all"
        + (f"; left out: {', '.join(data.left_out)}" if data.left_out else ""),
    ]
    place = 0
    both = torch.cat([data.train, data.held_out])
    for column in schema.columns:
        told = _told(column)
        if column.is_learnt:
            if column.missing is not None:
                number = int((both[:, place] == column.size - 1).sum())
                told += f"; {number:,} missing, written {column.missing!r}"
            place += 1
        lines.append(f"  {column.name:<{width}} {column.kind:<11} {told}".rstrip())
    return "\n".join(lines)


def _told(column: Column) -> str:
    """What is made of a column."""
    if column.kind == "identifier":
        return "values are all different: left out"
    if column.kind == "constant":
        return f"{column.values[0]!r} in all rows: not learnt, but written"
    if column.kind in NUMERIC:
        found = [*column.points, *(knots[end] for knots in column.bins for end in (0, -1))]
        ends = f"{min(found):g} to {max(found):g}" if column.kind != "datetime" else column.format
        return f"{ends}; {len(column.points)} single values, {len(column.bins)} bins"
    quoted = [repr(value) if "," in str(value) else str(value) for value in column.values[:_NAMED]]
    named = ", ".join(quoted) + (", ..." if len(column.values) > _NAMED else "")
    joined = f"; {len(column.rare):,} rare ones joined" if column.rare else ""
    return f"{len(column.values):,} values: {named}{joined}"

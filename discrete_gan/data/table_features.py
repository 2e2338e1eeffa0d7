"""Rows of a table as vectors, for what compares or classifies them: numbers as they are, categories one-hot."""

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor

from discrete_gan.data.table_codec import encode_column
from discrete_gan.data.table_files import RawTable
from discrete_gan.data.table_infer import infer_schema
from discrete_gan.data.table_schema import NUMERIC, Column, Schema, TableReading
from discrete_gan.data.table_values import required_numbers
from discrete_gan.errors import InputError

MOST_ONE_HOT = 50
"""Categories of a column that are told apart, the first ones; all others share one."""


def features(table: RawTable, schema: Schema) -> Tensor:
    """Numbers for each row.

    A number is itself, a date its time since 1970 in the steps of its format; where one is missing, a number from the
    middle of the schema's stands, and a column of 0 and 1 tells so. A category is one-hot, of the first 50 and the
    others together.

    Args:
        table: With the columns of the schema.
        schema: What they are; equal cells become equal numbers, whichever table they stand in.

    Returns:
        float32, shape (N, F).

    Raises:
        InputError: If a cell does not fit its column: names row and column.
    """
    return torch.cat([_of_column(table, column) for column in schema.learnt], dim=1)


def _of_column(table: RawTable, column: Column) -> Tensor:
    if column.kind not in NUMERIC:
        number = min(column.size, MOST_ONE_HOT + 1)
        index = torch.from_numpy(encode_column(table, column)).clamp(max=number - 1)
        return torch.nn.functional.one_hot(index, number).float()
    is_there = table.frame[column.name].notna().to_numpy()
    numbers = required_numbers(table, column)
    filled = np.full(len(is_there), np.median([*column.points, *(knot for knots in column.bins for knot in knots)]))
    filled[is_there] = numbers
    columns = [filled, ~is_there] if column.missing is not None else [filled]
    return torch.from_numpy(np.stack(columns, axis=1)).float()


def common_schema(real: RawTable, samples: RawTable, reading: TableReading) -> Schema:
    """What two tables have in common: the kinds are those of the first, the values those of both.

    Constants and identifiers of the first are left out, as samples may lack them.

    Raises:
        InputError: If the second lacks a column, or a cell does not fit its kind: names row and column.
    """
    schema = infer_schema(real, reading)
    if lacking := [column.name for column in schema.learnt if column.name not in samples.frame.columns]:
        raise InputError(f"{samples.where}: expected a column {lacking[0]!r}, as in {real.where}")
    kinds = tuple(Column(column.name, column.kind, format=column.format) for column in schema.learnt)
    other = infer_schema(samples, TableReading(schema=Schema(kinds)))
    return Schema(tuple(map(_merged, schema.learnt, other.learnt)))


def _merged(column: Column, other: Column) -> Column:
    values = tuple(dict.fromkeys([*column.values, *(each.value for each in column.rare), *other.values]))
    missing = other.missing if column.missing is None else column.missing
    return replace(column, values=values, rare=(), missing=missing)

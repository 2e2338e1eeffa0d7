"""What the columns of a table are: a schema that is kept with a run, can be edited, and is checked when it is read."""

from pathlib import Path
from typing import Literal

import msgspec

from discrete_gan.data.limits import Unpacked
from discrete_gan.errors import InputError
from discrete_gan.writing import write_aside

Kind = Literal["categorical", "ordinal", "boolean", "integer", "real", "datetime", "constant", "identifier"]
NUMERIC = ("integer", "real", "datetime")
"""Kinds whose categories are single values and bins."""
LISTED = ("categorical", "ordinal", "boolean", "constant")
"""Kinds whose categories are values that are listed."""
Value = str | int | float | bool


class Rare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that shares one category with others.

    Attributes:
        value: As in the data.
        count: Rows that have it; in this proportion it is drawn.
    """

    value: Value
    count: int


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A column. What is not given is found in the data.

    Attributes:
        name: In the header.
        kind: What its values are. A constant is not learnt, but written again; an identifier is left out.
        values: Of listed kinds, the category of each; of ordinal ones in their order.
        rare: Of listed kinds, values joined into one more category.
        points: Of numeric kinds, single values that are categories of their own.
        bins: Of numeric kinds, knots of a quantile function for each bin, from its least value to its largest.
        decimals: Of real numbers, places after the point that are written; all there are if not given.
        padded: Whether zeros fill these places, as in 1.50.
        format: Of date and time, as ``strptime`` has it.
        missing: How a missing value is written; None where none is missing.
    """

    name: str
    kind: Kind
    values: tuple[Value, ...] = ()
    rare: tuple[Rare, ...] = ()
    points: tuple[float, ...] = ()
    bins: tuple[tuple[float, ...], ...] = ()
    decimals: int | None = None
    padded: bool = False
    format: str = ""
    missing: str | None = None

    @property
    def is_learnt(self) -> bool:
        """Whether it is a position of what is generated."""
        return self.kind not in ("constant", "identifier")

    @property
    def size(self) -> int:
        """K, categories, that of a missing value among them."""
        own = len(self.points) + len(self.bins) if self.kind in NUMERIC else len(self.values) + bool(self.rare)
        return own + (self.missing is not None)


class Schema(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The columns of a table in their order.

    Attributes:
        columns: All that are read; those left out are not among them.
        header: Whether the names stand in the first line of the file.
        separator: Of a text file.
    """

    columns: tuple[Column, ...]
    header: bool = True
    separator: str = ","

    @property
    def learnt(self) -> tuple[Column, ...]:
        """Columns that are positions of what is generated."""
        return tuple(column for column in self.columns if column.is_learnt)

    @property
    def written(self) -> tuple[Column, ...]:
        """Columns of a table of samples."""
        return tuple(column for column in self.columns if column.kind != "identifier")

    @property
    def sizes(self) -> list[int]:
        """K of each position."""
        return [column.size for column in self.learnt]

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        text = msgspec.json.format(msgspec.json.encode(self), indent=1)
        write_aside(path, lambda file: file.write(text + b"\n"))

    @classmethod
    def load(cls, path: Path) -> "Schema":
        """Read it.

        Raises:
            InputError: If it is not there, or is no schema: it says where.
        """
        try:
            with Unpacked(path) as file:
                schema = msgspec.json.decode(file.read(), type=cls)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: expected a schema: {error}") from None
        check_schema(schema, str(path))
        return schema


def check_schema(schema: Schema, where: str) -> None:
    """Refuse what no data could fit.

    Raises:
        InputError: Names the column and what is wrong with it.
    """
    names = [column.name for column in schema.columns]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{where}: column {twice!r} stands there twice")
    if len(schema.separator) != 1:
        raise InputError(f"{where}: separator: expected one character, got {schema.separator!r}")
    for column in schema.columns:
        if told := _wrong(column):
            raise InputError(f"{where}: column {column.name!r}: {told}")


def _wrong(column: Column) -> str:
    """What is wrong with a column; nothing if nothing is."""
    listed = [*column.values, *(each.value for each in column.rare)]
    if len(set(map(str, listed))) < len(listed):
        return "a value stands there twice"
    if any(each.count < 1 for each in column.rare):
        return "rare: expected counts of at least 1"
    if len(set(column.points)) < len(column.points):
        return "points: a value stands there twice"
    for knots in column.bins:
        if len(knots) < 2 or list(knots) != sorted(knots):
            return f"bins: expected at least two knots that rise, got {list(knots)}"
    starts = [knots[0] for knots in column.bins]
    ends = [knots[-1] for knots in column.bins]
    if any(end >= start for end, start in zip(ends, starts[1:], strict=False)):
        return "bins: expected each to begin above the end of the one before"
    if column.kind not in NUMERIC and (column.points or column.bins):
        return f"points and bins: expected with {' or '.join(NUMERIC)}, not {column.kind}"
    if column.kind not in LISTED and listed:
        return f"values: expected with {' or '.join(LISTED)}, not {column.kind}"
    if column.decimals is not None and not 0 <= column.decimals <= 15:
        return f"decimals: expected from 0 to 15, got {column.decimals}"
    return ""


class TableReading(msgspec.Struct, frozen=True):
    """How a table is read.

    Attributes:
        drop: Columns to leave out.
        categorical: Columns whose values are categories, whatever they look like.
        keep: Identifiers to learn all the same.
        schema: What is known of columns; the rest is found in the data.
        num_bins: Most single values and bins, each, of a number.
        rare: Values of a categorical column in fewer rows than this are joined; 0 keeps all.
    """

    drop: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    schema: Schema | None = None
    num_bins: int = 60
    rare: int = 0

"""Lines of text from what the user names: equations, a data set of the hub, or a file."""

import os
from pathlib import Path

from discrete_gan.data.equations import draw_equations
from discrete_gan.data.extras import nearest_path
from discrete_gan.data.formats import listed
from discrete_gan.data.hub import is_hub
from discrete_gan.data.limits import OPENERS
from discrete_gan.data.text_columns import has_columns, read_columns
from discrete_gan.data.text_files import read_file
from discrete_gan.data.text_hub import read_hub
from discrete_gan.data.text_lines import Lines, Source, TextFormat, TextReading, select
from discrete_gan.errors import InputError


def _draw(_: str, reading: TextReading) -> Source:
    def lines(part: list[str]) -> Lines:
        labels = ["+" if "+" in text else "-" for text in part] if reading.labeled else None
        return select("equations", "line", part, range(1, len(part) + 1), False, labels)

    return Source("equations", *map(lines, draw_equations(seed=reading.seed)))


# The first one that reads what the user names is taken: a file is anything else.
FORMATS = (
    TextFormat("equations", lambda spec: spec == "equations", _draw),
    TextFormat("hub:NAME", is_hub, read_hub, has_columns=True),
    TextFormat("a column of a .csv, .tsv, .jsonl, .parquet or .xlsx file", has_columns, read_columns, has_columns=True),
    TextFormat(f"a text file (plain, {' or '.join(OPENERS)})", lambda _: True, read_file),
)
TEXT_FORMATS = listed(one.called for one in FORMATS)
"""What ``load_text`` reads, as a phrase."""


def read_source(spec: str | os.PathLike[str], reading: TextReading | None = None) -> Source:
    """Reads lines of text.

    Args:
        spec: ``equations``, ``hub:NAME[:CONFIG]`` or ``hub:FOLDER`` (through the datasets library) or a table, of both
            of which each row is a line, or a UTF-8 text file; files plain or ending in ``.gz`` or ``.xz``.
        reading: What of it, and how.

    Raises:
        InputError: If nothing is there, if it cannot be read, if no line holds text, or a column is asked for where
            there are none.
    """
    spec, reading = os.fspath(spec), reading or TextReading()
    expanded = os.path.expanduser(spec)
    chosen = next(one for one in FORMATS if one.reads(expanded))
    for argument in ("column", "label_column"):
        if (name := getattr(reading, argument)) is not None and not chosen.has_columns:
            expected = listed(one.called for one in FORMATS if one.has_columns)
            raise InputError(f"{argument} {name!r}: {spec} has no columns: expected {expected}")
    try:
        return chosen.read(expanded, reading)
    except FileNotFoundError:
        hint = nearest_path(Path(expanded), "equations")
        raise InputError(f"no text at {spec!r}: {hint}expected {TEXT_FORMATS}") from None
    except IsADirectoryError:
        other = "hub:FOLDER for one that datasets can read"
        raise InputError(f"{Path(expanded)}: this is a folder: expected {TEXT_FORMATS}, or {other}") from None


def has_text_columns(spec: str | os.PathLike[str]) -> bool:
    """Whether one of its columns is the text; it need not exist."""
    expanded = os.path.expanduser(os.fspath(spec))
    return next(one for one in FORMATS if one.reads(expanded)).has_columns

"""Lines of text from what the user names: a plain or compressed file, or a column of a public data set."""

import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from discrete_gan.data.extras import nearest_path, one_line, require
from discrete_gan.data.hub import load_splits
from discrete_gan.errors import InputError

EXPECTED = "expected equations, a text file (plain, .gz or .xz) or hub:NAME"
_HELD_OUT_SPLITS = ("test", "validation")
_NUM_NAMED = 5  # line numbers in a message

Corrupt = Literal["refuse", "skip"]


class Lines(NamedTuple):
    """Lines that hold text, and where each stood.

    Attributes:
        where: The file or split, as messages name it.
        unit: What is numbered: ``line`` from 1, ``row`` from 0.
        texts: The lines, without white space at either end.
        numbers: The number of each.
        total: How many lines there are, with the empty and the undecodable ones.
        empty: How many are empty.
        undecodable: Numbers of those that are not UTF-8, which were left out.
    """

    where: str
    unit: str
    texts: list[str]
    numbers: list[int]
    total: int
    empty: int
    undecodable: list[int]


class Source(NamedTuple):
    """What one name gave.

    Attributes:
        name: What to call it in titles and file names.
        train: Its lines, or those of the split ``train``.
        held_out: Those of the split ``test`` or ``validation``; None where there is none, as in any file.
    """

    name: str
    train: Lines
    held_out: Lines | None


def read_source(
    spec: str | os.PathLike[str], *, column: str = "text", corrupt: Corrupt = "refuse", running: bool = False
) -> Source:
    r"""Reads lines of text. Only ``\n`` and ``\r\n`` end a line; a byte order mark at the start is dropped.

    Args:
        spec: A UTF-8 text file, plain or ending in ``.gz`` or ``.xz``; or ``hub:NAME[:CONFIG]`` or ``hub:FOLDER``
            (through the datasets library), where each row is a line.
        column: Of those rows.
        corrupt: ``refuse`` lines that are not UTF-8, or ``skip`` them.
        running: Keep empty lines and the white space around lines.

    Raises:
        InputError: If nothing is there, if it cannot be read, or if no line holds text.
    """
    spec = os.fspath(spec)
    if spec.startswith("hub:"):
        return _read_hub(spec.removeprefix("hub:"), column, running)
    path = Path(spec).expanduser()
    content = _read_bytes(path, spec).removeprefix(b"\xef\xbb\xbf")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: this is UTF-16, expected UTF-8")
    raw = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    if not raw[-1]:
        raw.pop()  # What follows the last separator is no line.
    texts = [_decode(line) for line in raw]
    lines = _select(str(path), "line", texts, 1, running)
    if lines.undecodable and corrupt == "refuse":
        raise InputError(f"{undecodable(lines)}: make it UTF-8, or leave them out with --corrupt skip")
    if 10 * len(lines.undecodable) > 9 * len(raw) and lines.texts:
        raise InputError(f"{undecodable(lines)}: expected a text file")
    return Source(_stem(path), _require_text(lines), None)


def undecodable(lines: Lines) -> str:
    """Says how many lines are not UTF-8, and which."""
    first = ", ".join(map(str, lines.undecodable[:_NUM_NAMED]))
    more = ", ..." if len(lines.undecodable) > _NUM_NAMED else ""
    return f"{lines.where}: {len(lines.undecodable)} of {lines.total} lines are not UTF-8 (line {first}{more})"


def _read_bytes(path: Path, spec: str) -> bytes:
    openers: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".xz": lzma.open}
    try:
        if path.is_dir():
            raise InputError(f"{path}: this is a folder: {EXPECTED}, or hub:FOLDER for one that datasets can read")
        with openers.get(path.suffix, lambda plain: plain.open("rb"))(path) as file:
            content = file.read()
    except FileNotFoundError:
        raise InputError(f"no text at {spec!r}: {nearest_path(path, 'equations')}{EXPECTED}") from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    if not content:
        raise InputError(f"{path}: the file is empty")
    return content


def _decode(line: bytes) -> str | None:
    try:
        return None if b"\0" in line else line.decode()  # a NUL is UTF-8, but of no text
    except UnicodeDecodeError:
        return None


def _read_hub(source: str, column: str, running: bool) -> Source:
    datasets = require("datasets", "datasets", f"hub:{source}")
    name, splits = load_splits(datasets, source)
    if "train" not in splits:
        raise InputError(f"hub:{source}: expected a split named train, found {', '.join(splits) or 'none'}")
    held_out = next((split for split in _HELD_OUT_SPLITS if split in splits), None)
    parts = {
        split: _require_text(_read_split(splits[split], f"{name}, split {split}", column, running))
        for split in ("train", held_out)
        if split is not None
    }
    return Source(name, parts["train"], None if held_out is None else parts[held_out])


def _read_split(split: Any, where: str, column: str, running: bool) -> Lines:
    texts = split[column][:] if column in split.features else None
    if texts is None or not all(text is None or isinstance(text, str) for text in texts):
        columns = ", ".join(f"{name} ({getattr(kind, 'dtype', kind)})" for name, kind in split.features.items())
        raise InputError(f"{where}: expected text in --column {column}, found columns {columns}")
    return _select(where, "row", [text or "" for text in texts], 0, running)


def _select(where: str, unit: str, texts: Sequence[str | None], first: int, running: bool) -> Lines:
    kept: list[str] = []
    numbers: list[int] = []
    empty = 0
    bad: list[int] = []
    for number, text in enumerate(texts, start=first):
        if text is None:
            bad.append(number)
            continue
        stripped = text.strip()
        empty += not stripped
        if stripped or running:
            kept.append(text if running else stripped)
            numbers.append(number)
    return Lines(where, unit, kept, numbers, len(texts), empty, bad)


def _require_text(lines: Lines) -> Lines:
    if lines.empty + len(lines.undecodable) == lines.total:
        found = f"{lines.empty} of {lines.total} {lines.unit}s empty, {len(lines.undecodable)} not UTF-8"
        raise InputError(f"{lines.where}: no text in it: {found}")
    return lines


def _stem(path: Path) -> str:
    name = path.name
    for suffix in (".gz", ".xz", ".txt"):
        name = name.removesuffix(suffix)
    return name or path.name

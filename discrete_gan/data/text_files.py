"""Lines of text from a file, plain or compressed."""

from pathlib import Path

from discrete_gan.data.extras import one_line
from discrete_gan.data.limits import OPENERS, Unpacked
from discrete_gan.data.text_lines import Source, TextReading, require_text, select, undecodable
from discrete_gan.errors import InputError


def read_file(spec: str, reading: TextReading) -> Source:
    r"""Reads lines. Only ``\n`` and ``\r\n`` end one; a byte order mark at the start is dropped.

    Raises:
        InputError: If it cannot be read, or if no line holds text.
        FileNotFoundError: If there is none.
        IsADirectoryError: If it is a folder.
    """
    path = Path(spec)
    content = _read_bytes(path).removeprefix(b"\xef\xbb\xbf")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: this is UTF-16, expected UTF-8")
    raw = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    if not raw[-1]:
        raw.pop()  # What follows the last separator is no line.
    texts, labels = [_decode(line) for line in raw], None
    if _bare(path).suffix == ".smi":  # by its definition a molecule and then, if anything, its name
        if reading.labeled:
            raise InputError(f"{path}: expected labels before a tab of each line, or in a column, .smi files have none")
        texts = [text and next(iter(text.split()), "") for text in texts]
    if reading.labeled:
        labels, texts = _cut_labels(path, texts)
    lines = select(str(path), "line", texts, range(1, len(texts) + 1), reading.running, labels)
    if lines.undecodable and reading.corrupt == "refuse":
        raise InputError(f"{undecodable(lines)}: make it UTF-8, or leave them out with corrupt=skip")
    if 10 * len(lines.undecodable) > 9 * len(raw) and lines.texts:
        raise InputError(f"{undecodable(lines)}: expected a text file")
    return Source(_stem(path), require_text(lines), None)


def _cut_labels(path: Path, texts: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    """What stands before the first tab of each line, and the rest."""
    cut = [None if text is None else text.partition("\t") for text in texts]
    for number, parts in enumerate(cut, start=1):
        if parts is not None and parts[0].strip() and not parts[1]:
            raise InputError(f"{path}: line {number}: expected a label, a tab and the text, found no tab")
    labels, rest = ([None if parts is None else parts[place] for parts in cut] for place in (0, 2))
    return labels, rest


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():  # Opened, it is a PermissionError on some systems.
            raise IsADirectoryError
        with Unpacked(path) as file:
            content = file.read()
    except (FileNotFoundError, IsADirectoryError):
        raise
    except (OSError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    if file.broken:
        raise InputError(f"{path}: cannot be read: the packed file breaks off after {len(content)} unpacked bytes")
    if not content:
        raise InputError(f"{path}: the file is empty")
    return content


def _decode(line: bytes) -> str | None:
    try:
        return None if b"\0" in line else line.decode()  # a NUL is UTF-8, but of no text
    except UnicodeDecodeError:
        return None


def _bare(path: Path) -> Path:
    return path.with_suffix("") if path.suffix in OPENERS else path


def _stem(path: Path) -> str:
    name = path.name
    for suffix in (*OPENERS, ".txt"):
        name = name.removesuffix(suffix)
    return name or path.name

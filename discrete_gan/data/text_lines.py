"""Lines of text, where each stood, and what an entry in the table of text formats says."""

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import NamedTuple

from discrete_gan.data.formats import Corrupt
from discrete_gan.errors import InputError

_NUM_NAMED = 5  # line numbers in a message


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
        labels: The class of each line by its name; None where none were asked for.
    """

    where: str
    unit: str
    texts: list[str]
    numbers: list[int]
    total: int
    empty: int
    undecodable: list[int]
    labels: list[str] | None = None

    def kept(self, side: Sequence[bool]) -> "Lines":
        """Those for which ``side`` holds true."""
        texts, numbers = list(compress(self.texts, side)), list(compress(self.numbers, side))
        labels = None if self.labels is None else list(compress(self.labels, side))
        return self._replace(texts=texts, numbers=numbers, labels=labels)


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


class TextReading(NamedTuple):
    """How lines are read, the same for every format; each uses what concerns it.

    Attributes:
        column: Of the text, in data with columns; if not given, the one named ``text``, or the only one.
        labeled: Whether each line has a class: in another column, or before a tab at its beginning.
        label_column: That other column.
        corrupt: ``refuse`` lines that are not UTF-8, or ``skip`` them.
        running: Keep empty lines and the white space around lines.
        seed: Of the equations.
    """

    column: str | None = None
    labeled: bool = False
    label_column: str | None = None
    corrupt: Corrupt = "refuse"
    running: bool = False
    seed: int = 0


class TextFormat(NamedTuple):
    """A format of text.

    Attributes:
        called: What the user names, as help and messages put it.
        reads: Whether what the user named is in this format; it need not exist.
        read: Reads what the user named.
        has_columns: Whether one of its columns is the text.
    """

    called: str
    reads: Callable[[str], bool]
    read: Callable[[str, TextReading], Source]
    has_columns: bool = False


def undecodable(lines: Lines) -> str:
    """Says how many lines are not UTF-8, and which."""
    first = ", ".join(map(str, lines.undecodable[:_NUM_NAMED]))
    more = ", ..." if len(lines.undecodable) > _NUM_NAMED else ""
    return f"{lines.where}: {len(lines.undecodable)} of {lines.total} lines are not UTF-8 (line {first}{more})"


def select(
    where: str,
    unit: str,
    texts: Sequence[str | None],
    numbers: Iterable[int],
    running: bool,
    labels: Sequence[str | None] | None = None,
) -> Lines:
    """The lines that hold text, stripped; all that are text, as they are, if ``running``.

    Args:
        where: As in ``Lines``.
        unit: As in ``Lines``.
        texts: What was read; None is not UTF-8.
        numbers: The number of each.
        running: As in ``TextReading``.
        labels: The class of each, where they were asked for.

    Raises:
        InputError: If a line of text lacks its class.
    """
    lines = Lines(where, unit, [], [], len(texts), 0, [], None if labels is None else [])
    empty = 0
    for place, (number, text) in enumerate(zip(numbers, texts, strict=False)):
        if text is None:
            lines.undecodable.append(number)
            continue
        stripped = text.strip()
        empty += not stripped
        if not (stripped or running):
            continue
        lines.texts.append(text if running else stripped)
        lines.numbers.append(number)
        if labels is not None and lines.labels is not None:
            lines.labels.append((labels[place] or "").strip())
    lacking = [number for number, label in zip(lines.numbers, lines.labels or (), strict=False) if not label]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise InputError(f"{where}: {unit} {lacking[0]}{more}: expected a label, found none")
    return lines._replace(empty=empty)


def require_text(lines: Lines) -> Lines:
    """The same lines.

    Raises:
        InputError: If none holds text.
    """
    if lines.empty + len(lines.undecodable) == lines.total:
        found = f"{lines.empty} of {lines.total} {lines.unit}s empty, {len(lines.undecodable)} not UTF-8"
        raise InputError(f"{lines.where}: no text in it: {found}")
    return lines

"""Classes of a data set: its labels, whatever they are, as 0..K-1 with names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ..errors import InputError, escaped
from .pixels import Array

MOST_CLASSES = 1 << 16
"""More of them are no classes."""
_MOST_CHARACTERS = 1 << 20  # of all names: config.json holds them
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_NATURAL = re.compile(r"[0-9]+|[^0-9]")
_FEW = 5  # names in a message


class Classes(NamedTuple):
    """The classes of labels 0..K-1.

    Attributes:
        names: In the order of the labels, as the data have them: untrusted text, see :func:`printable`.
    """

    names: tuple[str, ...]

    @classmethod
    def numbered(cls, num: int) -> "Classes":
        """Classes without names of their own: 0, 1, ..., num - 1."""
        return cls(tuple(map(str, range(num))))

    @classmethod
    def recalled(cls, summary: Mapping[str, Any]) -> "Classes | None":
        """What the summary of a data set says of them, as JSON; None where it names none."""
        names = summary.get("classes")
        are_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
        return cls(tuple(names)) if names and are_names else None

    @property
    def are_numbered(self) -> bool:
        """Whether the names say no more than the labels."""
        return self == Classes.numbered(len(self.names))

    def find(self, asked: str) -> int:
        """The label of a class that somebody names: by its exact name, else by its index.

        Raises:
            InputError: If it is neither; the message lists the first names.
        """
        if asked in self.names:
            return self.names.index(asked)
        # Where names are numbers such as 0.5, a number that is none of them is a mistake and no index.
        are_fractions = all(map(_NUMBER.fullmatch, self.names)) and any("." in name for name in self.names)
        if re.fullmatch("[0-9]{1,9}", asked) and int(asked) < len(self.names) and not are_fractions:
            return int(asked)
        numbers = f"from 0 to {len(self.names) - 1}"
        expected = numbers if self.are_numbered else f"a class or an index {numbers}: {self.listed()}"
        raise InputError(f"{printable(asked)}: expected {expected}")

    def listed(self) -> str:
        """The first names, and how many there are if these are not all."""
        few = ", ".join(map(printable, self.names[:_FEW]))
        return few if len(self.names) <= _FEW else f"{few}, ... ({len(self.names)} in all)"

    def places_of(self, others: "Classes", where: str) -> list[int]:
        """The labels here of all classes of another data set: by name, or as they are where one side has but numbers.

        Args:
            others: Classes of the other data set.
            where: Names it.

        Raises:
            InputError: If one of them is none of these.
        """
        place = {name: label for label, name in enumerate(self.names)}
        unknown = next((name for name in others.names if name not in place), None)
        if unknown is None:
            return [place[name] for name in others.names]
        if len(others.names) == len(self.names) and (self.are_numbered or others.are_numbered):
            return list(range(len(self.names)))
        raise InputError(f"{where}: expected images of the classes {self.listed()}, found {printable(unknown)}")


def printable(name: str, longest: int = 40) -> str:
    """A name of a class for people: on one line, its first characters if it is longer, without control codes."""
    short = name if len(name) <= longest else f"{name[: longest - 3]}..."
    return escaped(short)


def in_order(names: Iterable[str]) -> list[str]:
    """Names as people order them: numbers by their size, and the numbers in others too, so that 2 comes before 10."""
    names = list(names)
    if all(map(_NUMBER.fullmatch, names)):
        return sorted(names, key=lambda name: (Decimal(name), name))
    return sorted(names, key=lambda name: ([*map(_weight, _NATURAL.findall(name))], name))


def _weight(part: str) -> tuple[int, int, str]:
    """Of a character, or of a run of digits, which stands where a digit would."""
    if not "0" <= part[0] <= "9":
        return ord(part), 0, ""
    digits = part.lstrip("0")
    return ord("0"), len(digits), digits


def find_classes(
    name: str, parts: Sequence[Array | None], names: Sequence[str] | None = None
) -> tuple[Classes | None, list[Array | None]]:
    """One mapping from the labels of all parts to 0..K-1, which leaves labels that are 0..K-1 already as they are.

    Args:
        name: Of the data set, for messages.
        parts: Labels, whole numbers of any size or strings, shape (N,); None of a part that has none.
        names: What whole numbers from 0 stand for, in the order of the classes; numbers are their own names, in the
            order of their size, and strings are ordered by :func:`in_order`.

    Returns:
        The classes that occur, None without labels, and the labels as int64.

    Raises:
        InputError: If parts differ in kind, a number has no name or there are too many classes.
    """
    found = [np.unique(_plain(part), return_inverse=True) for part in parts if part is not None]
    if not found:
        return None, list(parts)
    # As Python's own: no type of NumPy holds both -1 and 2^63.
    kinds = {values.dtype.kind == "U" for values, _ in found}
    if len(kinds) > 1:
        raise InputError(f"{name}: labels: expected whole numbers or strings in both parts, found one of each")
    try:
        distinct: set[Any] = {value for values, _ in found for value in values.tolist()}
    except (ValueError, SystemError):  # of a number that is no character
        raise InputError(f"{name}: labels: expected strings of Unicode, found other codes") from None
    if len(distinct) > MOST_CLASSES:
        raise InputError(f"{name}: labels: expected at most {MOST_CLASSES:,} classes, found {len(distinct):,}")
    ordered: list[Any] = in_order(distinct) if True in kinds else sorted(distinct)
    called = [str(label) for label in ordered]
    if names is not None:
        if (unknown := next((label for label in ordered if not 0 <= label < len(names)), None)) is not None:
            raise InputError(f"{name}: expected labels from 0 to {len(names) - 1}, which have names, found {unknown}")
        called = [str(names[label]) for label in ordered]
    if (length := sum(map(len, called))) > _MOST_CHARACTERS:
        raise InputError(
            f"{name}: labels: expected names of {_MOST_CHARACTERS:,} characters in all at most, found {length:,}"
        )
    place = {label: index for index, label in enumerate(ordered)}
    mapped = iter([np.array([place[value] for value in values.tolist()])[inverse] for values, inverse in found])
    # Names of files and strings of NumPy may hold halves of surrogate pairs, which no JSON does.
    classes = Classes(tuple(each.encode("utf-8", "backslashreplace").decode() for each in called))
    return classes, [None if part is None else next(mapped).astype(np.int64) for part in parts]


def _plain(labels: Array) -> Array:
    """Labels as whole numbers or strings of Unicode."""
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8", "backslashreplace")
    return labels.astype(np.uint8) if labels.dtype.kind == "b" else labels


def take_places(labels: Tensor, places: Sequence[int]) -> Tensor:
    """Labels (N,) of one data set as those of another, by :meth:`Classes.places_of`."""
    return labels.new_tensor(places)[labels]

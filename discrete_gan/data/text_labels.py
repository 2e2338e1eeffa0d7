"""The classes of lines, and what lines look like that are not what they were taken for."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from discrete_gan.data.classes import Classes, find_classes, printable
from discrete_gan.data.text_lines import Lines
from discrete_gan.errors import InputError

_MOST_CLASSES = 1000
_FIELDS = 0.9  # of the lines have two
_DISTINCT = 0.8  # of their values are, where each line has its own
_FEWEST = 20  # lines that say anything


class TextLabels(NamedTuple):
    """The classes of both parts.

    Attributes:
        classes: What they are called.
        train: Of the training lines, int64, shape (N,).
        held_out: Of the others.
    """

    classes: Classes
    train: Tensor
    held_out: Tensor


def find_labels(
    name: str, train: Lines, held_out: Lines, *, bins: int | None = None, known: Classes | None = None
) -> TextLabels:
    """One mapping from the labels of both parts to 0..K-1.

    Args:
        name: Of the data, for messages.
        train: Lines with labels.
        held_out: Others.
        bins: Take labels as numbers, cut into so many classes that are equally frequent in ``train``.
        known: Number them as these are.

    Raises:
        InputError: If a label is no number where these are cut, is none of the known ones, or there is one class alone
            or very many.
    """
    parts = [np.array(part.labels or [], dtype=str) for part in (train, held_out)]
    if bins is not None:
        numbers = [_numbers(part) for part in (train, held_out)]
        edges = np.unique(np.quantile(numbers[0], np.linspace(0, 1, bins + 1)[1:-1]))
        low, high = min(each.min() for each in numbers), max(each.max() for each in numbers)
        ends = _written([low, *edges, high])
        called = Classes(tuple(f"{first} to {last}" for first, last in itertools.pairwise(ends)))
        labels = [np.searchsorted(edges, each, side="right") for each in numbers]
    else:
        found, given = find_classes(name, parts)
        if found is None:
            raise InputError(f"{name}: expected labels")
        called, labels = found, [each for each in given if each is not None]
    num = len(called.names)
    if not 2 <= num <= _MOST_CLASSES:
        hint = "" if num < 2 else ": label_bins cuts numbers into classes"
        raise InputError(f"{name}: labels: expected from 2 to {_MOST_CLASSES:,} classes, found {num:,}{hint}")
    if len(labels[0]) >= _FEWEST and 2 * num > len(labels[0]):
        hint = "fewer label_bins" if bins else "label_bins cuts numbers into classes"
        raise InputError(
            f"{name}: labels: expected at least two lines of each, found {num} in {len(labels[0])}: {hint}"
        )
    if known is not None:
        places = np.array(known.places_of(called, name))
        called, labels = known, [places[each] for each in labels]
    return TextLabels(called, *(torch.from_numpy(np.asarray(each, dtype=np.int64)) for each in labels))


def _written(ends: Sequence[float]) -> list[str]:
    """Numbers with as few digits as tell them apart."""
    for digits in (3, 6, 17):
        written = [f"{end:.{digits}g}" for end in ends]
        if len(set(written)) == len(set(ends)):
            break
    return written


def _numbers(part: Lines) -> np.ndarray:
    numbers = []
    for number, label in zip(part.numbers, part.labels or (), strict=True):
        try:
            numbers.append(float(label))
        except ValueError:
            numbers.append(float("nan"))
        if not np.isfinite(numbers[-1]):
            raise InputError(
                f"{part.where}: {part.unit} {number}: expected a number as label, found {printable(label)}"
            )
    return np.array(numbers)


def are_single_words(texts: Sequence[str]) -> bool:
    """Whether most lines are one word."""
    return 2 * sum(len(text.split()) == 1 for text in texts) > len(texts)


def two_fields(lines: Lines) -> list[str]:
    """A remark on lines of a value and its name, such as a molecule and a number; nothing of others."""
    cut = [text.split() for text in lines.texts]
    pairs = [fields for fields in cut if len(fields) == 2]
    if len(pairs) < _FEWEST or len(pairs) < _FIELDS * len(cut):
        return []
    distinct = [len({fields[place] for fields in pairs}) for place in (0, 1)]
    if min(distinct) < _DISTINCT * len(pairs):
        return []
    told = f"lines have two fields, such as {printable(' '.join(pairs[0]))}, both learnt"
    return [f"{lines.where}: {told}: a .csv or .tsv file with a header has columns that can be named"]

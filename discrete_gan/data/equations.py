"""Generated equations such as ``12+30=42``: text whose grammar and truth can be checked exactly."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

_NUMBERS = range(10, 100)
_PATTERN = re.compile(r"([1-9][0-9])([+-])([1-9][0-9])=([1-9][0-9])")


class Equations(NamedTuple):
    """Equations in two parts, all different."""

    train: list[str]
    held_out: list[str]


def all_equations() -> list[str]:
    """Every sum and difference of numbers of two digits that has two digits itself: 6,480 equations."""
    sums = [f"{a}+{b}={a + b}" for a in _NUMBERS for b in _NUMBERS if a + b in _NUMBERS]
    return sums + [f"{a}-{b}={a - b}" for a in _NUMBERS for b in _NUMBERS if a - b in _NUMBERS]


def draw_equations(*, seed: int = 0, num_train: int = 3000, num_held_out: int = 500) -> Equations:
    """Draws without replacement; the 2,980 that are left over by default leave room for new ones.

    Args:
        seed: Any whole number. Global random states are neither read nor changed.
        num_train: Equations for training.
        num_held_out: Others.
    """
    every = all_equations()
    # RandomState: its stream is frozen across NumPy releases. It takes 32-bit words, of either sign of seed.
    words = [abs(seed) % 2**32, abs(seed) >> 32 & 0xFFFFFFFF, seed < 0]
    order = np.random.RandomState(words).permutation(len(every))
    drawn = [every[index] for index in order[: num_train + num_held_out]]
    return Equations(drawn[:num_train], drawn[num_train:])


def is_valid(text: str) -> bool:
    """Whether the text is one of ``all_equations``: three numbers of two digits, no blanks, and true."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return False
    a, b, result = (int(match[group]) for group in (1, 3, 4))
    return result == (a + b if match[2] == "+" else a - b)


def equation_scores(lines: Sequence[str], train: Iterable[str]) -> dict[str, float]:
    """How many samples are true equations, and how many different and new ones are among them.

    Args:
        lines: Samples.
        train: Training lines.

    Returns:
        Fractions: ``valid`` of the samples; ``distinct``, different valid equations per sample; ``new``, those of the
        different valid ones that are not in the training lines. 0 where there is nothing to count.
    """
    valid = [line for line in lines if is_valid(line)]
    distinct = set(valid)
    return {
        "valid": len(valid) / max(len(lines), 1),
        "distinct": len(distinct) / max(len(lines), 1),
        "new": len(distinct.difference(train)) / max(len(distinct), 1),
    }

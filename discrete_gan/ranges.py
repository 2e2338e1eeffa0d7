"""Ranges of options, stated once, in the option's own type: ``batch_size: Count = 64``."""

import dataclasses
import inspect
import math
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

from discrete_gan.errors import InputError

TOO_LARGE = 2**31
"""No size or count, and beyond what torch's kernels take."""


class Range(NamedTuple):
    """Metadata of an ``Annotated`` option: from ``least`` to below ``end``, or with ``end`` where it is closed."""

    least: float
    end: float = math.inf
    closed: bool = False

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and (
            self.least <= value < self.end or (self.closed and value == self.end)
        )

    def __str__(self) -> str:
        if math.isinf(self.end):
            return f"at least {self.least:g}"
        return f"from {self.least:g} to {'' if self.closed else 'below '}{self.end:g}"


Count = Annotated[int, Range(1)]
CountOrZero = Annotated[int, Range(0)]
AtLeastTwo = Annotated[int, Range(2)]
Weight = Annotated[float, Range(0)]
Fraction = Annotated[float, Range(0, 1)]
Portion = Annotated[float, Range(0, 1, closed=True)]


def check_ranges(options: Any) -> None:
    """Refuse options out of the ranges that their types state.

    A subclass that changes a default alone leaves the range as it is; one that states a range has its own.

    Args:
        options: A dataclass whose fields may be ``Annotated`` with a :class:`Range`. None is in every range; of a
            tuple each member is checked.

    Raises:
        InputError: If a value is out of its range or not a number.
    """
    stated: dict[str, list[Range]] = {}
    for base in type(options).__mro__:
        hints = get_type_hints(base, include_extras=True) if dataclasses.is_dataclass(base) else {}
        for name in inspect.get_annotations(base):
            if name in hints and (ranges := list(_ranges(hints[name]))):
                stated.setdefault(name, ranges)
    for name, ranges in stated.items():
        value = getattr(options, name)
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, int) and each >= TOO_LARGE:
                raise InputError(f"--{name.replace('_', '-')}: expected a number below {TOO_LARGE:,}, got {each}")
            for allowed in ranges:
                if each is not None and each not in allowed:
                    raise InputError(f"--{name.replace('_', '-')}: expected {allowed}, got {each}")


def _ranges(hint: Any) -> Iterator[Range]:
    """Those of a type, and of the members of a union or a tuple."""
    for part in get_args(hint):
        if isinstance(part, Range):
            yield part
        else:
            yield from _ranges(part)

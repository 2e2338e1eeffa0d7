"""Ranges of options, stated in their types."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from discrete_gan.errors import InputError
from discrete_gan.ranges import AtLeastTwo, Count, CountOrZero, Fraction, Portion, Range, Weight, check_ranges


@dataclass(frozen=True)
class Shared:
    steps: Count = 10
    every: CountOrZero = 0
    batch_size: AtLeastTwo = 2
    weight: Weight = 0.0
    average: Fraction = 0.5
    decay_from: Portion = 1.0
    num_scored: AtLeastTwo | None = None
    low: Annotated[float, Range(-1, 1)] | None = None
    sizes: tuple[Count, ...] = (1, 2)
    both: tuple[Fraction, Fraction] | None = None
    name: str = "free"
    free: float = math.nan


@dataclass(frozen=True)
class Changed(Shared):
    steps: int = 20
    average: float = 0.0
    batch_size: Count = 1


@dataclass(frozen=True)
class Further(Changed):
    steps: int = 30
    batch_size: int = 3


@dataclass(frozen=True)
class Mixed(Further, Shared):
    more: Count = 1


KINDS = [Shared, Changed, Further, Mixed]


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_in_their_ranges(kind: Any) -> None:
    check_ranges(kind())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("steps", 0, "--steps: expected at least 1, got 0"),
        ("every", -1, "--every: expected at least 0, got -1"),
        ("weight", -0.1, "--weight: expected at least 0, got -0.1"),
        ("weight", math.nan, "--weight: expected at least 0, got nan"),
        ("weight", math.inf, "--weight: expected at least 0, got inf"),
        ("weight", -math.inf, "--weight: expected at least 0, got -inf"),
        ("average", 1.0, "--average: expected from 0 to below 1, got 1.0"),
        ("average", math.nan, "--average: expected from 0 to below 1, got nan"),
        ("decay_from", 1.1, "--decay-from: expected from 0 to 1, got 1.1"),
        ("decay_from", math.inf, "--decay-from: expected from 0 to 1, got inf"),
        ("num_scored", 1, "--num-scored: expected at least 2, got 1"),
        ("low", 1.0, "--low: expected from -1 to below 1, got 1.0"),
        ("sizes", (3, 0, 2), "--sizes: expected at least 1, got 0"),
        ("both", (0.5, math.nan), "--both: expected from 0 to below 1, got nan"),
        ("steps", "many", "--steps: expected at least 1, got many"),
    ],
)
def test_out_of_range(kind: Any, name: str, value: object, expected: str) -> None:
    """Whether the class declares the option, changes its default, or inherits it from one that does."""
    with pytest.raises(InputError) as caught:
        check_ranges(dataclasses.replace(kind(), **{name: value}))
    assert str(caught.value) == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 1),
        ("every", 0),
        ("weight", 0),
        ("weight", 1e30),
        ("average", 0.0),
        ("decay_from", 0.0),
        ("decay_from", 1.0),
        ("num_scored", None),
        ("num_scored", 2),
        ("low", None),
        ("low", -1),
        ("sizes", ()),
        ("both", (0.0, 0.5)),
    ],
)
def test_ends_and_none_are_in_range(kind: Any, name: str, value: object) -> None:
    check_ranges(dataclasses.replace(kind(), **{name: value}))


def test_a_subclass_that_states_a_range_has_its_own() -> None:
    with pytest.raises(InputError, match="--batch-size: expected at least 2, got 1"):
        check_ranges(Shared(batch_size=1))
    for kind in (Changed, Further, Mixed):
        check_ranges(kind(batch_size=1))
        with pytest.raises(InputError, match="--batch-size: expected at least 1, got 0"):
            check_ranges(kind(batch_size=0))


def test_what_is_no_dataclass_has_no_ranges() -> None:
    class Plain:
        steps: Count = 0

    check_ranges(Plain())


@pytest.mark.parametrize("changes", [{"steps": 10**20}, {"sizes": (1, 2**31)}, {"num_scored": 2**31}])
def test_numbers_that_are_no_sizes(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected a number below 2,147,483,648, got"):
        check_ranges(Shared(**changes))

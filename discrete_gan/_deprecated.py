"""Names that go: each warns, and works, in two minor releases before it is taken away."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

KEPT = 2
"""Minor releases in which a name works, from the first that warns."""


class Renamed(NamedTuple):
    """A name of before.

    Attributes:
        new: What it is called now, in the same module.
        since: The first version that warns, as "0.2".
    """

    new: str
    since: str

    @property
    def gone(self) -> str:
        """The version that has it no more."""
        major, minor = map(int, self.since.split("."))
        return f"{major}.{minor + KEPT}"


def renamed(module: str, names: Mapping[str, Renamed]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` for names of before.

    Args:
        module: Its ``__name__``.
        names: What each is called now.
    """

    def of_before(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new, since = names[name]
        told = f"{module}.{name} is called {new} since {since} and goes in {names[name].gone}"
        warnings.warn(told, DeprecationWarning, stacklevel=2)
        return getattr(importlib.import_module(module), new)

    return of_before

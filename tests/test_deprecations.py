"""Names of before warn, work, and go when they are due."""

import importlib
import pkgutil
import re
import warnings

import pytest

import discrete_gan
from discrete_gan._deprecated import Renamed

MODULES = [
    found.name
    for found in pkgutil.walk_packages(discrete_gan.__path__, "discrete_gan.")
    if found.ispkg and "recipes" not in found.name
]
NAMES = [
    pytest.param(module, name, was, id=f"{module}.{name}")
    for module in MODULES
    for name, was in getattr(importlib.import_module(module), "RENAMED", {}).items()
]


@pytest.mark.parametrize(("module", "name", "was"), NAMES)
def test_a_name_of_before_warns_and_works(module: str, name: str, was: Renamed) -> None:
    place = importlib.import_module(module)
    with pytest.warns(
        DeprecationWarning, match=rf"{name} is called {was.new} since {was.since} and goes in {was.gone}"
    ):
        assert getattr(place, name) is getattr(place, was.new)
    assert name not in getattr(place, "__all__", ())


@pytest.mark.parametrize(("module", "name", "was"), NAMES)
def test_nothing_is_due_to_go(module: str, name: str, was: Renamed) -> None:
    version = tuple(map(int, re.findall(r"\d+", discrete_gan.__version__)[:2]))
    assert version < tuple(map(int, was.gone.split("."))), f"{module}.{name} goes in {was.gone}"


def test_what_there_never_was_is_an_error() -> None:
    from discrete_gan import weights

    assert NAMES
    assert Renamed("new", since="0.2").gone == "0.4"
    with warnings.catch_warnings(), pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        warnings.simplefilter("error")
        weights.nothing  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]

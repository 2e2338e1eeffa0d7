"""Examples in docstrings are what comes; every function for other models has one."""

import doctest
import importlib
import inspect
import math
from typing import Any

import pytest
import torch

PARTS = ("weights", "estimators", "distributions", "metrics")
FUNCTIONS = {
    f"{part}.{name}": value
    for part in PARTS
    for module in [importlib.import_module(f"discrete_gan.{part}")]
    for name, value in ((name, getattr(module, name)) for name in module.__all__)
    if inspect.isroutine(value) or inspect.isclass(value)
}


def examples(name: str) -> list[doctest.DocTest]:
    """Those of one name, which know torch, math and all that its part has."""
    part = importlib.import_module(f"discrete_gan.{name.partition('.')[0]}")
    known: dict[str, Any] = {"torch": torch, "math": math, **{each: getattr(part, each) for each in part.__all__}}
    found = doctest.DocTestFinder(recurse=False).find(FUNCTIONS[name], name, globs=known)
    return [test for test in found if test.examples]


WITH_EXAMPLES = [name for name in FUNCTIONS if examples(name)]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_what_comes(name: str) -> None:
    for test in examples(name):
        report: list[str] = []
        results = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
        assert not results.failed, "".join(report)


def test_every_function_on_weights_has_an_example() -> None:
    functions = {name for name, value in FUNCTIONS.items() if name.startswith("weights.") and inspect.isfunction(value)}
    assert functions <= set(WITH_EXAMPLES)
    assert len(WITH_EXAMPLES) >= 42

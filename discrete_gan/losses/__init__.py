"""Losses of both players, one paper per file: functions of raw outputs. A module is imported when it is asked for."""

import importlib
import pkgutil
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if name not in __dir__():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__)]

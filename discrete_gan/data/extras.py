"""Libraries that only some loaders need, and errors of other libraries cut to one line."""

import importlib
from types import ModuleType

from ..errors import InputError


def require(module: str, package: str, purpose: str) -> ModuleType:
    """Imports a library of the ``train`` extra.

    Args:
        module: What to import, such as ``scipy.io``.
        package: The name it is installed under.
        purpose: What it is needed for, the subject of the error message.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"{purpose} needs {package}: pip install 'discrete-gan[train]'") from error


def one_line(error: BaseException) -> str:
    """The first line of an error's message and of its deepest cause, which often says more."""
    message = _first_line(error)
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return message if cause is error else f"{message} ({_first_line(cause)})"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

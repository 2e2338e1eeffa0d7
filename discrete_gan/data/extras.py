"""What loaders share: libraries that only some need, errors of others cut to one line, paths that are not there."""

import difflib
import importlib
from pathlib import Path
from types import ModuleType

from ..errors import InputError


def require(module: str, package: str, purpose: str, *, extra: str = "train") -> ModuleType:
    """Imports a library of an extra.

    Args:
        module: What to import, such as ``scipy.io``.
        package: The name it is installed under.
        purpose: What it is needed for, the subject of the error message.
        extra: Of this package, that installs it.

    Raises:
        InputError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(f"{purpose} needs {package}: pip install 'discrete-gan[{extra}]'") from error


def one_line(error: BaseException) -> str:
    """The first line of an error's message and of its deepest cause, which often says more."""
    message = _first_line(error)
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return message if cause is error else f"{message} ({_first_line(cause)})"


def nearest_path(path: Path, *names: str) -> str:
    """A hint that names what lies beside the first part of a path that does not exist, or one of ``names``."""
    missing = path.absolute()
    while not missing.parent.exists():
        missing = missing.parent
    try:
        found = [entry.name for entry in missing.parent.iterdir()]
    except OSError:  # A file, or a folder that may not be listed, gives no hint.
        found = []
    near = difflib.get_close_matches(missing.name, [*found, *names], n=1)
    if not near:
        return ""
    return f"did you mean {str(missing.parent / near[0]) if near[0] in found else near[0]!r}? "


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

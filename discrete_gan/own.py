"""What users bring in files of their own, as ``FILE.py:NAME``: estimators, tasks, networks and scores; and recipes."""

import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

from discrete_gan.errors import InputError, unknown_name

_PACKAGE = Path(__file__).resolve().parent
RECIPE_FOLDERS = (_PACKAGE / "recipes", _PACKAGE.parent / "recipes")
"""Of the package's own recipes: a wheel carries them inside the package; a checkout has them beside it."""
_trusted: ContextVar[tuple[Path, ...] | None] = ContextVar("trusted", default=None)


class UntrustedError(InputError):
    """A file that only a run directory names: it is not run."""


@contextmanager
def trusting(files: Iterable[Path]) -> Iterator[None]:
    """Inside, only these files are run: what is named there comes from a run directory, not from the user.

    A file that a run names is the one here of the same path, or, as files move, of the same name.
    """
    token = _trusted.set(tuple(Path(os.path.expanduser(file)) for file in files))
    try:
        yield
    finally:
        _trusted.reset(token)


def is_own(spec: str | None) -> bool:
    """Whether a text names something in a file: ``FILE.py:NAME``, maybe with ``:OPTIONS``."""
    return spec is not None and spec.partition(":")[0].endswith(".py")


def find_file(kind: str, name: str | Path) -> Path:
    """A file by its path, or, where it has moved, by its name in the working directory.

    Args:
        kind: What it holds, for the message: "recipe", "estimator" and so on.
        name: Path as it was given, today or when a run began.

    Raises:
        InputError: If it is at neither place, or is not trusted.
    """
    if (trusted := _trusted.get()) is not None:
        return _trusted_one(kind, str(name), trusted)
    path = Path(os.path.expanduser(name))
    for place in (path, Path(path.name)):
        if os.path.isfile(place):  # Path.is_file raises for a name that is too long
            return place
    raise InputError(f"{kind} {name}: no such file, nor a {path.name} in the working directory: expected it at either")


def _trusted_one(kind: str, name: str, trusted: Sequence[Path]) -> Path:
    """The trusted file that a run means; nothing is looked up where the run says."""
    same = [file for file in trusted if os.path.abspath(file) == os.path.abspath(name)]
    same = same or [file for file in trusted if file.name == os.path.basename(name)]
    if not same:
        raise UntrustedError(f"{kind} {name} is code of your own, which is not run because a run names it")
    if len({os.path.abspath(file) for file in same}) > 1:
        raise InputError(f"{kind} {name}: expected one file of that name, got {' and '.join(map(str, same))}")
    if not os.path.isfile(same[0]):
        raise InputError(f"{kind} {same[0]}: no such file")
    return same[0]


def load_file(kind: str, path: Path, what: str = "", *, shipped: bool = False) -> ModuleType:
    """Import a file as a module of its own.

    Args:
        kind: What it holds, which goes into the module's name.
        path: The file.
        what: Whose mistake it is if it does not run, for the message; the file's, if not given.
        shipped: Whether it came with the package.

    Raises:
        InputError: If it does not run, or is not trusted.
    """
    if not shipped and (trusted := _trusted.get()) is not None:
        path = _trusted_one(kind, str(path), trusted)
    # Files of one name in two folders are two modules, and a class keeps the file that it came from.
    spec = importlib.util.spec_from_file_location(f"{kind}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{kind} {path}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    with blaming(what or f"{kind} {path}", path):
        spec.loader.exec_module(module)
    return module


def load_own(kind: str, spec: str) -> tuple[Callable[..., Any], str, Path]:
    """The function or class that ``FILE.py:NAME:OPTIONS`` names, its options as text, and the file.

    Raises:
        InputError: If there is no such file or name, or the file does not run.
    """
    file, _, rest = spec.partition(":")
    name, _, options = rest.partition(":")
    if not name.isidentifier():
        raise InputError(f"{kind} {file}: expected FILE.py:NAME, got no name after the file")
    path = find_file(kind, file)
    module = load_file(kind, path, f"{kind} {file}:{name}")
    found = getattr(module, name, None)
    if not callable(found):
        names = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise unknown_name(f"function or class in {path}:", name, names)
    return found, options, path


def parse_options(what: str, parameters: Iterable[inspect.Parameter], text: str) -> dict[str, Any]:
    """``KEY=VALUE,KEY=VALUE`` as keyword arguments, each of its default's type.

    Args:
        what: They are options of, for the message.
        parameters: That there are.
        text: The options.

    Raises:
        InputError: If a key is no parameter or a value not of its type.
    """
    defaults = {parameter.name: parameter.default for parameter in parameters}
    options: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        key, equals, value = item.partition("=")
        key = key.strip().replace("-", "_")
        if not defaults:
            raise InputError(f"{what}: expected no options, got {text!r}")
        if key not in defaults:
            raise unknown_name(f"option of {what}:", key, defaults)
        if not equals:
            raise InputError(f"{what}: expected {key}=VALUE, got {item!r}")
        options[key] = _value(f"{what}: {key}", value.strip(), defaults[key])
    return options


def _value(name: str, text: str, default: Any) -> Any:
    """Text as the type of the option's default; an option without one by default takes a whole number."""
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise InputError(f"{name}: expected true or false, got {text!r}")
        return text.lower() == "true"
    if isinstance(default, str):
        return text
    kind = float if isinstance(default, float) else int
    try:
        return kind(text)
    except ValueError:
        expected = "a number" if kind is float else "a whole number"
        raise InputError(f"{name}: expected {expected}, got {text!r}") from None


@contextmanager
def blaming(what: str, path: Path) -> Iterator[None]:
    """What the user's code raises becomes one line that says what and where."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if _same(frame.filename, path)]
        if isinstance(error, SyntaxError) and error.filename and _same(error.filename, path):
            lines.append(error.lineno)
        where = f" ({path}, line {lines[-1]})" if lines else f" ({path})"
        message = error.msg if isinstance(error, SyntaxError) else next(iter(str(error).splitlines()), "")
        raise InputError(f"{what}: {type(error).__name__}: {message}{where}") from error


def _same(filename: str, path: Path) -> bool:
    return Path(filename).resolve() == path.resolve()

"""The JSON files of a run directory, read: each by one function, against one schema, and nothing in them is trusted.

What cannot be read, or is not what it should be, is an :class:`InputError` that names the file and what was wrong.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import msgspec

from discrete_gan.errors import InputError
from discrete_gan.tasks.score import Score, from_json

_LARGEST_FILE, _LARGEST_LOG = 1 << 24, 1 << 28  # bytes
_DEEPEST = 32
_LARGEST_SIZE = 1 << 20  # of a layer, or of how many there are
_LARGEST = 10**300  # which a float still holds

Number = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1 << 53)]
Whole = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class _Args(TypedDict):
    seed: int


class _Data(TypedDict):
    name: NotRequired[str | None]
    fingerprint: NotRequired[str | None]


class _Config(TypedDict):
    recipe: str
    recipe_file: NotRequired[str]
    args: _Args
    data: _Data
    models: NotRequired[dict[str, str]]
    processes: NotRequired[Positive]
    command: NotRequired[str]
    commit: NotRequired[str | None]
    versions: NotRequired[dict[str, str | None]]
    changes: NotRequired[list[dict[str, Any]]]


class _Results(TypedDict):
    steps: NotRequired[Whole | None]
    seconds: NotRequired[Number | None]
    scores: NotRequired[dict[str, dict[str, Any]]]


class _Row(TypedDict):
    step: Number


class _Plan(TypedDict):
    settings: dict[str, Any]
    amount: Number | None
    costs: dict[str, dict[str, Number]]
    steps: dict[str, Whole]


class Results(NamedTuple):
    """Of results.json or evaluation.json; what is not there is None.

    Attributes:
        steps: Of the finished run.
        seconds: That it took.
        scores: None in a file of another version.
    """

    steps: int | None = None
    seconds: float | None = None
    scores: list[Score] | None = None


def inside(folder: Path, name: str) -> Path:
    """A file of a folder.

    Raises:
        InputError: If a symbolic link leads out of the folder.
    """
    path = folder / name
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise InputError(f"{path}: a symbolic link that leads out of its folder, expected the file itself")
    return path


def read_config(folder: Path) -> dict[str, Any]:
    """RUN/config.json.

    Raises:
        InputError: If there is none, or it is not that of a run.
    """
    if (content := _content(folder, "config.json")) is None:
        raise InputError(f"{folder}: expected a run directory, found no readable config.json")
    _convert(content, _Config, f"{folder}: expected a run directory, found the config.json of something else")
    missing = {"recipe_file": content["recipe"], "models": {}, "command": "", "commit": None, "versions": {}}
    return missing | content


def read_results(folder: Path, name: str = "results.json") -> Results | None:
    """RUN/results.json, or evaluation.json; None if there is none.

    Raises:
        InputError: If it is damaged.
    """
    if (content := _content(folder, name)) is None:
        return None
    found = _convert(content, _Results, f"{folder / name}: expected the results of a run")
    return Results(found.get("steps"), found.get("seconds"), _scores(folder / name, found.get("scores")))


def read_figures(folder: Path) -> list[Score]:
    """RUN/figures.json: what columns of the log are called; nothing where it is missing.

    Raises:
        InputError: If it is damaged.
    """
    return _scores(folder / "figures.json", _content(folder, "figures.json")) or []


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Lines of RUN/metrics.jsonl; blank ones are left out, and so is a last one that was not written to its end.

    Raises:
        InputError: If there is none, or another line is no JSON object of figures with a step.
    """
    path = inside(folder, "metrics.jsonl")
    if (data := _bytes(path, _LARGEST_LOG)) is None:
        raise InputError(f"{folder}: its metrics.jsonl cannot be read: expected the log of the run")
    lines = data.split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        what = f"{path}, line {number}: expected figures with a step"
        try:
            row = _parse(line, what)
        except InputError:
            if number == len(lines):  # torn: a whole one ends in a line break
                continue
            raise
        _convert(row, dict[str, float | bool | str | None], what)
        _convert(row, _Row, what)
        rows.append(row)
    return rows


def read_plan(folder: Path) -> dict[str, Any] | None:
    """OUT/plan.json of a comparison; None if there is none.

    Raises:
        InputError: If it is damaged.
    """
    if (content := _content(folder, "plan.json")) is None:
        return None
    _convert(content, _Plan, f"{folder / 'plan.json'}: expected the plan of a comparison")
    return content


def check_model_config(folder: Path) -> None:
    """Refuse the config.json of a saved model that is no JSON object, or asks for a size that no model has.

    Raises:
        InputError: If it is damaged.
    """
    if (content := _content(folder, "config.json")) is not None:
        sizes: list[Any] = list(content.values())
        for each in sizes:
            sizes += each if isinstance(each, list) else each.values() if isinstance(each, dict) else ()
            if isinstance(each, int) and abs(each) > _LARGEST_SIZE:
                raise InputError(f"{folder / 'config.json'}: expected sizes to {_LARGEST_SIZE:,}, found {each:.4g}")


def typed(value: Any, kind: Any) -> Any:
    """A value of JSON as one of a type of Python: lists become tuples, texts paths.

    Raises:
        ValueError: If it is none.
    """
    try:
        return msgspec.convert(value, kind, dec_hook=_decoded)
    except TypeError:  # a type that has no JSON: what was written is its text
        return value


def _decoded(kind: type, value: Any) -> Any:
    if issubclass(kind, Path) and isinstance(value, str):
        return Path(value)
    raise msgspec.ValidationError(f"Expected `{kind.__name__}`, got {value!r:.40}")


def _content(folder: Path, name: str) -> Any:
    """A file parsed; None where it is missing."""
    path = inside(folder, name)
    if (data := _bytes(path)) is None:
        return None
    content = _parse(data, what := f"{path}: expected JSON")
    if not isinstance(content, dict):
        raise InputError(f"{what} of names and values, found {type(content).__name__}")
    return content


def _bytes(path: Path, most: int = _LARGEST_FILE) -> bytes | None:
    if not os.path.isfile(path):  # neither a pipe nor a device
        return None
    try:
        if path.stat().st_size > most:
            raise InputError(f"{path}: expected at most {most >> 20} MB, it has more")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _parse(data: bytes, what: str) -> Any:
    try:
        content = json.loads(data.decode())
        _check(content)
    except RecursionError:
        raise InputError(f"{what}, found it nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{what}: {error}") from None
    return content


def _check(value: Any, depth: int = 0) -> None:
    """Refuse nesting that nothing here needs, and numbers that overflow a float."""
    if isinstance(value, dict | list):
        if depth == _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} deep")
        for each in value.values() if isinstance(value, dict) else value:
            _check(each, depth + 1)
    elif isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError(f"a number of {len(str(value))} digits")


def _convert(content: Any, kind: Any, what: str) -> Any:
    try:
        return msgspec.convert(content, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the second of half a surrogate pair
        raise InputError(f"{what}: {error}") from None


def _scores(path: Path, content: Any) -> list[Score] | None:
    try:
        return None if content is None else from_json(content)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None

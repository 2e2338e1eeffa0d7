"""A tokenizer's JSON file, looked at before the native library reads it: a wild number there ends the process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from .extras import one_line
from .limits import open_regular

_MOST_BYTES = 256 << 20
_MOST_TOKENS = 4_000_000
_LONGEST_TOKEN = 10_000  # characters
_MOST_GROWTH = 64  # times the characters of a line
_MOST_STEPS = 64  # of normalizers and the like, whose nesting multiplies


def check_tokenizer(path: Path) -> str:
    """The file's content, if its ids and sizes are those of a tokenizer.

    Raises:
        InputError: If it is no JSON, or ids, lengths or the growth of text are out of range.
    """
    expected = f"{path}: expected a JSON file of tokenizers"
    try:
        with open_regular(path) as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise InputError(f"{expected} of at most {_MOST_BYTES:,} bytes, found more")
        content = raw.decode()
        state = json.loads(content)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{expected}: {one_line(error)}") from error
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise InputError(f"{expected}: it has no model")
    try:
        _check(state, expected)
    except RecursionError as error:
        raise InputError(f"{expected}: nested too deeply") from error
    return content


def _check(state: dict[str, Any], expected: str) -> None:
    model = state["model"]
    tokens = model.get("vocab")
    table = tokens if isinstance(tokens, dict) else {}
    added = state.get("added_tokens")
    ids = [*table.values(), *(one.get("id") for one in added or () if isinstance(one, dict))]
    entries = len(tokens) if isinstance(tokens, dict | list) else 0
    wrong = [one for one in ids if type(one) is not int or not 0 <= one < _MOST_TOKENS]
    if wrong:
        raise InputError(f"{expected} with ids from 0 to {_MOST_TOKENS - 1}, found {str(wrong[0])[:40]}")
    if entries > _MOST_TOKENS:
        raise InputError(f"{expected} of at most {_MOST_TOKENS:,} tokens, found {entries:,}")
    if max(map(len, table), default=0) > _LONGEST_TOKEN:
        raise InputError(f"{expected} with tokens of at most {_LONGEST_TOKEN:,} characters")
    unknown = model.get("unk_id")
    if unknown is not None and not (type(unknown) is int and 0 <= unknown < entries):
        raise InputError(f"{expected}: unk_id {str(unknown)[:40]} is none of its {entries} tokens")
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        growth = 1
        for steps, step in enumerate(_steps(state.get(part)), start=1):
            added_text = step.get("content", step.get("prepend", step.get("replacement", "")))
            growth *= max(1, len(added_text)) if isinstance(added_text, str) else 1
            if growth > _MOST_GROWTH or steps > _MOST_STEPS:
                raise InputError(f"{expected}: its {part} makes text over {_MOST_GROWTH} times as long")


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """Every step, those of sequences too."""
    if isinstance(part, dict):
        yield part
        part = [value for value in part.values() if isinstance(value, list)]
    if isinstance(part, list):
        for inner in part:
            yield from _steps(inner)

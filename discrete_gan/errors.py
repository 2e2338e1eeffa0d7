"""Mistakes in what the user gave, reported as one line."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A user's mistake: the message names what was wrong and what was expected, on one line.

    The command line prints the message and exits with status 2; in a library call it is a ``ValueError``. What a
    message quotes may hold anything: line breaks and control codes are escaped.
    """

    def __init__(self, message: str) -> None:
        super().__init__(escaped(message))


def escaped(text: str) -> str:
    """The text on one line, without control codes."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was refused, of the machine or of a device, or a size is beyond any memory."""
    if isinstance(error, MemoryError | OverflowError):
        return True
    told = ("allocate", "bad_alloc", "out of memory", "not enough memory", "memory object", "overflow", "too big")
    return isinstance(error, RuntimeError | ValueError) and any(words in str(error).lower() for words in told)


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> InputError:
    """The error for a misspelt name: says the nearest choice and lists them all."""
    choices = sorted(choices)
    cased = {choice.lower(): choice for choice in choices}
    nearest = [cased[near] for near in difflib.get_close_matches(name.lower(), cased, n=1, cutoff=0.4)]
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return InputError(f"unknown {kind} {name!r}: {hint}expected one of {', '.join(choices)}")

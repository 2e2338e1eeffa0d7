"""What reaches a terminal: text that it can show, no control codes out of files, and never the end of a run."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

# Control codes, and marks that turn the direction of text. Progress bars, on standard error, and help texts are made of
# colors and of the cursor's way up; hidden text is not among them. All else that is printed has no code at all.
_STYLE = r"(?:[0-79]|[1-9]\d+)"
_OURS = rf"\x1b\[(?:(?:{_STYLE}(?:;{_STYLE})*)?m|A)"
_CODES = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
_SENT = re.compile(f"({_OURS})|{_CODES}")
_BREAKS = r"[\t\n\r]"
_LONGEST = 800
BROKEN_PIPE = 141
"""Exit status where the reader of the output has gone: that of the signal."""


def one_line(text: str) -> str:
    """A message without line breaks and control codes, and not longer than a few lines of a terminal."""
    line = re.sub(f"{_CODES}|{_BREAKS}", _escape, " ".join(text.split("\n")))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"


def plain(text: str) -> str:
    """Text out of files, for a terminal: all control codes are shown, but for line breaks."""
    return re.sub(f"{_CODES}|[\t\r]", _escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


class _Stream:
    """A stream that escapes on a terminal what is not ours to send, and is silent once it cannot be written."""

    def __init__(self, stream: TextIO, *, styled: bool) -> None:
        self._stream, self.styled = stream, styled
        self._escapes = stream.isatty()
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As of any stream."""
        shown = text
        if self._escapes:
            shown = _SENT.sub(lambda found: found[1] or _escape(found), text) if self.styled else plain(text)
        self._try(lambda: self._stream.write(shown))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """As of any stream."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """As of any stream."""
        self._try(self._stream.flush)

    def _try(self, act: Any) -> None:
        if self.error is None:
            try:
                act()
            except OSError as error:
                self.error = error


@contextmanager
def terminal() -> Iterator[None]:
    """Inside, whatever is printed ends no run: what the encoding lacks is escaped, and a stream that breaks is silent.

    Raises:
        SystemExit: At the end, if what was printed did not arrive: 141 after a broken pipe, else 1 and a line.
    """
    before = sys.stdout, sys.stderr
    for stream in before:
        with suppress(AttributeError, ValueError):  # not of a stream that somebody else put there
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    out, errors = _Stream(before[0], styled=False), _Stream(before[1], styled=True)
    sys.stdout, sys.stderr = out, errors  # type: ignore[assignment]
    try:
        yield
    finally:
        out.flush()
        errors.flush()
        sys.stdout, sys.stderr = before
        for stream, wrapped in zip(before, (out, errors), strict=True):
            if wrapped.error is not None:
                _abandon(stream)
    if out.error is not None:
        if out.error.errno in (errno.EPIPE, errno.ESHUTDOWN):
            raise SystemExit(BROKEN_PIPE)
        print(f"discrete-gan: standard output: cannot be written ({out.error.strerror})", file=sys.stderr)
        raise SystemExit(1)


@contextmanager
def help_texts() -> Iterator[None]:
    """Inside, what is printed may have colors."""
    out = sys.stdout
    if not isinstance(out, _Stream):
        yield
        return
    out.styled = True
    try:
        yield
    finally:
        out.styled = False


def _abandon(stream: TextIO) -> None:
    """Lead a broken stream nowhere: Python would complain of it again at exit."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)

"""How much a file may take: sizes are checked before memory is taken, and what is packed is read in a stream."""

import gzip
import lzma
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from ..errors import InputError
from .extras import one_line

VARIABLE = "DISCRETE_GAN_MAX_BYTES"
"""The environment variable that sets the most bytes that one array or text may have in memory."""
MOST_BYTES = 8 << 30
"""Its value where it is not set."""

# A bomb is told by both: images and text that are real pack 20 to 100 times, zeros in gzip 1,000 times.
_UNSUSPICIOUS = 64 << 20
_MOST_RATIO = 200
_PIECE = 1 << 20
OPENERS: dict[str, Callable[[BinaryIO], Any]] = {
    ".gz": lambda file: gzip.GzipFile(fileobj=file, mode="rb"),
    ".xz": lzma.LZMAFile,
}
"""Packed files by suffix."""


def most_bytes() -> int:
    """The limit in force."""
    value = os.environ.get(VARIABLE, "")
    if not value:
        return MOST_BYTES
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise InputError(f"{VARIABLE}: expected a number of bytes, got {value!r}")
    return int(value)


def check_size(where: str, size: int, packed: int | None = None) -> None:
    """Refuses a size that is over the limit, or one that no real data packs into so few bytes.

    Args:
        where: Names the file or array.
        size: Bytes in memory.
        packed: Bytes in the file, where it is packed.

    Raises:
        InputError: If it is refused; the message says the limit and how to raise it.
    """
    most = most_bytes()
    if size > most:
        raise InputError(f"{where}: expected at most {most:,} bytes, found {size:,} (the variable {VARIABLE} sets it)")
    # Whoever sets the variable vouches for the data up to that size.
    if packed is not None and VARIABLE not in os.environ and size > max(_UNSUSPICIOUS, _MOST_RATIO * packed):
        raise InputError(
            f"{where}: {packed:,} packed bytes unpack to {size:,} or more, over {_MOST_RATIO} times as many, "
            f"as in no real data: set the variable {VARIABLE} to read it all the same"
        )


def open_regular(path: Path) -> BinaryIO:
    """Opens a file to read bytes, if it is an ordinary one: pipes wait for ever and devices never end.

    Raises:
        InputError: If it is anything else.
        OSError: If it is not there or may not be read.
    """
    # The descriptor is asked, not the name, and opening does not wait for a pipe's other end.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(str(path))
        raise InputError(f"{path}: expected an ordinary file, found a pipe, socket or device")
    return os.fdopen(descriptor, "rb")


class Unpacked:
    """The bytes of a file, unpacked if its name ends in ``.gz`` or ``.xz``, under the limits.

    Args:
        path: An ordinary file.

    Attributes:
        broken: Whether the packed stream broke off before its end.
        size: Bytes of a file that is not packed; None of a packed one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken = False
        self._file = open_regular(path)
        length = os.fstat(self._file.fileno()).st_size
        self._opener = OPENERS.get(path.suffix)
        self.size = None if self._opener else length
        self._stream: Any = self._opener(self._file) if self._opener else self._file
        self._given = 0

    def __enter__(self) -> "Unpacked":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, count: int | None = None) -> bytes:
        """The next ``count`` bytes, or all; fewer only at the end.

        Raises:
            InputError: If it is damaged or over a limit.
        """
        if self.size is not None:
            check_size(str(self.path), self.size if count is None else min(count, self.size))
            return self._file.read() if count is None else self._file.read(count)
        content = bytearray()
        while count is None or len(content) < count:
            try:
                piece = self._stream.read1(_PIECE if count is None else min(_PIECE, count - len(content)))
            except EOFError:
                self.broken = True
                break
            except (OSError, zlib.error, lzma.LZMAError) as error:
                raise InputError(
                    f"{self.path}: cannot be read: damaged {self.path.suffix} file: {one_line(error)}"
                ) from error
            if not piece:
                break
            content += piece
            self._given += len(piece)
            check_size(str(self.path), self._given, self._file.tell())
        return bytes(content)

"""Files that are whole or not there: written aside, flushed to the disk, renamed."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from discrete_gan.errors import InputError

# What a disk, and no program, is to blame for.
_OF_THE_DISK = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENODEV),
    *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP),
    errno.ENAMETOOLONG,
}


@contextmanager
def told_in_a_line(folder: Path) -> Iterator[None]:
    """What cannot be written into a folder, or made above it, becomes one line; other files' errors go on as they are.

    Raises:
        InputError: Names the file and what the disk says of it.
    """
    try:
        yield
    except OSError as error:
        name = Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes, os.PathLike)) else folder
        name, folder = Path(os.path.abspath(name)), Path(os.path.abspath(folder))
        if not (name.is_relative_to(folder) or folder.is_relative_to(name)) or error.errno not in _OF_THE_DISK:
            raise
        raise InputError(f"{name}: cannot be written ({error.strerror})") from None


def try_writing(*files: Path) -> None:
    """Make the folders of files that are to be written later, and try each with a file that has no name.

    Raises:
        InputError: If one cannot be written into, or there is a folder in a file's place.
    """
    for path in files:
        with told_in_a_line(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            with TemporaryFile(dir=path.parent) as file:
                file.write(b"\n")
                file.flush()


def write_aside(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside its place and rename it: a kill leaves the old one or the new one.

    A link in its place, or beside it, is replaced and never followed.

    Args:
        path: The file.
        write: Is given the open file.

    Raises:
        OSError: If it cannot be written; what was begun is removed.
    """
    aside = path.with_name(f".{path.name}.tmp")
    try:
        aside.unlink(missing_ok=True)
        with aside.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
    sync(path.parent)


def append(path: Path, line: bytes) -> None:
    """Add a line to a file, the whole of it or nothing; a link is refused.

    Raises:
        OSError: If it cannot be written.
    """
    number = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        size = os.fstat(number).st_size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(number, rest) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(number, size)
            raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(number)


def sync(path: Path) -> None:
    """Have the disk hold a file's content, or the names in a folder; where it cannot be asked to, nothing."""
    with suppress(OSError):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

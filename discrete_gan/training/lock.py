"""One process at a time in a folder: the lock is the kernel's, and ends with the process however that ends."""

import os
import sys
import weakref
from contextlib import suppress
from pathlib import Path

from discrete_gan.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

NAME = ".lock"


class Lock:
    """A folder that this process alone writes into, made if it is not there; let go, an empty one is gone again.

    Made by :func:`hold`. It ends with :meth:`release`, or with the last who refers to it.
    """

    def __init__(self, folder: Path) -> None:
        made = _make(folder)
        try:
            self._number = _locked(folder)
        except BaseException:
            _remove(made)
            raise
        self.release = weakref.finalize(self, _release, self._number, folder.absolute(), made, os.getpid())


_held: "weakref.WeakValueDictionary[tuple[int, int], Lock]" = weakref.WeakValueDictionary()


def hold(folder: Path) -> Lock:
    """Lock a folder for this process, which may ask for it again; that it can be written into is tried by this.

    Raises:
        InputError: If another process holds it.
        OSError: If it cannot be made or written into.
    """
    if folder.is_dir() and (lock := _held.get(_key(folder))) is not None and lock.release.alive:
        return lock
    lock = Lock(folder)
    _held[_key(folder)] = lock
    return lock


def holder(folder: Path) -> str | None:
    """The process that holds a folder, None if none does."""
    try:
        number = os.open(folder / NAME, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        if fcntl is None:
            return None
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(number, 100).decode(errors="replace").strip() or "unknown"
    except OSError:
        return None
    finally:
        os.close(number)
    return None


def _key(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; the ones that were missing, innermost last."""
    folder = folder.absolute()
    missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _remove(folders: list[Path]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):  # not empty, so wanted
            folder.rmdir()


def _locked(folder: Path) -> int:
    path = folder / NAME
    while True:
        number = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        try:
            _lock(number, folder)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(number), os.stat(path)):  # else its last holder has just removed it
                    os.ftruncate(number, 0)
                    try:
                        os.write(number, f"{os.getpid()}\n".encode())
                        os.fsync(number)
                    except OSError as error:
                        path.unlink(missing_ok=True)
                        raise OSError(error.errno, error.strerror, str(path)) from None
                    return number
        except BaseException:
            os.close(number)
            raise
        os.close(number)


def _lock(number: int, folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        process = os.read(number, 100).decode(errors="replace").strip() or "unknown"
        expected = "expected a folder that no other works in"
        raise InputError(f"{folder}: process {process} works in it, {expected}") from None
    except OSError as error:  # a file system without locks
        reason = f"cannot be locked ({error.strerror}): start no second run in it"
        print(f"discrete-gan: {folder}: {reason}", file=sys.stderr)


def _release(number: int, folder: Path, made: list[Path], process: int) -> None:
    if os.getpid() != process:  # a copy of the one that holds it
        return
    with suppress(OSError):
        (folder / NAME).unlink()
    os.close(number)
    _remove(made)

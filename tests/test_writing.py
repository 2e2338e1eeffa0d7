"""Files that are whole or not there."""

import errno
import os
from pathlib import Path
from typing import IO, Any

import pytest

from discrete_gan.training import lock
from discrete_gan.training.lock import hold, holder
from discrete_gan.writing import append, write_aside


def test_what_fails_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_aside(path, lambda file: file.write(b"before"))

    def half(file: IO[bytes]) -> None:
        file.write(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_aside(path, half)
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


def test_a_line_that_the_disk_has_no_room_for_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "log", os.write
    append(path, b"one\n")

    def full(number: int, data: Any) -> int:
        if len(data) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(number, data[:-1])

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left") as info:
        patch.setattr(os, "write", full)
        append(path, b"two\n")
    assert info.value.filename == str(path)
    assert path.read_bytes() == b"one\n"


def test_a_folder_that_cannot_be_locked_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(os, "write", full)
        hold(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_a_lock_that_its_last_holder_has_just_removed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking the file, the one before lets go and removes it."""
    flock, removed = lock._lock, []

    def late(number: int, folder: Path) -> None:
        if not removed:
            removed.append((folder / lock.NAME).unlink())
        flock(number, folder)

    monkeypatch.setattr(lock, "_lock", late)
    held = hold(tmp_path)
    assert removed and holder(tmp_path) == str(os.getpid())
    held.release()

"""Checkpoint files: each ends in the checksum of what is before it, and the last few are kept."""

import hashlib
import os
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import torch

from discrete_gan.errors import InputError
from discrete_gan.writing import write_aside

_KEPT = 2
_MARK = b"\nsha256:"
_TRAILER = len(_MARK) + 64
_CHUNK = 1 << 20


class Checkpoints:
    """The folder ``checkpoints/`` of a run directory.

    ``torch.load`` reads the files as they are: what follows the end of a zip archive is none of its business.

    Args:
        folder: Made by :meth:`save`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def files(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.folder.glob("step-*.pt"))

    def last(self) -> Path | None:
        """The newest, None without one."""
        return next(reversed(self.files()), None)

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write one and remove those before the last few.

        Raises:
            OSError: If it cannot be written: those before are as they were.
        """

        def write(file: IO[bytes]) -> None:
            hashed = _Hashed(file)
            torch.save(state, hashed)  # type: ignore[arg-type]
            if hashed.error is not None:
                raise hashed.error
            file.write(_MARK + hashed.digest.hexdigest().encode())

        self.folder.mkdir(exist_ok=True)
        write_aside(self.folder / f"step-{step:08d}.pt", write)
        for old in self.files()[:-_KEPT]:
            old.unlink()

    def load(self, device: torch.device) -> dict[str, Any]:
        """The state of the newest whole one. Damaged ones are named, and set aside as ``NAME.damaged``.

        Raises:
            InputError: If none is whole.
        """
        damaged: dict[Path, str] = {}
        for path in reversed(self.files()):
            try:
                state = _read(path, device)
            except (OSError, ValueError) as error:
                damaged[path] = str(error)
                continue
            for other, reason in damaged.items():
                print(f"discrete-gan: {other}: {reason}; going on from {path}", file=sys.stderr)
                with suppress(FileNotFoundError):  # of several processes another was first
                    os.replace(other, other.with_name(f"{other.name}.damaged"))
            return state
        reasons = "; ".join(f"{path.name}: {reason}" for path, reason in damaged.items()) or "none there"
        raise InputError(f"{self.folder}: not a readable checkpoint ({reasons})")


class _Hashed:
    """A file that hashes what is written. Its errors wait: torch's writer ends the process over those it meets."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is None:
            self.digest.update(data)
            try:
                self._file.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """Nothing: :func:`write_aside` flushes."""


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    """A checkpoint's state.

    Raises:
        ValueError: Why it is not one.
        OSError: If it cannot be read.
    """
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(max(0, size - _TRAILER))
        mark, _, expected = file.read().rpartition(b":")
        if has_checksum := mark + b":" == _MARK:
            file.seek(0)
            left = size - _TRAILER
            while left and (chunk := file.read(min(left, _CHUNK))):
                digest.update(chunk)
                left -= len(chunk)
            if digest.hexdigest().encode() != expected:
                raise ValueError("damaged, its checksum is not that of its content")
    try:
        if not has_checksum:  # torn, or written without one: archives have sums of their own, which torch never reads
            with zipfile.ZipFile(path) as archive:
                if archive.testzip() is not None:
                    raise ValueError("a sum of its archive is another")
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise ValueError(f"damaged or no checkpoint ({type(error).__name__})") from None
    expected_types = {"step": int, "seconds": (int, float), "evaluations": (int, float), "row": dict}
    for name, kind in expected_types.items():
        if not isinstance(state, dict) or not isinstance(state.get(name), kind):
            raise ValueError(f"no checkpoint of a run, expected one that holds {name}")
    return state

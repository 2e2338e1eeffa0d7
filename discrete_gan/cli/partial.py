"""What an evaluation has finished, kept beside the run until all of it is: one that was stopped takes it up again."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from discrete_gan.cli.runs import SavedRun
from discrete_gan.training.records import inside
from discrete_gan.writing import write_aside

T = TypeVar("T")
_NAME = "evaluation.partial"
_LARGEST = 256 << 20
_WEIGHTS = "model.safetensors"


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    stages: dict[str, msgspec.Raw]


class Partial:
    """Stages of one evaluation of a run.

    Args:
        run: The run.
        args: Of the evaluation: what others found is not taken up.
    """

    def __init__(self, run: SavedRun, args: Any) -> None:
        self._path = inside(run.directory.path, _NAME)
        self._key = _key(run, args)
        self._stages: dict[str, bytes] = {}
        try:
            if self._path.is_file() and self._path.stat().st_size <= _LARGEST:
                kept = msgspec.msgpack.decode(self._path.read_bytes(), type=_Kept)
                if kept.key == self._key:
                    self._stages = {name: bytes(found) for name, found in kept.stages.items()}
        except (OSError, msgspec.DecodeError):  # cut short by a kill, or something else: begin anew
            pass
        if self._stages:
            print(f"{run.directory.path}: taken up, as the last evaluation left it: {', '.join(self._stages)}")

    def stage(self, name: str, kind: type[T], compute: Callable[[], T]) -> T:
        """What the stage found, computed unless it is there, and kept at once.

        Args:
            name: Of the stage.
            kind: Of what it finds, by which it is read again.
            compute: Finds it.
        """
        if name in self._stages:
            try:
                return msgspec.msgpack.decode(self._stages[name], type=kind)
            except msgspec.DecodeError:
                pass
        try:
            found = compute()
        except KeyboardInterrupt:
            if self._stages:
                print(f"{self._path.parent}: {', '.join(self._stages)} kept, the same command goes on", flush=True)
            raise
        try:
            self._stages[name] = msgspec.msgpack.encode(found)
        except (TypeError, ValueError):  # numbers of another library: they are found again
            return found
        kept = _Kept(self._key, {name: msgspec.Raw(value) for name, value in self._stages.items()})
        write_aside(self._path, lambda file: file.write(msgspec.msgpack.encode(kept)))
        return found

    def forget(self) -> None:
        """Everything is found and written."""
        self._path.unlink(missing_ok=True)


def _key(run: SavedRun, args: Any) -> str:
    """Changes with what is asked for, the weights, the data and files of the user's own."""
    asked = {name: value for name, value in dataclasses.asdict(args).items() if name not in ("runs", "out", "trust")}
    digest = hashlib.blake2b(repr((sorted(asked.items()), run.config)).encode(), digest_size=8)
    path = run.directory.path
    for file in sorted([*path.glob(f"*/{_WEIGHTS}"), *path.glob(f"*/*/{_WEIGHTS}")]):
        digest.update(file.read_bytes())
    digest.update(repr(run.task.summary().get("fingerprint")).encode())
    for own in run.scores(getattr(args, "scores", ())):
        digest.update(own.digest.encode())
    return digest.hexdigest()

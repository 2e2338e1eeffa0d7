"""The files of a run directory. Nothing here is ever half-written, and one process at a time writes."""

import dataclasses
import inspect
import json
import math
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors import SafetensorError
from torch import nn

from discrete_gan.distributed import num_launched
from discrete_gan.errors import InputError
from discrete_gan.own import RECIPE_FOLDERS, is_own
from discrete_gan.tasks.score import Score, as_json
from discrete_gan.training.checkpoints import Checkpoints
from discrete_gan.training.lock import NAME, Lock, hold
from discrete_gan.training.options import RunOptions
from discrete_gan.training.records import read_config, read_figures
from discrete_gan.writing import append, sync, told_in_a_line, write_aside

# All that a run, its evaluations and its pages write, in the order in which an overwriting run removes them: what says
# that it is finished goes first. Its config.json is replaced, so that a kill leaves what is known for a run.
_WRITTEN = ("results.json", "checkpoints/*step-*.pt*", "metrics.jsonl", "figures.json", "evaluation.json")
_WRITTEN += ("temperatures.*", "report.html", "tokenizer.json", "labeled.json", "events.out.tfevents.*")
_WRITTEN += ("samples/step-*", "samples.*", "reweighted.*")
_OF_A_MODEL = ("config.json", "model.safetensors", "README.md", ".tmp*")
_HALF_WRITTEN = (".*.tmp/*", ".*.tmp", "*/.*.tmp", "*/.tmp*")
_FOLDERS = ("checkpoints", "samples")
# By a resumption. Data may have moved: its fingerprint is compared.
_MAY_CHANGE = {field.name for field in dataclasses.fields(RunOptions)} - {"seed"}
_MAY_CHANGE |= {"steps", "num_scored", "data", "classifier_data", "run", "trust"}
_PACKAGES = ("discrete-gan", "torch", "numpy", "lightning-fabric")


class RunDirectory:
    """config.json, metrics.jsonl, figures.json, results.json, samples/, checkpoints/, and a folder per saved model.

    Args:
        path: The directory; made by :meth:`create`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._checkpoints = Checkpoints(path / "checkpoints")
        self._lock: Lock | None = None

    @classmethod
    def of(cls, options: RunOptions, recipe: str) -> "RunDirectory":
        """The directory that the options name, checked but not yet made.

        Raises:
            InputError: If it already holds a run that is neither resumed nor overwritten, or if there is no
                run to resume, or a setting that makes the run what it is differs.
        """
        if options.resume is not None:
            directory = cls(options.resume)
            if options.overwrite or (options.out is not None and options.out != options.resume):
                beside = "--overwrite" if options.overwrite else f"--out {options.out}"
                raise InputError(
                    f"--resume {options.resume}: a run goes on in its own directory, got {beside} beside it"
                )
            if not directory.holds_run() or directory.last_checkpoint() is None:
                raise InputError(f"--resume {options.resume}: no checkpoint there, expected a run directory")
            config = directory.read_config()
            # Their batches make up one, so that a step of another number of them is of another size.
            if (processes := config.get("processes", num_launched())) != num_launched():
                how = f"torchrun --nproc-per-node {processes}" if processes > 1 else "without torchrun"
                expected = f"expected that many ({how}), got {num_launched()}"
                raise InputError(f"--resume {options.resume}: the run's processes were {processes}: {expected}")
            for name, value in directory._changes(options).items():
                if name in _MAY_CHANGE:
                    continue
                option, resumed = f"--{name.replace('_', '-')}", f"--resume {options.resume}"
                if name not in config["args"]:
                    made_by = config.get("versions", {}).get("discrete-gan")
                    expected = "expected a run of this version"
                    raise InputError(f"{resumed}: discrete-gan {made_by}, which wrote it, had no {option}: {expected}")
                expected = "expected no change but of --steps and of what is reported"
                raise InputError(f"{resumed}: {option} of this run is {config['args'][name]}, got {value}: {expected}")
            return directory
        directory = cls(options.out or Path("runs") / recipe)
        with told_in_a_line(directory.path):
            # A run that was killed before it had a config.json leaves a lock, and folders with nothing in them.
            known = {NAME, ".config.json.tmp", *_FOLDERS}
            found = list(directory.path.iterdir()) if os.path.lexists(directory.path) else []
            found = [path for path in found if path.name not in known or (path.is_dir() and any(path.iterdir()))]
        if directory.holds_run():
            if not options.overwrite:
                raise InputError(
                    f"{directory.path} already holds a run: give another --out, --resume {directory.path} to "
                    "continue it, or --overwrite to replace it"
                )
            if not {"recipe", "args"} <= directory.read_config().keys():
                raise InputError(f"--overwrite: {directory.path / 'config.json'} is not of a run, expected a new --out")
        elif found:
            raise InputError(f"--out {directory.path}: not empty and not a run directory, expected a new path")
        return directory

    def claim(self) -> None:
        """Have the directory for this process, made and tried; until :meth:`release` or the end of the process.

        Raises:
            InputError: If another process works in it, it cannot be written into, or files of it are links.
        """
        with told_in_a_line(self.path):
            self._lock = hold(self.path)
            if not self.holds_run():
                return
            for path in (*self.path.iterdir(), *self.path.glob("*/*")):
                if path.is_symlink():
                    self.release()
                    raise InputError(f"{path}: a link, expected a run directory with files of its own")
            left = [path for pattern in _HALF_WRITTEN for path in self.path.glob(pattern)]
            for path in left:
                path.rmdir() if path.is_dir() else path.unlink()  # what a kill left half-written

    def release(self) -> None:
        """Let other processes work in the directory; one that is empty is gone."""
        if self._lock is not None:
            self._lock.release()

    def holds_run(self) -> bool:
        """Whether a run was started here."""
        return os.path.isfile(self.path / "config.json")  # Path.is_file raises for a name that is too long

    def create(
        self, options: RunOptions, recipe_file: Path, data: dict[str, Any], models: dict[str, nn.Module]
    ) -> None:
        """Make the directory anew, with its config.json: what ran, on what, how, and what it saves.

        Of what an earlier run wrote nothing stays, and whatever else is in the directory is not touched.
        """
        with self._writing():
            self.path.mkdir(parents=True, exist_ok=True)
            self._remove_run(list(models))
        config = {
            "recipe": recipe_file.stem,
            # Of the package's own the name alone: a file of that name anywhere else is another one.
            "recipe_file": recipe_file.stem if recipe_file.parent in RECIPE_FOLDERS else recipe_file,
            "args": dataclasses.asdict(options),
            "data": data,
            "models": {name: _origin(type(model)) for name, model in models.items()},
            "processes": num_launched(),
            "command": _command(),
            "commit": _commit(),
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        }
        self.write_json("config.json", config)
        with self._writing():
            for name in _FOLDERS:
                (self.path / name).mkdir(exist_ok=True)

    def _remove_run(self, models: list[str]) -> None:
        known = self.read_config().get("models", {}) if self.holds_run() else {}
        names = [name for name in dict.fromkeys(["generator", "discriminator", *known, *models])]
        names = [name for name in names if isinstance(name, str) and Path(name).name == name]
        patterns = [*_WRITTEN, *(f"{name}/{pattern}" for name in names for pattern in _OF_A_MODEL)]
        for path in [path for pattern in patterns for path in self.path.glob(pattern)]:
            if path.is_symlink() or not path.is_dir():
                path.unlink()
        for folder in (self.path / name for name in (*_FOLDERS, *names)):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A disk that is full or gone is told of in one line, with the checkpoint to go on from."""
        try:
            with told_in_a_line(self.path):
                yield
        except InputError as error:
            kept = self.last_checkpoint()
            raise InputError(f"{error}; {f'last checkpoint: {kept}' if kept else 'no checkpoint yet'}") from None

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a small file of its own."""
        text = json.dumps(content, indent=2, default=str) + "\n"
        with told_in_a_line(self.path):
            write_aside(self.path / name, lambda file: file.write(text.encode()))

    def read_config(self) -> dict[str, Any]:
        """What :meth:`create` wrote.

        Raises:
            InputError: If there is none, or it is not that of a run.
        """
        return read_config(self.path)

    def _changes(self, options: RunOptions) -> dict[str, Any]:
        """Settings, as JSON has them, that are not those of the run."""
        before = self.read_config()["args"]
        args = json.loads(json.dumps(dataclasses.asdict(options), default=str))
        passing = ("resume", "out", "overwrite")
        kept = {name: value for name, value in args.items() if name not in passing}
        return {name: value for name, value in kept.items() if _moved(value) != _moved(before.get(name))}

    def record_changes(self, options: RunOptions, step: int) -> None:
        """Write settings that a resumption changed into config.json, with the step from which they hold."""
        if changes := self._changes(options):
            config = self.read_config()
            config["args"].update(changes)
            config.setdefault("changes", []).append({"from_step": step, **changes})
            self.write_json("config.json", config)

    def describe(self, scores: Sequence[Score]) -> None:
        """Keep in figures.json what columns of metrics.jsonl are called, and which way they are better."""
        try:
            known = as_json(read_figures(self.path))
        except InputError:  # only names: no reason to end a run
            known = {}
        fresh = [score._replace(value=math.nan, low=math.nan, high=math.nan, real=None, note="") for score in scores]
        if found := {name: of for name, of in as_json(fresh).items() if name not in known}:
            self.write_json("figures.json", known | found)

    def save_model(self, name: str, model: nn.Module) -> None:
        """Write a model as ``NAME/config.json`` and ``NAME/model.safetensors``."""
        if not isinstance(model, PyTorchModelHubMixin):
            raise InputError(f"{name}: expected a model with save_pretrained, got {type(model).__name__}")
        aside, folder = self.path / f".{name}.tmp", self.path / name
        with self._writing():
            try:
                model.save_pretrained(aside)
            except SafetensorError as error:
                raise InputError(f"{folder}: cannot be written ({error})") from None
            folder.mkdir(exist_ok=True)
            for path in sorted(aside.iterdir()):
                sync(path)
                os.replace(path, folder / path.name)
            sync(folder)
            aside.rmdir()

    def append_metrics(self, row: dict[str, float]) -> None:
        """Add a line to metrics.jsonl."""
        with self._writing():
            append(self.path / "metrics.jsonl", json.dumps(row).encode() + b"\n")

    def truncate_metrics(self, step: int) -> None:
        """Drop the lines after a step, which a resumed run writes again; one that is no line is named and dropped."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return
        kept, lines = [], path.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines, 1):
            try:
                at = json.loads(line)["step"] if line.endswith(b"\n") else math.inf  # torn by a kill
                if at <= step:
                    kept.append(line)
            except (ValueError, TypeError, KeyError, RecursionError):
                print(f"discrete-gan: {path}, line {number}: damaged, left out", file=sys.stderr)
        if kept != lines:
            with self._writing():
                write_aside(path, lambda file: file.writelines(kept))

    def sample_path(self, step: int) -> Path:
        """Where the samples of a step belong, without the suffix."""
        return self.path / "samples" / f"step-{step:08d}"

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint, None without one."""
        return self._checkpoints.last()

    def save_checkpoint(self, step: int, state: dict[str, Any]) -> None:
        """Write a checkpoint and remove those before the last few; the log up to it is on the disk first."""
        with self._writing():
            sync(self.path / "metrics.jsonl")
            self._checkpoints.save(step, state)

    def load_checkpoint(self, device: torch.device) -> dict[str, Any]:
        """The state of the newest checkpoint that is whole; damaged ones are named.

        Raises:
            InputError: If there is none.
        """
        return self._checkpoints.load(device)


def _moved(value: Any) -> Any:
    """An option that names a file of the user's own, wherever that lies."""
    if isinstance(value, list):
        return [_moved(each) for each in value]
    if not isinstance(value, str) or not is_own(value):
        return value
    file, colon, rest = value.partition(":")
    return Path(file).name + colon + rest


def _origin(kind: type) -> str:
    """Where a class is found again: ``module:NAME`` in this package, else ``FILE.py:NAME``."""
    inside = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    return f"{kind.__module__ if inside else inspect.getfile(kind)}:{kind.__qualname__}"


def _command() -> str:
    """The command line, as it can be typed again."""
    program = Path(sys.argv[0])
    start = "discrete-gan" if program.name in ("discrete-gan", "__main__.py") else f"python {program}"
    return f"{start} {shlex.join(sys.argv[1:])}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the checkout that the package runs from, marked when files differ; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except OSError:  # no git
        return None
    return result.stdout.strip() or None

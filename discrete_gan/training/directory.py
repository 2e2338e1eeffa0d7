"""The files of a run directory. Nothing here is ever half-written: files are written aside, then renamed."""

import dataclasses
import inspect
import json
import math
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from discrete_gan.errors import InputError
from discrete_gan.own import is_own
from discrete_gan.tasks.score import Score, as_json
from discrete_gan.training.options import RunOptions

_CHECKPOINTS_KEPT = 2
# By a resumption. Data may have moved: its fingerprint is compared.
_MAY_CHANGE = {field.name for field in dataclasses.fields(RunOptions)} - {"seed"}
_MAY_CHANGE |= {"steps", "num_scored", "data", "classifier_data"}
_PACKAGES = ("discrete-gan", "torch", "numpy", "lightning-fabric")


class RunDirectory:
    """config.json, metrics.jsonl, figures.json, results.json, samples/, checkpoints/, and a folder per saved model.

    Args:
        path: The directory; made by :meth:`create`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, options: RunOptions, recipe: str) -> "RunDirectory":
        """The directory that the options name, checked but not yet made.

        Raises:
            InputError: If it already holds a run that is neither resumed nor overwritten, or if there is no
                run to resume, or a setting that makes the run what it is differs.
        """
        if options.resume is not None:
            directory = cls(options.resume)
            if directory.last_checkpoint() is None:
                raise InputError(f"--resume {options.resume}: no checkpoint there, expected a run directory")
            config = directory.read_config()
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
        if directory.path.exists() and any(directory.path.iterdir() if directory.path.is_dir() else [1]):
            if not directory.holds_run():
                raise InputError(f"--out {directory.path}: not empty and not a run directory, expected a new path")
            if not options.overwrite:
                raise InputError(
                    f"{directory.path} already holds a run: give another --out, --resume {directory.path} to "
                    "continue it, or --overwrite to replace it"
                )
        return directory

    def holds_run(self) -> bool:
        """Whether a run was started here."""
        return (self.path / "config.json").is_file()

    def create(
        self, options: RunOptions, recipe_file: Path, data: dict[str, Any], models: dict[str, nn.Module]
    ) -> None:
        """Make the directory anew, with its config.json: what ran, on what, how, and what it saves."""
        if self.path.exists():
            shutil.rmtree(self.path)
        (self.path / "samples").mkdir(parents=True)
        (self.path / "checkpoints").mkdir()
        config = {
            "recipe": recipe_file.stem,
            "recipe_file": recipe_file,
            "args": dataclasses.asdict(options),
            "data": data,
            "models": {name: _origin(type(model)) for name, model in models.items()},
            "command": _command(),
            "commit": _commit(),
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        }
        self.write_json("config.json", config)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a small file of its own."""
        text = json.dumps(content, indent=2, default=str) + "\n"
        aside = self.path / f".{name}.tmp"
        aside.write_text(text)
        os.replace(aside, self.path / name)

    def read_config(self) -> dict[str, Any]:
        """What :meth:`create` wrote.

        Raises:
            InputError: If there is none.
        """
        try:
            return json.loads((self.path / "config.json").read_text())
        except (OSError, json.JSONDecodeError):
            raise InputError(f"{self.path}: expected a run directory, found no readable config.json") from None

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
        path = self.path / "figures.json"
        known = json.loads(path.read_text()) if path.is_file() else {}
        fresh = [score._replace(value=math.nan, low=math.nan, high=math.nan, real=None, note="") for score in scores]
        if found := {name: of for name, of in as_json(fresh).items() if name not in known}:
            self.write_json("figures.json", known | found)

    def save_model(self, name: str, model: nn.Module) -> None:
        """Write a model as ``NAME/config.json`` and ``NAME/model.safetensors``."""
        if not isinstance(model, PyTorchModelHubMixin):
            raise InputError(f"{name}: expected a model with save_pretrained, got {type(model).__name__}")
        model.save_pretrained(self.path / name)

    def append_metrics(self, row: dict[str, float]) -> None:
        """Add a line to metrics.jsonl."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")

    def truncate_metrics(self, step: int) -> None:
        """Drop the lines after a step: a resumed run writes them again."""
        path = self.path / "metrics.jsonl"
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= step]
            path.write_text("".join(line + "\n" for line in lines))

    def sample_path(self, step: int) -> Path:
        """Where the samples of a step belong, without the suffix."""
        return self.path / "samples" / f"step-{step:08d}"

    def checkpoints(self) -> list[Path]:
        """Checkpoint files, oldest first."""
        return sorted((self.path / "checkpoints").glob("step-*.pt"))

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint, None without one."""
        return next(reversed(self.checkpoints()), None)

    def save_checkpoint(self, step: int, state: dict[str, Any]) -> None:
        """Write a checkpoint and remove those before the last few."""
        path = self.path / "checkpoints" / f"step-{step:08d}.pt"
        aside = path.with_suffix(".tmp")
        torch.save(state, aside)
        os.replace(aside, path)
        for old in self.checkpoints()[:-_CHECKPOINTS_KEPT]:
            old.unlink()

    def load_checkpoint(self, device: torch.device) -> dict[str, Any]:
        """The newest checkpoint's state.

        Raises:
            InputError: If it cannot be read.
        """
        path = self.last_checkpoint()
        try:
            return torch.load(path, map_location=device, weights_only=True)  # type: ignore[arg-type]
        except Exception as error:
            raise InputError(f"{path}: not a readable checkpoint ({type(error).__name__})") from None


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
    result = subprocess.run(command, capture_output=True, text=True)
    return result.stdout.strip() or None

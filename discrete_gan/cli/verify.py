"""``discrete-gan train RECIPE --verify-resume``: does a resumed run equal an unbroken one, bit for bit?"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from discrete_gan.errors import InputError

_OURS = ("--out", "--resume", "--overwrite", "--checkpoint-every")


def verify_resume(recipe: str, options: Sequence[str], steps: int) -> None:
    """Train a recipe's steps unbroken, go on from the checkpoint in their middle in a process of its own, and compare.

    Weights, all that checkpoints hold, and lines of the log must be equal, but for the seconds.

    Args:
        recipe: Name, or path of a recipe file.
        options: Of the recipe, as the user wrote them.
        steps: As they say.

    Raises:
        InputError: If an option is set here, or a run fails.
        SystemExit: With status 1 if the runs differ.
    """
    for word in options:
        if word.partition("=")[0].replace("_", "-") in _OURS:
            raise InputError(f"--verify-resume: it sets {word.partition('=')[0]}, expected no such option beside it")
    if steps < 2:
        raise InputError(f"--verify-resume: expected at least 2 --steps, got {steps}")
    half = (steps + 1) // 2
    with TemporaryDirectory(prefix="verify-resume-") as folder:
        whole, halves = Path(folder) / "whole", Path(folder) / "halves"
        _train(recipe, [*options, "--out", str(whole), "--checkpoint-every", str(half)])
        shutil.copytree(whole, halves)
        (halves / "checkpoints" / f"step-{steps:08d}.pt").unlink()
        (halves / "results.json").unlink()
        _train(recipe, [*options, "--checkpoint-every", str(half), "--resume", str(halves)])
        difference = first_difference(whole, halves)
    if difference is not None:
        print(f"steps 1 to {steps}: the resumed run differs: {difference}")
        raise SystemExit(1)
    print(f"steps 1 to {steps}, resumed after {half}: equal, bit for bit")


def _train(recipe: str, options: Sequence[str]) -> None:
    command = [sys.executable, "-m", "discrete_gan", "train", recipe, *options]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise InputError(f"--verify-resume: a run failed: {last.removeprefix('discrete-gan: ')}")


def first_difference(a: Path, b: Path) -> str | None:
    """Where two run directories first differ in weights, the last checkpoint, log or scores; None if nowhere."""
    for name in ("metrics.jsonl", "results.json"):
        texts = [(folder / name).read_text() for folder in (a, b)]
        lines = [text.splitlines() if name.endswith("l") else [text] for text in texts]
        if found := _first(name, *([json.loads(line) for line in each] for each in lines)):
            return found
    for path in sorted(a.glob("*/model.safetensors")):
        name = path.relative_to(a)
        if found := _first(str(name), load_file(path), load_file(b / name)):
            return found
    newest = sorted((a / "checkpoints").glob("step-*.pt"))[-1]
    states = [torch.load(run / "checkpoints" / newest.name, weights_only=True, map_location="cpu") for run in (a, b)]
    return _first("checkpoint", *states)


def _first(where: str, a: Any, b: Any) -> str | None:
    return next(_differences(where, a, b), None)


def _differences(where: str, a: Any, b: Any) -> Iterator[str]:
    if type(a) is not type(b):
        yield f"{where}: {a} and {b}"
    elif isinstance(a, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            if key == "seconds":
                continue
            if key not in a or key not in b:
                yield f"{where}: {key} is in one alone"
            else:
                yield from _differences(f"{where} {key}", a[key], b[key])
    elif isinstance(a, (list, tuple)):
        if len(a) != len(b):
            yield f"{where}: {len(a)} and {len(b)} entries"
        for index, (one, other) in enumerate(zip(a, b, strict=False)):
            yield from _differences(f"{where} {index}", one, other)
    elif isinstance(a, Tensor):
        if (a.dtype, a.shape) != (b.dtype, b.shape) or not np.array_equal(_bytes(a), _bytes(b)):
            yield f"{where}: tensors differ"
    elif a != b and not (a != a and b != b):
        yield f"{where}: {a} and {b}"


def _bytes(x: Tensor) -> "np.ndarray[Any, Any]":
    return x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()

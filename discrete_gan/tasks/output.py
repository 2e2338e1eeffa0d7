"""Samples into files, by what they are: images as a picture or an array, lines as text, numbers as an array."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from discrete_gan.errors import InputError
from discrete_gan.tasks.grid import save_grid
from discrete_gan.writing import write_aside

_LINE_BREAK = re.compile("[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")  # where str.splitlines breaks


def write_samples(
    path: Path,
    samples: Tensor | list[str],
    *,
    columns: int | None = None,
    column: str = "text",
    labels: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write what a task's ``decode`` made.

    Args:
        path: Images, shape (N, C, H, W): ``.png`` for a grid, ``.npy`` for uint8 of shape (N, H, W) or (N, C, H, W):
            bits where they are bool, else up to 255. Lines: ``.txt`` or ``.smi``, a sample per line, ``.jsonl``, each
            as ``{"text": ...}``, or ``.csv``. Other tensors: ``.npy``.
        samples: To write.
        columns: Tiles in a row of a grid.
        column: What lines are called, where they have a name.
        labels: Of lines, by the name of their column: another one of ``.csv`` and ``.jsonl``.

    Returns:
        The path.

    Raises:
        InputError: If there is no such file of such samples.
    """
    kinds = suffixes(samples)
    if path.suffix not in kinds:
        raise InputError(f"{path}: expected a file name ending in {' or '.join(kinds)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(samples, list):
        text = _as_text(path.suffix, {column: samples, **(labels or {})})
        write_aside(path, lambda file: file.write(text.encode()))
    elif path.suffix == ".png":
        _, channels, height, width = samples.shape
        save_grid(path, samples.flatten(1), (channels, height, width), columns=columns)
    else:
        write_aside(path, lambda file: np.save(file, _array(samples)))
    return path


def suffixes(samples: Tensor | list[str]) -> tuple[str, ...]:
    """What files such samples can be written into."""
    if isinstance(samples, list):
        return ".txt", ".jsonl", ".csv", ".smi"
    if not isinstance(samples, Tensor):  # a data frame
        return ".csv", ".parquet"
    return (".png", ".npy") if samples.ndim == 4 else (".npy",)


def as_lines(samples: Iterable[str]) -> str:
    r"""A sample per line: line breaks inside one, of any kind, are written as ``\n``, ``\u2028`` and so on."""
    return "".join(_LINE_BREAK.sub(_escaped, sample) + "\n" for sample in samples)


def _as_text(suffix: str, columns: Mapping[str, Sequence[str]]) -> str:
    """Columns, of which the first are the lines themselves, as a file of this kind holds them."""
    rows = zip(*columns.values(), strict=True)
    if suffix == ".jsonl":
        return "".join(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)
    if suffix == ".csv":
        buffer = io.StringIO(newline="")
        csv.writer(buffer, lineterminator="\n").writerows([list(columns), *rows])
        return buffer.getvalue()
    return as_lines(next(iter(columns.values())))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _array(samples: Tensor) -> np.ndarray:
    samples = samples.detach().cpu()
    if samples.ndim != 4:
        return samples.numpy()
    pixels = samples if samples.dtype == torch.bool else (255 * samples).round()
    return (pixels[:, 0] if samples.shape[1] == 1 else pixels).numpy().astype(np.uint8)

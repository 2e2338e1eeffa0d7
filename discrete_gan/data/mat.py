"""Folders of fixed-binarised images: MATLAB v5 ``.mat`` files, or the ``.amat`` text H. Larochelle published.

References:
    On the Quantitative Analysis of Deep Belief Networks (R. Salakhutdinov, I. Murray, 2008)
    The Neural Autoregressive Distribution Estimator (H. Larochelle, I. Murray, 2011)
"""

import math
from pathlib import Path

import numpy as np

from ..errors import InputError
from .extras import one_line
from .formats import ImageReading
from .image_data import ImageData, assemble
from .limits import Unpacked, open_regular
from .mat5 import read_variable
from .pictures import fit_data
from .pixels import Array

PATTERNS = ("*train*.mat", "*train*.amat", "*test*.mat", "*test*.amat")
LOOKED_FOR = ", ".join(PATTERNS)
_VARIABLE = "X"


def has_mat(spec: str) -> bool:
    """Whether this is a folder that holds a file for training or testing."""
    return Path(spec).is_dir() and any(_find(Path(spec), part) for part in ("train", "test"))


def load_mat_folder(spec: str, reading: ImageReading) -> ImageData:
    """Reads ``*train*.mat`` and ``*test*.mat`` (or ``.amat``); a validation part is left alone.

    Raises:
        InputError: If a part is missing or there twice, is damaged, or its rows are not square images.
    """
    folder = Path(spec)
    paths = [_require(folder, part) for part in ("train", "test")]
    train, test = (_square(read_rows(path), path) for path in paths)
    data = assemble(folder.resolve().name, train, None, test, None)
    return fit_data(data, reading.image_size, reading.crop)


def read_rows(path: Path) -> Array:
    """One flattened image per row: variable X of a MATLAB file, or a text file's zeros and ones, shape (N, D).

    The content decides, not the name: MATLAB files called ``.amat`` are about.
    """
    try:
        with open_regular(path) as file:
            is_matlab = file.read(6) == b"MATLAB"
        return read_variable(path, _VARIABLE) if is_matlab or path.suffix == ".mat" else _read_text(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error


def _read_text(path: Path) -> Array:
    # Splitting 40 million numbers costs gigabytes; with one character per number, dropping the blanks will do.
    with Unpacked(path) as file:
        lines = file.read().split(b"\n")
    rows = [row for row in (line.translate(None, b" \t\r") for line in lines) if row]
    if len({len(row) for row in rows}) > 1:
        raise InputError(f"{path}: images of different sizes: expected every line to hold as many numbers")
    values = np.frombuffer(b"".join(rows), dtype=np.uint8) - ord("0")
    if (values > 1).any():
        raise InputError(f"{path}: expected a text file of 0 and 1 only")
    return values.reshape(len(rows), len(rows[0]) if rows else 0)


def _square(rows: Array, path: Path) -> Array:
    side = math.isqrt(rows.shape[1]) if rows.ndim == 2 else 0
    if rows.ndim != 2 or side * side != rows.shape[1]:
        raise InputError(f"{path}: expected rows of square images, shape (N, side * side), found {rows.shape}")
    return np.ascontiguousarray(rows).reshape(len(rows), 1, side, side)


def _find(folder: Path, part: str) -> list[Path]:
    paths = (path for pattern in PATTERNS if part in pattern for path in folder.glob(pattern))
    return sorted(path for path in paths if not path.is_dir())


def _require(folder: Path, part: str) -> Path:
    found = _find(folder, part)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(f"{folder}: expected one *{part}*.mat or *{part}*.amat file, found {names}")
    return found[0]

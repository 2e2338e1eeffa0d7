"""Folders of MNIST's idx files, gzipped or not.

An idx file is two zero bytes, a type (8 for unsigned bytes), the number of dimensions, every dimension as a
big-endian 32-bit number, and the values.

References:
    The MNIST database of handwritten digits (Y. LeCun, C. Cortes, C. Burges), http://yann.lecun.com/exdb/mnist
"""

import math
import struct
from pathlib import Path

import numpy as np

from ..errors import InputError
from .extras import one_line
from .formats import ImageReading
from .image_data import ImageData, assemble
from .limits import Unpacked, check_size
from .pictures import fit_data
from .pixels import Array

PARTS = ("train", "t10k")
IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
LOOKED_FOR = f"train-{IMAGES}, train-{IMAGES}.gz"
_UNSIGNED_BYTE = 8


def has_idx(spec: str) -> bool:
    """Whether this is a folder that holds any of the four files."""
    return any(_find(Path(spec), part, kind) for part in PARTS for kind in (IMAGES, LABELS))


def load_idx_folder(spec: str, reading: ImageReading) -> ImageData:
    """Reads ``train-images-idx3-ubyte``, ``t10k-images-idx3-ubyte`` and, where there, both files of labels.

    Raises:
        InputError: If one of them is missing, is damaged, or counts of images and labels differ.
    """
    folder = Path(spec)
    (train, train_labels), (test, test_labels) = (_read_part(folder, part) for part in PARTS)
    data = assemble(folder.resolve().name, train[:, None], train_labels, test[:, None], test_labels)
    return fit_data(data, reading.image_size, reading.crop)


def read_idx(path: Path, ndim: int) -> Array:
    """The values of one idx file of unsigned bytes.

    Args:
        path: The file; a name that ends in ``.gz`` is unpacked.
        ndim: The expected number of dimensions.

    Raises:
        InputError: If it cannot be read, is of another type, or its length is not what its header says.
    """
    header = 4 * (1 + ndim)
    try:
        with Unpacked(path) as file:
            start = file.read(header)
            cut = " before the gzip stream breaks off" if file.broken else ""
            if len(start) < header:
                raise InputError(f"{path}: expected at least {header} bytes (the header), found {len(start)}{cut}")
            magic, *shape = struct.unpack(f">{1 + ndim}I", start)
            expected_magic = _UNSIGNED_BYTE << 8 | ndim
            if magic != expected_magic:
                raise InputError(
                    f"{path}: expected an idx file of unsigned bytes in {ndim} dimensions "
                    f"(magic 0x{expected_magic:08x}), found magic 0x{magic:08x}"
                )
            size = math.prod(shape)
            expected = f"expected {header + size} bytes ({header} + {' x '.join(map(str, shape))})"
            if file.size is not None and file.size != header + size:
                raise InputError(f"{path}: {expected}, found {file.size}")
            check_size(str(path), size)
            content = file.read(size)
            more = file.read(1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    cut = " before the gzip stream breaks off" if file.broken else ""
    if more:
        raise InputError(f"{path}: {expected}, found more")
    if len(content) != size or cut:
        raise InputError(f"{path}: {expected}, found {header + len(content)}{cut}")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _read_part(folder: Path, part: str) -> tuple[Array, Array | None]:
    image_path = _require(folder, part, IMAGES)
    images = read_idx(image_path, ndim=3)
    if not any(_find(folder, other, LABELS) for other in PARTS):
        return images, None
    label_path = _require(folder, part, LABELS)
    labels = read_idx(label_path, ndim=1)
    if len(labels) != len(images):
        raise InputError(
            f"{label_path}: expected {len(images)} labels, as many as images in {image_path.name}, found {len(labels)}"
        )
    return images, labels


def _find(folder: Path, part: str, kind: str) -> Path | None:
    # Copies of MNIST are about as often named "train-images.idx3-ubyte".
    stems = (f"{part}-{kind}", f"{part}-{kind.replace('-', '.', 1)}")
    paths = (folder / f"{stem}{suffix}" for stem in stems for suffix in ("", ".gz"))
    return next((path for path in paths if path.exists() and not path.is_dir()), None)


def _require(folder: Path, part: str, kind: str) -> Path:
    path = _find(folder, part, kind)
    if path is None:
        raise InputError(f"{folder}: {part}-{kind} or {part}-{kind}.gz is missing beside the other idx files")
    return path

"""A ``.npy`` file with images, or a ``.npz`` archive with images, labels and a test part."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InputError
from .extras import one_line
from .formats import ImageReading
from .image_data import ImageData, assemble
from .pictures import fit_data
from .pixels import Array, channels_first

SUFFIXES = (".npy", ".npz")
TRAIN_IMAGES = ("x_train", "train_images", "images", "x", "arr_0")
TRAIN_LABELS = ("y_train", "train_labels", "labels", "y")
TEST_IMAGES = ("x_test", "test_images")
TEST_LABELS = ("y_test", "test_labels")


def is_array_file(spec: str) -> bool:
    """Whether there is such a file."""
    path = Path(spec)
    return path.suffix in SUFFIXES and path.exists() and not path.is_dir()


def load_array_file(spec: str, reading: ImageReading) -> ImageData:
    """Reads the file; without a test part, a tenth of the images drawn with the seed is held out.

    Raises:
        InputError: If it is damaged, holds no images or Python objects, or shapes or types do not fit.
    """
    path = Path(spec)
    try:
        train, train_labels, test, test_labels = _read(path)
    except InputError:
        raise
    except Exception as error:  # Damage shows as ValueError, EOFError, BadZipFile, zlib.error or MemoryError.
        if "pickle" in str(error):
            raise InputError(
                f"{path}: expected plain arrays; this is damaged or holds Python objects "
                "(such as images of different sizes), which are never unpickled"
            ) from error
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    train = channels_first(train, str(path))
    test = None if test is None else channels_first(test, str(path))
    data = assemble(path.stem, train, train_labels, test, test_labels, seed=reading.seed)
    return fit_data(data, reading.image_size, reading.crop)


def _read(path: Path) -> tuple[Array, Array | None, Array | None, Array | None]:
    content = np.load(path, allow_pickle=False)
    if isinstance(content, np.ndarray):
        return content, None, None, None
    with content:
        train = _first(content, TRAIN_IMAGES)
        if train is None:
            raise InputError(
                f"{path}: expected images under one of {', '.join(TRAIN_IMAGES)}, "
                f"found {', '.join(content.files) or 'no arrays'}"
            )
        return (
            train,
            _first(content, TRAIN_LABELS),
            _first(content, TEST_IMAGES),
            _first(content, TEST_LABELS),
        )


def _first(archive: np.lib.npyio.NpzFile, names: Sequence[str]) -> Array | None:
    return next((archive[name] for name in names if name in archive.files), None)

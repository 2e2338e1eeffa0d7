"""Folders of pictures: plain, a folder for each class, or parts named train and test."""

import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import InputError
from .classes import in_order
from .extras import one_line, require
from .formats import Corrupt, ImageReading
from .image_data import ImageData, assemble
from .limits import check_size, open_regular
from .pictures import GREY_MODES, NOT_RESIZED, check_depth, decode, fit, fitted_size, is_resized, upright_size
from .pixels import Array

if TYPE_CHECKING:  # Importing this module needs no Pillow.
    from PIL.Image import Image

LOOKED_FOR = "pictures (.jpg, .png and other types that Pillow reads), here or in folders"
TRAIN_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")
# Pillow recognizes these but cannot decode them by itself.
_NOT_DECODED = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")

Part = dict[str, list[Path]]
"""Pictures of a part of the data by class, in order; under "" if they are in no class folders."""
T = TypeVar("T")


def has_pictures(spec: str) -> bool:
    """Whether this is a folder that holds a picture, by its name, at any depth."""
    folder = Path(spec)
    # An empty one is told from others without Pillow.
    return folder.is_dir() and any(folder.iterdir()) and _holds_picture(folder)


def load_picture_folder(spec: str, reading: ImageReading) -> ImageData:
    """Reads all pictures of a folder; they become RGB if any is in color, else grey.

    Args:
        spec: A folder that holds pictures; or a folder of pictures for each class, labeled in the order of their
            names (2 before 10), a single one not at all; or either in ``train`` and in ``test`` (or ``training``,
            ``testing``, ``val``, ...).
        reading: All of it.

    Raises:
        InputError: If pictures are corrupt, of different sizes, too large or of more than 8 bits per channel, or if
            they are not laid out as above.
        PermissionError: If a file or folder may not be read.
    """
    folder = Path(spec)
    train, test = _find_parts(folder)
    classes = {label: index for index, label in enumerate(train)}
    pictures = [
        (path, classes[label], part is test)
        for part in (train, test)
        for label, paths in part.items()
        for path in paths
    ]
    images, kept = _decode_all(folder, [path for path, _, _ in pictures], reading)
    labels = np.array([label for _, label, _ in pictures])[kept]
    is_test = np.array([in_test for _, _, in_test in pictures])[kept]
    num_train = int((~is_test).sum())  # They come first.
    labeled = len(classes) > 1
    return assemble(
        folder.resolve().name,
        images[:num_train],
        labels[:num_train] if labeled else None,
        images[num_train:] if test else None,
        labels[num_train:] if labeled and test else None,
        seed=reading.seed,
        names=list(classes),
    )


def _find_parts(folder: Path) -> tuple[Part, Part]:
    """The pictures for training and for testing, the latter empty if there is no such part."""
    whole = _read_part(folder)
    split = _find_split(folder)
    if split is None:
        inner = folder / next(iter(whole))
        # Unpacked archives often have one folder around everything.
        if len(whole) == 1 and inner != folder and _find_split(inner):
            return _find_parts(inner)
        return whole, {}
    train_folder, test_folder = split
    train = _read_part(train_folder)
    if test_folder is None:
        return train, {}
    test = _read_part(test_folder)
    if ("" in train) != ("" in test):
        plain, other = (train_folder, test_folder) if "" in train else (test_folder, train_folder)
        raise InputError(f"{plain}: expected class folders as in {other}, found pictures outside of any")
    unknown = next((label for label in test if label not in train), None)
    if unknown is not None:
        raise InputError(f"{test_folder / unknown}: expected only classes of {train_folder}, which has no {unknown!r}")
    return train, test


def _find_split(folder: Path) -> tuple[Path, Path | None] | None:
    """The folders for training and for testing, if the pictures are parted that way."""
    folders = {inner.name.lower(): inner for inner in _list(folder)[1] if _holds_picture(inner)}
    train = next((folders[name] for name in TRAIN_NAMES if name in folders), None)
    test = next((folders[name] for name in TEST_NAMES if name in folders), None)
    # Without a test part, a folder named train beside others is a class: cars, planes and trains.
    if train is None or (test is None and len(folders) > 1):
        return None
    return train, test


def _read_part(folder: Path) -> Part:
    files, folders = _list(folder)
    found = {inner.name: pictures for inner in folders if (pictures := list(_pictures(inner)))}
    part = {name: found[name] for name in in_order(found)}
    if files and part:
        raise InputError(
            f"{folder}: pictures both beside and inside folders ({files[0].name} and {next(iter(part))}): "
            "expected all of them in class folders, or none"
        )
    return part or {"": files}


def _holds_picture(folder: Path) -> bool:
    return any(True for _ in _pictures(folder))


def _pictures(folder: Path, seen: set[tuple[int, int]] | None = None) -> Iterator[Path]:
    """All pictures at any depth, of every folder once: links to each other multiply the ways without end."""
    seen = set() if seen is None else seen
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    files, folders = _list(folder)
    yield from files
    for inner in folders:
        yield from _pictures(inner, seen)


def _list(folder: Path) -> tuple[list[Path], list[Path]]:
    """Pictures and folders in a folder, sorted by name, without hidden ones."""
    Image = require("PIL.Image", "pillow", f"{folder}: reading pictures")
    formats = _formats()
    readable = {suffix for suffix, kind in Image.registered_extensions().items() if kind in formats}
    files: list[Path] = []
    folders: list[Path] = []
    with os.scandir(folder) as entries:
        shown = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    for entry in shown:
        # Asks the disk about links only, which matters for a hundred thousand files.
        is_link = entry.is_symlink()
        if os.path.isdir(entry) if is_link else entry.is_dir():
            folders.append(Path(entry))
        elif os.path.splitext(entry.name)[1].lower() in readable and (is_link or entry.is_file()):
            files.append(Path(entry))  # A link to nothing too: it is reported when it is opened.
    return files, folders


def _formats() -> list[str]:
    """What a picture may be, whatever its name: Pillow goes by content, and hands PostScript to Ghostscript."""
    Image = require("PIL.Image", "pillow", "reading pictures")
    Image.init()
    return [kind for kind in Image.ID if kind in Image.OPEN and kind not in _NOT_DECODED]


def _decode_all(folder: Path, paths: list[Path], reading: ImageReading) -> tuple[Array, Array]:
    """Images of shape (N, C, H, W), and which of the pictures they are: booleans, N of them true."""
    image_size, crop, corrupt = reading.image_size, reading.crop, reading.corrupt
    # Headers first: they say what to allocate, and most mistakes show before an hour of decoding.
    headers = _in_threads(lambda path: _use(path, _read_header, corrupt), paths, "looking at pictures")
    found = [(path, *header) for path, header in zip(paths, headers, strict=True) if header is not None]
    kept = np.array([header is not None for header in headers])
    if not found:
        raise InputError(f"{folder}: none of the {len(paths)} pictures can be read, such as {paths[0]}")
    first, _, first_size = found[0]
    width, height = fitted_size(first_size, image_size, crop)
    for path, _, size in found:
        if fitted_size(size, image_size, crop) != (width, height):
            raise _different(first, first_size, path, size)
    modes = {mode for _, mode, _ in found}
    if modes == {"1"} and any(is_resized(size, image_size, crop) for _, _, size in found):
        raise InputError(f"{folder}: {NOT_RESIZED}")
    mode = "L" if modes.issubset(GREY_MODES) else "RGB"

    shape = (len(found), len(mode), height, width)
    check_size(f"{folder}: images of shape {shape} (image_size makes them smaller)", math.prod(shape))
    try:
        images = np.empty(shape, dtype=np.uint8)
    except (MemoryError, ValueError) as error:  # The latter from a size beyond any memory.
        raise InputError(f"{folder}: images of shape {shape} do not fit into memory: use image_size") from error

    def read(index: int) -> bool:
        path = found[index][0]
        return _use(path, lambda picture: write(picture, index, path), corrupt) is not None

    def write(picture: "Image", index: int, path: Path) -> bool:
        square = fit(decode(picture, str(path)), image_size, crop, str(path))
        if square.size != (width, height):
            raise _different(first, first_size, path, square.size)
        pixels = np.asarray(square.convert(mode))
        images[index] = pixels if mode == "L" else pixels.transpose(2, 0, 1)
        return True

    decoded = np.array(_in_threads(read, range(len(found)), "reading pictures"))
    kept[kept] = decoded
    if not decoded.all():
        images = images[decoded]
    if not kept.all():
        skipped = f"skipped {int((~kept).sum())} of {len(kept)} pictures that cannot be read"
        print(f"{folder}: {skipped}, the first {str(paths[int(np.argmin(kept))])!r}", file=sys.stderr)
    return images > 0 if modes == {"1"} else images, kept


def _read_header(picture: "Image") -> tuple[str, tuple[int, int]]:
    """Mode, width and height."""
    return picture.mode, upright_size(picture)


def _use(path: Path, use: Callable[["Image"], T], corrupt: Corrupt) -> T | None:
    """What a function makes of a picture; None if the picture is corrupt and to be skipped."""
    Image = require("PIL.Image", "pillow", f"{path}: reading pictures")
    try:
        with open_regular(path) as file, Image.open(file, formats=_formats()) as picture:
            check_size(f"{path}, {picture.width} x {picture.height} pixels", picture.width * picture.height * 3)
            if picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise InputError(
                    f"{path}: expected a picture of at most {Image.MAX_IMAGE_PIXELS:,} pixels, "
                    f"found {picture.width} x {picture.height}"
                )
            check_depth(picture, str(path))
            return use(picture)
    except (InputError, PermissionError):
        raise
    except Exception as error:  # Damage shows as OSError, SyntaxError, ValueError, struct.error and more.
        if corrupt == "skip":
            return None
        reason = f"{path}: cannot be read as a picture: {one_line(error)}"
        raise InputError(f"{reason} (corrupt=skip leaves out such files)") from error


def _in_threads(function: Callable[[Any], T], items: Sequence[Any], what: str) -> list[T]:
    """The function's results in the order of the items, with a progress bar if it takes long."""
    Image = require("PIL.Image", "pillow", "reading pictures")
    tqdm = require("tqdm", "tqdm", "reading pictures").tqdm
    pool = ThreadPoolExecutor()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of damaged metadata; damaged pixels are errors.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return list(tqdm(pool.map(function, items), what, len(items), delay=1, leave=False, unit="picture"))
        finally:
            pool.shutdown(cancel_futures=True)  # Waits for the threads, which share the filters.


def _different(first: Path, first_size: tuple[int, int], path: Path, size: tuple[int, int]) -> InputError:
    sizes = " and ".join(
        f"{name} of {width} x {height}" for name, (width, height) in ((first, first_size), (path, size))
    )
    return InputError(f"pictures of different sizes, {sizes} pixels: image_size makes them equal squares")

"""A ``.npy`` file with images, or a ``.npz`` archive with images or piano rolls, labels and a test part."""

import dataclasses
import math
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from ..errors import InputError
from .extras import one_line
from .formats import ImageReading
from .image_data import ImageData, assemble
from .limits import check_size, most_bytes, open_regular
from .mapped import mapped_images
from .pictures import fit_data
from .pixels import Array, channels_first

SUFFIXES = (".npy", ".npz")
TRAIN_IMAGES = ("x_train", "train_images", "images", "x", "arr_0")
TRAIN_LABELS = ("y_train", "train_labels", "labels", "y")
TEST_IMAGES = ("x_test", "test_images")
TRAIN_ROLLS = ("piano_rolls", "rolls", "train_rolls")
TEST_ROLLS = ("test_rolls",)
_ZIP = b"PK\x03\x04"
_PIECE = 1 << 20
_NOT_PLAIN = (
    "expected plain arrays; this is damaged or holds Python objects (such as images of different sizes), "
    "which are never unpickled"
)
TEST_LABELS = ("y_test", "test_labels")


def is_array_file(spec: str) -> bool:
    """Whether there is such a file."""
    path = Path(spec)
    return path.suffix in SUFFIXES and path.exists() and not path.is_dir()


def load_array_file(spec: str, reading: ImageReading) -> ImageData:
    """Reads the file; without a test part, a tenth of the images drawn with the seed is held out.

    Of a ``.npy`` file over the limit of memory the last images are held out, and the others stay in the file.

    Raises:
        InputError: If it is damaged, holds no images or Python objects, or shapes or types do not fit.
    """
    path = Path(spec)
    try:
        if reading.seed is not None and (mapped := _mapped(path, reading)) is not None:
            return mapped
        (train, train_labels, test, test_labels), are_rolls = _read(path)
    except InputError:
        raise
    except Exception as error:  # Damage shows as ValueError, EOFError, BadZipFile, zlib.error or MemoryError.
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    shaped = _notes if are_rolls else channels_first
    train = shaped(train, str(path))
    test = None if test is None else shaped(test, str(path))
    data = assemble(path.stem, train, train_labels, test, test_labels, seed=reading.seed)
    return fit_data(dataclasses.replace(data, are_rolls=are_rolls), reading.image_size, reading.crop)


def _mapped(path: Path, reading: ImageReading) -> ImageData | None:
    """The images of a ``.npy`` file that is over the limit of memory; None of any other."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= most_bytes() or file.read(len(_ZIP)) == _ZIP:
            return None
        file.seek(0)
        shape, by_column, dtype = _read_header(file, str(path), size)
        if reading.image_size is not None or reading.crop is not None:
            raise InputError(
                f"{path}: over the limit of memory, so that image_size and crop are not for it: resize it before"
            )
        return mapped_images(path, shape, dtype, by_column, file.tell())


def _notes(rolls: Array, where: str) -> Array:
    """Piano rolls of shape (N, T, P) or (N, tracks, T, P) as (N, tracks, T, P), bool: whatever the velocity."""
    if rolls.ndim not in (3, 4) or rolls.dtype.kind not in "buif":
        raise InputError(
            f"{where}: expected piano rolls as numbers of shape (N, T, P) or (N, tracks, T, P), "
            f"found {rolls.dtype} of shape {rolls.shape}"
        )
    if rolls.size and not rolls.min() >= 0:  # Put so that NaN fails too.
        raise InputError(f"{where}: expected piano rolls of numbers from 0, found {rolls.min()}")
    return (rolls if rolls.ndim == 4 else rolls[:, None]) > 0


def _read(path: Path) -> tuple[tuple[Array, Array | None, Array | None, Array | None], bool]:
    """Training images, labels, test images, labels; and whether the images are piano rolls."""
    with open_regular(path) as file:
        if file.read(len(_ZIP)) != _ZIP:
            file.seek(0)
            return (_read_array(file, str(path), os.fstat(file.fileno()).st_size), None, None, None), False
        with zipfile.ZipFile(file) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}

            def first(names: Sequence[str]) -> Array | None:
                name = next((name for name in names if name in members), None)
                return None if name is None else _read_member(archive, members[name], f"{path}: array {name}")

            train, are_rolls = first(TRAIN_IMAGES), False
            if train is None:
                train, are_rolls = first(TRAIN_ROLLS), True
            if train is None:
                names = f"{', '.join(TRAIN_IMAGES)}, or piano rolls under {', '.join(TRAIN_ROLLS)}"
                found = ", ".join(repr(name)[1:-1] for name in list(members)[:10]) or "no arrays"
                raise InputError(f"{path}: expected images under one of {names}, found {found}")
            test = first(TEST_ROLLS if are_rolls else TEST_IMAGES)
            return (train, first(TRAIN_LABELS), test, first(TEST_LABELS)), are_rolls


def read_arrays(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, Array]:
    """The arrays of an archive by their names, or the one of a ``.npy`` file as ``arr_0``.

    Args:
        path: The file.
        wanted: Which ones to read.

    Raises:
        InputError: If it is damaged or holds Python objects.
    """
    try:
        with open_regular(path) as file:
            if file.read(len(_ZIP)) != _ZIP:
                file.seek(0)
                return {"arr_0": _read_array(file, str(path), os.fstat(file.fileno()).st_size)}
            with zipfile.ZipFile(file) as archive:
                members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
                return {
                    name: _read_member(archive, member, f"{path}: array {name}")
                    for name, member in members.items()
                    if wanted(name)
                }
    except (InputError, OSError):
        raise
    except Exception as error:  # Damage shows as ValueError, EOFError, BadZipFile, zlib.error or MemoryError.
        raise InputError(f"{path}: cannot be read: {one_line(error)}") from error


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> Array:
    if member.compress_type == zipfile.ZIP_STORED and member.compress_size != member.file_size:
        raise InputError(f"{where}: expected {member.file_size} bytes, found {member.compress_size}")
    check_size(where, member.file_size, member.compress_size)
    with archive.open(member) as file:  # It gives no more than the size that was checked.
        return _read_array(file, where, member.file_size)


def _read_header(file: IO[bytes], where: str, size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it is by column, and type of an array in NumPy's format: held against the bytes that are there.

    Args:
        file: At the start of the array; at its values then.
        where: Names it.
        size: Bytes of header and values.
    """
    try:
        version = npy.read_magic(file)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, by_column, dtype = read_header(file)
    except (ValueError, KeyError) as error:
        raise InputError(f"{where}: {_NOT_PLAIN}") from error
    if dtype.hasobject:
        raise InputError(f"{where}: {_NOT_PLAIN}")
    if min(shape, default=0) < 0:
        raise InputError(f"{where}: expected sizes from 0, found shape {shape}")
    expected = file.tell() + math.prod(shape) * dtype.itemsize
    if expected > size:
        raise InputError(f"{where}: expected {expected} bytes for {dtype} of shape {shape}, found {size}")
    return shape, by_column, dtype


def _read_array(file: IO[bytes], where: str, size: int) -> Array:
    """One array in NumPy's format; arguments as of :func:`_read_header`."""
    shape, by_column, dtype = _read_header(file, where, size)
    check_size(where, file.tell() + math.prod(shape) * dtype.itemsize)
    array = np.empty(math.prod(shape), dtype=dtype)
    left = memoryview(array.view(np.uint8).data) if array.nbytes else memoryview(b"")
    while left:
        count = file.readinto(left[:_PIECE])  # pyright: ignore[reportAttributeAccessIssue]
        if not count:
            raise InputError(f"{where}: the file ends {len(left)} bytes early")
        left = left[count:]
    return array.reshape(shape, order="F" if by_column else "C")

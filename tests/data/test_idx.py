"""MNIST's idx files: reading them and refusing damaged ones."""

import gzip
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from discrete_gan.data import load_images
from discrete_gan.errors import InputError

STEMS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = STEMS
ARRAYS = [
    np.arange(6 * 2 * 3, dtype=np.uint8).reshape(6, 2, 3) * 7,
    np.array([0, 1, 2, 3, 2, 1], dtype=np.uint8),
    np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3) + 100,
    np.array([4, 0, 0, 1], dtype=np.uint8),
]


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """An array as the content of an idx file."""
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Writes an idx file, gzipped if it is called so."""
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_folder(folder: Path, suffix: str = "", stems: Sequence[str] = STEMS) -> None:
    """The files of a small data set of 6 + 4 images of 2x3 pixels."""
    for stem, array in zip(STEMS, ARRAYS, strict=True):
        if stem in stems:
            write_idx(folder / (stem + suffix), array)


def refusal(folder: Path) -> str:
    """The one line that the folder is refused with."""
    with pytest.raises(InputError) as caught:
        load_images(str(folder))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_pixels_and_labels_come_back(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    write_folder(folder, suffix)
    data = load_images(folder)
    assert (data.name, data.image_shape, data.maximum, data.num_classes) == ("small", (1, 2, 3), 255, 5)
    assert data.train_images.dtype == data.test_images.dtype == torch.uint8
    assert data.train_labels is not None and data.test_labels is not None
    assert data.train_labels.dtype == torch.int64
    parts = (data.train_images, data.train_labels, data.test_images, data.test_labels)
    for part, array in zip(parts, ARRAYS, strict=True):
        assert part.tolist() == array.reshape(len(array), *[-1] * (array.ndim > 1)).tolist()


def test_dotted_names_are_read(tmp_path: Path) -> None:
    for stem, array in zip(STEMS, ARRAYS, strict=True):
        write_idx(tmp_path / stem.replace("-idx", ".idx"), array)
    assert load_images(tmp_path).num_classes == 5


def test_labels_may_be_absent(tmp_path: Path) -> None:
    write_folder(tmp_path, stems=(IMAGES, TEST_IMAGES))
    data = load_images(tmp_path)
    assert data.train_labels is data.test_labels is data.num_classes is None
    assert data.train_images.shape == (6, 6)


def test_a_zero_one_file_is_binary(tmp_path: Path) -> None:
    write_idx(tmp_path / IMAGES, (ARRAYS[0] > 99).astype(np.uint8))
    write_idx(tmp_path / TEST_IMAGES, (ARRAYS[2] > 110).astype(np.uint8))
    assert load_images(tmp_path).maximum == 1


@pytest.mark.parametrize("missing", STEMS)
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    write_folder(tmp_path, stems=[stem for stem in STEMS if stem != missing])
    assert refusal(tmp_path) == f"{tmp_path}: {missing} or {missing}.gz is missing beside the other idx files"


def test_a_short_or_long_file_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    path = tmp_path / IMAGES
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert refusal(tmp_path) == f"{path}: expected 52 bytes (16 + 6 x 2 x 3), found 51"
    path.write_bytes(whole + b"\0\0")
    assert refusal(tmp_path) == f"{path}: expected 52 bytes (16 + 6 x 2 x 3), found 54"
    path.write_bytes(whole[:10])
    assert refusal(tmp_path) == f"{path}: expected at least 16 bytes (the header), found 10"


def test_a_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    path = tmp_path / (IMAGES + ".gz")
    (tmp_path / IMAGES).unlink()
    # Random pixels do not compress, so half of the file holds about half of the pixels.
    pixels = np.random.default_rng(0).integers(0, 256, (6, 40, 50), dtype=np.uint8)
    whole = gzip.compress(idx_bytes(pixels))
    path.write_bytes(whole[: len(whole) // 2])
    message = refusal(tmp_path)
    assert message.startswith(f"{path}: expected 12016 bytes (16 + 6 x 40 x 50), found ")
    assert message.endswith(" before the gzip stream breaks off")
    assert 3000 < int(message.split("found ")[1].split()[0]) < 9000
    # All pixels are there, and only the check sum is missing.
    path.write_bytes(whole[:-4])
    assert refusal(tmp_path).endswith("found 12016 before the gzip stream breaks off")


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, ".gz")
    path = tmp_path / (LABELS + ".gz")
    path.write_bytes(b"no gzip at all")
    assert refusal(tmp_path).startswith(f"{path}: cannot be read: damaged .gz file: ")


def test_another_type_of_file_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    path = tmp_path / IMAGES
    path.write_bytes(idx_bytes(ARRAYS[1]) + bytes(20))
    expected = "expected an idx file of unsigned bytes in 3 dimensions (magic 0x00000803), found magic 0x00000801"
    assert refusal(tmp_path) == f"{path}: {expected}"


def test_counts_that_differ_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    path = tmp_path / TEST_LABELS
    write_idx(path, ARRAYS[3][:3])
    assert refusal(tmp_path) == f"{path}: expected 4 labels, as many as images in {TEST_IMAGES}, found 3"


def test_parts_of_different_sizes_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_idx(tmp_path / TEST_IMAGES, ARRAYS[2].reshape(4, 3, 2))
    assert refusal(tmp_path).endswith("images of different sizes: (1, 2, 3) in train, (1, 3, 2) in test")

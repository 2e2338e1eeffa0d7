"""Images in a file over the limit of memory: the same batches, held-out images of their own, refusals."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib import format as npy

from discrete_gan.cli import main
from discrete_gan.data import ImageData, load_images
from discrete_gan.data.limits import VARIABLE
from discrete_gan.errors import InputError
from discrete_gan.tasks import BinaryImages, PaletteImages
from discrete_gan.tasks.options import BinaryImageOptions, ImageOptions


def bits(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, shape, dtype=np.uint8)


def mapped(tmp_path: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch, **options: Any) -> ImageData:
    np.save(tmp_path / "big.npy", images)
    monkeypatch.setenv(VARIABLE, "64")
    return load_images(tmp_path / "big.npy", **options)


@pytest.mark.parametrize(
    ("images", "shape", "maximum"),
    [
        (bits(30, 4, 5), (1, 4, 5), 1),
        (bits(30, 4, 5).astype(bool), (1, 4, 5), 1),
        (255 * bits(30, 3, 2, 2), (3, 2, 2), 255),
    ],
)
def test_all_but_the_last_images_stay_in_the_file(
    images: np.ndarray, shape: tuple, maximum: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = mapped(tmp_path, images, monkeypatch)
    flat = torch.from_numpy(images.astype(np.uint8)).flatten(1)
    assert (data.is_mapped, data.image_shape, data.maximum, data.train_labels) == (True, shape, maximum, None)
    assert data.train_images.equal(flat[:27]) and data.test_images.equal(flat[27:])
    assert data.fingerprint() == load_in_memory(data).fingerprint()
    with (tmp_path / "big.npy").open("r+b") as file:  # what is read is the file
        file.seek(-1, 2)
        file.seek(-images[0].nbytes * 4, 2)
        file.write(bytes([1 - int(flat[26, 0]) // maximum]))
    assert data.train_images[26, 0] != flat[26, 0]


def load_in_memory(data: ImageData) -> ImageData:
    copied = {name: value.clone() for name, value in vars(data).items() if isinstance(value, torch.Tensor)}
    return ImageData(**{**vars(data), **copied, "is_mapped": False})


def test_batches_are_those_of_the_same_images_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = mapped(tmp_path, bits(50, 4, 4), monkeypatch)
    tasks = []
    for one in (data, load_in_memory(data)):
        task = BinaryImages(BinaryImageOptions(data="x", batch_size=8, binarize="none"))
        task.data = one
        task.to(torch.device("cpu"))
        tasks.append(task)
    for step in (0, 3, 7):
        first, second = (task.batch(step).x for task in tasks)
        assert first.equal(second) and first.dtype == torch.float32
    assert tasks[0].held_out().x.equal(tasks[1].held_out().x)


def test_scores_look_at_images_spread_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discrete_gan.data.image_data._LOOKED_AT", 10)
    data = mapped(tmp_path, bits(50, 4, 4), monkeypatch)
    assert data.looked_at.equal(data.train_images[::5])
    assert load_in_memory(data).looked_at.equal(data.train_images)


@pytest.mark.parametrize(
    ("images", "options", "told"),
    [
        (bits(30, 4, 4).astype(np.float32), {}, r"over the limit of memory .* found float32 of \(30, 4, 4\)"),
        (np.asfortranarray(bits(30, 4, 4)), {}, r"found uint8 of \(30, 4, 4\) by column"),
        (bits(30, 4, 4, 3), {}, r"C = 1 or 3, found uint8 of \(30, 4, 4, 3\)"),
        (bits(30, 16), {}, r"found uint8 of \(30, 16\)"),
        (bits(1, 40, 40), {}, r"at least 2 images of at least a pixel, found shape \(1, 40, 40\)"),
        (np.zeros((30, 4, 4), np.uint8), {}, r"no variation: all 30 images are equal"),
        (bits(30, 4, 4), {"image_size": 2}, r"image_size and crop are not for it"),
    ],
)
def test_what_a_file_of_this_size_cannot_be(
    images: np.ndarray, options: dict, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=told):
        mapped(tmp_path, images, monkeypatch, **options)


def test_colors_need_all_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped(tmp_path, 255 * bits(30, 4, 4), monkeypatch)
    with pytest.raises(InputError, match=r"big\.npy: over the limit of memory, in which the colors"):
        _ = PaletteImages(ImageOptions(data=str(tmp_path / "big.npy")), 2).data


def test_check_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    mapped(tmp_path, bits(30, 4, 4), monkeypatch)
    main(["check", str(tmp_path / "big.npy"), "--batch-size", "8"])
    assert "they stay in the file; the last 3 are held out" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")
def test_a_file_larger_than_memory_is_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four GiB, most of them a hole, under a limit of three that a copy of them would pass."""
    num, size = 1 << 22, 4 << 30
    path = tmp_path / "big.npy"
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (num, 32, 32)})
        file.write(bits(1000, 32, 32).tobytes())
        file.truncate(file.tell() + size - 1000 * 1024)
    monkeypatch.setenv(VARIABLE, str(1 << 30))
    options = ["--steps", "20", "--num-scored", "100", "--sample-every", "0", "--binarize", "none"]
    command = [sys.executable, "-m", "discrete_gan", "train", "binary_mnist", "--data", str(path), *options]
    ended = subprocess.run(
        [*command, "--out", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30)),
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"]["num_train"] == num - 10_000

"""The public files themselves, where they lie beside the repository (see docs/data.md)."""

from pathlib import Path

import pytest

from discrete_gan.data import ImageData, load_images

FOLDER = Path(__file__).parents[2].parent / "shared" / "data"


def load(name: str) -> ImageData:
    """A data set of the folder, or a skipped test."""
    if not (FOLDER / name).is_dir():
        pytest.skip(f"the public files are not in ../shared/data/{name}")
    return load_images(FOLDER / name)


def test_mnist() -> None:
    data = load("mnist")
    assert (data.name, data.image_shape, data.maximum, data.num_classes) == ("mnist", (1, 28, 28), 255, 10)
    assert data.train_images.shape == (60_000, 784)
    assert data.test_images.shape == (10_000, 784)
    assert data.train_labels is not None and data.test_labels is not None
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.train_labels.bincount().tolist() == train
    assert data.test_labels.bincount().tolist() == test


def test_fashion_mnist() -> None:
    data = load("fashion_mnist")
    assert (data.image_shape, data.maximum) == ((1, 28, 28), 255)
    assert data.train_labels is not None and data.test_labels is not None
    assert data.train_labels.bincount().tolist() == [6000] * 10
    assert data.test_labels.bincount().tolist() == [1000] * 10
    assert data.train_images.shape == (60_000, 784)


def test_binarized_mnist() -> None:
    pytest.importorskip("scipy.io", reason="needs scipy")
    data = load("binarized_mnist")
    assert (data.image_shape, data.maximum, data.num_classes) == ((1, 28, 28), 1, None)
    assert data.train_images.shape == (50_000, 784)
    assert data.test_images.shape == (10_000, 784)
    assert data.train_images.double().mean().item() == pytest.approx(0.130562, abs=5e-7)
    assert data.test_images.double().mean().item() == pytest.approx(0.132512, abs=5e-7)

"""Fixed-binarised images from MATLAB files and from text."""

from pathlib import Path

import numpy as np
import pytest

from discrete_gan.data import load_images
from discrete_gan.errors import InputError

scipy_io = pytest.importorskip("scipy.io", reason="needs scipy")

TRAIN = np.random.default_rng(0).integers(0, 2, (5, 9), dtype=np.uint8)
TEST = np.random.default_rng(1).integers(0, 2, (3, 9), dtype=np.uint8)


def write_mat(folder: Path) -> None:
    """Two MATLAB files, compressed as the public ones are, and one that is no concern of the loader."""
    scipy_io.savemat(folder / "binarized_mnist_train.mat", {"X": TRAIN}, do_compression=True)
    scipy_io.savemat(folder / "binarized_mnist_test.mat", {"X": TEST.astype(float)}, do_compression=True)
    (folder / "binarized_mnist_valid.mat").write_bytes(b"")


def write_text(path: Path, rows: np.ndarray) -> None:
    """The text format: a line an image, numbers with a blank between."""
    path.write_text("".join(" ".join(map(str, row)) + "\n" for row in rows.tolist()))


def refusal(folder: Path) -> str:
    """The one line that the folder is refused with."""
    with pytest.raises(InputError) as caught:
        load_images(str(folder))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_matlab_rows_come_back(tmp_path: Path) -> None:
    write_mat(tmp_path)
    scipy_io.savemat(tmp_path / "binarized_mnist_test.mat", {"X": TEST})
    data = load_images(tmp_path)
    assert (data.image_shape, data.maximum, data.num_classes) == ((1, 3, 3), 1, None)
    assert data.train_images.tolist() == TRAIN.tolist()
    assert data.test_images.tolist() == TEST.tolist()
    assert data.train_labels is data.test_labels is None


def test_doubles_are_read_as_well(tmp_path: Path) -> None:
    scipy_io.savemat(tmp_path / "my_training.mat", {"X": TRAIN.astype(float)})
    scipy_io.savemat(tmp_path / "my_testing.mat", {"X": TEST.astype(float)})
    data = load_images(tmp_path)
    assert data.maximum == 1
    assert data.train_images.tolist() == TRAIN.tolist()


def test_text_rows_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.io", None)
    write_text(tmp_path / "binarized_mnist_train.amat", TRAIN)
    write_text(tmp_path / "binarized_mnist_test.amat", TEST)
    data = load_images(tmp_path)
    assert data.image_shape == (1, 3, 3)
    assert data.train_images.tolist() == TRAIN.tolist()
    assert data.test_images.tolist() == TEST.tolist()


def test_a_matlab_file_called_amat_is_read(tmp_path: Path) -> None:
    write_text(tmp_path / "a_test.amat", TEST)
    scipy_io.savemat(tmp_path / "a_train.amat", {"X": TRAIN}, appendmat=False)
    assert load_images(tmp_path).train_images.tolist() == TRAIN.tolist()


def test_bad_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a_train.amat"
    write_text(tmp_path / "a_test.amat", TEST)
    path.write_text("0 1 1 0\n0 1 1\n")
    assert refusal(tmp_path).startswith(f"{path}: images of different sizes")
    path.write_text("0 1 2 0\n0 1 1 0\n")
    assert refusal(tmp_path) == f"{path}: expected a text file of 0 and 1 only"
    path.write_text("\n")
    assert "the data set is empty" in refusal(tmp_path)


def test_a_missing_or_doubled_part_is_refused(tmp_path: Path) -> None:
    write_mat(tmp_path)
    (tmp_path / "b_test.amat").write_text("")
    names = "b_test.amat, binarized_mnist_test.mat"
    assert refusal(tmp_path) == f"{tmp_path}: expected one *test*.mat or *test*.amat file, found {names}"
    (tmp_path / "b_test.amat").unlink()
    (tmp_path / "binarized_mnist_train.mat").unlink()
    assert refusal(tmp_path) == f"{tmp_path}: expected one *train*.mat or *train*.amat file, found none"


def test_another_variable_is_refused(tmp_path: Path) -> None:
    write_mat(tmp_path)
    path = tmp_path / "binarized_mnist_train.mat"
    scipy_io.savemat(path, {"images": TRAIN, "y": TRAIN[:, 0]})
    assert refusal(tmp_path) == f"{path}: expected a variable X of shape (N, D), found variables: images, y"


def test_rows_that_are_not_square_are_refused(tmp_path: Path) -> None:
    write_mat(tmp_path)
    path = tmp_path / "binarized_mnist_train.mat"
    scipy_io.savemat(path, {"X": TRAIN[:, :8]})
    assert refusal(tmp_path).endswith("expected rows of square images, shape (N, side * side), found (5, 8)")


@pytest.mark.parametrize("keep", [0, 100, 150, 190])
def test_a_damaged_file_is_refused(tmp_path: Path, keep: int) -> None:
    write_mat(tmp_path)
    path = tmp_path / "binarized_mnist_train.mat"
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(tmp_path).startswith(f"{path}: ")


def test_without_scipy_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mat(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "scipy.io", None)
    assert refusal(tmp_path).endswith("needs scipy: pip install 'discrete-gan[train]'")

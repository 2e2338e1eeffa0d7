"""Fixed-binarised images from MATLAB files and from text."""

from pathlib import Path

import numpy as np
import pytest

from discrete_gan.data import load_images
from discrete_gan.data.mat import read_rows
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


def test_files_are_read_without_scipy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("train", "test"):
        scipy_io.savemat(tmp_path / f"{name}.mat", {"X": TRAIN})
    monkeypatch.setitem(__import__("sys").modules, "scipy.io", None)
    assert load_images(tmp_path).train_images.tolist() == TRAIN.tolist()


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u4", "i8", "f4", "f8"])
def test_every_number_type_is_read_as_scipy_reads_it(tmp_path: Path, dtype: str, compress: bool) -> None:
    path = tmp_path / "a.mat"
    scipy_io.savemat(path, {"other": TEST, "X": TRAIN.astype(dtype)}, do_compression=compress)
    rows, theirs = read_rows(path), scipy_io.loadmat(path)["X"]
    assert (rows.dtype, rows.tolist()) == (theirs.dtype, theirs.tolist())


def test_a_sparse_matrix_is_refused(tmp_path: Path) -> None:
    write_mat(tmp_path)
    path = tmp_path / "binarized_mnist_train.mat"
    scipy_io.savemat(path, {"X": pytest.importorskip("scipy.sparse").csc_matrix(TRAIN.astype(float))})
    assert refusal(tmp_path) == f"{path}: variable X: expected a full matrix, found a sparse one: save full(X)"


def test_every_flipped_bit_of_a_header_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy_io.savemat(path, {"X": TRAIN})
    whole, refused = path.read_bytes(), 0
    for bit in range(8 * 120, 8 * 184):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            read_rows(path)
        except InputError:
            refused += 1
    assert refused > 200


def test_a_matrix_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy_io.savemat(path, {"X": np.zeros((8300, 8300), np.uint8)}, do_compression=True)
    with pytest.raises(InputError, match="unpack to 68,890,"):
        read_rows(path)

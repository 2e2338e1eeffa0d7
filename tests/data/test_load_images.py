"""What the user names, what comes of it, and what an image data set can do."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from discrete_gan.data import IMAGE_FORMATS, ImageData, load_images, to_range
from discrete_gan.data.formats import ImageFormat, ImageReading
from discrete_gan.data.images import FORMATS
from discrete_gan.errors import InputError

FORMS = (
    "expected digits, mnist, fashion_mnist, hub:NAME, a folder of idx files, a folder of .mat or .amat files, "
    "a folder of pictures, or a .npy or .npz file"
)


def refusal(spec: str) -> str:
    """The one line that the name is refused with."""
    with pytest.raises(InputError) as caught:
        load_images(spec)
    message = str(caught.value)
    assert "\n" not in message
    return message


def small_data() -> ImageData:
    """Three images of 1x2 pixels."""
    return ImageData(
        name="small",
        image_shape=(1, 1, 2),
        train_images=torch.tensor([[0, 1], [2, 3]], dtype=torch.uint8),
        train_labels=torch.tensor([0, 4]),
        test_images=torch.tensor([[5, 6]], dtype=torch.uint8),
        test_labels=torch.tensor([2]),
        maximum=255,
    )


def test_importing_needs_torch_and_numpy_only() -> None:
    code = (
        "import sys, discrete_gan.data\n"
        "print(*{'scipy', 'sklearn', 'datasets', 'PIL', 'pandas', 'pyarrow'} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_digits() -> None:
    sklearn_datasets = pytest.importorskip("sklearn.datasets", reason="needs scikit-learn")
    data = load_images("digits")
    assert (data.name, data.image_shape, data.maximum, data.num_classes) == ("digits", (1, 8, 8), 16, 10)
    assert data.train_images.shape == (1437, 64)
    assert data.test_images.shape == (360, 64)
    assert data.train_labels is not None and data.test_labels is not None
    bunch = sklearn_datasets.load_digits()
    whole = sorted(zip(bunch.data.astype(int).tolist(), bunch.target.tolist(), strict=True))
    images = torch.cat([data.train_images, data.test_images]).tolist()
    labels = torch.cat([data.train_labels, data.test_labels]).tolist()
    assert sorted(zip(images, labels, strict=True)) == whole
    # Stratified: no class is more than one image away from its share.
    share = np.bincount(bunch.target) * 360 / 1797
    assert np.abs(data.test_labels.bincount().numpy() - share).max() < 1
    # The same 360 for everyone: not by seed, not by version. docs/data.md gives this number.
    assert data.fingerprint() == load_images("digits", seed=7).fingerprint() == "5c955bfa40e2a4a5"


def test_digits_without_scikit_learn_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    expected = "the digits data needs scikit-learn: pip install 'discrete-gan[train]'"
    assert refusal("digits") == expected


def test_a_missing_path_names_what_lies_near(tmp_path: Path) -> None:
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    near = str(tmp_path / "data" / "mnist")
    wrong = str(tmp_path / "data" / "minst")
    assert refusal(wrong) == f"no data at {wrong!r}: did you mean {near!r}? {FORMS}"
    # The mistake may be in a folder above.
    wrong = str(tmp_path / "dta" / "mnist")
    assert refusal(wrong) == f"no data at {wrong!r}: did you mean {str(tmp_path / 'data')!r}? {FORMS}"
    wrong = str(tmp_path / "qqqqqq")
    assert refusal(wrong) == f"no data at {wrong!r}: {FORMS}"


def test_a_misspelt_digits_is_recognized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal("digit") == f"no data at 'digit': did you mean 'digits'? {FORMS}"
    (tmp_path / "file.txt").touch()
    assert refusal("file.txt/inside").endswith(FORMS)


def test_a_folder_without_data_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "cat.txt").touch()
    expected = (
        "none of the known files is in this folder; looked for train-images-idx3-ubyte, "
        "train-images-idx3-ubyte.gz, *train*.mat, *train*.amat, *test*.mat, *test*.amat, "
        "pictures (.jpg, .png and other types that Pillow reads), here or in folders"
    )
    assert refusal(str(tmp_path)) == f"{tmp_path}: {expected}"


@pytest.mark.parametrize(("name", "suffix"), [("a.csv", "'.csv'"), ("images", "'no suffix'"), ("a.gz", "'.gz'")])
def test_an_unknown_suffix_is_refused(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / name
    path.touch()
    assert refusal(str(path)) == f"{path}: files of type {suffix} are not read: {FORMS}"


def test_a_format_is_its_loader_and_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"expected {IMAGE_FORMATS}" == FORMS
    asked = []

    def load(spec: str, reading: ImageReading) -> ImageData:
        asked.append((spec, reading))
        return small_data()

    def reads(spec: str) -> bool:
        return Path(spec, "mine.bin").is_file()

    mine = ImageFormat("a folder of mine", reads, load, "mine.bin")
    monkeypatch.setattr("discrete_gan.data.images.FORMATS", (*FORMATS, mine))
    (tmp_path / "other").touch()
    assert refusal(str(tmp_path)).endswith(" that Pillow reads), here or in folders, mine.bin")
    (tmp_path / "mine.bin").touch()
    data = load_images(tmp_path, seed=3, image_size=5, crop=4, corrupt="skip")
    assert data.name == "small"
    assert asked == [(str(tmp_path), ImageReading(seed=3, image_size=5, crop=4, corrupt="skip"))]


def test_what_may_not_be_asked_is_one_line(tmp_path: Path) -> None:
    assert "cannot be read: " in refusal(str(tmp_path / ("x" * 300)))


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HOME", str(tmp_path))
    np.save(tmp_path / "a.npy", np.arange(8, dtype=np.uint8).reshape(2, 2, 2))
    assert load_images("~/a.npy").image_shape == (1, 2, 2)


def test_classes_count_both_parts() -> None:
    data = small_data()
    assert data.num_classes == 5
    assert dataclasses.replace(data, test_labels=torch.tensor([6])).num_classes == 7
    assert dataclasses.replace(data, train_labels=None, test_labels=None).num_classes is None


def test_a_summary_says_which_data_and_how_much() -> None:
    data = small_data()
    expected = {"name": "small", "image_shape": (1, 1, 2), "num_train": 2, "num_test": 1}
    assert data.summary() == {**expected, "fingerprint": data.fingerprint()}


def test_a_copy_on_another_device() -> None:
    data = dataclasses.replace(small_data(), test_labels=None)
    copy = data.to("meta")
    assert copy.train_images.device.type == copy.train_labels.device.type == "meta"  # pyright: ignore[reportOptionalMemberAccess]
    assert copy.test_images.device.type == "meta"
    assert copy.test_labels is None
    assert (copy.name, copy.image_shape, copy.maximum) == (data.name, data.image_shape, data.maximum)
    assert data.train_images.device.type == "cpu"


def test_a_fingerprint_follows_the_contents() -> None:
    data = small_data()
    assert len(data.fingerprint()) == 16
    assert dataclasses.replace(data, name="other").fingerprint() == data.fingerprint()
    assert data.to("cpu").fingerprint() == data.fingerprint() == small_data().fingerprint()
    others = [
        {"train_images": data.train_images.flip(0)},
        {"train_labels": torch.tensor([0, 3])},
        {"test_images": data.test_images + 1},
        {"test_labels": torch.tensor([1])},
        {"train_labels": None},
        {"test_labels": None},
        {"image_shape": (1, 2, 1)},
        {"maximum": 16},
        # The same bytes in the same order, cut elsewhere.
        {"train_images": data.train_images.flatten()[:, None]},
    ]
    prints = {dataclasses.replace(data, **other).fingerprint() for other in others}
    assert len(prints | {data.fingerprint()}) == 1 + len(others)


@pytest.mark.parametrize("pixel_range", [(-1, 1), (-1.0, 1.0), (0, 1), (0.0, 1.0)])
@pytest.mark.parametrize("maximum", [1, 16, 255])
def test_to_range_of_every_value(pixel_range: tuple[float, float], maximum: int) -> None:
    low, high = pixel_range
    images = torch.arange(maximum + 1, dtype=torch.uint8).unsqueeze(0)
    expected = [[low + (high - low) * value / maximum for value in range(maximum + 1)]]
    found = to_range(images, pixel_range, maximum)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-6)

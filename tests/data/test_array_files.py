"""Images from .npy and .npz files, and the checks that every loader shares."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from discrete_gan.data import load_images
from discrete_gan.errors import InputError

GREY = np.random.default_rng(0).integers(0, 256, (20, 4, 5), dtype=np.uint8)
LABELS = np.arange(20) % 4


def save(path: Path, array: Any = None, **arrays: Any) -> Path:
    """Writes one array, or an archive of named ones."""
    if arrays:
        np.savez(path, **arrays)
    else:
        np.save(path, array)
    return path


def refusal(path: Path) -> str:
    """The one line that the file is refused with."""
    with pytest.raises(InputError) as caught:
        load_images(str(path))
    message = str(caught.value)
    assert "\n" not in message
    return message


def all_pixels(path: Path) -> list[list[int]]:
    """Training and test images of a file, in sorted order."""
    data = load_images(path)
    return sorted(torch.cat([data.train_images, data.test_images]).tolist())


def test_without_a_test_part_a_tenth_is_held_out(tmp_path: Path) -> None:
    path = save(tmp_path / "grey.npz", x=GREY, y=LABELS)
    data = load_images(path)
    assert (data.name, data.image_shape, data.maximum, data.num_classes) == ("grey", (1, 4, 5), 255, 4)
    assert data.train_images.shape == (16, 20)  # of four classes, one of each
    assert data.test_images.shape == (4, 20)
    assert load_images(save(tmp_path / "plain.npz", x=GREY)).test_images.shape == (2, 20)
    pairs = {tuple(image): label for image, label in zip(GREY.reshape(20, -1).tolist(), LABELS, strict=True)}
    assert data.train_labels is not None and data.test_labels is not None
    images = torch.cat([data.train_images, data.test_images]).tolist()
    labels = torch.cat([data.train_labels, data.test_labels]).tolist()
    assert sorted(map(tuple, images)) == sorted(pairs)
    assert [pairs[tuple(image)] for image in images] == labels
    assert len(load_images(save(tmp_path / "two.npy", GREY[:2])).test_images) == 1


def test_the_hold_out_depends_on_its_seed_alone(tmp_path: Path) -> None:
    path = save(tmp_path / "grey.npy", GREY)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
    prints = [load_images(path, seed=seed).fingerprint() for seed in range(-2, 6)]
    torch.manual_seed(123)
    assert [load_images(path, seed=seed).fingerprint() for seed in range(-2, 6)] == prints
    assert len(set(prints)) == 8
    torch.set_rng_state(states[0])
    load_images(path)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]


def test_axes_are_put_channel_first(tmp_path: Path) -> None:
    color = np.random.default_rng(1).integers(0, 256, (6, 3, 4, 5), dtype=np.uint8)
    expected = sorted(color.reshape(6, -1).tolist())
    assert all_pixels(save(tmp_path / "first.npy", color)) == expected
    assert all_pixels(save(tmp_path / "last.npy", color.transpose(0, 2, 3, 1))) == expected
    assert load_images(tmp_path / "last.npy").image_shape == (3, 4, 5)
    assert all_pixels(save(tmp_path / "one.npy", GREY[..., None])) == sorted(GREY.reshape(20, -1).tolist())
    for shape in ((4, 5), (20, 2, 4, 5), (2, 2, 3, 4, 5)):
        path = save(tmp_path / "bad.npy", np.zeros(shape))
        assert refusal(path).endswith(f"with C = 1 or 3, found {shape}")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_zero_one_data_of_any_type_is_binary(tmp_path: Path, dtype: type) -> None:
    binary = GREY > 100
    path = save(tmp_path / "binary.npy", binary.astype(dtype))
    assert load_images(path).maximum == 1
    assert all_pixels(path) == sorted(binary.astype(int).reshape(20, -1).tolist())


def test_whole_numbers_up_to_2_are_bytes(tmp_path: Path) -> None:
    path = save(tmp_path / "three.npy", GREY % 3)
    assert load_images(path).maximum == 255
    assert all_pixels(path) == sorted((GREY % 3).reshape(20, -1).tolist())


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_scaled_and_rounded(tmp_path: Path, dtype: type) -> None:
    path = save(tmp_path / "floats.npy", (GREY / 255).astype(dtype))
    assert load_images(path).maximum == 255
    assert all_pixels(path) == sorted(GREY.reshape(20, -1).tolist())
    half = np.zeros((2, 1, 2))
    half[:, 0] = [[0.0, 0.499 / 255], [1.0, 0.501 / 255]]
    assert all_pixels(save(tmp_path / "round.npy", half)) == [[0, 0], [255, 1]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_below_0_are_of_minus_1_to_1(tmp_path: Path, dtype: type) -> None:
    path = save(tmp_path / "floats.npy", (GREY / 127.5 - 1).astype(dtype))
    assert load_images(path).maximum == 255
    assert all_pixels(path) == sorted(GREY.reshape(20, -1).tolist())
    signs = np.where(GREY > 99, 1.0, -1.0)
    assert all_pixels(save(tmp_path / "signs.npy", signs)) == sorted(
        np.where(GREY > 99, 255, 0).reshape(20, -1).tolist()
    )


def test_both_parts_are_of_one_range(tmp_path: Path) -> None:
    signed, plain = GREY / 127.5 - 1, np.clip(GREY / 127.5 - 1, 0, 1)
    expected = np.maximum(GREY, 128).reshape(20, -1).tolist()  # 0 is 127.5, rounded to even.
    for parts in ((signed, plain), (plain, signed)):
        data = load_images(save(tmp_path / "a.npz", x_train=parts[0], x_test=parts[1]))
        assert (data.test_images if parts[1] is plain else data.train_images).tolist() == expected
        assert (data.train_images if parts[1] is plain else data.test_images).tolist() == GREY.reshape(20, -1).tolist()


def test_a_binary_looking_test_part_keeps_the_scale_of_training(tmp_path: Path) -> None:
    floats = np.linspace(0, 1, 16).reshape(4, 2, 2)
    data = load_images(save(tmp_path / "a.npz", x_train=floats, x_test=np.ones((1, 2, 2))))
    assert data.maximum == 255
    assert data.test_images.tolist() == [[255] * 4]


@pytest.mark.parametrize("images", ["x_train", "train_images", "images", "x", "arr_0"])
@pytest.mark.parametrize("labels", ["y_train", "train_labels", "labels", "y"])
def test_archives_are_read_by_their_names(tmp_path: Path, images: str, labels: str) -> None:
    for test_images, test_labels in (("x_test", "y_test"), ("test_images", "test_labels")):
        arrays = {
            images: GREY,
            labels: LABELS,
            test_images: GREY[:3] // 2,
            test_labels: LABELS[:3] + 4,
            "z": 1,
        }
        data = load_images(save(tmp_path / "a.npz", **arrays))
        assert data.train_labels is not None and data.test_labels is not None
        assert data.train_images.tolist() == GREY.reshape(20, -1).tolist()
        assert data.train_labels.tolist() == LABELS.tolist()
        assert data.test_images.tolist() == (GREY[:3] // 2).reshape(3, -1).tolist()
        assert data.test_labels.tolist() == [4, 5, 6]
        assert data.num_classes == 7


REFUSED = {
    "no images": ({"z": GREY}, "expected images under one of x_train, .*, arr_0, or piano rolls under .*, found z"),
    "labels count": ({"x": GREY, "y": LABELS[:9]}, "a: 20 training images but 9 labels"),
    "labels shape": (
        {"x": GREY, "y": np.eye(20, dtype=int)},
        r"as whole numbers .* int64 of shape \(20, 20\)",
    ),
    "labels type": ({"x": GREY, "y": LABELS / 2}, "training labels as whole numbers .* found float64"),
    "labels of two kinds": (
        {"x": GREY, "x_test": GREY, "y": LABELS, "y_test": LABELS.astype(str)},
        "expected whole numbers or strings in both parts",
    ),
    "labels of no letters": (
        {"x": GREY, "y": np.full(20, 0x110000, np.uint32).view("<U1")},
        "labels: expected strings of Unicode",
    ),
    "labels of one": ({"x": GREY, "x_test": GREY, "y": LABELS}, "for one of train and test only"),
    "labels of test": ({"x": GREY, "x_test": GREY, "y_test": LABELS}, "for one of train and test only"),
    "labels alone": ({"x": GREY, "y": LABELS, "y_test": LABELS}, "test labels without test images"),
    "test count": ({"x": GREY, "y": LABELS, "x_test": GREY, "y_test": [1]}, "20 test images but 1 labels"),
    "test shape": ({"x": GREY, "x_test": GREY[:, 1:]}, r"different sizes: \(1, 4, 5\) in train, \(1, 3, 5\)"),
    "test type": ({"x": GREY, "x_test": GREY / 255}, "train and test differ in type: uint8 and float64"),
    "test empty": ({"x": GREY, "x_test": GREY[:0]}, r"the test part is empty \(shape \(0, 1, 4, 5\)\)"),
    "empty": ({"x": GREY[:0]}, r"the data set is empty \(training images of shape \(0, 1, 4, 5\)\)"),
    "no pixels": ({"x": GREY[:, :0]}, "the data set is empty"),
    "one image": ({"x": GREY[:1]}, "training needs at least 2 images, found 1"),
    "constant": ({"x": np.full((9, 2, 2), 7)}, "no variation: all 9 training images are equal"),
    "one picture": ({"x": np.repeat(GREY[:1], 9, 0)}, "no variation: all 9 training images are equal"),
    "floats above 1": ({"x": GREY / 1.0}, r"float pixels in \[0, 1\] or \[-1, 1\], found float64 from .* to 2"),
    "floats below -1": ({"x": GREY / 127.0 - 1.01}, r"float pixels in \[0, 1\] or \[-1, 1\], found float64 from -1.01"),
    "floats from -1 to above 1": ({"x": GREY / 127.0 - 1}, r"or \[-1, 1\], found float64 from -.* to 1.00"),
    "test below -1": ({"x": GREY / 127.5 - 1, "x_test": GREY / 100 - 2}, r"or \[-1, 1\], found float64 from -2"),
    "not a number": ({"x": np.where(GREY > 9, 0.5, np.nan)}, "from nan to nan"),
    "integers above 255": ({"x": GREY.astype(int) + 1}, r"whole pixels in \[0, 255\], found int64 .* to 256"),
    "integers below 0": ({"x": GREY.astype(int) - 1}, r"whole pixels in \[0, 255\], found int64 from -1"),
    "complex": ({"x": GREY * 1j}, "expected pixels of type uint8, bool or float, found complex128"),
    "words": ({"x": GREY.astype(str)}, "expected pixels of type uint8, bool or float, found <U"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unusable_arrays_are_refused(tmp_path: Path, case: str) -> None:
    arrays, expected = REFUSED[case]
    message = refusal(save(tmp_path / "a.npz", **arrays))
    assert __import__("re").search(expected, message), message


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    ragged = np.empty(2, dtype=object)
    ragged[:] = [GREY[0], GREY[1, :2]]
    for path, array in ((save(tmp_path / "a.npy", ragged), ""), (save(tmp_path / "b.npz", x=ragged), ": array x")):
        expected = "damaged or holds Python objects (such as images of different sizes), which are never unpickled"
        assert refusal(path) == f"{path}{array}: expected plain arrays; this is {expected}"


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("keep", [0, 5, 60, 300])
def test_damaged_files_are_refused(tmp_path: Path, suffix: str, keep: int) -> None:
    path = tmp_path / f"a{suffix}"
    save(path, GREY) if suffix == ".npy" else save(path, x=GREY)
    path.write_bytes(path.read_bytes()[:keep])
    assert refusal(path).startswith(f"{path}: ")


@pytest.mark.parametrize("images", [GREY, GREY > 127, GREY / 255, GREY / 127.5 - 1], ids=["bytes", "bits", "01", "11"])
def test_without_a_seed_none_are_held_out_and_the_order_stays(tmp_path: Path, images: Any) -> None:
    path = save(tmp_path / "a.npy", images)
    whole, split = load_images(path, seed=None), load_images(path)
    assert len(whole.train_images) == 20 and whole.test_images.shape == (0, 20)
    pixels = GREY > 127 if whole.maximum == 1 else GREY
    assert torch.equal(whole.train_images, torch.from_numpy(pixels.reshape(20, 20)).to(torch.uint8))
    assert whole.maximum == split.maximum and len(split.train_images) == 18
    cropped = load_images(path, seed=None, crop=2)
    assert cropped.train_images.shape == (20, 4) and cropped.test_images.shape == (0, 4)


def test_without_a_seed_parts_of_their_own_stay(tmp_path: Path) -> None:
    data = load_images(save(tmp_path / "a.npz", x_train=GREY[:15], x_test=GREY[15:]), seed=None)
    assert len(data.train_images) == 15 and len(data.test_images) == 5


def test_without_a_seed_labels_go_with_all_images(tmp_path: Path) -> None:
    data = load_images(save(tmp_path / "a.npz", x=GREY, y=LABELS), seed=None)
    assert data.train_labels is not None and data.train_labels.tolist() == LABELS.tolist()

"""Pictures made squares: what is cut out, what is interpolated, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from discrete_gan.data import ImageData, load_images
from discrete_gan.data.image_data import assemble
from discrete_gan.data.pictures import decode, fit, fit_data, upright_size
from discrete_gan.errors import InputError

PIL_Image = pytest.importorskip("PIL.Image", reason="needs Pillow")

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (7, 10), dtype=np.uint8)
COLOR = RNG.integers(0, 256, (7, 10, 3), dtype=np.uint8)
ORIENTATION = 0x0112


def picture(pixels: np.ndarray, mode: str | None = None) -> "PIL_Image.Image":  # pyright: ignore[reportInvalidTypeForm]
    """A picture of the pixels, converted to a mode."""
    made = PIL_Image.fromarray(pixels)
    return made if mode is None else made.convert(mode)


def same(made: object, expected: object) -> bool:
    """Whether two pictures, or a picture and an array, hold the same pixels."""
    return np.array_equal(np.asarray(made), np.asarray(expected))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("1", "L"), ("L", "L"), ("LA", "L"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGB"), ("CMYK", "RGB")],
)
def test_every_mode_becomes_grey_or_color(mode: str, expected: str) -> None:
    decoded = decode(picture(COLOR, mode), "it")
    assert decoded.mode == expected
    assert same(decoded, picture(COLOR, mode).convert(expected))


@pytest.mark.parametrize(("dtype", "mode"), [(np.uint16, "I;16"), (np.int32, "I"), (np.float32, "F")])
def test_more_than_eight_bits_are_refused(dtype: type, mode: str) -> None:
    with pytest.raises(InputError, match=f"^the third has more than 8 bits per pixel \\(mode {mode}\\)$"):
        decode(picture(GREY.astype(dtype)), "the third")


# Where each orientation of EXIF puts the stored pixels.
UPRIGHT = {
    1: GREY,
    2: GREY[:, ::-1],
    3: GREY[::-1, ::-1],
    4: GREY[::-1],
    5: GREY.T,
    6: GREY.T[:, ::-1],
    7: GREY.T[::-1, ::-1],
    8: GREY.T[::-1],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    exif = PIL_Image.Exif()
    exif[ORIENTATION] = orientation
    height, width = UPRIGHT[orientation].shape
    # Pillow itself turns compressed TIFF files.
    for suffix, options in ((".png", {}), (".tif", {"compression": "tiff_lzw"})):
        picture(GREY).save(tmp_path / f"a{suffix}", exif=exif, **options)
        with PIL_Image.open(tmp_path / f"a{suffix}") as turned:
            assert upright_size(turned) == (width, height)
            assert same(decode(turned, "it"), UPRIGHT[orientation])


def test_a_transparent_palette_is_read_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    transparent = picture(COLOR, "P")
    transparent.info["transparency"] = bytes(256)
    assert decode(transparent, "it").mode == "RGB"
    assert len(recwarn) == 0


@pytest.mark.parametrize("pixels", [GREY, COLOR], ids=["grey", "color"])
def test_a_crop_is_the_middle_of_the_picture(pixels: np.ndarray) -> None:
    for side, top, left in ((4, 1, 3), (5, 1, 2), (7, 0, 1), (1, 3, 4)):
        expected = pixels[top : top + side, left : left + side]
        for image_size in (None, side):  # A size that is there already interpolates nothing.
            assert same(fit(picture(pixels), image_size, side, "it"), expected)


def test_without_a_crop_the_shorter_side_decides() -> None:
    assert same(fit(picture(GREY), 7, None, "it"), GREY[:, 1:8])
    assert same(fit(picture(GREY.T), 7, None, "it"), GREY.T[1:8])
    whole = picture(GREY)
    assert fit(whole, None, None, "it") is whole


def test_resizing_is_bicubic_and_averages() -> None:
    square = picture(COLOR[:, :7])
    expected = square.resize((3, 3), PIL_Image.Resampling.BICUBIC)
    assert same(fit(picture(COLOR[:, :7]), 3, None, "it"), expected)
    # A checkerboard shrinks to grey; picking pixels would leave black or white.
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    shrunk = np.asarray(fit(picture(board), 8, None, "it")).astype(int)
    assert np.abs(shrunk - 127).max() <= 6


def test_a_constant_picture_stays_constant() -> None:
    constant = picture(np.full((13, 11, 3), (9, 99, 199), dtype=np.uint8))
    for image_size in (1, 5, 11, 30):
        square = np.asarray(fit(constant, image_size, None, "it"))
        assert square.shape == (image_size, image_size, 3)
        assert (square == (9, 99, 199)).all()


def test_pictures_of_faces() -> None:
    rows, columns = np.indices((218, 178), dtype=np.uint8)
    face = picture(np.stack([rows, columns, rows], axis=-1))
    square = np.asarray(fit(face, 64, 108, "it"))
    assert square.shape == (64, 64, 3)
    # Rows 55 to 162 and columns 35 to 142: one of the 64 covers 1.6875.
    assert abs(int(square[32, 32, 0]) - 109) <= 1
    assert abs(int(square[32, 32, 1]) - 89) <= 1
    assert abs(int(square[0, 0, 0]) - 55) <= 1
    assert abs(int(square[63, 63, 1]) - 142) <= 1


def test_a_crop_larger_than_the_picture_is_refused() -> None:
    for pixels in (GREY, GREY.T):
        height, width = pixels.shape
        with pytest.raises(InputError, match=rf"^b\.png: a crop of 8 x 8 pixels does not fit into {width} x {height}$"):
            fit(picture(pixels), 4, 8, "b.png")


def some_data(channels: int, top: int = 256) -> tuple[np.ndarray, ImageData]:
    """Six images of 7 x 10 pixels below ``top``, and the same with labels as a data set."""
    images = RNG.integers(0, top, (6, channels, 7, 10), dtype=np.uint8)
    labels = np.arange(6)
    return images, assemble("some", images, labels, images[:2], labels[:2])


@pytest.mark.parametrize("channels", [1, 3])
def test_data_is_cropped_and_resized_image_by_image(channels: int) -> None:
    images, data = some_data(channels)
    cropped = fit_data(data, None, 4)
    assert (cropped.image_shape, cropped.name, cropped.maximum) == ((channels, 4, 4), "some", 255)
    assert cropped.train_images.tolist() == images[:, :, 1:5, 3:7].reshape(6, -1).tolist()
    assert cropped.test_images.tolist() == images[:2, :, 1:5, 3:7].reshape(2, -1).tolist()
    assert cropped.train_labels is data.train_labels
    assert cropped.train_images.dtype == torch.uint8

    resized = fit_data(data, 3, 4)
    assert resized.image_shape == (channels, 3, 3)
    for index in (0, 5):
        whole = picture(images[index, 0] if channels == 1 else images[index].transpose(1, 2, 0))
        expected = np.asarray(fit(whole, 3, 4, "it"))
        expected = expected[None] if channels == 1 else expected.transpose(2, 0, 1)
        assert resized.train_images[index].tolist() == expected.flatten().tolist()
    assert fit_data(data, None, None) is data


def test_resizing_does_not_pass_full_intensity() -> None:
    images = 16 * RNG.integers(0, 2, (6, 1, 7, 10), dtype=np.uint8)
    data = assemble("some", images, None, images[:2], None, maximum=16)
    resized = fit_data(data, 14, None)
    assert resized.maximum == 16
    assert int(resized.train_images.max()) == 16


def test_zero_one_data_is_cropped_but_not_resized() -> None:
    images, data = some_data(1, top=2)
    assert data.maximum == 1
    assert fit_data(data, 5, 5).train_images.tolist() == images[:, :, 1:6, 2:7].reshape(6, -1).tolist()
    assert fit_data(data, 7, None).image_shape == (1, 7, 7)
    message = "some: 0/1 data can be cropped but not resized, which would turn its edges grey: leave out image_size"
    for image_size, crop in ((4, 5), (6, None), (14, None)):
        with pytest.raises(InputError, match=f"^{message}$"):
            fit_data(data, image_size, crop)


def write_idx(folder: Path) -> np.ndarray:
    """A folder of MNIST's files: ten images of 28 x 28 in either part."""
    images = RNG.integers(0, 256, (10, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        header = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in images.shape)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
    return images


def test_every_kind_of_data_is_fitted(tmp_path: Path) -> None:
    idx = tmp_path / "idx"
    idx.mkdir()
    images = write_idx(idx)
    data = load_images(idx, image_size=32)
    assert data.image_shape == (1, 32, 32)
    expected = np.asarray(picture(images[3]).resize((32, 32), PIL_Image.Resampling.BICUBIC))
    assert data.train_images[3].tolist() == data.test_images[3].tolist() == expected.flatten().tolist()
    np.save(tmp_path / "a.npy", images)
    assert load_images(tmp_path / "a.npy", crop=20).image_shape == (1, 20, 20)
    mat = tmp_path / "mat"
    mat.mkdir()
    for part in ("train", "test"):
        (mat / f"{part}.amat").write_text("0 1 1 0 1 0 0 0 1\n1 1 1 0 0 1 0 1 0\n")
    assert load_images(mat, crop=1).train_images.tolist() == [[1], [0]]
    with pytest.raises(InputError, match=r"^a: a crop of 29 x 29 pixels does not fit into 28 x 28$"):
        load_images(tmp_path / "a.npy", crop=29)


def test_digits_are_fitted() -> None:
    pytest.importorskip("sklearn.datasets", reason="needs scikit-learn")
    data = load_images("digits", image_size=16, crop=6)
    assert (data.image_shape, data.maximum, data.num_classes) == ((1, 16, 16), 16, 10)
    assert int(data.train_images.max()) == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "image_size: expected at least 1, got 0"),
        ({"crop": 0}, "crop: expected at least 1, got 0"),
        ({"crop": -3}, "crop: expected at least 1, got -3"),
        ({"corrupt": "skp"}, "unknown treatment .* 'skp': did you mean 'skip'. expected one of refuse, skip"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        load_images("digits", **options)

"""Folders of pictures: layouts, labels, modes, sizes and damage."""

import os
import sys
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from discrete_gan.data import ImageData, load_images
from discrete_gan.data.image_data import assemble
from discrete_gan.errors import InputError

PIL_Image = pytest.importorskip("PIL.Image", reason="needs Pillow")

GREY = np.random.default_rng(0).integers(0, 256, (20, 4, 6), dtype=np.uint8)
COLOR = np.random.default_rng(1).integers(0, 256, (20, 4, 6, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    """Writes a picture, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = PIL_Image.fromarray(pixels)
    (picture if mode is None else picture.convert(mode)).save(path)
    return path


def rows(*indices: int) -> list[list[int]]:
    """Pixels of the grey pictures, as rows."""
    return [GREY[index].flatten().tolist() for index in indices]


def refusal(folder: Path, **options: object) -> str:
    """The one line that the folder is refused with."""
    with pytest.raises(InputError) as caught:
        load_images(str(folder), **options)  # pyright: ignore[reportArgumentType]
    message = str(caught.value)
    assert "\n" not in message
    return message


def labels(data: ImageData) -> tuple[list[int], list[int]]:
    """Those of training and testing."""
    assert data.train_labels is not None and data.test_labels is not None
    return data.train_labels.tolist(), data.test_labels.tolist()


def everything(data: ImageData) -> tuple[list[list[int]], list[int]]:
    """Images and labels of both parts, one after the other; without labels none."""
    images = torch.cat([data.train_images, data.test_images]).tolist()
    return images, [] if data.train_labels is None else [*labels(data)[0], *labels(data)[1]]


def test_a_plain_folder_has_no_labels_and_a_tenth_held_out(tmp_path: Path) -> None:
    for index in range(20):
        save(tmp_path / "faces" / f"{index:02}.png", GREY[index])
    data = load_images(tmp_path / "faces")
    assert (data.name, data.image_shape, data.maximum, data.num_classes) == ("faces", (1, 4, 6), 255, None)
    # The same images as from one array, in the order of their names.
    for seed in (0, 5):
        expected = assemble("faces", GREY[:, None], None, None, None, seed=seed)
        assert load_images(tmp_path / "faces", seed=seed).fingerprint() == expected.fingerprint()
    assert len(data.train_images) == 18


def test_class_folders_are_labels_in_the_order_of_their_names(tmp_path: Path) -> None:
    for index in range(20):
        save(tmp_path / ("zebra", "Ant", "cat")[index % 3] / f"{index:02}.png", GREY[index])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "notes.txt").touch()
    data = load_images(tmp_path)
    found = {tuple(image): label for image, label in zip(*everything(data), strict=True)}
    assert found == {tuple(rows(index)[0]): (2, 0, 1)[index % 3] for index in range(20)}
    assert data.classes == (("Ant", "cat", "zebra"),)
    assert sorted(labels(data)[1]) == [0, 1, 2]  # a tenth are two, but no class is without


def test_numbers_in_names_of_folders_are_numbers(tmp_path: Path) -> None:
    for index in range(12):
        save(tmp_path / "train" / str(index) / "a.png", GREY[index])
        save(tmp_path / "test" / str(index) / "a.png", GREY[index])
    data = load_images(tmp_path)
    assert data.classes == (tuple(map(str, range(12))),)
    assert data.train_images.tolist() == rows(*range(12))
    assert labels(data) == (list(range(12)), list(range(12)))


def test_pictures_anywhere_below_a_class_folder_are_its_own(tmp_path: Path) -> None:
    for index, name in enumerate(("a/x.png", "a/deep/er/x.png", "b/x.png", "a/y.png")):
        save(tmp_path / "train" / name, GREY[index])
        save(tmp_path / "test" / name, GREY[index + 4])
    data = load_images(tmp_path)
    assert labels(data) == ([0, 0, 0, 1], [0, 0, 0, 1])
    assert data.train_images.tolist() == rows(0, 3, 1, 2)


def test_a_single_class_is_no_label(tmp_path: Path) -> None:
    for index in range(4):
        save(tmp_path / "img_align_celeba" / ("sub" if index == 3 else ".") / f"{index}.png", GREY[index])
    assert load_images(tmp_path).train_labels is None
    assert sorted(everything(load_images(tmp_path))[0]) == sorted(rows(0, 1, 2, 3))


@pytest.mark.parametrize("name", ["test", "testing", "val", "valid", "validation", "Test"])
def test_parts_of_their_own(tmp_path: Path, name: str) -> None:
    for index in range(4):
        save(tmp_path / "train" / "ab"[index % 2] / f"{index}.png", GREY[index])
    # The test part lacks a class: its labels are those of training all the same.
    save(tmp_path / name / "b" / "5.png", GREY[5])
    data = load_images(tmp_path)
    assert data.train_images.tolist() == rows(0, 2, 1, 3)
    assert data.test_images.tolist() == rows(5)
    assert labels(data) == ([0, 0, 1, 1], [1])


def test_parts_without_classes(tmp_path: Path) -> None:
    for index in range(4):
        save(tmp_path / ("test" if index == 1 else "train") / f"{index}.png", GREY[index])
    save(tmp_path / "val" / "4.png", GREY[4])  # Left alone beside a test part, as is
    save(tmp_path / "unlabeled" / "5.png", GREY[5])  # anything else.
    data = load_images(tmp_path)
    assert data.train_images.tolist() == rows(0, 2, 3)
    assert data.test_images.tolist() == rows(1)
    assert data.train_labels is data.test_labels is None


def test_a_training_part_alone(tmp_path: Path) -> None:
    for index in range(4):
        save(tmp_path / "train" / "ab"[index % 2] / f"{index}.png", GREY[index])
    data = load_images(tmp_path)
    assert (len(data.train_images), len(data.test_images), data.num_classes) == (2, 2, 2)
    # Beside other folders it is a class.
    save(tmp_path / "plane" / "4.png", GREY[4])
    data = load_images(tmp_path)
    assert sorted(everything(data)[1]) == [0, 1, 1, 1, 1]


def test_a_folder_around_both_parts_is_entered(tmp_path: Path) -> None:
    for index in range(4):
        save(tmp_path / "cifar" / "train" / "ab"[index % 2] / f"{index}.png", GREY[index])
        save(tmp_path / "cifar" / "test" / "ab"[index % 2] / f"{index}.png", GREY[index + 4])
    data = load_images(tmp_path)
    assert labels(data) == ([0, 0, 1, 1], [0, 0, 1, 1])
    assert data.test_images.tolist() == rows(4, 6, 5, 7)
    # Beside another folder it is a class.
    save(tmp_path / "other" / "8.png", GREY[8])
    assert sorted(everything(load_images(tmp_path))[1]) == [0] * 8 + [1]


def test_classes_unknown_to_training_are_refused(tmp_path: Path) -> None:
    for index in range(4):
        save(tmp_path / "train" / "ab"[index % 2] / f"{index}.png", GREY[index])
        save(tmp_path / "test" / "bc"[index % 2] / f"{index}.png", GREY[index])
    train, test = tmp_path / "train", tmp_path / "test"
    assert refusal(tmp_path) == f"{test / 'c'}: expected only classes of {train}, which has no 'c'"


@pytest.mark.parametrize(("plain", "other"), [("train", "test"), ("test", "train")])
def test_classes_in_one_part_only_are_refused(tmp_path: Path, plain: str, other: str) -> None:
    for index in range(4):
        save(tmp_path / plain / f"{index}.png", GREY[index])
        save(tmp_path / other / "ab"[index % 2] / f"{index}.png", GREY[index])
    expected = f"{tmp_path / plain}: expected class folders as in {tmp_path / other}, found pictures outside of any"
    assert refusal(tmp_path) == expected


@pytest.mark.parametrize("folder", [".", "train"])
def test_pictures_beside_and_inside_class_folders_are_refused(tmp_path: Path, folder: str) -> None:
    for index in range(4):
        save(tmp_path / "train" / "ab"[index % 2] / f"{index}.png", GREY[index])
        save(tmp_path / "test" / "ab"[index % 2] / f"{index}.png", GREY[index])
    save(tmp_path / folder / "odd.png", GREY[5])
    inside = "test" if folder == "." else "a"
    assert refusal(tmp_path) == (
        f"{tmp_path / folder}: pictures both beside and inside folders (odd.png and {inside}): "
        "expected all of them in class folders, or none"
    )


def test_other_and_hidden_files_are_left_alone(tmp_path: Path) -> None:
    for index, name in enumerate(("a.png", "b.PNG", "c.bmp", "d.Tiff")):
        save(tmp_path / name, GREY[index])
    for name in (".a.png", "._b.png", "notes.txt", "Thumbs.db", "data.h5", "film.mpeg", "page.pdf", "png"):
        (tmp_path / name).write_text("not a picture")
    save(tmp_path / ".thumbnails" / "a.png", GREY[9])
    data = load_images(tmp_path)
    assert sorted(everything(data)[0]) == sorted(rows(0, 1, 2, 3))


def test_a_folder_may_be_called_like_a_picture(tmp_path: Path) -> None:
    for index in range(4):
        save(tmp_path / "ab"[index % 2] / "x.jpg" / f"{index}.png", GREY[index])
    assert load_images(tmp_path).num_classes == 2


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    for index in range(4):
        save(tmp_path / "elsewhere" / "ab"[index % 2] / f"{index}.png", GREY[index])
    folder = tmp_path / "data"
    folder.mkdir()
    for name in "ab":
        (folder / name).symlink_to(tmp_path / "elsewhere" / name)
    (folder / "a" / "up").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    data = load_images(folder)
    # Through the link, the pictures of b are found below a once, and those of a itself not again.
    assert sorted(everything(data)[1]) == [0] * 4 + [1] * 2


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", GREY[0])
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    assert refusal(tmp_path).startswith(f"{tmp_path / 'b.png'}: cannot be read as a picture: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    for index in range(2):
        save(tmp_path / f"{index}.png", GREY[index])
    os.mkfifo(tmp_path / "pipe.png")
    assert len(load_images(tmp_path).train_images) == 1


def test_folders_without_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(tmp_path).startswith(f"{tmp_path}: the folder is empty: expected digits, mnist, fashion_mnist, hub:")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "PIL.Image", None)  # nothing needs decoding
        assert refusal(tmp_path).startswith(f"{tmp_path}: the folder is empty: ")
    (tmp_path / "inner").mkdir()
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}: none of the known files is in this folder; looked for train-images-idx3")
    assert message.endswith(", pictures (.jpg, .png and other types that Pillow reads), here or in folders")


def test_one_picture_is_too_few(tmp_path: Path) -> None:
    save(tmp_path / "a.png", GREY[0])
    assert "training needs at least 2 images, found 1" in refusal(tmp_path)


def test_grey_pictures_among_color_become_color(tmp_path: Path) -> None:
    modes = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")
    for index, mode in enumerate(modes):
        suffix = "tif" if mode == "CMYK" else "png"
        save(tmp_path / "train" / f"{index}.{suffix}", COLOR[index], mode)
        save(tmp_path / "test" / f"{index}.png", GREY[index])
    data = load_images(tmp_path)
    assert (data.image_shape, data.maximum) == ((3, 4, 6), 255)
    for index, mode in enumerate(modes):
        expected = np.asarray(PIL_Image.fromarray(COLOR[index]).convert(mode).convert("RGB")).transpose(2, 0, 1)
        assert data.train_images[index].tolist() == expected.flatten().tolist()
    assert data.test_images.tolist() == np.repeat(GREY[:7, None], 3, axis=1).reshape(7, -1).tolist()


def test_grey_pictures_stay_grey(tmp_path: Path) -> None:
    for index, mode in enumerate(("1", "L", "LA")):
        save(tmp_path / "train" / f"{index}.png", GREY[index], mode)
        save(tmp_path / "test" / f"{index}.png", GREY[index])
    data = load_images(tmp_path)
    assert (data.image_shape, data.maximum) == ((1, 4, 6), 255)
    assert data.train_images[1:].tolist() == rows(1, 2)
    assert data.train_images[0].unique().tolist() == [0, 255]


def test_one_bit_pictures_are_binary(tmp_path: Path) -> None:
    for index in range(4):
        save(tmp_path / ("test" if index == 3 else "train") / f"{index}.png", GREY[index] > 99)
    data = load_images(tmp_path)
    assert data.maximum == 1
    assert data.train_images.tolist() == (GREY[:3] > 99).astype(int).reshape(3, -1).tolist()
    assert load_images(tmp_path, image_size=4).train_images.tolist() == (
        (GREY[:3, :, 1:5] > 99).astype(int).reshape(3, -1).tolist()
    )
    assert refusal(tmp_path, image_size=3) == (
        f"{tmp_path}: 0/1 data can be cropped but not resized, which would turn its edges grey: leave out image_size"
    )


@pytest.mark.parametrize("corrupt", ["refuse", "skip"])
def test_sixteen_bits_are_refused(tmp_path: Path, corrupt: str) -> None:
    for index in range(3):
        save(tmp_path / f"{index}.png", GREY[index])
    deep = save(tmp_path / "a.png", GREY[3].astype(np.uint16) * 257)
    # Known from the header, before the damage of another is.
    (tmp_path / "0.png").write_bytes((tmp_path / "0.png").read_bytes()[:50])
    assert refusal(tmp_path, corrupt=corrupt) == f"{deep} has more than 8 bits per pixel (mode I;16)"


def test_different_sizes_need_an_image_size(tmp_path: Path) -> None:
    first = save(tmp_path / "a.png", GREY[0])
    save(tmp_path / "b.png", GREY[1])
    other = save(tmp_path / "c.png", GREY[2].T)
    assert refusal(tmp_path) == (
        f"pictures of different sizes, {first} of 6 x 4 and {other} of 4 x 6 pixels: "
        "image_size makes them equal squares"
    )
    assert load_images(tmp_path, crop=3).image_shape == (1, 3, 3)
    data = load_images(tmp_path, image_size=4)
    found = sorted(everything(data)[0])
    assert found == sorted(image.flatten().tolist() for image in (GREY[0, :, 1:5], GREY[1, :, 1:5], GREY[2].T[1:5]))


def test_sizes_are_compared_before_anything_is_decoded(tmp_path: Path) -> None:
    first = save(tmp_path / "a.png", GREY[0])
    first.write_bytes(first.read_bytes()[:50])
    save(tmp_path / "b.png", GREY[1].T)
    assert refusal(tmp_path).startswith("pictures of different sizes")
    assert refusal(tmp_path, crop=2).startswith(f"{first}: cannot be read as a picture: ")


def test_a_crop_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.tile(GREY[0], (2, 2)))
    small = save(tmp_path / "b.png", GREY[1])
    for corrupt in ("refuse", "skip"):
        expected = f"{small}: a crop of 5 x 5 pixels does not fit into 6 x 4"
        assert refusal(tmp_path, crop=5, image_size=2, corrupt=corrupt) == expected


def test_faces_are_cropped_and_resized(tmp_path: Path) -> None:
    for index in range(3):
        save(tmp_path / f"{index}.jpg", np.random.default_rng(index).integers(0, 256, (218, 178, 3), dtype=np.uint8))
    data = load_images(tmp_path, crop=108, image_size=64)
    assert data.image_shape == (3, 64, 64)
    with PIL_Image.open(tmp_path / "0.jpg") as face:
        expected = face.crop((35, 55, 143, 163)).resize((64, 64), PIL_Image.Resampling.BICUBIC)
    assert np.asarray(expected).transpose(2, 0, 1).flatten().tolist() in everything(data)[0]


def test_rotated_pictures_are_of_one_size_once_upright(tmp_path: Path) -> None:
    exif = PIL_Image.Exif()
    exif[0x0112] = 6
    for index in range(3):
        PIL_Image.fromarray(GREY[index].T[::-1].copy()).save(tmp_path / f"{index}.png", exif=exif)
    save(tmp_path / "3.png", GREY[3])
    data = load_images(tmp_path)
    assert data.image_shape == (1, 4, 6)
    assert sorted(everything(data)[0]) == sorted(rows(0, 1, 2, 3))


def test_a_rotation_that_the_header_does_not_tell_is_refused(tmp_path: Path) -> None:
    first = save(tmp_path / "a.png", GREY[0])
    exif = PIL_Image.Exif()
    exif[0x0112] = 6
    PIL_Image.fromarray(GREY[1]).save(tmp_path / "b.png", exif=exif)
    content = (tmp_path / "b.png").read_bytes()
    # The EXIF chunk put after the pixels, just before the end.
    start = content.index(b"eXIf") - 4
    length = 12 + int.from_bytes(content[start : start + 4], "big")
    chunk, content = content[start : start + length], content[:start] + content[start + length :]
    (tmp_path / "b.png").write_bytes(content[:-12] + chunk + content[-12:])
    assert f"{first} of 6 x 4 and {tmp_path / 'b.png'} of 4 x 6 pixels" in refusal(tmp_path)


def test_of_an_animation_the_first_picture_is_taken(tmp_path: Path) -> None:
    frames = [PIL_Image.fromarray(image) for image in GREY]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    save(tmp_path / "b.png", GREY[1])
    data = load_images(tmp_path)
    assert data.image_shape == (3, 4, 6)  # A GIF has a palette.
    assert sorted(everything(data)[0]) == sorted(3 * row for row in rows(0, 1))


def damaged_folder(folder: Path) -> list[Path]:
    """Six pictures in two classes, and three files that cannot be decoded, which it returns."""
    for index in range(6):
        save(folder / "ab"[index % 2] / f"{index}.png", GREY[index])
    text = folder / "a" / "3text.jpg"
    text.write_text("this is not a picture")
    cut = save(folder / "b" / "2cut.jpg", np.tile(GREY[7], (2, 2))[:4, :6])
    cut.write_bytes(cut.read_bytes()[:-40])
    # A header that promises a picture.
    broken = save(folder / "b" / "4broken.png", GREY[8])
    broken.write_bytes(broken.read_bytes()[:50])
    return [text, cut, broken]


def test_corrupt_pictures_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, cut, broken = damaged_folder(tmp_path)
    for path, reason in ((text, "cannot identify image file"), (cut, "runcated"), (broken, "")):
        message = refusal(tmp_path)
        assert message.startswith(f"{path}: cannot be read as a picture: ")
        assert reason in message
        assert message.endswith(" (corrupt=skip leaves out such files)")
        path.unlink()
    assert len(load_images(tmp_path).train_images) == 4
    assert capsys.readouterr().err == ""


def test_corrupt_pictures_are_skipped_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, _, _ = damaged_folder(tmp_path)
    data = load_images(tmp_path, corrupt="skip")
    skipped = "skipped 3 of 9 pictures that cannot be read, the first"
    assert capsys.readouterr().err == f"{tmp_path}: {skipped} {str(text)!r}\n"
    found = {tuple(image): label for image, label in zip(*everything(data), strict=True)}
    assert found == {tuple(rows(index)[0]): index % 2 for index in range(6)}


def test_corrupt_pictures_in_both_parts_are_skipped(tmp_path: Path) -> None:
    damaged_folder(tmp_path / "train")
    damaged_folder(tmp_path / "test")
    data = load_images(tmp_path, corrupt="skip")
    assert data.train_images.tolist() == data.test_images.tolist() == rows(0, 2, 4, 1, 3, 5)
    assert labels(data) == ([0, 0, 0, 1, 1, 1],) * 2


def test_nothing_but_corrupt_pictures_is_refused(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).touch()
    first = tmp_path / "a.jpg"
    assert refusal(tmp_path, corrupt="skip") == (f"{tmp_path}: none of the 2 pictures can be read, such as {first}")


@pytest.mark.parametrize("limit", [13, 3])  # Pillow warns above its limit, and refuses above twice that.
def test_pictures_that_may_be_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    for index in range(2):
        save(tmp_path / f"{index}.png", GREY[index])
    monkeypatch.setattr(PIL_Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert refusal(tmp_path).startswith(f"{tmp_path / '0.png'}: cannot be read as a picture: Image size (24 pixels")
    assert shown == []


def test_what_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(2):
        save(tmp_path / f"{index}.png", GREY[index])

    def forbid(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "0.png"))

    expected = f"{tmp_path}: cannot be read: [Errno 13] Permission denied: '{tmp_path / '0.png'}'"
    monkeypatch.setattr(PIL_Image, "open", forbid)
    for corrupt in ("refuse", "skip"):
        assert refusal(tmp_path, corrupt=corrupt) == expected
    monkeypatch.setattr(os, "scandir", forbid)
    assert refusal(tmp_path) == expected


@pytest.mark.parametrize("side", [1 << 29, 1 << 70])
def test_what_does_not_fit_into_memory_is_refused(tmp_path: Path, side: int) -> None:
    for index in range(2):
        save(tmp_path / f"{index}.png", GREY[index])
    expected = (
        f"{tmp_path}: images of shape (2, 1, {side}, {side}) (image_size makes them smaller): expected at most 8,"
    )
    assert refusal(tmp_path, image_size=side).startswith(expected)


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png", GREY[0])
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert refusal(tmp_path) == f"{tmp_path}: reading pictures needs pillow: pip install 'discrete-gan[train]'"


def test_real_color_pictures(tmp_path: Path, shared_data: Path) -> None:
    archive = shared_data / "cifar10" / "cifar10_jpeg_q75.tar.gz"
    if not archive.is_file():
        pytest.skip("the public file is not in ../shared/data/cifar10")
    classes = ("airplane", "automobile", "bird")
    wanted = 24
    with tarfile.open(archive) as files:
        for member in files:  # Up to what is wanted: the archive is long, and its test part comes first.
            parts = Path(member.name).parts
            if len(parts) == 4 and parts[2] in classes and int(parts[3][:4]) < 8:
                files.extract(member, tmp_path, filter="data")
                wanted -= 1
            if wanted == 0:
                break
    data = load_images(tmp_path / "cifar10_jpeg" / "test")
    assert (data.image_shape, data.maximum, data.num_classes) == ((3, 32, 32), 255, 3)
    assert (len(data.train_images), len(data.test_images)) == (21, 3)
    assert np.bincount(everything(data)[1]).tolist() == [8, 8, 8]
    with PIL_Image.open(tmp_path / "cifar10_jpeg" / "test" / "bird" / "0003.jpg") as bird:
        pixels = np.asarray(bird).transpose(2, 0, 1).flatten().tolist()
    assert everything(data)[1][everything(data)[0].index(pixels)] == 2
    assert load_images(tmp_path / "cifar10_jpeg" / "test", image_size=16).image_shape == (3, 16, 16)

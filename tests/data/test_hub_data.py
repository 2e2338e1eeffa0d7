"""Data sets through the datasets library: local folders, and the library's answers imitated for names."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from discrete_gan.data import load_images
from discrete_gan.errors import InputError

datasets = pytest.importorskip("datasets", reason="needs datasets")
PIL_Image = pytest.importorskip("PIL.Image", reason="needs Pillow")

GREY = np.random.default_rng(0).integers(0, 256, (10, 4, 5), dtype=np.uint8)
COLOR = np.random.default_rng(1).integers(0, 256, (10, 4, 5, 3), dtype=np.uint8)
LABELS = [index % 3 for index in range(10)]
PICTURES = [PIL_Image.fromarray(image) for image in GREY]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps what the library prepares out of the user's home folder, its bars off the screen, and asks no network."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("discrete_gan.data.hub._unreachable", lambda _: "")
    datasets.disable_progress_bars()


def dataset(**columns: Any) -> Any:
    """A data set with an Image feature for columns of pictures and ClassLabel for label."""
    made = datasets.Dataset.from_dict({name: values for name, values in columns.items() if values is not None})
    if "label" in columns and isinstance(columns["label"][0], int):
        made = made.cast_column("label", datasets.ClassLabel(num_classes=3))
    return made


def write_folder(folder: Path, **splits: Any) -> str:
    """Writes a parquet file a split, and says how to name the folder."""
    folder.mkdir(exist_ok=True)
    for split, made in splits.items():
        made.to_parquet(str(folder / f"{split}.parquet"))
    return f"hub:{folder}"


def imitate(monkeypatch: pytest.MonkeyPatch, **splits: Any) -> list[tuple[Any, ...]]:
    """Makes load_dataset answer with the splits; returns the list of its arguments."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *args: calls.append(args) or splits)
    return calls


def refusal(spec: str, **options: int) -> str:
    """The one line that the name is refused with."""
    with pytest.raises(InputError) as caught:
        load_images(spec, **options)  # pyright: ignore[reportArgumentType]
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_folder_of_parquet_files(tmp_path: Path) -> None:
    train, test = dataset(image=PICTURES, label=LABELS), dataset(image=PICTURES[:2], label=[2, 0])
    data = load_images(write_folder(tmp_path / "tiny", train=train, test=test))
    assert (data.name, data.image_shape, data.maximum, data.num_classes) == ("tiny", (1, 4, 5), 255, 3)
    assert data.train_images.tolist() == GREY.reshape(10, -1).tolist()
    assert data.test_images.tolist() == GREY[:2].reshape(2, -1).tolist()
    assert data.train_labels is not None and data.test_labels is not None
    assert data.train_labels.dtype == torch.int64
    assert data.train_labels.tolist() == LABELS
    assert data.test_labels.tolist() == [2, 0]


def test_classes_have_the_names_of_their_column(tmp_path: Path) -> None:
    named = dataset(image=PICTURES, label=LABELS).cast_column("label", datasets.ClassLabel(names=["cat", "ant", "bee"]))
    data = load_images(write_folder(tmp_path / "tiny", train=named, test=named))
    assert data.classes == (("cat", "ant", "bee"),)
    assert data.train_labels is not None and data.train_labels.tolist() == LABELS
    plain = dataset(image=PICTURES, labels=["cat", "ant"] * 5)
    assert load_images(write_folder(tmp_path / "plain", train=plain)).classes == (("ant", "cat"),)


def test_a_folder_written_by_save_to_disk(tmp_path: Path) -> None:
    train, test = dataset(image=PICTURES, label=LABELS), dataset(image=PICTURES[:3], label=LABELS[:3])
    datasets.DatasetDict(train=train, test=test).save_to_disk(str(tmp_path / "both"))
    data = load_images(f"hub:{tmp_path / 'both'}")
    assert data.train_images.tolist() == GREY.reshape(10, -1).tolist()
    assert data.test_images.shape == (3, 20)
    assert data.num_classes == 3
    train.save_to_disk(str(tmp_path / "single"))
    data = load_images(f"hub:{tmp_path / 'single'}")
    assert data.name == "single"
    assert data.train_images.shape == (7, 20)
    assert data.num_classes == 3


def test_without_a_test_split_a_tenth_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    imitate(monkeypatch, train=dataset(image=PICTURES))
    prints = set()
    for seed in range(4):
        data = load_images("hub:someone/tiny", seed=seed)
        assert data.train_images.shape == (9, 20)
        assert data.train_labels is data.test_labels is None
        prints.add(data.fingerprint())
    assert len(prints) > 1


def test_name_and_configuration_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = imitate(monkeypatch, train=dataset(image=PICTURES))
    assert load_images("hub:someone/tiny").name == "someone/tiny"
    load_images("hub:someone/tiny:small")
    assert calls == [("someone/tiny", None), ("someone/tiny", "small")]


def test_color_stays_color_channel_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [PIL_Image.fromarray(image) for image in COLOR]
    # One grey picture among them, and one with transparency.
    pictures[3] = PIL_Image.fromarray(GREY[3])
    pictures[4] = pictures[4].convert("RGBA")
    imitate(monkeypatch, train=dataset(image=pictures), test=dataset(image=pictures[:1]))
    data = load_images("hub:tiny")
    expected = COLOR.transpose(0, 3, 1, 2).copy()
    expected[3] = GREY[3]
    assert (data.image_shape, data.maximum) == ((3, 4, 5), 255)
    assert data.train_images.tolist() == expected.reshape(10, -1).tolist()


def test_color_pictures_three_pixels_high_keep_their_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [PIL_Image.fromarray(image[:3].copy()) for image in COLOR]
    imitate(monkeypatch, train=dataset(image=pictures), test=dataset(image=pictures))
    data = load_images("hub:tiny")
    assert data.image_shape == (3, 3, 5)
    assert data.train_images.tolist() == COLOR[:, :3].transpose(0, 3, 1, 2).reshape(10, -1).tolist()


def test_one_bit_pictures_are_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [PIL_Image.fromarray(image > 99) for image in GREY]
    assert pictures[0].mode == "1"
    imitate(monkeypatch, train=dataset(image=pictures), test=dataset(image=pictures))
    data = load_images("hub:tiny")
    assert data.maximum == 1
    assert data.train_images.tolist() == (GREY > 99).astype(int).reshape(10, -1).tolist()
    imitate(monkeypatch, train=dataset(image=[*pictures[:9], PICTURES[9]]), test=dataset(image=PICTURES))
    data = load_images("hub:tiny")
    assert data.maximum == 255
    assert data.train_images[:9].unique().tolist() == [0, 255]


def test_array_columns_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = dataset(words=["a"] * 10, vector=np.ones((10, 3)).tolist(), pixels=GREY.tolist(), labels=LABELS)
    typed = plain.cast_column("pixels", datasets.Array2D((4, 5), "uint8"))
    for made in (plain, typed):
        imitate(monkeypatch, train=made, test=made)
        data = load_images("hub:tiny")
        assert data.train_images.tolist() == GREY.reshape(10, -1).tolist()
        assert data.num_classes == 3
    imitate(monkeypatch, train=dataset(pixels=(COLOR / 255).tolist()), test=dataset(pixels=(COLOR / 255).tolist()))
    data = load_images("hub:tiny")
    assert data.image_shape == (3, 4, 5)
    assert data.train_images.tolist() == COLOR.transpose(0, 3, 1, 2).reshape(10, -1).tolist()


def test_of_several_columns_the_plainly_named_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    other = [picture.rotate(180) for picture in PICTURES]
    fine = [0] * 10
    made = dataset(mask=other, image=PICTURES, fine=fine, label=LABELS)
    made = made.cast_column("fine", datasets.ClassLabel(num_classes=1))
    imitate(monkeypatch, train=made, test=made)
    data = load_images("hub:tiny")
    assert data.train_images.tolist() == GREY.reshape(10, -1).tolist()
    assert data.num_classes == 3
    # A class of any name, if none is called label.
    imitate(monkeypatch, train=made.remove_columns("label"), test=made.remove_columns("label"))
    assert load_images("hub:tiny").num_classes == 1


def test_unusable_columns_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    imitate(monkeypatch, train=dataset(left=PICTURES, right=PICTURES, label=LABELS))
    expected = "expected one column of images, or one named image or img, found columns "
    columns = "left (Image), right (Image), label (ClassLabel)"
    assert refusal("hub:tiny") == f"tiny, split train: {expected}{columns}"
    imitate(monkeypatch, train=dataset(text=["a", "b"], ragged=[[[1], [2, 3]], [[1], [2, 3]]]))
    assert expected in refusal("hub:tiny")
    imitate(monkeypatch, train=dataset(image=PICTURES, labels=[None, *LABELS[1:]]))
    assert "training labels as whole numbers" in refusal("hub:tiny")


def test_unusable_pictures_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    imitate(monkeypatch, train=dataset(image=[*PICTURES[:2], PIL_Image.fromarray(GREY[0, :3])]))
    sizes = "images of different sizes: (4, 5) in row 0, (3, 5) in row 2"
    assert refusal("hub:tiny") == f"tiny, split train: {sizes}; image_size makes them equal squares"
    imitate(monkeypatch, train=dataset(pixels=[GREY[0].tolist(), GREY[1, :3].tolist()]))
    assert refusal("hub:tiny").endswith("images of different sizes: (4, 5) in row 0, (3, 5) in row 1")
    imitate(monkeypatch, train=dataset(pixels=[GREY[0].tolist(), [[1], [2, 3]]]))
    assert "row 1 is no image: its rows differ in length" in refusal("hub:tiny")
    imitate(monkeypatch, train=dataset(image=[*PICTURES, None]))
    assert refusal("hub:tiny") == "tiny, split train: row 10 has no image"
    imitate(monkeypatch, train=dataset(image=[PIL_Image.fromarray(GREY[0].astype(np.uint16))] * 2))
    assert "row 0 has more than 8 bits per pixel (mode I;16)" in refusal("hub:tiny")
    imitate(monkeypatch, train=dataset(image=PICTURES).select([]))
    assert refusal("hub:tiny") == "tiny, split train: the data set is empty"


def test_pictures_of_any_size_become_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [PIL_Image.fromarray(image) for image in (*COLOR[:3], COLOR[3].transpose(1, 0, 2).copy())]
    imitate(monkeypatch, train=dataset(image=pictures), test=dataset(image=pictures[3:]))
    expected = [COLOR[0, :, :4], COLOR[1, :, :4], COLOR[2, :, :4], COLOR[3, :, :4].transpose(1, 0, 2)]
    data = load_images("hub:tiny", image_size=4)
    assert data.image_shape == (3, 4, 4)
    assert data.train_images.tolist() == [image.transpose(2, 0, 1).flatten().tolist() for image in expected]
    assert data.test_images.tolist() == data.train_images[3:].tolist()
    data = load_images("hub:tiny", crop=2)
    assert data.train_images[0].tolist() == COLOR[0, 1:3, 1:3].transpose(2, 0, 1).flatten().tolist()
    assert load_images("hub:tiny", image_size=3, crop=2).image_shape == (3, 3, 3)
    assert load_images("hub:tiny", image_size=2, crop=4).image_shape == (3, 2, 2)
    expected = "tiny, split train: row 0: a crop of 5 x 5 pixels does not fit into 5 x 4"
    assert refusal("hub:tiny", image_size=2, crop=5) == expected


def test_arrays_are_cropped_and_resized(monkeypatch: pytest.MonkeyPatch) -> None:
    imitate(monkeypatch, train=dataset(pixels=GREY.tolist()), test=dataset(pixels=GREY.tolist()))
    data = load_images("hub:tiny", crop=2)
    assert data.train_images.tolist() == GREY[:, 1:3, 1:3].reshape(10, -1).tolist()
    assert load_images("hub:tiny", image_size=9, crop=4).image_shape == (1, 9, 9)


def test_one_bit_pictures_are_cropped_but_not_resized(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [PIL_Image.fromarray(image > 99) for image in GREY]
    imitate(monkeypatch, train=dataset(image=pictures), test=dataset(image=pictures))
    data = load_images("hub:tiny", image_size=4)
    assert data.maximum == 1
    assert data.train_images.tolist() == (GREY[:, :, :4] > 99).astype(int).reshape(10, -1).tolist()
    assert "0/1 data can be cropped but not resized" in refusal("hub:tiny", image_size=3)
    imitate(monkeypatch, train=dataset(image=[*pictures, pictures[0].crop((0, 0, 3, 3))]))
    assert "0/1 data can be cropped but not resized" in refusal("hub:tiny", image_size=3)
    # With one grey picture among them there are greys anyway.
    imitate(monkeypatch, train=dataset(image=[*pictures, PICTURES[0]]))
    assert load_images("hub:tiny", image_size=3).maximum == 255


def test_splits_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imitate(monkeypatch, validation=dataset(image=PICTURES), dev=dataset(image=PICTURES))
    assert refusal("hub:tiny") == "hub:tiny: expected a split named train, found validation, dev"


def test_what_cannot_be_loaded_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal("hub:") == "hub:: expected hub:NAME, hub:NAME:CONFIG or hub:FOLDER"
    assert refusal("hub:./not/there") == "hub:./not/there: no such folder"
    (tmp_path / "empty").mkdir()
    assert refusal(f"hub:{tmp_path / 'empty'}").startswith(f"hub:{tmp_path / 'empty'}: cannot be loaded: ")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "train.csv").write_text("a,b\n1,2\n1,2,3\n")
    # The library's own message says nothing of the matter; its cause does.
    assert "Expected 2 fields in line 3, saw 3" in refusal(f"hub:{tmp_path / 'bad'}")

    def offline(*_: object) -> None:
        raise ConnectionError("no way\nto the Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    assert refusal("hub:someone/tiny") == "hub:someone/tiny: cannot be loaded: no way"


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert refusal("hub:someone/tiny") == "hub:someone/tiny needs datasets: pip install 'discrete-gan[train]'"

"""Public data sets by name, and local folders, through Hugging Face's ``datasets`` library."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from ..errors import InputError
from .extras import one_line, require
from .formats import ImageReading
from .image_data import ImageData, assemble
from .pictures import NOT_RESIZED, decode, fit, fit_data, is_resized
from .pixels import Array, channels_first

_ARRAY_FEATURES = ("Array2D", "Array3D", "List", "LargeList", "Sequence")
_PATIENCE = 10  # seconds that the Hub is given to answer


def is_hub(spec: str) -> bool:
    """Whether this is for the datasets library."""
    return spec.startswith("hub:")


def load_hub(spec: str, reading: ImageReading, *, name: str | None = None, instead: str = "hub:FOLDER") -> ImageData:
    """Reads the splits ``train`` and ``test``; without ``test``, holds out a tenth of the images.

    Images are in the one column of type Image, else of two- or three-dimensional arrays; of several, in the
    one called ``image`` or ``img``. Labels are in ``label`` or ``labels``, else in the first column of type
    ClassLabel.

    Args:
        spec: ``hub:`` and NAME or NAME:CONFIG as on the Hub, or a local folder that the library can read.
        reading: All of it but ``corrupt``.
        name: What to call the data, also in messages; as on the Hub if not given.
        instead: As in ``load_splits``.

    Raises:
        InputError: If it cannot be loaded or has no such column, or if pictures are of different sizes, too small
            for the crop or of more than 8 bits per channel.
    """
    datasets = require("datasets", "datasets", name or spec)
    where, splits = load_splits(datasets, spec.removeprefix("hub:"), name=name, instead=instead)
    if "train" not in splits:
        raise InputError(f"{name or spec}: expected a split named train, found {', '.join(splits) or 'none'}")
    image_size, crop = reading.image_size, reading.crop

    label = _label_column(splits["train"].features)
    # Indices of classes have names where the column says so.
    names = None if label is None else getattr(splits["train"].features[label], "names", None)

    def read(part: str) -> tuple[Array, Array | None, bool]:
        try:
            return _read_split(splits[part], f"{where}, split {part}", image_size, crop)
        except InputError:
            raise
        except Exception as error:  # A damaged file shows when its rows are asked for, as anything.
            raise InputError(f"{where}, split {part}: cannot be read: {one_line(error)}") from error

    train, train_labels, are_pictures = read("train")
    test, test_labels = None, None
    if "test" in splits:
        test, test_labels, _ = read("test")
    data = assemble(where, train, train_labels, test, test_labels, seed=reading.seed, names=names)
    return data if are_pictures else fit_data(data, image_size, crop)


def load_splits(datasets: Any, source: str, *, name: str | None = None, instead: str = "hub:FOLDER") -> tuple[str, Any]:
    """What to call the data, and its splits by name.

    Where the Hub does not answer, what the library has downloaded before is used, and what it has not is refused at
    once: by itself, the library tries for 25 seconds and writes a dozen lines to stderr.

    Args:
        datasets: The library.
        source: NAME or NAME:CONFIG as on the Hub, or a local folder that the library can read.
        name: What to call the data, also in messages; as on the Hub if not given.
        instead: What works without a network, for the message.

    Raises:
        InputError: If it cannot be loaded.
    """
    on_hub, _, config = source.partition(":")
    folder = Path(source).expanduser()
    where = name or f"hub:{source}"
    if not on_hub:
        raise InputError(f"{where}: expected hub:NAME, hub:NAME:CONFIG or hub:FOLDER")
    if not folder.is_dir() and on_hub.startswith(("/", ".", "~")):
        raise InputError(f"{where}: no such folder")
    unreachable = "" if folder.is_dir() else _unreachable(datasets)
    try:
        if not folder.is_dir():
            with _offline(datasets, unreachable):
                return name or on_hub, datasets.load_dataset(on_hub, config or None)
        if (folder / "state.json").is_file():  # One split written by save_to_disk, which load_dataset refuses.
            return folder.resolve().name, {"train": datasets.load_from_disk(str(folder))}
        return folder.resolve().name, datasets.load_dataset(str(folder))
    except Exception as error:  # Network, cache, format and name errors share no base class.
        expected = f": expected a network, or what works without one: {instead}"
        if unreachable:
            raise InputError(f"{where}: cannot be downloaded ({unreachable}){expected}") from error
        message = f"{where}: cannot be loaded: {one_line(error)}"
        raise InputError(message if name is None else f"{message.rstrip('.')}{expected}") from error


def _unreachable(datasets: Any) -> str:
    """Why nothing can be downloaded, by a single request; empty if the Hub answers, whatever it says."""
    if datasets.config.HF_HUB_OFFLINE:
        return "offline mode is set"
    get_session = require("huggingface_hub.utils", "huggingface_hub", "downloading data").get_session
    try:
        get_session().head(datasets.config.HF_ENDPOINT, timeout=_PATIENCE)
    except Exception:  # Of requests, httpx or another library, by version.
        return f"no connection to {urlsplit(datasets.config.HF_ENDPOINT).netloc}"
    return ""


@contextmanager
def _offline(datasets: Any, unreachable: str) -> Iterator[None]:
    """The library as in its offline mode, if the Hub is unreachable; afterwards as it was."""
    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or bool(unreachable)
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _read_split(split: Any, where: str, image_size: int | None, crop: int | None) -> tuple[Array, Array | None, bool]:
    """Images, labels, and whether the images were pictures, which are cropped and resized here already."""
    if len(split) == 0:
        raise InputError(f"{where}: the data set is empty")
    column, are_pictures = _image_column(split, where)
    images = split.select_columns([column])
    rows = (row[column] for row in images)
    pixels = _decode(rows, where, image_size, crop) if are_pictures else channels_first(_stack(rows, where), where)
    label = _label_column(split.features)
    # Missing labels are None, which makes an object array: refused by its type later on.
    return pixels, None if label is None else np.asarray(split[label][:]), are_pictures


def _image_column(split: Any, where: str) -> tuple[str, bool]:
    pictures = [name for name, feature in split.features.items() if type(feature).__name__ == "Image"]
    found = pictures or [name for name in split.features if _is_image_array(split, name)]
    if len(found) > 1:
        found = [name for name in found if name in ("image", "img")]
    if len(found) != 1:
        raise InputError(
            f"{where}: expected one column of images, or one named image or img, found columns "
            + ", ".join(f"{name} ({type(feature).__name__})" for name, feature in split.features.items())
        )
    return found[0], bool(pictures)


def _is_image_array(split: Any, name: str) -> bool:
    if type(split.features[name]).__name__ not in _ARRAY_FEATURES:
        return False
    try:
        array = np.asarray(split.select_columns([name])[0][name])
    except ValueError:  # Rows of different lengths: no picture.
        return False
    return array.ndim in (2, 3) and array.dtype.kind in "buif"


def _label_column(features: Any) -> str | None:
    named = [name for name in ("label", "labels") if name in features]
    typed = [name for name, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    return next(iter(named + typed), None)


def _decode(pictures: Iterable[Any], where: str, image_size: int | None, crop: int | None) -> Array:
    """PIL images as shape (N, C, H, W): three channels if any is in color, booleans if all are 1-bit."""
    modes: set[str] = set()
    resized = False
    grey_or_color = []
    for index, picture in enumerate(pictures):
        if picture is None:
            raise InputError(f"{where}: row {index} has no image")
        modes.add(picture.mode)
        whole = decode(picture, f"{where}: row {index}")
        resized |= is_resized(whole.size, image_size, crop)
        grey_or_color.append(fit(whole, image_size, crop, f"{where}: row {index}"))
    if resized and modes == {"1"}:
        raise InputError(f"{where}: {NOT_RESIZED}")
    color = any(picture.mode == "RGB" for picture in grey_or_color)
    rows = (picture.convert("RGB") if color else picture for picture in grey_or_color)
    stack = _stack(rows, where, hint="; image_size makes them equal squares")
    if color:
        return stack.transpose(0, 3, 1, 2)
    return (stack > 0 if modes == {"1"} else stack)[:, None]


def _stack(images: Iterable[Any], where: str, hint: str = "") -> Array:
    arrays: list[Array] = []
    for index, image in enumerate(images):
        try:
            arrays.append(np.asarray(image))
        except ValueError as error:
            raise InputError(f"{where}: row {index} is no image: its rows differ in length") from error
        if arrays[-1].shape != arrays[0].shape:
            raise InputError(
                f"{where}: images of different sizes: {arrays[0].shape} in row 0, "
                f"{arrays[-1].shape} in row {index}{hint}"
            )
    return np.stack(arrays)

"""Pictures as Pillow holds them: decoding to 8-bit grey or RGB, cropping, resizing."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from .extras import require
from .image_data import ImageData

if TYPE_CHECKING:  # Importing this module needs no Pillow.
    from PIL.Image import Image

GREY_MODES = ("1", "L", "LA")
NOT_RESIZED = "0/1 data can be cropped but not resized, which would turn its edges grey: leave out image_size"
# Orientations of EXIF that turn a picture on its side.
_SIDEWAYS = (5, 6, 7, 8)


def decode(picture: "Image", where: str) -> "Image":
    """A picture in mode L if it is grey, else RGB, turned as its EXIF orientation says; transparency is dropped.

    Raises:
        InputError: If it has more than 8 bits per channel; ``where`` names it.
    """
    from PIL import ImageOps

    check_depth(picture, where)
    upright = ImageOps.exif_transpose(picture)
    upright.info.pop("transparency", None)  # Else Pillow warns that it is lost.
    return upright.convert("L" if picture.mode in GREY_MODES else "RGB")


def check_depth(picture: "Image", where: str) -> None:
    """Refuses a picture of more than 8 bits per channel, which Pillow would clip instead of scaling."""
    if picture.mode.startswith(("I", "F")):
        raise InputError(f"{where} has more than 8 bits per pixel (mode {picture.mode})")


def upright_size(picture: "Image") -> tuple[int, int]:
    """Width and height that ``decode`` will give, from the header alone."""
    # Where no EXIF stands before the pixels, asking for it may decode them.
    if "exif" in picture.info and picture.getexif().get(0x0112) in _SIDEWAYS:
        return picture.height, picture.width
    return picture.size


def fit(picture: "Image", image_size: int | None, crop: int | None, where: str) -> "Image":
    """The square in the middle of a picture, resized.

    Args:
        picture: Of mode L or RGB.
        image_size: Side of the result, by bicubic interpolation that averages when it shrinks; None keeps the
            square's.
        crop: Side of the square; None takes the shorter side, or the whole picture if ``image_size`` is None too.
        where: Names the picture in the error.

    Raises:
        InputError: If the square is larger than the picture.
    """
    if image_size is None and crop is None:
        return picture
    side = min(picture.size) if crop is None else crop
    left, top = ((length - side) // 2 for length in picture.size)
    if min(left, top) < 0:
        raise InputError(f"{where}: a crop of {side} x {side} pixels does not fit into {_times(picture.size)}")
    square = picture.crop((left, top, left + side, top + side))
    if not is_resized(picture.size, image_size, crop):
        return square
    from PIL.Image import Resampling

    return square.resize((image_size, image_size), Resampling.BICUBIC)  # pyright: ignore[reportArgumentType]


def fitted_size(size: tuple[int, int], image_size: int | None, crop: int | None) -> tuple[int, int]:
    """Width and height that ``fit`` gives a picture of this width and height."""
    side = crop if image_size is None else image_size
    return size if side is None else (side, side)


def is_resized(size: tuple[int, int], image_size: int | None, crop: int | None) -> bool:
    """Whether ``fit`` interpolates a picture of this width and height, beyond cropping it."""
    return image_size is not None and image_size != (min(size) if crop is None else crop)


def fit_data(data: ImageData, image_size: int | None, crop: int | None) -> ImageData:
    """An image data set, each image cropped and resized as by ``fit``; ``maximum`` stays.

    Raises:
        InputError: If the crop is larger than the images, or 0/1 data would be resized.
    """
    if image_size is None and crop is None:
        return data
    channels, height, width = data.image_shape
    if data.maximum == 1 and is_resized((width, height), image_size, crop):
        raise InputError(f"{data.name}: {NOT_RESIZED}")
    Image = require("PIL.Image", "pillow", f"{data.name}: changing the size of images")
    new_width, new_height = fitted_size((width, height), image_size, crop)

    def fitted(images: Tensor) -> Tensor:
        # Every channel is a grey picture of its own.
        planes = images.numpy().reshape(-1, height, width)
        result = np.empty((len(planes), new_height, new_width), dtype=np.uint8)
        for index, plane in enumerate(planes):
            result[index] = np.asarray(fit(Image.fromarray(plane), image_size, crop, data.name))
        np.minimum(result, data.maximum, out=result)  # Bicubic interpolation overshoots at edges.
        return torch.from_numpy(result.reshape(len(images), channels * new_height * new_width))

    return dataclasses.replace(
        data,
        image_shape=(channels, new_height, new_width),
        train_images=fitted(data.train_images),
        test_images=fitted(data.test_images),
    )


def _times(size: tuple[int, int]) -> str:
    return " x ".join(map(str, size))

"""Arrays of pixels: their shapes and number types made one."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[Any]


def to_bytes(train: Array, test: Array, name: str) -> tuple[tuple[Array, Array], int]:
    """Pixels of both parts as uint8, and the value of full intensity: 1 if all are 0 or 1, else 255.

    Floats of [0, 1], or of [-1, 1] if any is below 0, are scaled to [0, 255] and rounded. One decision for both
    parts, so that a test part that happens to hold only 0 and 1 keeps the scale of its training part.

    Raises:
        InputError: If the parts differ in kind of number, or pixels are out of range.
    """
    kinds = ["i" if part.dtype.kind == "u" else part.dtype.kind for part in (train, test)]
    kind = kinds[0]
    if kinds[1] != kind:
        raise InputError(f"{name}: train and test differ in type: {train.dtype} and {test.dtype}")
    if kind not in ("b", "i", "f"):
        raise InputError(f"{name}: expected pixels of type uint8, bool or float, found {train.dtype}")
    filled = [part for part in (train, test) if part.size]  # a test part may hold nothing
    lowest = -1 if kind == "f" and min(part.min() for part in filled) < 0 else 0
    top = 1 if kind == "f" else 255
    for part in filled:
        low, high = part.min(), part.max()
        if not (low >= lowest and high <= top):  # Put so that NaN fails too.
            expected = "float pixels in [0, 1] or [-1, 1]" if kind == "f" else "whole pixels in [0, 255]"
            raise InputError(f"{name}: expected {expected}, found {part.dtype} from {low} to {high}")
    # Of whole numbers the highest tells, and saves three arrays as large as the data.
    if all(part.max() <= 1 if kind != "f" else ((part == 0) | (part == 1)).all() for part in filled):
        return (train.astype(np.uint8, copy=False), test.astype(np.uint8, copy=False)), 1
    if kind == "f":
        train, test = (np.rint((part - lowest) * (255 / (top - lowest))) for part in (train, test))
    return (train.astype(np.uint8, copy=False), test.astype(np.uint8, copy=False)), 255


def channels_first(images: Array, where: str) -> Array:
    """Images of shape (N, H, W), (N, C, H, W) or (N, H, W, C) as (N, C, H, W), where C is 1 or 3.

    If C could be either, channel first.

    Raises:
        InputError: If the shape is none of these.
    """
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return images.transpose(0, 3, 1, 2)
    raise InputError(
        f"{where}: expected images of shape (N, H, W), (N, C, H, W) or (N, H, W, C) with C = 1 or 3, "
        f"found {images.shape}"
    )

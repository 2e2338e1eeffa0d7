"""Images in a ``.npy`` file over the limit of memory: they stay in the file, and a batch reads its own."""

import math
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from .image_data import ImageData

_HELD_OUT = 10_000  # images at most
_AT_A_TIME = 1 << 26  # bytes


def mapped_images(path: Path, shape: tuple[int, ...], dtype: np.dtype, by_column: bool, offset: int) -> ImageData:
    """Image data whose training part is the file itself; the last tenth, at most 10,000, is held out, in memory.

    Args:
        path: The file, whose values are known to be there.
        shape: (N, H, W) or (N, C, H, W).
        dtype: uint8 or bool: others would take memory to become pixels.
        by_column: Whether the first axis varies fastest.
        offset: Bytes before the values.

    Raises:
        InputError: If the shape or the type is another, or all images are equal.
    """
    channels = shape[1] if len(shape) == 4 else 1
    if dtype not in (np.uint8, np.bool_) or by_column or len(shape) not in (3, 4) or channels not in (1, 3):
        order = " by column" if by_column else ""
        raise InputError(
            f"{path}: over the limit of memory (the variable DISCRETE_GAN_MAX_BYTES sets it), where expected are uint8 "
            f"or bool images by row, of shape (N, H, W) or (N, C, H, W) with C = 1 or 3, found {dtype} of "
            f"{shape}{order}"
        )
    num, positions = shape[0], math.prod(shape[1:])
    if num < 2 or not positions:
        raise InputError(f"{path}: training needs at least 2 images of at least a pixel, found shape {shape}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # nobody writes
        images = torch.from_numpy(np.memmap(path, np.uint8, "r", offset, (num, positions)))
    maximum = _maximum(path, images)
    held_out = min(_HELD_OUT, max(1, num // 10))
    return ImageData(
        name=path.stem,
        image_shape=(channels, shape[-2], shape[-1]),
        train_images=images[:-held_out],
        train_labels=None,
        test_images=images[-held_out:].clone(),
        test_labels=None,
        maximum=maximum,
        is_mapped=True,
    )


def _maximum(path: Path, images: Tensor) -> int:
    """The value of full intensity, from all of the file."""
    highest, varied = 0, False
    for part in images.split(max(1, _AT_A_TIME // images.shape[1])):
        highest, varied = max(highest, int(part.max())), varied or bool((part != images[0]).any())
    if not varied:
        raise InputError(f"{path}: the data has no variation: all {len(images)} images are equal")
    return 1 if highest <= 1 else 255

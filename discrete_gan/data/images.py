"""Reading image data sets from what the user names, and making their pixels binary."""

import os
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import InputError, unknown_name
from . import folder, idx, mat
from .arrays import is_array_file, load_array_file
from .digits import load_digits
from .extras import nearest_path, one_line
from .formats import Corrupt, ImageFormat, ImageReading, listed
from .hub import is_hub, load_hub
from .image_data import ImageData
from .names import NAMES, ON_HUB, is_name, load_named

# The first one that reads what the user names is taken.
FORMATS = (
    ImageFormat("digits", lambda spec: spec == "digits", load_digits),
    ImageFormat(", ".join(ON_HUB), is_name, load_named),
    ImageFormat("hub:NAME", is_hub, load_hub),
    ImageFormat("a folder of idx files", idx.has_idx, idx.load_idx_folder, idx.LOOKED_FOR),
    ImageFormat("a folder of .mat or .amat files", mat.has_mat, mat.load_mat_folder, mat.LOOKED_FOR),
    ImageFormat("a folder of pictures", folder.has_pictures, folder.load_picture_folder, folder.LOOKED_FOR),
    ImageFormat("a .npy or .npz file", is_array_file, load_array_file),
)
IMAGE_FORMATS = listed(one.called for one in FORMATS)
"""What ``load_images`` reads, as a phrase."""


def load_images(
    spec: str | os.PathLike[str],
    *,
    seed: int | None = 0,
    image_size: int | None = None,
    crop: int | None = None,
    corrupt: Corrupt = "refuse",
) -> ImageData:
    """Reads an image data set.

    Args:
        spec: ``digits`` (scikit-learn's, no file needed), ``mnist`` or ``fashion_mnist`` (downloaded, unless a file
            or folder is called so), ``hub:NAME[:CONFIG]`` or ``hub:FOLDER`` (through the datasets library), a folder
            of MNIST's idx files, of fixed-binarised ``.mat`` or ``.amat`` files or of pictures (also by class, also
            in ``train`` and ``test``), or a ``.npy`` or ``.npz`` file.
        seed: Chooses the images held out for testing where the data has no test part. Global random states
            are neither read nor changed. With None none are held out there, and the images keep their order.
        image_size: Side of the images: the square in the middle of each is resized to it, by bicubic interpolation
            that averages when it shrinks. 0/1 data can be cropped only.
        crop: Side of that square in pixels, the shorter side of the image if not given. CelebA's aligned faces
            are commonly used with ``crop=108, image_size=64``.
        corrupt: In a folder of pictures, ``refuse`` those that cannot be decoded, or ``skip`` them and say so on
            stderr.

    Raises:
        InputError: If nothing is there, or it cannot be used; the message says what was expected and found.
    """
    for argument, value in (("image_size", image_size), ("crop", crop)):
        if value is not None and value < 1:
            raise InputError(f"{argument}: expected at least 1, got {value}")
    if corrupt not in get_args(Corrupt):
        raise unknown_name("treatment of corrupt pictures", corrupt, get_args(Corrupt))
    spec = os.fspath(spec)
    expanded = os.path.expanduser(spec)
    try:
        for one in FORMATS:
            if one.reads(expanded):
                return one.load(expanded, ImageReading(seed, image_size, crop, corrupt))
        raise _not_read(spec, Path(expanded))
    except OSError as error:
        raise InputError(f"{Path(expanded)}: cannot be read: {one_line(error)}") from error


def binarize(
    images: Tensor,
    how: Literal["threshold", "stochastic", "none"],
    maximum: int,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Pixels as 0 or 1.

    Args:
        images: Pixels from 0 to ``maximum``, any shape.
        how: ``threshold`` sets pixels above ``maximum / 2``; ``stochastic`` sets each with probability
            ``pixel / maximum``, drawn anew at each call; ``none`` takes data that is 0/1 already.
        maximum: The pixel value of full intensity.
        generator: Source of ``stochastic`` draws; one on the CPU gives the same draws on any device.

    Returns:
        float32, the shape and device of ``images``.

    Raises:
        InputError: If ``how`` is unknown, or ``none`` and the data is not 0/1.
    """
    if how == "threshold":
        return (images > maximum / 2).float()
    if how == "stochastic":
        device = images.device if generator is None else generator.device
        uniform = torch.rand(images.shape, generator=generator, device=device)
        return (uniform.to(images.device) < images / maximum).float()
    if how == "none":
        if maximum != 1:
            raise InputError(
                f"binarization 'none' needs 0/1 data, but here pixels go up to {maximum}: "
                "use 'threshold' or 'stochastic'"
            )
        return images.float()
    raise unknown_name("binarization", how, ("threshold", "stochastic", "none"))


def to_range(images: Tensor, pixel_range: tuple[float, float], maximum: int) -> Tensor:
    """Pixels from 0 to ``maximum`` in the range that a generator of continuous pixels has.

    Args:
        images: uint8, any shape.
        pixel_range: (-1, 1), say.
        maximum: The pixel value of full intensity.

    Returns:
        float32, the shape and device of ``images``.
    """
    low, high = pixel_range
    return low + (high - low) * (images / maximum)  # divided first: twice a uint8 would wrap around


def _not_read(spec: str, path: Path) -> InputError:
    """Says what was found where no format was."""
    if not path.exists():
        return InputError(f"no data at {spec!r}: {nearest_path(path, 'digits', *NAMES)}expected {IMAGE_FORMATS}")
    if not path.is_dir():
        suffix = path.suffix or "no suffix"
        return InputError(f"{path}: files of type {suffix!r} are not read: expected {IMAGE_FORMATS}")
    if not any(path.iterdir()):
        return InputError(f"{path}: the folder is empty: expected {IMAGE_FORMATS}")
    looked_for = ", ".join(one.looked_for for one in FORMATS if one.looked_for)
    return InputError(f"{path}: none of the known files is in this folder; looked for {looked_for}")

"""Reading image data sets from what the user names, and making their pixels binary."""

import os
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import InputError, unknown_name
from .arrays import SUFFIXES, load_array_file
from .digits import load_digits
from .extras import nearest_path, one_line
from .folder import LOOKED_FOR, Corrupt, has_pictures, load_picture_folder
from .hub import load_hub
from .idx import IMAGES, has_idx, load_idx_folder
from .image_data import ImageData
from .mat import PATTERNS, has_mat, load_mat_folder
from .pictures import fit_data

EXPECTED = "expected digits, hub:NAME, a folder of pictures or of idx, .mat or .amat files, or a .npy or .npz file"


def load_images(
    spec: str | os.PathLike[str],
    *,
    seed: int = 0,
    image_size: int | None = None,
    crop: int | None = None,
    corrupt: Corrupt = "refuse",
) -> ImageData:
    """Reads an image data set.

    Args:
        spec: ``digits`` (scikit-learn's, no file needed), ``hub:NAME[:CONFIG]`` or ``hub:FOLDER`` (through
            the datasets library), a folder of MNIST's idx files, of fixed-binarised ``.mat`` or ``.amat`` files
            or of pictures (also by class, also in ``train`` and ``test``), or a ``.npy`` or ``.npz`` file.
        seed: Chooses the images held out for testing where the data has no test part. Global random states
            are neither read nor changed.
        image_size: Side of the images: the square in the middle of each is resized to it, by bicubic interpolation
            that averages when it shrinks. 0/1 data can be cropped only.
        crop: Side of that square in pixels, the shorter side of the image if not given. CelebA's aligned faces
            are commonly used with ``crop=108, image_size=64``.
        corrupt: In a folder of pictures, ``refuse`` those that cannot be decoded, or ``skip`` them and say so on
            stderr.

    Raises:
        InputError: If nothing is there, or it cannot be used; the message says what was expected and found.
    """
    for option, value in (("image-size", image_size), ("crop", crop)):
        if value is not None and value < 1:
            raise InputError(f"--{option}: expected at least 1, got {value}")
    if corrupt not in get_args(Corrupt):
        raise unknown_name("treatment of corrupt pictures", corrupt, get_args(Corrupt))
    spec = os.fspath(spec)
    if spec == "digits":
        return fit_data(load_digits(), image_size, crop)
    if spec.startswith("hub:"):
        return load_hub(spec.removeprefix("hub:"), seed=seed, image_size=image_size, crop=crop)
    path = Path(spec).expanduser()
    if path.is_dir():
        try:
            return _load_folder(path, seed, image_size, crop, corrupt)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {one_line(error)}") from error
    if not path.exists():
        raise InputError(f"no data at {spec!r}: {nearest_path(path, 'digits')}{EXPECTED}")
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: files of type {path.suffix or 'no suffix'!r} are not read: {EXPECTED}")
    return fit_data(load_array_file(path, seed=seed), image_size, crop)


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


def _load_folder(folder: Path, seed: int, image_size: int | None, crop: int | None, corrupt: Corrupt) -> ImageData:
    name = folder.resolve().name
    if has_idx(folder):
        return fit_data(load_idx_folder(folder, name), image_size, crop)
    if has_mat(folder):
        return fit_data(load_mat_folder(folder, name), image_size, crop)
    if not any(folder.iterdir()):
        raise InputError(f"{folder}: the folder is empty: {EXPECTED}")
    if has_pictures(folder):
        return load_picture_folder(folder, name, seed=seed, image_size=image_size, crop=crop, corrupt=corrupt)
    looked_for = ", ".join((f"train-{IMAGES}", f"train-{IMAGES}.gz", *PATTERNS, LOOKED_FOR))
    raise InputError(f"{folder}: none of the known files is in this folder; looked for {looked_for}")

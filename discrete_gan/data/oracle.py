"""Weights of SeqGAN's oracle from a file."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from discrete_gan.data.extras import one_line
from discrete_gan.errors import InputError


def load_oracle(path: Path) -> dict[str, Tensor]:
    """Reads the arrays of an ``.npz`` file, nothing pickled, as float32.

    Args:
        path: The file, or a folder that holds one such file.

    Raises:
        InputError: If there is none, or it cannot be read.
    """
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if len(files) != 1 or not files[0].is_file():
        raise InputError(f"{path}: expected an .npz file, or a folder with one, found {len(files) * path.is_dir()}")
    try:
        with np.load(files[0], allow_pickle=False) as arrays:
            return {name: torch.from_numpy(np.asarray(arrays[name], np.float32)) for name in arrays.files}
    except Exception as error:  # of zip, format and type, without a common base
        raise InputError(f"{files[0]}: cannot be read as .npz: {one_line(error)}") from None

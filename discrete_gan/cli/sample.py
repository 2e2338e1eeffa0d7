"""``discrete-gan sample``: draw from a trained run."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from torch import Tensor, nn

from discrete_gan.cli.recipes import find_recipe, load_recipe
from discrete_gan.errors import InputError
from discrete_gan.report import generate_pixels, save_grid
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.launch import find_device


@dataclass(frozen=True)
class SampleArgs:
    """Draw from the generator of a run into a picture or an array."""

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    out: Path
    """File to write: .png for a grid of images, .npy for an array of uint8, shape (num, height, width) or (num,
    channels, height, width): bits, or intensities up to 255 where the images are not binary."""
    num: int = 64
    """Number of samples."""
    seed: int = 0
    """Of latents and samples."""
    device: str = "cpu"
    """Where to draw: cpu, cuda, mps, or auto for the best there is."""


def sample(arguments: list[str]) -> None:
    """Draw and write.

    Raises:
        InputError: If the run, the file type or the number is not usable.
    """
    args = tyro.cli(SampleArgs, args=arguments, prog="discrete-gan sample")
    if args.out.suffix not in (".png", ".npy"):
        raise InputError(f"--out {args.out}: expected a file name ending in .png or .npy")
    if args.num < 1:
        raise InputError(f"--num: expected at least 1, got {args.num}")
    directory = RunDirectory(args.run)
    image_shape = tuple(directory.read_config()["data"]["image_shape"])
    generator = load_generator(directory).to(find_device(args.device))
    samples = generate_pixels(generator, args.num, seed=args.seed)
    maximum = 255 if hasattr(generator, "pixel_range") or hasattr(generator, "palette") else 1
    try:
        _write(args.out, samples, image_shape, maximum)
    except OSError as error:
        raise InputError(f"--out {args.out}: cannot be written: {error.strerror}") from None
    print(f"{args.out}: {args.num} samples of {args.run}")


def _write(path: Path, samples: Tensor, image_shape: tuple[int, int, int], maximum: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        save_grid(path, samples, image_shape)
        return
    shape = image_shape[1:] if image_shape[0] == 1 else image_shape
    np.save(path, (maximum * samples).round().cpu().numpy().astype(np.uint8).reshape(-1, *shape))


def load_generator(directory: RunDirectory) -> nn.Module:
    """The run's generator, on the CPU, as its last checkpoint saved it.

    Raises:
        InputError: If the run has saved none yet.
    """
    config = directory.read_config()
    folder = directory.path / "generator"
    if "models" not in config or not (folder / "model.safetensors").is_file():
        raise InputError(f"{directory.path}: no generator there yet, expected a run with a checkpoint")
    module_name, _, class_name = config["models"]["generator"].partition(":")
    if module_name.startswith("discrete_gan."):
        module = importlib.import_module(module_name)
    else:  # a class of the recipe's own
        module = load_recipe(find_recipe(config["recipe_file"]))
    return getattr(module, class_name).from_pretrained(folder)

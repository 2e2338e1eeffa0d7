"""Models of a run directory."""

import importlib
from contextlib import redirect_stdout

from safetensors import SafetensorError
from torch import nn

from discrete_gan.cli.recipes import find_recipe, load_recipe
from discrete_gan.errors import InputError
from discrete_gan.training.directory import RunDirectory


def load_model(directory: RunDirectory, name: str = "generator") -> nn.Module:
    """A model of the run, on the CPU, as its last checkpoint saved it.

    Args:
        directory: Of the run.
        name: Folder of the weights: ``generator``, ``discriminator``, or ``pretrained``, the generator as the maximum
            likelihood left it.

    Raises:
        InputError: If the run has saved none yet, or what is there is no such model.
    """
    config = directory.read_config()
    folder, kind = directory.path / name, "generator" if name == "pretrained" else name
    if kind not in config.get("models", {}) or not (folder / "model.safetensors").is_file():
        raise InputError(f"{directory.path}: no {name} there yet, expected a run with a checkpoint")
    module_name, _, class_name = config["models"][kind].partition(":")
    if module_name.startswith("discrete_gan."):
        module = importlib.import_module(module_name)
    else:  # a class of the recipe's own
        module = load_recipe(find_recipe(config["recipe_file"]))
    try:
        with redirect_stdout(None):  # the library says that it loads, which is no part of samples on the terminal
            return getattr(module, class_name).from_pretrained(folder)
    except (RuntimeError, TypeError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder}: expected the weights of a {class_name}, as config.json says: {reason}") from None

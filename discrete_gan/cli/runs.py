"""What a run directory holds, loaded again: its recipe, arguments, task and networks."""

import dataclasses
import importlib
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from safetensors import SafetensorError

from discrete_gan.cli.recipes import Recipe, load_recipe
from discrete_gan.errors import InputError
from discrete_gan.own import find_file, load_file
from discrete_gan.tasks import Task
from discrete_gan.training.directory import RunDirectory


class SavedRun(NamedTuple):
    """A run, as its directory says.

    Attributes:
        directory: Of the run.
        config: Its config.json.
        recipe: That it was trained by.
        args: Its arguments.
        task: What it learnt, as the recipe makes it: nothing is read yet.
    """

    directory: RunDirectory
    config: dict[str, Any]
    recipe: Recipe
    args: Any
    task: Task

    def check_data(self) -> None:
        """Refuse data that are not those of the run.

        Raises:
            InputError: If they cannot be read or differ.
        """
        path, was = self.directory.path, self.config["data"].get("fingerprint")
        try:
            fingerprint = self.task.summary()["fingerprint"]
        except InputError as error:
            raise InputError(f"{path}: its data cannot be read: {error}") from None
        if fingerprint != was:
            raise InputError(f"{path}: expected the data it was trained on, fingerprint {was}, found {fingerprint}")


def open_run(path: Path) -> SavedRun:
    """Read what a run was.

    Raises:
        InputError: If a part is missing or does not fit.
    """
    directory = RunDirectory(path)
    config = directory.read_config()
    for key in ("recipe_file", "args", "data"):
        if key not in config:
            raise InputError(f"{path}: expected the config.json of a run, found one without {key}")
    try:
        recipe = load_recipe(config["recipe_file"])
        args = saved_args(recipe.Args, config)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except TypeError as error:
        raise InputError(f"{path}: its settings are not those of recipe {config['recipe']}: {error}") from None
    return SavedRun(directory, config, recipe, args, recipe.task(args))


def load_model(directory: RunDirectory, name: str = "generator") -> Any:
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
    place, _, class_name = config["models"][kind].rpartition(":")
    if place.endswith(".py"):  # a class of the user's own
        module = load_file(kind, find_file(f"{directory.path}: {kind}", place))
    else:
        module = importlib.import_module(place)
    try:
        with redirect_stdout(None):  # the library says that it loads, which is no part of samples on the terminal
            return getattr(module, class_name).from_pretrained(folder)
    except (AttributeError, RuntimeError, TypeError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder}: expected the weights of a {class_name}, as config.json says: {reason}") from None


def saved_args(kind: type, config: dict[str, Any]) -> Any:
    """The arguments that a run's config.json holds, of the recipe's class."""
    hints = get_type_hints(kind)
    saved = {
        field.name: config["args"][field.name] for field in dataclasses.fields(kind) if field.name in config["args"]
    }
    saved = {
        key: Path(value) if value is not None and Path in getattr(hints[key], "__args__", (hints[key],)) else value
        for key, value in saved.items()
    }
    saved = {key: tuple(value) if isinstance(value, list) else value for key, value in saved.items()}  # JSON has none
    return kind(**saved)

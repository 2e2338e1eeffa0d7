"""What a run directory holds, loaded again: its recipe, arguments, task and networks."""

import dataclasses
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from safetensors import SafetensorError

from discrete_gan import models
from discrete_gan.cli.recipes import Recipe, load_recipe, shipped_recipe
from discrete_gan.errors import InputError
from discrete_gan.own import is_own, load_file, trusted_file
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
        trust: Files of the user's own that may be run.
    """

    directory: RunDirectory
    config: dict[str, Any]
    recipe: Recipe
    args: Any
    task: Task
    trust: tuple[Path, ...] = ()

    def scores(self) -> list[str]:
        """Scores of the user's own that the run was trained with, in files that the user points at."""
        saved = getattr(self.args, "scores", ())
        return [_pointed_at(self.directory.path, "scores", spec, self.trust) for spec in saved]

    def model(self, name: str = "generator") -> Any:
        """A model of the run: see :func:`load_model`."""
        return load_model(self.directory, name, self.trust)

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


def open_run(path: Path, trust: Sequence[Path] = ()) -> SavedRun:
    """Read what a run was. Of files outside the package, those are run that the user points at, and no others.

    Args:
        path: Run directory.
        trust: Files of the user's own that may be run where the run names files of these names.

    Raises:
        InputError: If a part is missing or does not fit.
    """
    directory = RunDirectory(path)
    config = directory.read_config()
    for key in ("recipe_file", "args", "data"):
        if key not in config:
            raise InputError(f"{path}: expected the config.json of a run, found one without {key}")
    file = str(config["recipe_file"])
    recipe = load_recipe(str(shipped_recipe(file) or trusted_file(f"{path}: its recipe", file, trust)))
    try:
        args = saved_args(recipe.Args, config)
    except TypeError as error:
        raise InputError(f"{path}: its settings are not those of recipe {config['recipe']}: {error}") from None

    if is_own(data := str(getattr(args, "data", ""))):
        args = dataclasses.replace(args, data=_pointed_at(path, "data", data, trust))
    return SavedRun(directory, config, recipe, args, recipe.task(args), tuple(trust))


def load_model(directory: RunDirectory, name: str = "generator", trust: Sequence[Path] = ()) -> Any:
    """A model of the run, on the CPU, as its last checkpoint saved it.

    Args:
        directory: Of the run.
        name: Folder of the weights: ``generator``, ``discriminator``, or ``pretrained``, the generator as the maximum
            likelihood left it.
        trust: Files of the user's own that may be run.

    Raises:
        InputError: If the run has saved none yet, or what is there is no such model.
    """
    config = directory.read_config()
    folder, kind = directory.path / name, "generator" if name == "pretrained" else name
    if kind not in config.get("models", {}) or not (folder / "model.safetensors").is_file():
        raise InputError(f"{directory.path}: no {name} there yet, expected a run with a checkpoint")
    made = _model_class(f"{directory.path}: its {kind}", str(config["models"][kind]), trust)
    try:
        with redirect_stdout(None):  # the library says that it loads, which is no part of samples on the terminal
            return made.from_pretrained(folder)
    except (AttributeError, RuntimeError, TypeError, ValueError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        expected = f"expected the weights of a {made.__name__}, as config.json says"
        raise InputError(f"{folder}: {expected}: {reason}") from None


def _model_class(what: str, name: str, trust: Sequence[Path]) -> Any:
    """A class of the package's models, or one of a file that the user points at; no other name is looked up.

    Args:
        what: The model, for the message.
        name: As config.json has it: ``module:CLASS`` or ``FILE.py:CLASS``.
        trust: Files of the user's own that may be run.

    Raises:
        InputError: If it is no such class.
    """
    place, _, class_name = name.rpartition(":")
    module = load_file("network", trusted_file(what, place, trust)) if place.endswith(".py") else models
    found = vars(module).get(class_name)
    if not isinstance(found, type) or not issubclass(found, models.HubModel):
        raise InputError(f"{what}: expected a class of discrete_gan.models or of a file of your own, got {name!r}")
    return found


def _pointed_at(run: Path, option: str, spec: str, trust: Sequence[Path]) -> str:
    """What a run's option names, in the file that the user points at."""
    file, _, rest = spec.partition(":")
    return f"{trusted_file(f'{run}: its --{option}', file, trust)}:{rest}"


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

"""What a run directory holds, loaded again: its recipe, arguments, task and networks.

Nothing that it says is trusted. Its files are read as data; of code, only what comes with the package is run, and files
of the user's own that the user names again.
"""

import dataclasses
import inspect
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import torch

from discrete_gan import models
from discrete_gan.cli.recipes import Recipe, load_recipe, recipe_files
from discrete_gan.data.classes import Classes
from discrete_gan.errors import InputError
from discrete_gan.own import UntrustedError, find_file, is_own, load_file, trusting
from discrete_gan.ranges import check_ranges
from discrete_gan.sampling import generate, num_classes_of
from discrete_gan.tasks import Task, load_scores
from discrete_gan.tasks.base import OwnScore
from discrete_gan.tasks.log_ratios import raw_outputs
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.records import check_model_config, inside, typed

_MODELS = {
    f"{kind.__module__}:{kind.__qualname__}": kind
    for kind in map(vars(models).get, models.__all__)
    if isinstance(kind, type) and issubclass(kind, models.HubModel)
}


class SavedRun(NamedTuple):
    """A run, as its directory says.

    Attributes:
        directory: Of the run.
        config: Its config.json.
        recipe: That it was trained by.
        args: Its arguments.
        task: What it learnt, as the recipe makes it: nothing is read yet.
        trust: Files of the user's own that may be run.
        generator: Folder of its generator.
    """

    directory: RunDirectory
    config: dict[str, Any]
    recipe: Recipe
    args: Any
    task: Task
    trust: tuple[Path, ...] = ()
    generator: str = "generator"

    def model(self, name: str = "generator") -> Any:
        """As :func:`load_model`."""
        return load_model(self.directory, self.generator if name == "generator" else name, trust=self.trust)

    def scores(self, more: Sequence[str] = ()) -> list[OwnScore]:
        """Scores of the user's own that the run was trained with, then more that are asked for.

        Raises:
            InputError: If a file is not trusted, is gone or does not run.
        """
        asked = [Path(spec.partition(":")[0]) for spec in more]
        with _code_of(self.directory.path, self.config, (*self.trust, *asked)):
            return load_scores(list(dict.fromkeys([*getattr(self.args, "scores", ()), *more])))

    def recall(self) -> None:
        """Let the task know what its samples cannot be shown without, where it has such.

        Raises:
            InputError: If that is damaged.
        """
        if not hasattr(self.task, "recall"):
            return
        try:
            for path in self.directory.path.iterdir():
                inside(self.directory.path, path.name)
            self.task.recall(self.directory.path, self.config)  # type: ignore[attr-defined]
        except InputError:
            raise
        except Exception as error:  # whatever a file of the run holds, in whichever library reads it
            raise InputError(f"{self.directory.path}: {_told(error)}: expected what the task saved there") from None

    def one_sample(self, generator: Any, discriminator: Any = None) -> Any:
        """A sample as people look at it, which the discriminator, if there is one, has been shown.

        Raises:
            InputError: If the networks do not fit each other, or what the run says of its data.
        """
        at_fault = "generator"
        try:
            x = generate(generator, 1)
            sample = self.task.decode(generator.decode(x))
            if discriminator is not None:
                at_fault = "discriminator"
                takes = num_classes_of(generator) and "labels" in inspect.signature(discriminator.forward).parameters
                raw_outputs(discriminator, x, torch.zeros(1, dtype=torch.int64, device=x.device) if takes else None)
            return sample
        except InputError:
            raise
        except Exception as error:  # two files that disagree fail wherever their numbers meet
            told = f"its {at_fault} does not fit what its config.json says: {_told(error)}"
            raise InputError(f"{self.directory.path}: {told}") from error

    def classes(self, num: int) -> Classes:
        """What its labels stand for: numbers, where its config.json names no such number of classes."""
        named = Classes.recalled(self.config["data"])
        return Classes.numbered(num) if named is None or len(named.names) != num else named

    def check_data(self, *, others: bool = False) -> str:
        """Refuse data that are not those of the run.

        Args:
            others: Whether they may be others, of the same shape and classes.

        Returns:
            What protocols then say of those of the run; nothing where they are the same.

        Raises:
            InputError: If they cannot be read or differ.
        """
        path, was = self.directory.path, self.config["data"].get("fingerprint")
        try:
            fingerprint = self.task.summary()["fingerprint"]
        except InputError as error:
            hint = "" if others else ": --data says where they are, if they have moved"
            raise InputError(f"{path}: its data cannot be read: {error}{hint}") from None
        if fingerprint == was:
            return ""
        if not others:
            expected = f"expected the data it was trained on, fingerprint {was}, found {fingerprint}"
            raise InputError(f"{path}: {expected}: --data takes others")
        return f"trained-on:{was}"


def open_run(
    path: Path,
    trust: Sequence[Path] = (),
    *,
    data: str | None = None,
    batch_size: int | None = None,
    part: bool = False,
) -> SavedRun:
    """Read what a run was.

    Args:
        path: Its directory.
        trust: Files of the user's own that may be run where the run names them; no others are.
        data: What its task reads in place of the run's data.
        batch_size: Of its batches, in place of the run's.
        part: Whether it may be one of its folders that hold a generator.

    Raises:
        InputError: If a part is missing or does not fit, or a file that is not trusted would have to be run.
    """
    generator = "generator"
    if path.name in ("generator", "pretrained") and RunDirectory(path.parent).holds_run():
        if not part:
            raise InputError(f"{path}: expected a run directory, this is a part of {path.parent}")
        path, generator = path.parent, path.name
    directory = RunDirectory(path)
    config = directory.read_config()
    if data is not None:
        config["args"]["data"] = data
        trust = [*trust, Path(data.partition(":")[0])] if is_own(data) else trust
    if batch_size is not None:
        config["args"]["batch_size"] = batch_size
    with _code_of(path, config, trust):
        try:
            recipe = load_recipe(recipe_name(config["recipe_file"]))
            args = saved_args(recipe.Args, config)
            if data is not None and not hasattr(args, "data"):
                raise InputError(f"--data {data}: its recipe has no such option")
            check_ranges(args)
            return SavedRun(directory, config, recipe, args, recipe.task(args), tuple(trust), generator)
        except UntrustedError:
            raise
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except TypeError as error:
            told = f"its settings are not those of recipe {config['recipe']}: {error}"
            raise InputError(f"{path}: {told}") from None


def load_model(directory: RunDirectory, name: str = "generator", *, trust: Sequence[Path] = ()) -> Any:
    """A model of the run, on the CPU, as its last checkpoint saved it.

    Args:
        directory: Of the run.
        name: Folder of the weights: ``generator``, ``discriminator``, or ``pretrained``, the generator as the maximum
            likelihood left it.
        trust: As of :func:`open_run`.

    Raises:
        InputError: If the run has saved none yet, or what is there is no such model.
    """
    config = directory.read_config()
    folder, kind = directory.path / name, "generator" if name == "pretrained" else name
    file = inside(directory.path, f"{name}/model.safetensors")
    if kind not in config["models"] or not os.path.isfile(file):
        raise InputError(f"{directory.path}: no {name} there yet, expected a run with a checkpoint")
    inside(directory.path, f"{name}/config.json")
    check_model_config(folder)
    with _code_of(directory.path, config, trust):
        found = _model_class(directory.path, kind, config["models"][kind])
    if kind == "generator" and not hasattr(found, "latents"):
        raise InputError(f"{directory.path}: generator: expected a class with latents(num), got {found.__name__}")
    try:
        with redirect_stdout(None):  # the library says that it loads, which is no part of samples on the terminal
            return found.from_pretrained(folder)
    except Exception as error:  # whatever the constructor makes of the settings that the folder holds
        expected = f"expected the weights of a {found.__name__}, as config.json says"
        raise InputError(f"{folder}: {expected}: {_told(error)}") from None


def _model_class(path: Path, kind: str, origin: str) -> Any:
    """The class that config.json names: one of the package's models, or one in a file that is trusted."""
    place, _, name = origin.rpartition(":")
    if not place.endswith(".py"):
        if origin not in _MODELS:
            raise InputError(f"{path}: {kind} {origin}: expected a model of discrete_gan.models, or FILE.py:CLASS")
        return _MODELS[origin]
    module = load_file(kind, find_file(kind, place))
    found = vars(module).get(name)
    if not (isinstance(found, type) and issubclass(found, models.HubModel)):
        raise InputError(f"{path}: {kind} {origin}: expected a class derived from discrete_gan.models.HubModel")
    return found


def saved_args(kind: type, config: dict[str, Any]) -> Any:
    """The arguments that a run's config.json holds, of the recipe's class.

    Raises:
        InputError: If one is of another type.
        TypeError: If one is missing.
    """
    hints = get_type_hints(kind, include_extras=True)
    saved = {}
    for field in dataclasses.fields(kind):
        if field.init and field.name in config["args"]:
            try:
                saved[field.name] = typed(config["args"][field.name], hints[field.name])
            except ValueError as error:
                raise InputError(f"its setting {field.name} is none of the recipe: {error}") from None
    return kind(**saved)


def recipe_name(file: str) -> str:
    """The package's recipe by its name, wherever the package was when the run began; else the file that is named."""
    stem, shipped = Path(file).stem, recipe_files()
    if stem in shipped:
        moved = Path(file).parts[-3:-1] == ("discrete_gan", "recipes") and not os.path.isfile(file)
        if moved or file == stem or os.path.abspath(file) == str(shipped[stem]):
            return stem
    return file if file.endswith(".py") else f"{file}.py"


@contextmanager
def _code_of(path: Path, config: dict[str, Any], trust: Sequence[Path]) -> Iterator[None]:
    """Where code that a run names would be run: the refusal says what to add to the command."""
    try:
        with trusting(trust):
            yield
    except UntrustedError as error:
        files = " ".join(shlex.quote(file) for file in _own_files(config))
        raise InputError(f"{path}: {error}: if you trust it, add --trust {files}") from None


def _own_files(config: dict[str, Any]) -> list[str]:
    """All files of the user's own that verbs on a finished run need, where they are, else by their names."""
    specs = [recipe_name(config["recipe_file"]), *config["models"].values()]
    for name, value in config["args"].items():
        if name != "estimator":  # which only training needs
            specs += value if isinstance(value, list) else [value]
    files = dict.fromkeys(spec.partition(":")[0] for spec in specs if isinstance(spec, str) and is_own(spec))
    return [file if os.path.isfile(file) else os.path.basename(file) for file in files]


def _told(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__

"""``discrete-gan train``: run a recipe."""

import dataclasses
import inspect
import itertools
import os
from pathlib import Path
from typing import Any, get_type_hints

import tyro

from discrete_gan.cli.recipes import find_recipe, load_recipe, recipe_files
from discrete_gan.errors import InputError
from discrete_gan.report.run_page import write_run_page
from discrete_gan.training.directory import RunDirectory


def train(arguments: list[str]) -> None:
    """Parse the recipe's arguments and run its ``main``.

    Raises:
        InputError: If the recipe is unknown or refuses its arguments.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: discrete-gan train RECIPE [options]; --help after the recipe explains its options\n")
        print("recipes: " + ", ".join(recipe_files()) + ", or the path of a recipe file")
        if not arguments:
            raise InputError("train: expected a recipe")
        return
    name, *options = arguments
    recipe = load_recipe(find_recipe(name))
    default = _saved(recipe.Args, options, Path(name).stem)
    args = tyro.cli(recipe.Args, args=options, default=default, prog=f"discrete-gan train {name}")
    recipe.main(args)
    _write_page(args)


def _write_page(args: Any) -> None:
    """RUN/report.html of a run that has just finished; its first process writes."""
    if int(os.environ.get("RANK", "0")):
        return
    name = Path(inspect.getfile(type(args))).stem
    directory = RunDirectory(args.resume or args.out or Path("runs") / name)
    if (directory.path / "results.json").is_file():
        print(f"report            {write_run_page(directory)}")


def _saved(kind: type, options: list[str], recipe: str) -> Any:
    """The arguments of the run that ``--resume`` names, as defaults for this one; None without it."""
    folder = next((after for option, after in itertools.pairwise(options) if option == "--resume"), None)
    folder = folder or next((option[9:] for option in options if option.startswith("--resume=")), None)
    if folder is None:
        return None
    config = RunDirectory(Path(folder)).read_config()
    if config["recipe"] != recipe:
        raise InputError(f"--resume {folder}: it is a run of recipe {config['recipe']}, expected {recipe}")
    # A run that was itself an overwriting one must not be overwritten by its own continuation.
    return dataclasses.replace(saved_args(kind, config), overwrite=False)


def saved_args(kind: type, config: dict[str, Any]) -> Any:
    """The arguments that a run's config.json holds, of the recipe's class."""
    hints = get_type_hints(kind)
    saved = {
        field.name: config["args"][field.name] for field in dataclasses.fields(kind) if field.name in config["args"]
    }
    saved = {
        key: Path(value) if value is not None and Path in _members(hints[key]) else value
        for key, value in saved.items()
    }
    saved = {key: tuple(value) if isinstance(value, list) else value for key, value in saved.items()}  # JSON has none
    return kind(**saved)


def _members(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__args__", (hint,))

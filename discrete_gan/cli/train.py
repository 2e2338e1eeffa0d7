"""``discrete-gan train``: run a recipe."""

import dataclasses
import itertools
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from discrete_gan.cli.parsing import parse
from discrete_gan.cli.recipes import Recipe, load_recipe, recipe_files
from discrete_gan.cli.runs import recipe_name, saved_args
from discrete_gan.cli.verify import verify_resume
from discrete_gan.distributed import is_first_process, num_launched
from discrete_gan.errors import InputError
from discrete_gan.own import is_own
from discrete_gan.training.directory import RunDirectory
from discrete_gan.writing import told_in_a_line


def train(arguments: list[str]) -> None:
    """Parse the recipe's arguments and run its ``main``.

    Raises:
        InputError: If the recipe is unknown or refuses its arguments.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: discrete-gan train RECIPE [options]; --help after the recipe explains its options\n")
        print(
            "--verify-resume: train twice, unbroken and in two halves, in folders that go again; are all bytes equal?\n"
        )
        print("recipes: " + ", ".join(recipe_files()) + ", or the path of a recipe file")
        if not arguments:
            raise InputError("train: expected a recipe")
        return
    name, *options = arguments
    recipe = load_recipe(name)
    if "--verify-resume" in options:
        if num_launched() > 1:
            raise InputError(f"--verify-resume: expected one process, without torchrun, got {num_launched()}")
        options.remove("--verify-resume")
        told = parse(recipe.Args, options, prog=f"discrete-gan train {name}", description=recipe.description)
        verify_resume(name, options, told.steps)
        return
    args = parse(
        recipe.Args,
        options,
        default=_saved(recipe, options),
        prog=f"discrete-gan train {name}",
        description=recipe.description,
    )
    args = _anchored(args)
    directory = RunDirectory.of(args, recipe.path.stem)
    with told_in_a_line(directory.path):
        try:
            if is_first_process():  # before data are read or a classifier is trained
                directory.claim()
            recipe.main(args)
            _write_page(args, recipe)
        finally:
            directory.release()


def _anchored(args: Any) -> Any:
    """The same with full paths to files of the user's own: a run is looked at from other folders too."""

    def full(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(full, value))
        if not isinstance(value, str) or not is_own(value):
            return value
        file, colon, rest = value.partition(":")
        return str(Path(file).resolve()) + colon + rest if os.path.isfile(file) else value

    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(args)}
    return dataclasses.replace(args, **{name: full(value) for name, value in values.items()})


def _write_page(args: Any, recipe: Recipe) -> None:
    """RUN/report.html of a run that has just finished; its first process writes."""
    if not is_first_process():
        return
    from discrete_gan.report.run_page import write_run_page  # and matplotlib: when they are needed

    directory = RunDirectory(args.resume or args.out or Path("runs") / recipe.path.stem)
    if (directory.path / "results.json").is_file():
        print(f"{'report':<24} {write_run_page(directory)}")


def _saved(recipe: Recipe, options: list[str]) -> Any:
    """The arguments of the run that ``--resume`` names, as defaults for this one; None without it."""
    folder = next((after for option, after in itertools.pairwise(options) if option == "--resume"), None)
    folder = folder or next((option[9:] for option in options if option.startswith("--resume=")), None)
    if folder is None:
        return None
    config = RunDirectory(Path(folder)).read_config()
    if config["recipe"] != recipe.path.stem:
        raise InputError(f"--resume {folder}: it is a run of recipe {config['recipe']}, expected {recipe.path.stem}")
    if (recipe_name(config["recipe_file"]) in recipe_files()) != (recipe.path in recipe_files().values()):
        raise InputError(f"--resume {folder}: it is a run of {config['recipe_file']}, expected one of {recipe.path}")
    _check_own(folder, config["args"], options)
    # A run that was itself an overwriting one must not be overwritten by its own continuation.
    try:
        return dataclasses.replace(saved_args(recipe.Args, config), out=None, overwrite=False)
    except (InputError, TypeError) as error:
        raise InputError(f"--resume {folder}: {error}") from None


def _check_own(folder: str, saved: dict[str, Any], options: list[str]) -> None:
    """Code of the user's own is run where the command line names it, never because a run does."""
    given = {word[2:].partition("=")[0].replace("-", "_") for word in options if word.startswith("--")}
    missing = []
    for name, value in saved.items():
        specs = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
        if name not in given and any(map(is_own, specs)):
            missing += [f"--{name.replace('_', '-')}", *specs]
    if missing:
        told = "it names code of your own, which is not run because a run names it: if you trust it, add"
        raise InputError(f"--resume {folder}: {told} {shlex.join(missing)}")


def run_recipe(file: str) -> None:
    """What ``python FILE.py [options]`` does: the same as ``discrete-gan train FILE.py [options]``."""
    from discrete_gan.cli.main import main

    main(["train", file, *sys.argv[1:]])

"""``discrete-gan recipes``: what there is to train, and copying it out; finding and loading recipe files."""

import ast
import dataclasses
import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from discrete_gan.errors import InputError, unknown_name
from discrete_gan.own import RECIPE_FOLDERS, blaming, find_file, load_file

if TYPE_CHECKING:
    from discrete_gan.tasks import Task


class Recipe(NamedTuple):
    """A recipe file, loaded.

    Attributes:
        path: The file.
        Args: Dataclass of its options.
        task: From options to what is learnt.
        main: Trains.
        description: What it says of itself, without its references.
    """

    path: Path
    Args: Any
    task: "Callable[[Any], Task]"
    main: Callable[[Any], None]
    description: str


def recipe_files() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    folder = next((folder for folder in RECIPE_FOLDERS if folder.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.py"))} if folder else {}


def _shipped(file: str) -> Path | None:
    """The package's recipe that a path leads to; None of another file, whatever its name."""
    shipped = recipe_files().get(Path(file).stem)
    return shipped if shipped and os.path.isfile(file) and shipped.samefile(file) else None


def find_recipe(name: str) -> Path:
    """A recipe's file, from its name or its path; a file that has moved is looked for in the working directory too.

    Raises:
        InputError: If there is none.
    """
    if name.endswith(".py"):
        return _shipped(name) or find_file("recipe", name)
    files = recipe_files()
    if name not in files:
        raise unknown_name("recipe", name, files)
    return files[name]


def recipe_module(name: str) -> ModuleType:
    """A recipe's file as a module, for another recipe that trains as it does.

    Raises:
        InputError: If there is none, or it does not run.
    """
    return _load(find_recipe(name))


def load_recipe(name: str) -> Recipe:
    """Find and import a recipe.

    Args:
        name: Its name, or the path of a file.

    Raises:
        InputError: If there is none, or it lacks a dataclass ``Args``, ``task(args)`` or ``main(args)``.
    """
    path = find_recipe(name)
    module = _load(path)
    parts: dict[str, Any] = {part: getattr(module, part, None) for part in ("Args", "task", "main")}
    if not dataclasses.is_dataclass(parts["Args"]) or not callable(parts["task"]) or not callable(parts["main"]):
        raise InputError(f"recipe {path}: expected a dataclass Args and functions task(args) and main(args)")
    if path not in recipe_files().values():
        parts["task"] = module.task = _blamed(parts["task"], path)  # which its own main calls too  # type: ignore
    about = (module.__doc__ or "").partition("\n\nReference")[0].strip()
    return Recipe(path, **parts, description=about)


def _blamed(task: "Callable[[Any], Task]", path: Path) -> "Callable[[Any], Task]":
    """The task of a recipe of the user's own: what it raises becomes one line that says where."""

    @functools.wraps(task)
    def blamed(args: Any) -> "Task":
        with blaming(f"recipe {path}: task", path):
            return task(args)

    return blamed


def _load(path: Path) -> ModuleType:
    return load_file("recipe", path, shipped=path in recipe_files().values())


def recipes(arguments: list[str]) -> None:
    """List the recipes, or ``copy NAME FILE``."""
    match arguments:
        case []:
            for name, path in recipe_files().items():
                summary = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
                print(f"{name:17} {summary}")
        case [*_, "-h" | "--help"]:
            print("usage: discrete-gan recipes | discrete-gan recipes copy NAME FILE.py")
        case ["copy", name, target]:
            if os.path.lexists(target):
                raise InputError(f"recipes copy: {target} is there already, expected a new file")
            if not target.endswith(".py"):
                raise InputError(f"recipes copy: expected a file name ending in .py, got {target}")
            try:
                shutil.copyfile(find_recipe(name), target)
            except OSError as error:
                raise InputError(f"recipes copy: {target} cannot be written: {error.strerror}") from None
            print(f"{target}: train it with discrete-gan train {target}")
        case _:
            raise InputError("recipes: expected nothing or: copy NAME FILE.py")

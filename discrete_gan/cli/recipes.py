"""``discrete-gan recipes``: what there is to train, and copying it out; finding and loading recipe files."""

import ast
import dataclasses
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

from discrete_gan.errors import InputError, unknown_name

_PACKAGE = Path(__file__).resolve().parents[1]
# A wheel carries the recipes inside the package; a checkout has them beside it.
_FOLDERS = (_PACKAGE / "recipes", _PACKAGE.parent / "recipes")


def recipe_files() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {path.stem: path for path in sorted(folder.glob("*.py"))} if folder else {}


def find_recipe(name: str) -> Path:
    """A recipe's file, from its name or its own path.

    Raises:
        InputError: If there is none.
    """
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise InputError(f"recipe {name}: no such file")
        return Path(name)
    files = recipe_files()
    if name not in files:
        raise unknown_name("recipe", name, files)
    return files[name]


def load_recipe(path: Path) -> ModuleType:
    """Import a recipe file.

    Raises:
        InputError: If it has no dataclass ``Args`` or no ``main(args)``.
    """
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and tyro look their module up
    spec.loader.exec_module(module)
    if not dataclasses.is_dataclass(getattr(module, "Args", None)) or not callable(getattr(module, "main", None)):
        raise InputError(f"recipe {path}: expected a dataclass Args and a function main(args)")
    return module


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
            if Path(target).exists():
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

"""``discrete-gan completion``: what makes a shell complete verbs, recipes and options."""

import dataclasses
from contextlib import suppress
from typing import Annotated, Any, Literal, Union

import tyro

from discrete_gan.cli.card import CardArgs
from discrete_gan.cli.check import CheckArgs
from discrete_gan.cli.compare import CompareArgs
from discrete_gan.cli.evaluate import EvaluateArgs
from discrete_gan.cli.lab import LabArgs
from discrete_gan.cli.parsing import parse_plain
from discrete_gan.cli.recipes import load_recipe, recipe_files
from discrete_gan.cli.refine import Args as RefineArgs
from discrete_gan.cli.sample import SampleArgs
from discrete_gan.cli.weigh import WeighArgs


@dataclasses.dataclass(frozen=True)
class CompletionArgs:
    """Print what makes a shell complete verbs, recipes and options."""

    shell: Annotated[Literal["bash", "zsh", "tcsh"], tyro.conf.Positional]
    """Which one."""


@dataclasses.dataclass(frozen=True)
class _Recipes:
    """List the recipes."""


def completion(arguments: list[str]) -> None:
    """Print the script."""
    shell = parse_plain(CompletionArgs, arguments, "discrete-gan completion").shell
    words = ["--tyro-print-completion", shell]
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)
    with suppress(SystemExit):  # with which tyro ends once it has printed
        tyro.cli(_subcommands(verbs()), args=words, prog="discrete-gan", config=config)


def verbs() -> dict[str, Any]:
    """What each is told, as a class of options."""
    recipes = _subcommands({name: load_recipe(name).Args for name in recipe_files()})
    return {
        "check": CheckArgs,
        "train": dataclasses.make_dataclass("Train", [("recipe", recipes)]),
        "recipes": _Recipes,
        "sample": SampleArgs,
        "evaluate": EvaluateArgs,
        "refine": RefineArgs,
        "card": CardArgs,
        "compare": CompareArgs,
        "lab": LabArgs,
        "weigh": WeighArgs,
        "completion": CompletionArgs,
    }


def _subcommands(kinds: dict[str, Any]) -> Any:
    return Union[tuple(Annotated[kind, tyro.conf.subcommand(name)] for name, kind in kinds.items())]  # noqa: UP007

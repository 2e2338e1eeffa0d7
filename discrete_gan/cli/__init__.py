"""The ``discrete-gan`` command: one file per verb."""

from typing import TYPE_CHECKING

from discrete_gan.cli.main import main

if TYPE_CHECKING:
    from discrete_gan.cli.recipes import recipe_module as recipe_module
    from discrete_gan.cli.train import run_recipe as run_recipe
else:

    def __getattr__(name: str) -> object:
        """Imported when it is asked for: a Ctrl-C in the seconds that torch takes to load must find ``main`` begun."""
        if name == "run_recipe":
            from discrete_gan.cli.train import run_recipe

            return run_recipe
        if name == "recipe_module":
            from discrete_gan.cli.recipes import recipe_module

            return recipe_module
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["main", "recipe_module", "run_recipe"]

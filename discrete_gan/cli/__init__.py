"""The ``discrete-gan`` command: one file per verb."""

from discrete_gan.cli.main import main
from discrete_gan.cli.recipes import recipe_module
from discrete_gan.cli.train import run_recipe

__all__ = ["main", "recipe_module", "run_recipe"]

"""The ``discrete-gan`` command: one file a verb."""

from discrete_gan.cli.main import main

__all__ = ["main"]

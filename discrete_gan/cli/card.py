"""``discrete-gan card``: a model card beside a run's saved generator."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from discrete_gan.cli.parsing import parse_plain
from discrete_gan.cli.runs import open_run
from discrete_gan.writing import told_in_a_line


@dataclass(frozen=True)
class CardArgs:
    """Write a model card, README.md, beside a run's saved generator: samples, figures, settings and limits."""

    run: Annotated[Path, tyro.conf.Positional]
    """Its directory."""
    trust: tuple[Path, ...] = ()
    """Files of your own that the run names and that may be run."""


def card(arguments: list[str]) -> None:
    """Write it.

    Raises:
        InputError: If there is no such run, it has no generator yet, or the card cannot be written.
    """
    args = parse_plain(CardArgs, arguments, "discrete-gan card")
    run = open_run(args.run.expanduser(), args.trust)
    run.model()
    from discrete_gan.report.card import write_card  # and Hugging Face's: when they are needed

    with told_in_a_line(run.directory.path):
        print(write_card(run.directory))

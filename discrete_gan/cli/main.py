"""Entry point: finds the verb, turns a user's mistake into one line and exit status 2."""

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from discrete_gan.cli.orphans import end_with_parent
from discrete_gan.cli.terminal import one_line, terminal
from discrete_gan.errors import InputError, is_out_of_memory, unknown_name

USAGE = """\
usage: discrete-gan VERB ...

Train
  check DATA [options]       look into text (vocabulary, damage, memory), a table (its columns), images or frames
  train RECIPE [options]     train a recipe by name, or a recipe file of your own; --help explains every option
  recipes                    list the recipes; recipes copy NAME FILE copies one out to change it

Use what was trained
  sample RUN [options]       draw from a trained run: images into a .png or .npy file, text onto the terminal
  evaluate RUN [options]     likelihood, fidelity, diversity, memorization, calibration; or text over --temperatures
  refine RUN [options]       fit a discriminator to a finished generator: a better model, for sample and evaluate
  card RUN [options]         write a model card beside the generator: samples, figures, settings, limits

Compare and study
  compare RECIPE [options]   estimators over seeds at equal cost; or compare RUN RUN: finished runs; one table, one page
  lab [options]              measure gradient estimators on enumerable problems: bias, variance, cost
  weigh [options]            how much each sample of any model should count to stand for real data; resampled ones

Also
  completion SHELL           print what completes all of this in bash, zsh or tcsh
  --version                  of the package

Start with: discrete-gan train digits"""


_TORCHRUN = "LOCAL_WORLD_SIZE"  # which it sets for its processes

# Each is a function in the file of its name, imported when it is asked for: the usage needs no torch.
VERBS = (
    "check",
    "train",
    "recipes",
    "sample",
    "evaluate",
    "refine",
    "card",
    "compare",
    "lab",
    "weigh",
    "completion",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with status 2 on a user's mistake."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with terminal():
        _main(arguments)


def _main(arguments: list[str]) -> None:
    try:
        end_with_parent()
        _run(arguments)
    except (Exception, KeyboardInterrupt) as error:
        told, status = _told(error)
        if _tells(error):
            if told is None:
                raise
            print(f"discrete-gan: {one_line(told)}", file=sys.stderr, flush=True)
        raise SystemExit(status) from None


def _told(error: BaseException) -> tuple[str | None, int]:
    """What the user is told, None where a fault of this package has its traceback, and the exit status."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", 130
    if isinstance(error, InputError):
        return str(error), 2
    if is_out_of_memory(error):
        return f"out of memory, expected smaller sizes or numbers of samples ({type(error).__name__}: {error})", 2
    if isinstance(error, OSError) and error.filename is not None:
        # A name that is too long, a folder that may not be looked into: whoever came upon it.
        return f"{os.fsdecode(error.filename)}: {error.strerror}", 2
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith(("discrete_gan", "recipe")):
        return f"{error.name} is missing: pip install 'discrete-gan[train]'", 2
    return None, 1


def _tells(error: BaseException) -> bool:
    if _TORCHRUN not in os.environ:  # without it nothing need be imported that may be missing
        return True
    from discrete_gan.distributed import tells

    return tells(error)


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return
    if arguments[0] == "--version":
        from discrete_gan import __version__

        print(__version__)
        return
    if arguments[0] not in VERBS:
        raise unknown_name("verb", arguments[0], VERBS)
    if arguments[0] != "train" and _TORCHRUN in os.environ:
        from discrete_gan.distributed import num_launched

        if num_launched() > 1:
            told = f"expected one process, got {num_launched()}: torchrun is for train alone"
            raise InputError(f"{arguments[0]}: {told}")
    _loaded(arguments[0])(arguments[1:])


def _loaded(name: str) -> Callable[[list[str]], None]:
    """A verb, with what it needs: while that is loaded no garbage is looked for, of which there is none."""
    gc.disable()
    try:
        verb = getattr(importlib.import_module(f"discrete_gan.cli.{name}"), name)
        if "torch" in sys.modules:
            from discrete_gan.training.memory import limit_memory

            limit_memory()
    finally:
        gc.freeze()
        gc.enable()
    return verb

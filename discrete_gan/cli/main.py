"""Entry point: finds the verb, turns a user's mistake into one line and exit status 2."""

import sys
from collections.abc import Callable, Sequence

from discrete_gan.cli.orphans import end_with_parent
from discrete_gan.cli.terminal import one_line, terminal
from discrete_gan.errors import InputError, unknown_name

USAGE = """\
usage: discrete-gan VERB ...

  train RECIPE [options]     train a recipe by name, or a recipe file of your own; --help explains every option
  lab [options]              measure gradient estimators on enumerable problems: bias, variance, cost
  compare RECIPE [options]   estimators over seeds at equal cost; or compare RUN RUN: finished runs; one table, one page
  sample RUN [options]       draw from a trained run: images into a .png or .npy file, text onto the terminal
  evaluate RUN [options]     likelihood, fidelity, diversity, memorization, calibration; or text over --temperatures
  weigh [options]            how much each sample of any model should count to stand for real data; resampled ones
  check DATA [options]       look into a text data set: lengths, vocabulary, damage, memory that training takes
  recipes                    list the recipes; recipes copy NAME FILE copies one out to change it

Start with: discrete-gan train digits"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with status 2 on a user's mistake."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with terminal():
        _main(arguments)


def _main(arguments: list[str]) -> None:
    try:
        end_with_parent()
        _run(arguments)
    except InputError as error:
        print(f"discrete-gan: {one_line(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("discrete-gan: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("discrete_gan", "recipe")):
            raise
        print(f"discrete-gan: {error.name} is missing: pip install 'discrete-gan[train]'", file=sys.stderr)
        raise SystemExit(2) from None


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return
    if arguments[0] == "--version":
        from discrete_gan import __version__

        print(__version__)
        return
    verb = _verbs().get(arguments[0])
    if verb is None:
        raise unknown_name("verb", arguments[0], _verbs())
    verb(arguments[1:])


def _verbs() -> dict[str, Callable[[list[str]], None]]:
    # Imported when asked for: the usage of the bare library must not need the train extra.
    from discrete_gan.cli.check import check
    from discrete_gan.cli.compare import compare
    from discrete_gan.cli.evaluate import evaluate
    from discrete_gan.cli.lab import lab
    from discrete_gan.cli.recipes import recipes
    from discrete_gan.cli.sample import sample
    from discrete_gan.cli.train import train
    from discrete_gan.cli.weigh import weigh

    return {
        "train": train,
        "lab": lab,
        "compare": compare,
        "sample": sample,
        "evaluate": evaluate,
        "weigh": weigh,
        "check": check,
        "recipes": recipes,
    }

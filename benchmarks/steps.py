"""Times of the whole training steps of a recipe, as its command runs them."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from unittest.mock import patch

from discrete_gan.cli import main as command
from discrete_gan.training import Run

QUIET = ["--sample-every", "0", "--checkpoint-every", "100000", "--num-scored", "100"]
WARM_UP = 10


def watched(words: list[str], num_steps: int, last: Callable[[Run], AbstractContextManager[object]]) -> list[float]:
    """Milliseconds of steps after the first few, with all that is between one and the next.

    Args:
        words: Recipe and options of ``train``.
        num_steps: That are timed.
        last: Around one more, which is not.
    """
    steps, times = Run.steps, list[float]()

    def watch(run: Run) -> Iterator[int]:
        since = time.perf_counter()
        for number, step in enumerate(steps(run)):
            now = time.perf_counter()
            if number > WARM_UP:
                times.append(1e3 * (now - since))
            since = now
            if number == WARM_UP + num_steps:
                run.end()
                with last(run):
                    yield step
            else:
                yield step

    with tempfile.TemporaryDirectory() as folder, patch.object(Run, "steps", watch):
        command(["train", *words, *QUIET, "--out", f"{folder}/run"])
    return times

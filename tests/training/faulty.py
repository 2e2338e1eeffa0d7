"""A recipe that takes no time, and what may happen to one of several processes of it."""

import errno
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torchmetrics import MeanMetric

from discrete_gan.cli import run_recipe
from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.distributed import gather
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.tasks import Depth, Score
from discrete_gan.training import Run, RunOptions, StepOptions, checkpoints
from tests.training.small import Bits, D

AT = 4
"""The step, counted from 1, in which it happens."""
FAULT, RANK = os.environ.get("FAULT", ""), int(os.environ.get("FAULT_RANK", "0"))
"""What happens, and to which process."""


@dataclass(frozen=True, kw_only=True)
class Args(StepOptions, RunOptions):
    """Options of the recipe."""

    steps: int = 8
    device: str = "cpu"
    log_every: int = 1
    checkpoint_every: int = 3
    sample_every: int = 2
    batch_size: int = 5


class Alone(Bits):
    """Scored by what would wait for every process, if it were not called by the first one alone."""

    fails = False

    def scores(
        self,
        generator: Generator,
        discriminator: Discriminator | None,
        *,
        num: int | None = None,
        depth: Depth = "run",
        seed: int = 0,
    ) -> list[Score]:
        """Among others a mean that torchmetrics takes."""
        if self.fails:
            raise ZeroDivisionError("a score of the user's own")
        metric = MeanMetric()
        metric.update(gather(torch.ones(3)))
        found = super().scores(generator, discriminator, num=num, depth=depth, seed=seed)
        return [*found, Score("mean", float(metric.compute()))]


def task(args: Args) -> Alone:
    """Bits."""
    return Alone(args.batch_size)


def main(args: Args) -> None:
    """Train."""
    run = Run(args, task(args))
    generator, discriminator = run.networks(lambda: (MLPGenerator(3, D, hidden=(4,)), MLPDiscriminator(D, hidden=(4,))))
    g, d = run.player("generator", generator, lr=0.01), run.player("discriminator", discriminator, lr=0.01)
    for step in run.steps():
        due = FAULT and (step + 1, run.rank) == (AT, RANK)
        if due:
            FAULTS[FAULT](run)
        bad = torch.nan if due and FAULT == "nan" else 0  # in this process's loss alone, and in no gradient
        real = run.task.batch(step).x
        fake = generator(generator.latents(5)).sample()
        d.descend((discriminator(fake) - discriminator(real)).mean() + bad)
        x = generator(generator.latents(5))
        g.descend(-(discriminator(x.sample()).detach() * x.log_prob(x.sample())).mean())
        run.log(loss=float(step))


def _signal(number: int, *, launcher: bool) -> Callable[[Run], None]:
    return lambda run: os.kill(os.getppid() if launcher else os.getpid(), number)


def _press(run: Run) -> None:
    """Ctrl-C at a terminal may reach a process and torchrun, which passes it on."""
    signal.raise_signal(signal.SIGINT)
    os.kill(os.getppid(), signal.SIGINT)


def _raise(run: Run) -> None:
    raise ZeroDivisionError("in a step")


def _fail_score(run: Run) -> None:
    run.task.fails = True  # type: ignore[attr-defined]


def _fill_disk(run: Run) -> None:
    def save(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(run.directory.path / "checkpoints"))

    checkpoints.Checkpoints.save = save  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[Run], None]] = {
    "kill": _signal(signal.SIGKILL, launcher=False),
    "term": _signal(signal.SIGTERM, launcher=False),
    "int": _signal(signal.SIGINT, launcher=False),
    "term-torchrun": _signal(signal.SIGTERM, launcher=True),
    "int-torchrun": _signal(signal.SIGINT, launcher=True),
    "terminal": _press,
    "raise": _raise,
    "score": _fail_score,
    "disk": _fill_disk,
    "nan": lambda run: None,
}

if __name__ == "__main__":
    run_recipe(__file__)

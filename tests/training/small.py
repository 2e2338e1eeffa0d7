"""A run that takes no time: six bits to learn, and options of no recipe."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.sampling import generate
from discrete_gan.tasks import Depth, Score, TensorTask
from discrete_gan.training import Run, RunOptions, StepOptions

D = 6
_FOLDERS, _NUMBERS = TemporaryDirectory(), itertools.count()


@dataclass(frozen=True, kw_only=True)
class Options(StepOptions, RunOptions):
    """Of no recipe."""

    steps: int = 1
    device: str = "cpu"
    log_every: int = 1
    batch_size: int = 5


class Bits(TensorTask):
    """Mostly ones."""

    def __init__(self, batch_size: int = 5, num_categories: int = 0) -> None:
        rows = (torch.rand(40, D, generator=torch.Generator().manual_seed(0)) < 0.8).long()
        values = torch.nn.functional.one_hot(rows, num_categories).float() if num_categories else rows.float()
        super().__init__("bits", values[:30], values[30:], batch_size=batch_size)

    def scores(
        self,
        generator: Generator,
        discriminator: Discriminator | None,
        *,
        num: int | None = None,
        depth: Depth = "run",
        seed: int = 0,
    ) -> list[Score]:
        """The part of ones, in ten samples."""
        ones = generate(generator, 10, seed=seed).mean().item()
        return [Score("ones", ones, "ones", "of bits", real=self.test.mean().item())]

    def decode(self, x: Tensor) -> list[str]:
        """Bits as they are written."""
        return ["".join(str(int(bit)) for bit in row) for row in x.tolist()]


def make_run(task: Bits | None = None, /, **options: Any) -> Run:
    """A run on the CPU, in a folder of its own where none is named."""
    if not {"out", "resume"} & options.keys():
        options["out"] = Path(_FOLDERS.name) / str(next(_NUMBERS))
    return Run(Options(**options), task or Bits())

"""How time and memory of a generator step grow: samples M, categories K, positions T of a sequence, rows of a table.

Each in a process of its own (Linux): the median of its steps, and how much they raise the peak resident set. Run with::

    python benchmarks/growth.py
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import torch
from timing import DEVICE, growth, in_turn, place, told
from torch import Tensor, nn

from discrete_gan.data import Batches
from discrete_gan.distributions import FactorizedCategorical
from discrete_gan.estimators import BoundarySeeking
from discrete_gan.models import MLPDiscriminator, MLPGenerator, RecurrentDiscriminator, RecurrentGenerator

GRIDS = {
    "M": [2, 10, 100, 1000],
    "K": [2, 50, 1000, 50_000],
    "T": [20, 64, 128, 512],
    "rows": [1000, 10_000, 100_000, 1_000_000],
}
OF = {
    "M": "samples per latent, 64 latents, 784 bits",
    "K": "categories of 20 positions, 4 samples of 16 latents",
    "T": "tokens out of 5,000, an LSTM of 64 units, 4 samples of 16 latents",
    "rows": "a batch of 64 out of rows of 32 numbers",
}


class Categories(nn.Module):
    """20 positions of K categories, from a matrix of 16 numbers per category."""

    def __init__(self, num_categories: int) -> None:
        super().__init__()
        self.places, self.kinds = nn.Linear(64, 20 * 16), nn.Linear(16, num_categories)

    def forward(self, z: Tensor) -> FactorizedCategorical:
        """Of latents (B, 64)."""
        return FactorizedCategorical(self.kinds(self.places(z).unflatten(-1, (20, 16))))


class LogRatio(Categories):
    """Of samples."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Of samples (..., 20, K)."""
        return (x @ self.kinds.weight).sum(dim=(-1, -2))


def build(axis: str, size: int) -> Callable[[], object]:
    """A step."""
    generator: Any
    discriminator: Any
    if axis == "rows":  # of which batches are chosen on the CPU
        rows, batches, numbers = torch.rand(size, 32), Batches(size, 64, seed=0), iter(range(1 << 30))
        return lambda: rows[batches.indices(next(numbers))]
    torch.set_default_device(DEVICE)
    torch.manual_seed(0)
    if axis == "M":
        generator, discriminator, num_samples, latents = MLPGenerator(64, 784), MLPDiscriminator(784), size, 64
    elif axis == "K":
        generator, discriminator, num_samples, latents = Categories(size), LogRatio(size), 4, 16
    else:
        generator = RecurrentGenerator(5000, size, end=None, embedding_dim=64, hidden=64)
        discriminator, num_samples, latents = RecurrentDiscriminator(5000, size, end=None, hidden=64), 4, 16
    estimate = BoundarySeeking(num_samples)
    z = torch.randn(latents, 64) if axis in "MK" else generator.latents(latents)

    def step() -> None:
        generator.zero_grad(set_to_none=True)
        estimate(generator, discriminator, z).mean().backward()

    return step


def measure(axis: str, size: int) -> None:
    """Body of a process."""
    step = build(axis, size)
    step()
    memory = growth(step, 3)
    (times,) = in_turn({"step": step}, 5).values()
    print(json.dumps([told(times), memory]))


def main() -> None:
    """Print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure[0], int(args.measure[1]))
        return
    print(f"{place()}: median of five steps (least, most)")
    for axis, sizes in GRIDS.items():
        print(f"\n| {axis}: {OF[axis]} | ms | MiB above |\n|---|---|---|")
        for size in sizes:
            command = [sys.executable, __file__, "--measure", axis, str(size)]
            time, memory = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"| {size:,} | {time} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()

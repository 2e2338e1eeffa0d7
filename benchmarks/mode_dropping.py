"""What a generator that drops classes does to the Inception Score, without any network.

Figure 5 of "Activation Maximization Generative Adversarial Nets" (Zhou et al., 2018), section 6.3: N = 100 points, the
classifier is sure of each and of a class of its own, and m points chosen at random are dropped, 1,000 times for each m.
The log of the score is E_x[KL(C(x) || C_G)] in nats. The paper does not say which Gaussian; here it has its mean in the
middle of the classes and a standard deviation of N / 6::

    python benchmarks/mode_dropping.py
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from discrete_gan.metrics import inception_score

NUM_CLASSES, NUM_DROPPINGS = 100, 1000
TABLE_ROWS = (1, 2, 5, 10, 20, 50, 80, 95, 99, 100)


class Spread(NamedTuple):
    """Mean, least and largest log score over the droppings, one entry for each number of classes kept."""

    mean: Tensor
    least: Tensor
    largest: Tensor


def densities() -> dict[str, Tensor]:
    """Not normalized: what is kept is, below."""
    offset = torch.arange(NUM_CLASSES, dtype=torch.float64) - (NUM_CLASSES - 1) / 2
    return {
        "uniform": torch.ones_like(offset),
        "Gaussian": (-0.5 * (offset / (NUM_CLASSES / 6)).square()).exp(),
    }


def log_scores(kept: Tensor) -> Tensor:
    """Log Inception Score of one-hot classes with such a density, shape (..., n): its entropy, equation 22."""
    return torch.special.entr(kept / kept.sum(-1, keepdim=True)).sum(-1)


def spread(density: Tensor, generator: torch.Generator) -> Spread:
    results = []
    for num_kept in range(1, NUM_CLASSES + 1):
        order = torch.rand(NUM_DROPPINGS, NUM_CLASSES, generator=generator).argsort(1)
        results.append(log_scores(density[order[:, :num_kept]]))
    scores = torch.stack(results)
    return Spread(scores.mean(1), scores.amin(1), scores.amax(1))


def check() -> None:
    """The shortcut against the package's score, of samples in proportion to a density."""
    counts = torch.tensor([1, 2, 5, 4])
    samples = torch.eye(6).repeat_interleave(torch.cat([counts, torch.zeros(2, dtype=torch.long)]), 0)
    assert torch.isclose(inception_score(samples).score.log(), log_scores(counts.double()), rtol=1e-12)


def print_table(found: dict[str, Spread]) -> None:
    print("| classes kept | " + " | ".join(f"{name}: mean (least to largest), nats" for name in found) + " |")
    print("|---" * (1 + len(found)) + "|")
    for num_kept in TABLE_ROWS:
        cells = [
            f"{mean:.3f} ({least:.3f} to {largest:.3f})"
            for mean, least, largest in (torch.stack(each)[:, num_kept - 1].tolist() for each in found.values())
        ]
        print(f"| {num_kept} | {' | '.join(cells)} |")


def save_picture(path: Path, found: dict[str, Spread]) -> None:
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    kept = range(1, NUM_CLASSES + 1)
    for axes, (name, (mean, least, largest)) in zip(figure.subplots(1, 2, sharey=True), found.items(), strict=True):
        axes.vlines(kept, least, largest, color="#E69F00", lw=1.5, label=f"least to largest of {NUM_DROPPINGS:,}")
        axes.plot(kept, mean, ".", color="#0072B2", markersize=5, label="mean")
        axes.set_title(f"{name.capitalize()} density over classes", fontsize=12)
        axes.set_xlabel("classes kept, of 100", fontsize=12)
        axes.tick_params(labelsize=11)
        axes.grid(alpha=0.25)
    figure.axes[0].set_ylabel("E[KL(C(x) || mean C)], nats", fontsize=12)
    figure.axes[1].legend(loc="lower right", fontsize=11, reverse=True)
    figure.savefig(path)


def main() -> None:
    """Print the table and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, default=Path("docs/images/mode_dropping.png"))
    picture = parser.parse_args().picture
    check()
    generator = torch.Generator().manual_seed(0)
    found = {name: spread(density, generator) for name, density in densities().items()}
    print_table(found)
    save_picture(picture, found)


if __name__ == "__main__":
    main()

"""Time of drawing categories: the inverse distribution function beside one random number per category.

``torch.multinomial`` and the Gumbel argmax draw K random numbers per row, ``FactorizedCategorical`` one. Run with::

    python benchmarks/categorical_draws.py
"""

import statistics
import time
from collections.abc import Callable

import torch

from discrete_gan.distributions import FactorizedCategorical

NUM_ROWS = 256


def milliseconds(function: Callable[[], object], repeats: int = 11) -> float:
    """Median of several calls after two to warm up."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def main() -> None:
    """Print a Markdown table."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {NUM_ROWS} rows, milliseconds\n")
    print("| K | draws per row | torch.multinomial | Gumbel argmax | this package | multinomial / this |")
    print("|---|---|---|---|---|---|")
    for num_categories in (96, 1000, 5000):
        for num_draws in (1, 20):
            logits = torch.randn(NUM_ROWS, 1, num_categories)
            probs = logits.squeeze(1).softmax(-1)
            g = FactorizedCategorical(logits)
            draws = (num_draws,)

            def gumbel(logits: torch.Tensor = logits, num_draws: int = num_draws) -> torch.Tensor:
                noise = torch.empty(num_draws, *logits.shape).exponential_().log_()
                return (logits - noise).argmax(-1)

            times = (
                milliseconds(lambda: torch.multinomial(probs, num_draws, replacement=True)),  # noqa: B023
                milliseconds(gumbel),
                milliseconds(lambda: g.sample_indices(draws)),  # noqa: B023
            )
            cells = " | ".join(f"{value:.2f}" for value in times)
            print(f"| {num_categories} | {num_draws} | {cells} | {times[0] / times[2]:.1f} |")


if __name__ == "__main__":
    main()

"""Time of drawing categories: the inverse distribution function beside one random number per category.

``torch.multinomial`` and the Gumbel argmax draw K random numbers per row, ``FactorizedCategorical`` one. Run with::

    python benchmarks/categorical_draws.py
"""

import torch
from timing import DEVICE, in_turn, place, ratio, told

from discrete_gan.distributions import FactorizedCategorical

NUM_ROWS = 256


def main() -> None:
    """Print a Markdown table."""
    torch.set_default_device(DEVICE)
    print(f"{place()}, {NUM_ROWS} rows, milliseconds (least, most)\n")
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

            times = in_turn(
                {
                    "multinomial": lambda: torch.multinomial(probs, num_draws, replacement=True),  # noqa: B023
                    "gumbel": gumbel,
                    "this": lambda: g.sample_indices(draws),  # noqa: B023
                },
                11,
            )
            cells = " | ".join(map(told, times.values()))
            print(f"| {num_categories} | {num_draws} | {cells} | {ratio(times['multinomial'], times['this']):.1f} |")


if __name__ == "__main__":
    main()

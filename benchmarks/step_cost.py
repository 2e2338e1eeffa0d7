"""What a training step of each recipe costs, beside its matrix products and convolutions alone.

Every product of one step, forward and backward, is recorded with what it was given, and then done again by itself. What
the step takes above that is everything else: samples, weights, optimizers, averages, data, log and progress bar. Run
with::

    python benchmarks/step_cost.py
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from steps import watched
from timing import DEVICE, in_turn, place, ratio, told
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

RECIPES = {
    "digits": [],
    "binary_mnist": [],
    "binary_mnist, boundary-seeking": ["--estimator", "boundary-seeking"],
    "binary_mnist, straight-through": ["--estimator", "straight-through:num_samples=20"],
    "binary_mnist --model conv": ["--model", "conv", "--estimator", "boundary-seeking"],
    "softmax_gan --model mlp": ["--model", "mlp"],
    "text": [],
    "text, adversarial": ["--pretrain-steps", "0"],
    "table": [],
}
# A layer of an LSTM in one call, and how often it does the products of its gates.
RECURRENT = {torch.ops.aten.mkldnn_rnn_layer: 1, torch.ops.aten.mkldnn_rnn_layer_backward: 2}


class Products(TorchDispatchMode):
    """Keeps the products that are done while it is on, with their operations."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable[..., Any], tuple, dict]] = []
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs, out = kwargs or {}, func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            self.operations += count(*args, **kwargs, out_val=out)
        elif func.overloadpacket in RECURRENT:
            (steps, batch, size), units = args[0].shape, args[5].shape[-1]
            self.operations += RECURRENT[func.overloadpacket] * 2 * steps * batch * 4 * units * (size + units)
        else:
            return out
        self.calls.append((func, args, kwargs))
        return out

    @torch.no_grad()
    def again(self) -> None:
        """All of them in their order."""
        for func, args, kwargs in self.calls:
            func(*args, **kwargs)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data/mnist")
    parser.add_argument("--num-steps", type=int, default=50)
    parser.add_argument("--precision", default="32-true")
    args = parser.parse_args()
    print(f"{place()}, precision {args.precision}, {args.num_steps} steps\n")
    print("| recipe | million operations | products | products alone, ms | step, ms | of products |")
    print("|---|---|---|---|---|---|")
    for name, options in RECIPES.items():
        recipe = name.split(",")[0].split()[0]
        data = ["--data", args.data] if "mnist" in recipe or "softmax" in recipe else []
        products = Products()
        where = ["--device", DEVICE, "--precision", args.precision]
        times = watched([recipe, *options, *data, *where], args.num_steps, lambda run: products)  # noqa: B023
        alone = in_turn({"products": products.again}, 20)["products"]
        cells = [f"{products.operations / 1e6:.0f}", len(products.calls), told(alone), told(times)]
        print(f"| `{name}` | " + " | ".join(map(str, cells)) + f" | {ratio(times, alone):.2f} |", flush=True)


if __name__ == "__main__":
    main()

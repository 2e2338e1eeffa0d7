"""Time and memory of one boundary-seeking generator step beside the textbook form of the same gradient.

The textbook form expands a ``torch.distributions.Bernoulli`` to (M, B, D), draws, and back-propagates through the
log-probability of every sample. Both use the same networks and score samples without a graph. Run with::

    python benchmarks/generator_step.py

Times are medians of interleaved repetitions in one process. Memory is the growth of the peak resident set during a
step, each variant in a process of its own (Linux).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable

import torch
from timing import DEVICE, growth, in_turn, place, ratio, told
from torch import Tensor, nn
from torch.distributions import Bernoulli

from discrete_gan.estimators import BoundarySeeking
from discrete_gan.models import ConvDiscriminator, ConvGenerator, MLPDiscriminator, MLPGenerator

NUM_LATENTS = 64
VARIANTS = ("textbook", "ours", "ours, all at once")


def textbook_loss(generator: nn.Module, discriminator: nn.Module, z: Tensor, num_samples: int) -> Tensor:
    """The estimator as a first reading of the paper gives it, zero-sum weights included."""
    logits = generator(z).logits
    g = Bernoulli(logits=logits.expand(num_samples, *logits.shape))
    x = g.sample()
    with torch.no_grad():
        log_w = discriminator(x)
    weights = torch.softmax(log_w, dim=0) - 1 / num_samples
    return -(weights * g.log_prob(x).sum(-1)).sum(0)


def build(pair: str, variant: str, num_samples: int) -> Callable[[], None]:
    """A function that takes one generator step, forward and backward."""
    torch.manual_seed(0)
    generator, discriminator = {
        "mlp": lambda: (MLPGenerator(64, 784), MLPDiscriminator(784)),
        "conv": lambda: (ConvGenerator(64), ConvDiscriminator()),
    }[pair]()
    chunk_size = num_samples if variant.endswith("once") else 20 if variant.endswith("20") else None
    estimator = BoundarySeeking(num_samples, chunk_size=chunk_size)
    z = generator.latents(NUM_LATENTS)

    def step() -> None:
        generator.zero_grad(set_to_none=True)
        if variant == "textbook":
            loss = textbook_loss(generator, discriminator, z, num_samples)
        else:
            loss = estimator(generator, discriminator, z)
        loss.mean().backward()

    return step


def discriminator_forward(pair: str, num_samples: int) -> Callable[[], None]:
    """The part that no estimator with M samples can avoid."""
    discriminator = MLPDiscriminator(784) if pair == "mlp" else ConvDiscriminator()
    x = torch.rand(num_samples, NUM_LATENTS, 784).round()

    def step() -> None:
        with torch.no_grad():
            discriminator(x)

    return step


def peak_growth(pair: str, variant: str, num_samples: int) -> float:
    """MiB by which steps raise the resident set above what stands before them, in a fresh process."""
    command = [sys.executable, __file__, "--measure-memory", pair, variant, str(num_samples)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(pair: str, variant: str, num_samples: int) -> None:
    """Body of the fresh process."""
    step = build(pair, variant, num_samples)
    build(pair, variant, 2)()  # loads the libraries' kernels and buffers
    print(json.dumps(growth(step, 3)))


def main() -> None:
    """Print a Markdown table."""
    torch.set_default_device(DEVICE)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--measure-memory", nargs=3, metavar=("PAIR", "VARIANT", "M"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure_memory:
        pair, variant, num_samples = args.measure_memory
        measure_memory(pair, variant, int(num_samples))
        return
    print(f"{place()}, B = {NUM_LATENTS}, 28x28\n")
    print("| networks | step, M = 20 | ms (least, most) | of textbook | MiB above | of textbook |")
    print("|---|---|---|---|---|---|")
    for pair in ("mlp", "conv"):
        steps = {variant: build(pair, variant, 20) for variant in VARIANTS}
        steps["discriminator forward alone"] = discriminator_forward(pair, 20)
        times = in_turn(steps, args.repeats)
        memory = {variant: peak_growth(pair, variant, 20) for variant in VARIANTS}
        for name, values in times.items():
            peak = f"{memory[name]:.0f} | {memory[name] / memory['textbook']:.2f}" if name in memory else "|"
            print(f"| {pair} | {name} | {told(values)} | {ratio(values, times['textbook']):.2f} | {peak} |")
    print("\n| networks | chunk_size = 20 | MiB above, M = 20 | M = 1000 | ratio |\n|---|---|---|---|---|")
    for pair in ("mlp", "conv"):
        few, many = (peak_growth(pair, "ours in chunks of 20", num_samples) for num_samples in (20, 1000))
        print(f"| {pair} | boundary-seeking | {few:.0f} | {many:.0f} | {many / few:.2f} |")


if __name__ == "__main__":
    main()

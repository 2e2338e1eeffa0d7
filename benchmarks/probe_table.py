"""Noise of the generator's gradient on the networks of a finished run, one estimator per row, as Markdown.

All see the same averaged generator, discriminator and 64 latents. Run with::

    discrete-gan train binary_mnist --data ../shared/data/mnist --out runs/mnist
    python benchmarks/probe_table.py runs/mnist
"""

import argparse
import copy
from pathlib import Path

import torch
from torch import nn

from discrete_gan.cli.runs import load_model
from discrete_gan.estimators import parse_estimator
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.probe import probe

# 20 discriminator evaluations per latent, or the nearest number that divides.
ESTIMATORS = (
    "boundary-seeking:num_samples=20",
    "boundary-seeking-cv:num_samples=19",
    "boundary-seeking-cv:num_samples=19,control=linear",
    "boundary-seeking:num_samples=20,zero_sum=false",
    "vimco:num_samples=20",
    "reinforce:num_samples=20",
    "reinforce:num_samples=20,baseline=none",
    "nvil:num_samples=20",
    "muprop:num_samples=19",
    "double-cv:num_samples=20",
    "arm:num_samples=10",
    "disarm:num_samples=10",
    "rebar:num_samples=7",
    "relax:num_samples=7",
    "straight-through:num_samples=20",
    "reinmax:num_samples=20",
    "gumbel-softmax:num_samples=20",
    "st-gumbel-softmax:num_samples=20",
    "gumbel-rao:num_samples=20",
)
_LATENTS, _WARM_UP = 64, 100


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--redraws", type=int, default=32)
    parser.add_argument("--reference", type=int, default=4096)
    args = parser.parse_args()
    directory = RunDirectory(args.run)
    generator, discriminator = load_model(directory), load_model(directory, "discriminator")
    torch.manual_seed(0)
    z = generator.latents(_LATENTS)  # type: ignore[operator]
    print(f"{args.run.name}, {args.redraws} redraws, reference of {args.reference} samples\n")
    print("| estimator | target | evaluations | variance / squared length | cosine to the reference |")
    print("|---|---|---|---|---|")
    for spec in ESTIMATORS:
        torch.manual_seed(0)
        estimator = parse_estimator(spec)
        adapt(estimator, generator, discriminator)
        found = probe(
            estimator,
            generator,
            discriminator,
            z,
            seed=0,
            step=0,
            num_redraws=args.redraws,
            num_reference=args.reference,
        )
        claims = estimator.claims  # type: ignore[attr-defined]
        signal = float(found["probe/all/snr"])
        noise = 1 / signal if signal else float("inf")
        cells = [spec, claims.target, claims.evaluations, f"{noise:.3f}", f"{float(found['probe/all/cosine']):.3f}"]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def adapt(estimator: object, generator: nn.Module, discriminator: nn.Module) -> None:
    """Let averages and parameters of the estimator's own fit the networks."""
    if not isinstance(estimator, nn.Module):
        return
    generator = copy.deepcopy(generator)
    optimizer = torch.optim.Adam([*estimator.parameters(), torch.zeros(1, requires_grad=True)], 1e-3)
    for _ in range(_WARM_UP):
        loss = estimator(generator, discriminator, generator.latents(_LATENTS))  # type: ignore[operator]
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()


if __name__ == "__main__":
    main()

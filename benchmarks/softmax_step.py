"""Step time of the Softmax GAN recipe on the MLP pair of PyTorch-GAN, beside minimal hand-written loops.

All do the same arithmetic: generator 100-128-256-512-1024-784 with batch norm, discriminator 784-512-256-1, batch 64,
one update of each per step, real scores taken anew for the generator's update, Adam. ``by hand`` indexes a tensor in
memory and has nothing but the loop; ``by hand, DataLoader`` shuffles through torch's DataLoader and takes Adam as it
comes, as most public code does. The recipe is timed as users run it: progress bar, log, random streams, checks of the
losses::

    python benchmarks/softmax_step.py --data ../shared/data/mnist
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from discrete_gan.data import load_images
from discrete_gan.models import MLPDiscriminator, MLPImageGenerator

BATCH, WARM_UP, LR = 64, 100, 2e-4


def by_hand(batches: Iterator[Tensor], steps: int, *, fused: bool) -> float:
    """Milliseconds per step of the plain loop."""
    generator, discriminator = MLPImageGenerator(), MLPDiscriminator()
    g_adam = torch.optim.Adam(generator.parameters(), LR, betas=(0.5, 0.999), fused=fused)
    d_adam = torch.optim.Adam(discriminator.parameters(), LR, betas=(0.5, 0.999), fused=fused)
    start = 0.0
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            start = time.perf_counter()
        real = next(batches) / 127.5 - 1

        with torch.no_grad():
            fake = generator(torch.randn(BATCH, 100)).sample()
        scores = torch.cat([discriminator(real), discriminator(fake)])
        d_loss = -scores.log_softmax(0)[:BATCH].mean()
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()

        discriminator.requires_grad_(False)
        with torch.no_grad():
            raw_real = discriminator(real)
        scores = torch.cat([raw_real, discriminator(generator(torch.randn(BATCH, 100)).rsample())])
        g_loss = -scores.log_softmax(0).mean()
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        discriminator.requires_grad_(True)
        if step % 50 == 0:
            print(step, d_loss.item(), g_loss.item(), file=sys.stderr)
    return 1000 * (time.perf_counter() - start) / steps


def by_recipe(data: str, steps: int, folder: str) -> float:
    """Milliseconds per step, from the recipe's own log."""
    command = [sys.executable, "-m", "discrete_gan", "train", "softmax_gan", "--data", data, "--model", "mlp"]
    command += ["--steps", str(WARM_UP + steps), "--num-scored", "10", "--sample-every", "0", "--checkpoint-every", "0"]
    subprocess.run([*command, "--out", folder, "--overwrite"], check=True, capture_output=True)
    rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    first, last = (next(row for row in rows if row["step"] == step) for step in (WARM_UP, WARM_UP + steps))
    return 1000 * (last["seconds"] - first["seconds"]) / steps


def main() -> None:
    """Time all in turn, several times, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data/mnist")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    images = load_images(args.data).train_images
    in_memory = (images[torch.randint(len(images), (BATCH,))] for _ in itertools.count())
    loader = DataLoader(TensorDataset(images), BATCH, shuffle=True, drop_last=True)
    loaded = (batch for _ in itertools.count() for (batch,) in loader)
    times: dict[str, list[float]] = {"by hand": [], "by hand, DataLoader": [], "the recipe": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.repeats):
            times["by hand"].append(by_hand(in_memory, args.steps, fused=True))
            times["by hand, DataLoader"].append(by_hand(loaded, args.steps, fused=False))
            times["the recipe"].append(by_recipe(args.data, args.steps, folder))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {args.repeats} times {args.steps} steps\n")
    print("| loop | ms per step, median | least | most | of by hand |")
    print("|---|---|---|---|---|")
    for name, values in times.items():
        median = statistics.median(values)
        ratio = median / statistics.median(times["by hand"])
        print(f"| {name} | {median:.2f} | {min(values):.2f} | {max(values):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()

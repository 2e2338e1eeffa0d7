"""Training steps on 1, 2 and 4 processes: the same batch for each (weak), and the same batch in all (strong).

Each process has one thread, so that on two cores four of them share. What a step sends is counted from the networks'
sizes; the time of sending alone is that of an all-reduce of as many numbers. Run with::

    python benchmarks/scaling.py --data DATA
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.distributed as dist
from steps import watched
from timing import ratio, told

from discrete_gan.training import Run

BATCH = 64
MODELS = {"mlp": ["--estimator", "boundary-seeking"], "conv": ["--model", "conv", "--estimator", "boundary-seeking"]}


def measure(out: Path, num_steps: int, words: list[str]) -> None:
    """Body of a process: milliseconds of steps, numbers that they send, milliseconds of sending these alone."""
    found = {}

    @contextlib.contextmanager
    def last(run: Run) -> Iterator[None]:
        found["numbers"] = sum(
            weights.numel() for player in run._players.values() for weights in player.network.parameters()
        )
        found["sending"] = sending(found["numbers"])
        yield

    found["times"] = watched(words, num_steps, last)
    if int(os.environ.get("RANK", "0")) == 0:
        out.write_text(json.dumps(found))


def sending(numbers: int) -> list[float]:
    """Milliseconds of all-reduces of as many float32."""
    if not dist.is_initialized():
        return [0.0]
    gradients, times = torch.zeros(numbers), []
    for _ in range(12):
        start = time.perf_counter()
        dist.all_reduce(gradients)
        times.append(1e3 * (time.perf_counter() - start))
    return times[2:]


def measured(processes: int, batch: int, args: argparse.Namespace, options: list[str]) -> dict:
    """Of so many processes."""
    words = ["binary_mnist", "--data", args.data, "--batch-size", str(batch), *options]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
        body = [__file__, "--data", args.data, "--num-steps", str(args.num_steps), "--measure", str(out), *words]
        subprocess.run(
            [sys.executable, *launcher, *body],
            check=True,
            capture_output=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        return json.loads(out.read_text())


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data/mnist")
    parser.add_argument("--num-steps", type=int, default=60)
    parser.add_argument("--measure", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(Path(args.measure[0]), args.num_steps, args.measure[1:])
        return
    print(f"torch {torch.__version__}, gloo, a thread per process, {os.cpu_count()} cores, {args.num_steps} steps\n")
    print("| networks | scaling | processes | batch of each | ms per step (least, most) | images per second, of one |")
    print("|---|---|---|---|---|---|")
    sent = []
    for model, options in MODELS.items():
        alone = measured(1, BATCH, args, options)
        for kind, processes in (("", 1), ("weak", 2), ("weak", 4), ("strong", 2), ("strong", 4)):
            batch = BATCH // processes if kind == "strong" else BATCH
            found = alone if processes == 1 else measured(processes, batch, args, options)
            rate = batch * processes / BATCH / ratio(found["times"], alone["times"])
            print(f"| {model} | {kind} | {processes} | {batch} | {told(found['times'])} | {rate:.2f} |", flush=True)
            if kind == "weak":
                megabytes = 2 * (processes - 1) / processes * 4 * found["numbers"] / 1e6
                sent.append(
                    f"| {model} | {processes} | {found['numbers']:,} | {megabytes:.1f} | {told(found['sending'])} |"
                )
    print("\n| networks | processes | weights | MB sent by each per step | all-reduce alone, ms (least, most) |")
    print("|---|---|---|---|---|")
    print("\n".join(sent))


if __name__ == "__main__":
    main()

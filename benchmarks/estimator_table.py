"""Train binary_mnist with each estimator at equal discriminator evaluations, over seeds, and print the table.

Every run takes as many steps, and every step as many discriminator evaluations: 20 for each of 64 latents in the
generator's update, 64 real and 64 generated images in the discriminator's. Run with::

    python benchmarks/estimator_table.py --data ../shared/data/mnist --out runs/table --jobs 2

Runs that are finished already are not run again, so an interrupted table goes on where it stopped.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ESTIMATORS = {
    "boundary-seeking": "boundary-seeking:num_samples=20",
    "boundary-seeking-cv": "boundary-seeking-cv:num_samples=19",
    "reinforce": "reinforce:num_samples=20,baseline=leave-one-out",
    "double-cv": "double-cv:num_samples=20",
    "disarm": "disarm:num_samples=10",
    "vimco": "vimco:num_samples=20",
    "gumbel-softmax": "gumbel-softmax:num_samples=20,temperature=0.5",
    "straight-through": "straight-through:num_samples=20",
    "reinmax": "reinmax:num_samples=20",
}


def train(folder: Path, spec: str, seed: int, args: argparse.Namespace) -> None:
    """One cell, on one thread, unless it is there."""
    if (folder / "results.json").exists():
        return
    command = [sys.executable, "-m", "discrete_gan", "train", "binary_mnist", "--data", args.data, "--overwrite"]
    command += ["--estimator", spec, "--seed", str(seed), "--steps", str(args.steps), "--out", str(folder)]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".log").open("w") as log:
        subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=log, stderr=log, check=False)


def spread(values: list[float], digits: int) -> str:
    """Mean and sample standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{statistics.mean(values):.{digits}f} ± {deviation:.{digits}f}"


def main() -> None:
    """Run what is missing, then print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/table"))
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    cells = {(name, seed): args.out / f"{name}-{seed}" for seed in range(args.seeds) for name in ESTIMATORS}
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(lambda cell: train(cells[cell], ESTIMATORS[cell[0]], cell[1], args), cells))
    print("| estimator | Frechet distance | times the floor | rarest class | Inception Score | seconds | failed |")
    print("|---|---|---|---|---|---|---|")
    for name in ESTIMATORS:
        files = [cells[name, seed] / "results.json" for seed in range(args.seeds)]
        runs = [json.loads(file.read_text()) for file in files if file.exists()]
        if not runs:
            print(f"| {name} | | | | | | {args.seeds} |")
            continue
        columns = [
            spread([run["frechet"] for run in runs], 2),
            spread([run["frechet"] / run["frechet_floor"] for run in runs], 1),
            spread([100 * min(run["class_fractions"]) for run in runs], 1) + " %",
            spread([run["inception_score"] for run in runs], 2),
            spread([run["seconds"] for run in runs], 0),
        ]
        print(f"| {name} | {' | '.join(columns)} | {args.seeds - len(runs)} |")


if __name__ == "__main__":
    main()

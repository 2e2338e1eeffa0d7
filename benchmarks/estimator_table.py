"""Train binary_mnist with each estimator at equal discriminator evaluations, over seeds, and print the table.

Every run takes as many steps, and every step as many discriminator evaluations: 20 for each of 64 latents in the
generator's update, 64 real and 64 generated images in the discriminator's. Run with::

    python benchmarks/estimator_table.py --data ../shared/data/mnist --out runs/table --jobs 2

Runs that are finished already are not run again, so an interrupted table goes on where it stopped.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from finished import finished, spread, train

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


def train_cell(folder: Path, spec: str, seed: int, args: argparse.Namespace) -> None:
    """One estimator with one seed."""
    options = ["--data", args.data, "--estimator", spec, "--seed", str(seed), "--steps", str(args.steps)]
    train("binary_mnist", folder, options)


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
        list(pool.map(lambda cell: train_cell(cells[cell], ESTIMATORS[cell[0]], cell[1], args), cells))
    print("| estimator | Frechet distance | times the floor | rarest class | Inception Score | seconds | failed |")
    print("|---|---|---|---|---|---|---|")
    for name in ESTIMATORS:
        runs = [run for seed in range(args.seeds) if (run := finished(cells[name, seed])) is not None]
        if not runs:
            print(f"| {name} | | | | | | {args.seeds} |")
            continue
        columns = [
            spread([run.scores["frechet"]["value"] for run in runs], 2),
            spread([run.times_real("frechet") for run in runs], 1),
            spread([100 * min(run.class_fractions()) for run in runs], 1) + " %",
            spread([run.scores["inception_score"]["value"] for run in runs], 2),
            spread([run.seconds for run in runs], 0),
        ]
        print(f"| {name} | {' | '.join(columns)} | {args.seeds - len(runs)} |")


if __name__ == "__main__":
    main()

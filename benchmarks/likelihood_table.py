"""Likelihood and scores of finished runs over seeds, by ``discrete-gan evaluate``: in Markdown, one row per pattern.

``python benchmarks/likelihood_table.py "runs/table/boundary-seeking-?" "runs/table/reinforce-?" --jobs 2``

Test log-likelihood on fixed binarized MNIST by annealed importance sampling, of the same images for every run, so that
the spread over seeds is that of the generators. What is evaluated already is not again.
"""

import argparse
import glob
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from finished import finished, spread
from image_grids import DATA


def evaluate(run: str, options: list[str]) -> None:
    """One run on one thread, unless its evaluation is there."""
    if Path(run, "evaluation.json").exists():
        return
    command = [sys.executable, "-m", "discrete_gan", "evaluate", run, *options]
    with Path(run).with_suffix(".evaluation.log").open("w") as log:
        subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=log, stderr=log, check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="+", help="of run directories, quoted: one row of the table for each")
    parser.add_argument("--test", default=str(DATA / "binarized_mnist"))
    parser.add_argument("--likelihood-num", type=int, default=200)
    parser.add_argument("--ais-steps", type=int, default=2500)
    parser.add_argument("--ais-simulated", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    args = parser.parse_args()
    options = ["--test", args.test]
    for name in ("likelihood_num", "ais_steps", "ais_simulated"):
        options += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    rows = {pattern: sorted(glob.glob(pattern)) for pattern in args.patterns}
    with ThreadPoolExecutor(args.jobs) as pool:
        for run in [run for runs in rows.values() for run in runs]:
            pool.submit(evaluate, run, options)
    names = {
        "log_likelihood": 1,
        "likelihood_gap": 2,
        "frechet": 2,
        "coverage": 3,
        "recall": 3,
        "two_sample_accuracy": 3,
    }
    print(f"| runs | {' | '.join(names)} | seconds of training |")
    print("|---" * (len(names) + 2) + "|")
    for pattern, runs in rows.items():
        found = [(finished(Path(run), "evaluation.json"), finished(Path(run))) for run in runs]
        done = [(evaluation, results) for evaluation, results in found if evaluation and results]
        if not done:
            print(f"| {pattern} | none of {len(runs)} could be evaluated: see the logs beside them |")
            continue
        values = {name: [v for run, _ in done if (v := run.value(name)) is not None] for name in names}
        seconds = [results.seconds for _, results in done]
        cells = [spread(values[name], digits) for name, digits in names.items()]
        print(f"| {pattern} | {' | '.join(cells)} | {spread(seconds, 0)} |")


if __name__ == "__main__":
    main()

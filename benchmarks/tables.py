"""CTGAN and TVAE beside the recipe ``table``: the same rows, machine and thread, one after another, over seeds.

Both are asked for in an environment of their own, whose Python is named. Each fit, its samples and its seconds stand in
``OUT``; the same command goes on where it was ended, and ``--show`` prints the table of what is there::

    python benchmarks/tables.py --data adult.csv --held-out adult_test.csv --target income --python ENV/bin/python
    python benchmarks/tables.py --data adult.csv --held-out adult_test.csv --target income --show

Scores are those of ``discrete-gan evaluate``: errors of column shapes and pair trends, as SDMetrics has them, against
the training rows, gradient boosting trained on samples and tested on the held-out rows, copies of training rows.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas
from finished import finished, spread, train
from tqdm import tqdm

from discrete_gan.data.table import TableData, load_table
from discrete_gan.data.table_files import MISSING
from discrete_gan.tasks.table_scores import TableScorer

FOREIGN = """
import json, sys, time
import numpy, pandas, torch
from ctgan import CTGAN, TVAE
kind, epochs, seed, num, data, out = sys.argv[1:]
torch.set_num_threads(1)
torch.manual_seed(int(seed)); numpy.random.seed(int(seed))
frame = pandas.read_csv(data)
listed = [name for name in frame.columns if frame[name].dtype == object]
start = time.perf_counter()
model = {"ctgan": CTGAN, "tvae": TVAE}[kind](epochs=int(epochs))
model.fit(frame, listed)
seconds = time.perf_counter() - start
model.sample(int(num)).to_csv(out + ".csv", index=False)
json.dump({"seconds": seconds}, open(out + ".json", "w"))
"""
FOREIGNERS = {f"{kind}, {epochs} epochs": (kind, epochs) for epochs in (10, 100) for kind in ("ctgan", "tvae")}
INDEPENDENT = "--model mlp --steps 3000 --average 0.999 --generator-lr 1e-3"
OURS = {
    "column by column, likelihood": "--estimator mle --steps 600",
    "column by column, then boundary-seeking": "",
    "column by column, likelihood for as long": "--discriminator-lr 0",
    **{
        f"column by column, then {name}": f"--estimator {name}:num_samples=4"
        for name in ("reinforce", "gumbel-softmax", "st-gumbel-softmax")
    },
    **{
        f"independent given z, {name}": f"{INDEPENDENT} --estimator {name}:num_samples=8"
        for name in ("boundary-seeking", "reinforce", "straight-through", "gumbel-softmax")
    },
}
NAMES = ("shape_error", "trend_error", "tstr_auc", "tstr_r2", "two_sample_accuracy", "copies")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--held-out")
    parser.add_argument("--target", required=True)
    parser.add_argument("--python", help="of an environment with ctgan; without it what is there is shown")
    parser.add_argument("--out", type=Path, default=Path("runs/tables"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=[*FOREIGNERS, *OURS], default=[*FOREIGNERS, *OURS])
    parser.add_argument("--num", type=int, default=10_000, help="samples")
    parser.add_argument("--show", action="store_true", help="only print the table")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    data = load_table(args.data, seed=0, held_out=args.held_out)
    scorer = TableScorer(data, args.target)
    for seed in () if args.show else args.seeds:
        for model in tqdm(args.models, desc=f"seed {seed}"):
            run(args, model, seed, batch=256 if len(data.train) >= 2000 else 64)
    show(args, data, scorer)


def place(args: argparse.Namespace, model: str, seed: int) -> Path:
    """Without its ending: of the samples, their scores and the seconds."""
    return args.out / f"{''.join(each if each.isalnum() else '-' for each in model)}-{seed}"


def run(args: argparse.Namespace, model: str, seed: int, batch: int) -> None:
    """Fit and draw, unless both were done."""
    out = place(args, model, seed)
    if model in FOREIGNERS:
        if args.python and not out.with_suffix(".json").exists():
            command = [args.python, "-c", FOREIGN, *map(str, (*FOREIGNERS[model], seed, args.num, args.data, out))]
            subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}, check=True)
        return
    held_out = ["--held-out", args.held_out] if args.held_out else []
    about = ["--data", args.data, *held_out, "--target", args.target, "--seed", str(seed), "--batch-size", str(batch)]
    train("table", out, [*about, "--num-scored", str(args.num), *OURS[model].split()])
    if not out.with_suffix(".csv").exists():
        draw = ["sample", str(out), "--num", str(args.num), "--out", f"{out}.csv"]
        subprocess.run([sys.executable, "-m", "discrete_gan", *draw], check=True, stdout=subprocess.DEVNULL)


def scores(args: argparse.Namespace, scorer: TableScorer, out: Path) -> dict[str, Any]:
    """Of samples that were drawn; measured once."""
    file = out.with_suffix(".scores.json")
    if not file.exists():
        types = scorer.frames[1].dtypes
        cells = pandas.read_csv(f"{out}.csv", keep_default_na=False, na_values=list(MISSING))
        frame = cells[list(types.index)].astype(types)
        found = scorer.quality(frame, pairs=True) + scorer.learnt(frame, intervals=False) + scorer.likeness(frame)
        file.write_text(json.dumps({score.name: score.value for score in found}))
    return json.loads(file.read_text())


def show(args: argparse.Namespace, data: TableData, scorer: TableScorer) -> None:
    """Mean and spread over seeds."""
    print(f"{len(data.train):,} training rows, {len(data.held_out):,} held out\n")
    print(f"| model | seeds | seconds | {' | '.join(NAMES)} |\n|{'---|' * (3 + len(NAMES))}")
    for model in args.models:
        outs = [place(args, model, seed) for seed in args.seeds]
        outs = [out for out in outs if out.with_suffix(".csv").exists()]
        if outs:
            rows = [scores(args, scorer, out) for out in outs]
            cells = [spread([row[name] for row in rows if row.get(name) is not None], 3) for name in NAMES]
            print(f"| {model} | {len(outs)} | {spread([seconds(out) for out in outs], 0)} | {' | '.join(cells)} |")
    print("\nof the data themselves:")
    for score in scorer.quality(scorer.frames[1], pairs=True) + scorer.learnt(scorer.frames[0], intervals=False):
        print(f"{score.name}: {score.value:.4g}")


def seconds(out: Path) -> float:
    """Of the fit; of ours with the scores at the end."""
    own = finished(out)
    return own.seconds if own else json.loads(out.with_suffix(".json").read_text())["seconds"]


if __name__ == "__main__":
    main()

"""Scores of finished runs as drawn and reweighted, over candidates, mean and spread over seeds.

Each argument is a pattern of run directories, one for each seed. Those that ``discrete-gan refine`` has refined are
reweighted by that, others by their own discriminator::

    python benchmarks/refined.py "runs/equations-*" --names valid distinct new --candidates 5 20 --num 2000
    python benchmarks/refined.py "runs/mnist-*" --names frechet classes_covered --methods per-latent resample

What was measured stands in ``RUN/reweighted.json`` and is not measured again.
"""

import argparse
import glob
import json
from pathlib import Path
from typing import Any

from finished import spread
from tqdm import tqdm

from discrete_gan.cli.reweighting import reweighted
from discrete_gan.cli.runs import open_run
from discrete_gan.training.launch import find_device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="+", help="of run directories, quoted: one row of the table for each method")
    parser.add_argument("--names", nargs="+", required=True, help="of scores")
    parser.add_argument("--methods", nargs="+", default=["auto"])
    parser.add_argument("--candidates", nargs="+", type=int, default=[5, 20])
    parser.add_argument("--num", type=int, default=2000, help="samples")
    args = parser.parse_args()
    choices = [("drawn", 1), *((method, number) for method in args.methods for number in args.candidates)]
    columns = [*args.names, "effective candidates", "gain, nats", "steps", "seconds of refine"]
    print(f"| runs | samples | seeds | {' | '.join(columns)} |\n{'|---' * (3 + len(columns))}|")
    for pattern in args.patterns:
        folders = sorted(glob.glob(pattern))
        for method, number in choices:
            rows = [measured(Path(folder), method, number, args.num) for folder in tqdm(folders, leave=False)]
            cells = [spread([row[name] for row in rows if row.get(name) is not None], 3) for name in columns]
            how = method if method == "drawn" else f"{method}, {number} candidates"
            print(f"| {pattern} | {how} | {len(rows)} | {' | '.join(cells)} |", flush=True)


def measured(folder: Path, method: str, candidates: int, num: int) -> dict[str, float]:
    """Scores of one run, and what refined it."""
    file, key = folder / "reweighted.json", f"{method}|{candidates}|{num}"
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    if key not in known:
        known[key] = measure(folder, method, candidates, num)
        file.write_text(json.dumps(known, indent=1))
    if not (results := folder / "refined" / "results.json").exists():
        return known[key]
    refined = json.loads(results.read_text())
    about = {"gain, nats": refined["scores"]["log_likelihood_gain"]["value"], "steps": refined["steps"]}
    return {**known[key], **about, "seconds of refine": refined["seconds"]}


def measure(folder: Path, method: str, candidates: int, num: int) -> dict[str, float]:
    run = open_run(folder)
    run.recall()
    run.task.to(find_device("cpu"))
    generator = run.model()
    model: Any = generator
    if method != "drawn":
        model, _ = reweighted(run, generator, method, candidates)  # type: ignore[arg-type]
    found = {score.name: score.value for score in run.task.scores(model, None, num=num, depth="run")}
    if method != "drawn":
        found["effective candidates"] = model.diagnosis().effective
    return {name: value for name, value in found.items() if value == value}


if __name__ == "__main__":
    main()

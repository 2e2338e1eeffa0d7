"""The stress tests of Softmax GAN: one table and one picture, settings by losses, over seeds.

One command a cell, on the same networks::

    python benchmarks/stress_tests.py --data ../shared/data/fashion_mnist --out runs/stress --jobs 2

Every run takes as many updates, of discriminator and generator together. Runs that are finished already are not run
again, so an interrupted grid goes on where it stopped. A run has collapsed when fewer than 5 classes have more than 2 %
of its samples.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from matplotlib.figure import Figure

from discrete_gan.cli.sample import load_generator
from discrete_gan.report import generate_pixels, image_grid
from discrete_gan.training.directory import RunDirectory

SETTINGS = {  # options, and updates of both networks in a round
    "DCGAN": ([], 2),
    "no batch norm, constant filters": (["--no-batch-norm", "--constant-filters"], 2),
    "ReLU, pixels in [0, 1]": (["--relu", "--pixel-range", "0", "1"], 2),
    "5 discriminator steps": (["--discriminator-steps", "5"], 6),
    "5 generator steps": (["--generator-steps", "5"], 6),
}
_COLLAPSED_BELOW, _COVERED_ABOVE = 5, 0.02


def train(folder: Path, setting: str, options: list[str], args: argparse.Namespace) -> None:
    """One cell, on one thread, unless it is there."""
    if (folder / "results.json").exists():
        return
    command = [sys.executable, "-m", "discrete_gan", "train", "softmax_gan", "--data", args.data, "--overwrite"]
    changes, updates = SETTINGS[setting]
    command += ["--steps", str(args.updates // updates), "--width", str(args.width), "--out", str(folder)]
    command += [*changes, *options]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".log").open("w") as log:
        subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=log, stderr=log, check=False)


def spread(values: list[float]) -> str:
    """Mean and sample standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{statistics.mean(values):.1f} ± {deviation:.1f}"


def print_table(cells: dict[tuple[str, str, int], Path], args: argparse.Namespace) -> None:
    seeds, losses = args.seeds, args.losses
    print("| setting | loss | Frechet distance | times the floor | classes above 2 % | collapsed | seconds | failed |")
    print("|---|---|---|---|---|---|---|---|")
    for setting in args.settings:
        for loss in losses:
            files = [cells[setting, loss, seed] / "results.json" for seed in range(seeds)]
            runs = [json.loads(file.read_text()) for file in files if file.exists()]
            if not runs:
                print(f"| {setting} | {loss} | | | | | | {seeds} |")
                continue
            covered = [sum(part > _COVERED_ABOVE for part in run["class_fractions"]) for run in runs]
            row = [
                setting,
                loss,
                spread([run["frechet"] for run in runs]),
                spread([run["frechet"] / run["frechet_floor"] for run in runs]),
                " ".join(map(str, covered)),
                f"{sum(count < _COLLAPSED_BELOW for count in covered)} of {len(runs)}",
                f"{statistics.mean(run['seconds'] for run in runs):.0f}",
                str(seeds - len(runs)),
            ]
            print(f"| {' | '.join(row)} |")


def save_picture(path: Path, cells: dict[tuple[str, str, int], Path], args: argparse.Namespace) -> None:
    """Samples of the first seed, settings down, losses across."""
    settings, losses = args.settings, args.losses
    figure = Figure(figsize=(3.1 * len(losses), 3.3 * len(settings)), dpi=90, layout="constrained")
    grid = figure.subplots(len(settings), len(losses), squeeze=False)
    for row, setting in zip(grid, settings, strict=True):
        for axes, loss in zip(row, losses, strict=True):
            axes.set_axis_off()
            axes.set_title(f"{loss}: {setting}", fontsize=8)
            directory = RunDirectory(cells[setting, loss, 0])
            if not (directory.path / "results.json").exists():
                continue
            generator = load_generator(directory)
            samples = generate_pixels(generator, 64)
            axes.imshow(image_grid(samples, tuple(directory.read_config()["data"]["image_shape"])))
    figure.savefig(path)


def main() -> None:
    """Run what is missing, print a Markdown table, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="../shared/data/fashion_mnist")
    parser.add_argument("--out", type=Path, default=Path("runs/stress"))
    parser.add_argument("--losses", nargs="+", default=["gan", "softmax"])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--updates", type=int, default=4800)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    names = {setting: setting.replace(",", "").replace(" ", "-").lower() for setting in SETTINGS}
    cells = {
        (setting, loss, seed): args.out / f"{names[setting]}-{loss}-{seed}"
        for seed in range(args.seeds)
        for setting in args.settings
        for loss in args.losses
    }
    with ThreadPoolExecutor(args.jobs) as pool:
        for (setting, loss, seed), folder in cells.items():
            pool.submit(train, folder, setting, ["--loss", loss, "--seed", str(seed)], args)
    print_table(cells, args)
    save_picture(args.out / "samples.png", cells, args)


if __name__ == "__main__":
    main()

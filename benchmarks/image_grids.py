"""Recipes on images side by side: one table and one picture a grid, over seeds.

Grids::

    stress         Softmax GAN's three stress tests, with GAN and with Softmax GAN
    small-batches  five real and five generated images per update, with both
    continuous     the squared log-ratio, and by ``softmax_gan`` the non-saturating loss and Softmax GAN, on grey MNIST
    quantized      the reweighted GAN on 16 grey levels
    classes        losses with class labels, dynamic and predefined labeling, on MNIST
    classes-fashion  the same on Fashion-MNIST

One command per cell, as ``python benchmarks/image_grids.py stress --jobs 2``. Runs that are finished already are not
run again, so an interrupted grid goes on where it stopped, and a run that fails is counted and the others go on. A run
has collapsed when fewer than 5 classes have more than 2 % of its samples, to 0.1 %.
"""

import argparse
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from finished import finished, spread, train
from matplotlib.figure import Figure

from discrete_gan.cli.runs import load_model
from discrete_gan.sampling import generate, num_classes_of
from discrete_gan.tasks.grid import image_grid
from discrete_gan.training.directory import RunDirectory

DATA = Path("../shared/data")
_COLLAPSED_BELOW, _COVERED_ABOVE = 5, 0.02


class Grid(NamedTuple):
    """A recipe, the options of rows and columns under the names they get, and columns that another recipe trains."""

    recipe: str
    rows: dict[str, list[str]]
    columns: dict[str, list[str]]
    recipes: dict[str, str] = {}


_SMALL = ["--data", str(DATA / "fashion_mnist"), "--width", "16"]
_GAN_AND_SOFTMAX = {"gan": ["--loss", "gan"], "softmax": ["--loss", "softmax"]}
_AS_CONTINUOUS = ["--width", "16", "--steps", "3000", "--decay-from", "0.4", "--average", "0.995"]
_LOSSES = ("gan", "gan-star", "ac-gan", "ac-gan-star", "ac-gan-star-plus", "label-gan", "am-gan")


def _classes(data: str) -> Grid:
    """Table 1 of the AM-GAN paper in miniature."""
    rows = {loss: ["--data", str(DATA / data), "--loss", loss] for loss in _LOSSES}
    return Grid("am_gan", rows, {labeling: ["--labeling", labeling] for labeling in ("dynamic", "predefined")})


GRIDS = {
    "classes": _classes("mnist"),
    "classes-fashion": _classes("fashion_mnist"),
    "stress": Grid(
        "softmax_gan",
        {  # 4,800 updates of both networks together
            "no batch norm, constant filters": [*_SMALL, "--steps", "2400", "--no-batch-norm", "--constant-filters"],
            "ReLU, pixels in [0, 1]": [*_SMALL, "--steps", "2400", "--relu", "--pixel-range", "0", "1"],
            "5 discriminator steps": [*_SMALL, "--steps", "800", "--discriminator-steps", "5"],
            "5 generator steps": [*_SMALL, "--steps", "800", "--generator-steps", "5"],
        },
        _GAN_AND_SOFTMAX,
    ),
    "small-batches": Grid(
        "softmax_gan", {"batches of 5": [*_SMALL, "--batch-size", "5", "--steps", "5000"]}, _GAN_AND_SOFTMAX
    ),
    "continuous": Grid(
        "continuous",
        {"MNIST": ["--data", str(DATA / "mnist")]},
        {
            "log-ratio": [],
            "non-saturating": ["--loss", "gan", *_AS_CONTINUOUS],
            "softmax": ["--loss", "softmax", *_AS_CONTINUOUS],
        },
        {"non-saturating": "softmax_gan", "softmax": "softmax_gan"},
    ),
    "quantized": Grid(
        "quantized_images",
        {"Fashion-MNIST, 16 grey levels": ["--data", str(DATA / "fashion_mnist")]},
        {"boundary-seeking": []},
    ),
}


def print_table(grid: Grid, cells: dict[tuple[str, str, int], Path], seeds: int) -> None:
    """One line per cell, in Markdown."""
    scores = {"inception_score": "Inception Score", "am_score": "AM Score", "ms_ssim": "MS-SSIM"}
    names = ["Frechet distance", "times the floor", *scores.values(), "classes above 2 %", "collapsed", "seconds"]
    print("| setting | variant | " + " | ".join([*names, "failed"]) + " |")
    print("|---" * (len(names) + 3) + "|")
    for row in grid.rows:
        for column in grid.columns:
            runs = [run for seed in range(seeds) if (run := finished(cells[row, column, seed])) is not None]
            if not runs:
                print(f"| {row} | {column} |{' |' * len(names)} {seeds} |")
                continue
            covered = [sum(part > _COVERED_ABOVE for part in run.class_fractions()) for run in runs]
            line = [
                row,
                column,
                spread([run.scores["frechet"]["value"] for run in runs]),
                spread([run.times_real("frechet") for run in runs], digits=0),
                *(spread([v for run in runs if (v := run.value(name)) is not None], digits=2) for name in scores),
                " ".join(map(str, covered)),
                f"{sum(count < _COLLAPSED_BELOW for count in covered)} of {len(runs)}",
                f"{statistics.mean(run.seconds for run in runs):.0f}",
                str(seeds - len(runs)),
            ]
            print(f"| {' | '.join(line)} |")


def save_picture(path: Path, grid: Grid, cells: dict[tuple[str, str, int], Path]) -> None:
    """Samples of the first seed as they come: the table's rows across, its columns down."""
    figure = Figure(figsize=(3.1 * len(grid.rows), 3.3 * len(grid.columns)), dpi=90, layout="constrained")
    for line, column in zip(
        figure.subplots(len(grid.columns), len(grid.rows), squeeze=False), grid.columns, strict=True
    ):
        for axes, row in zip(line, grid.rows, strict=True):
            axes.set_axis_off()
            axes.set_title(f"{column}: {row}", fontsize=8)
            directory = RunDirectory(cells[row, column, 0])
            if (directory.path / "results.json").exists():
                generator = load_model(directory)
                columns = num_classes_of(generator) or 8  # one class per column, where the generator is given classes
                samples = generate(generator, 8 * columns, convert=generator.decode)
                image_shape: Any = tuple(directory.read_config()["data"]["image_shape"])
                axes.imshow(image_grid(samples, image_shape, columns=columns))
    figure.savefig(path)


def main() -> None:
    """Run what is missing, print a Markdown table, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", choices=list(GRIDS))
    parser.add_argument("--out", type=Path, help="folder of the runs; runs/GRID if not given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    args = parser.parse_args()
    out, grid = args.out or Path("runs") / args.grid, GRIDS[args.grid]
    name = str.maketrans({" ": "-", ",": None})
    cells = {
        (row, column, seed): out / f"{row.translate(name).lower()}-{column}-{seed}"
        for seed in range(args.seeds)
        for row in grid.rows
        for column in grid.columns
    }
    with ThreadPoolExecutor(args.jobs) as pool:
        for (row, column, seed), folder in cells.items():
            recipe = grid.recipes.get(column, grid.recipe)
            pool.submit(train, recipe, folder, [*grid.rows[row], *grid.columns[column], "--seed", str(seed)])
    print_table(grid, cells, args.seeds)
    save_picture(out / "samples.png", grid, cells)


if __name__ == "__main__":
    main()

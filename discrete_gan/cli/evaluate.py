"""``discrete-gan evaluate``: quality and diversity of trained text generators over temperatures."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from torch import nn
from tqdm import tqdm

from discrete_gan.cli.recipes import find_recipe, load_recipe
from discrete_gan.cli.sample import load_generator
from discrete_gan.cli.train import saved_args
from discrete_gan.errors import InputError
from discrete_gan.report.curves import save_temperature_curves
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.launch import find_device


@dataclass(frozen=True)
class EvaluateArgs:
    """Scores of runs on the same text at several temperatures: a table, evaluation.json and a picture."""

    runs: Annotated[list[Path], tyro.conf.Positional]
    """Run directories of the recipe text or oracle_text. Of a run that began with maximum likelihood, the generator
    that this left is scored beside the final one."""
    temperatures: list[float] = tyro.MISSING
    """What divides the logits."""
    num: int = 2000
    """Samples at each temperature."""
    seed: int = 0
    """Of latents and samples."""
    out: Path | None = None
    """Folder for evaluation.json and temperatures.png; the first run directory if not given."""
    device: str = "cpu"
    """Where to compute: cpu, cuda, mps, or auto for the best there is."""


def evaluate(arguments: list[str]) -> None:
    """Score, print, write.

    Raises:
        InputError: If a run is none of text, its data are gone or not those of the others, or an option is unusable.
    """
    args = tyro.cli(EvaluateArgs, args=arguments, prog="discrete-gan evaluate")
    if args.num < 2:
        raise InputError(f"--num: expected at least 2, got {args.num}")
    for temperature in args.temperatures:
        if not 0 < temperature < math.inf:
            raise InputError(f"--temperatures: expected numbers above 0, got {temperature}")
    device = find_device(args.device)
    generators: dict[str, nn.Module] = {}
    for path in args.runs:
        generators |= _generators(path)
    report = _report(args.runs)
    report.to(device)
    temperatures = sorted(set(args.temperatures))
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in generators}
    bar = tqdm(total=len(generators) * len(temperatures), desc="evaluate", unit="point", dynamic_ncols=True)
    for name, generator in generators.items():
        generator.to(device)
        for temperature in temperatures:
            scores = report.point(generator, temperature, num_samples=args.num, seed=args.seed)
            curves[name].append({"temperature": temperature, **scores})
            bar.update()
    bar.close()
    real = report.real(args.num)
    _print_table(curves, real, report.shown)
    print(f"protocol {report.protocol(args.num)}")
    folder = args.out or args.runs[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = {"curves": curves, "real": real, "protocol": report.protocol(args.num), "num_samples": args.num}
        RunDirectory(folder).write_json("evaluation.json", written)
        title = f"numbers at the points are temperatures\n{report.protocol(args.num)}"
        save_temperature_curves(folder / "temperatures.png", curves, report.axes, real=real, title=title)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written: {error.strerror}") from None
    print(f"picture  {folder / 'temperatures.png'}")


def _generators(path: Path) -> dict[str, nn.Module]:
    """The run's generator, and the one that maximum likelihood left, by name."""
    directory = RunDirectory(path)
    estimator = directory.read_config()["args"].get("estimator", "generator")
    found = {f"{path}: {estimator}": load_generator(directory)}
    if (path / "pretrained").is_dir():
        found[f"{path}: mle start"] = load_generator(directory, "pretrained")
    return found


def _report(runs: list[Path]) -> Any:
    """What scores them all, from the recipe and the settings of the first.

    Raises:
        InputError: If the recipe is none of text, or the data are not those of every run.
    """
    report, first = None, None
    for path in runs:
        config = RunDirectory(path).read_config()
        if "tokenizer" not in config["data"]:
            raise InputError(f"{path}: expected a run of text, got one of {config['recipe']}")
        if report is None:
            recipe = load_recipe(find_recipe(config["recipe_file"]))
            report, first = recipe.load_report(saved_args(recipe.Args, config)), path
        fingerprint = report.summary()["fingerprint"]
        if config["data"]["fingerprint"] != fingerprint:
            raise InputError(
                f"{path}: expected data of fingerprint {config['data']['fingerprint']}, that of {first} now have "
                f"{fingerprint}"
            )
    return report


def _print_table(curves: dict[str, list[dict[str, float]]], real: dict[str, float], shown: tuple[str, ...]) -> None:
    widths = [max(len("real text"), *map(len, curves)), 4, *(max(len(name), 7) for name in shown)]
    rows = [["generator", "temp", *shown]]
    for generator, points in curves.items():
        rows += [
            [generator, f"{point['temperature']:g}", *(f"{point[name]:.3f}" for name in shown)] for point in points
        ]
    rows.append(["real text", "", *(f"{real[name]:.3f}" if name in real else "" for name in shown)])
    for row in rows:
        cells = [f"{cell:<{widths[0]}}" if i == 0 else f"{cell:>{widths[i]}}" for i, cell in enumerate(row)]
        print("  ".join(cells).rstrip())

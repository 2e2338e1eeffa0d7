"""``discrete-gan evaluate --temperatures``: quality and diversity of trained text generators, over temperatures."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from discrete_gan.cli.models import load_model
from discrete_gan.cli.recipes import find_recipe, load_recipe
from discrete_gan.cli.train import saved_args
from discrete_gan.errors import InputError
from discrete_gan.report.curves import save_temperature_curves
from discrete_gan.training.directory import RunDirectory


def score_temperatures(
    runs: list[Path], temperatures: list[float], *, num: int, seed: int, out: Path | None, device: torch.device
) -> None:
    """Print scores of every generator at every temperature; write temperatures.json and a picture.

    Args:
        runs: Run directories of the recipe text or oracle_text, on the same text.
        temperatures: What divides the logits.
        num: Samples at each temperature.
        seed: Of latents and samples.
        out: Folder to write to; the first run directory if not given.
        device: Where to compute.

    Raises:
        InputError: If a run is none of text, its data are gone or not those of the others, or a temperature is no
            number above 0.
    """
    for temperature in temperatures:
        if not 0 < temperature < math.inf:
            raise InputError(f"--temperatures: expected numbers above 0, got {temperature}")
    generators: dict[str, nn.Module] = {}
    for path in runs:
        generators |= _generators(path)
    report = _report(runs)
    report.to(device)
    temperatures = sorted(set(temperatures))
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in generators}
    bar = tqdm(total=len(generators) * len(temperatures), desc="evaluate", unit="point", dynamic_ncols=True)
    for name, generator in generators.items():
        generator.to(device)
        for temperature in temperatures:
            scores = report.point(generator, temperature, num_samples=num, seed=seed)
            curves[name].append({"temperature": temperature, **scores})
            bar.update()
    bar.close()
    real = report.real(num)
    _print_table(curves, real, report.shown)
    print(f"protocol {report.protocol(num)}")
    folder = out or runs[0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = {"curves": curves, "real": real, "protocol": report.protocol(num), "num_samples": num}
        RunDirectory(folder).write_json("temperatures.json", written)
        title = f"numbers at the points are temperatures\n{report.protocol(num)}"
        save_temperature_curves(folder / "temperatures.png", curves, report.axes, real=real, title=title)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written: {error.strerror}") from None
    print(f"picture  {folder / 'temperatures.png'}")


def _generators(path: Path) -> dict[str, nn.Module]:
    """The run's generator, and the one that maximum likelihood left, by name."""
    directory = RunDirectory(path)
    estimator = directory.read_config()["args"].get("estimator", "generator")
    found = {f"{path}: {estimator}": load_model(directory)}
    if (path / "pretrained").is_dir():
        found[f"{path}: mle start"] = load_model(directory, "pretrained")
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

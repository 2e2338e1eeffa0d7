"""``discrete-gan evaluate --temperatures``: quality and diversity of trained text generators, over temperatures."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from discrete_gan.cli.reweighting import Choice, reweighted, wants_reweighted
from discrete_gan.cli.runs import SavedRun, open_run
from discrete_gan.errors import InputError
from discrete_gan.report.names import titled
from discrete_gan.tasks.score import Score, as_json
from discrete_gan.training.directory import RunDirectory
from discrete_gan.writing import try_writing


def score_temperatures(
    runs: list[Path],
    temperatures: list[float],
    *,
    num: int,
    seed: int,
    out: Path | None,
    device: torch.device,
    trust: Sequence[Path] = (),
    data: str | None = None,
    reweight: Choice | None = None,
    candidates: Sequence[int] = (),
) -> None:
    """Print scores of every generator at every temperature; write temperatures.json and a picture.

    Args:
        runs: Run directories of recipes on sequences, on the same text.
        temperatures: What divides the logits.
        num: Samples at each temperature.
        seed: Of latents and samples.
        out: Folder to write to; the first run directory if not given.
        device: Where to compute.
        trust: Files of the user's own that the runs name and that may be run.
        data: Where the text is now, if it has moved since.
        reweight: Method by which samples are chosen, for curves of their own: the log-ratios stay those of
            temperature 1, whatever the candidates are drawn with. None for runs that were refined alone.
        candidates: Of each of these samples: for every number a curve.

    Raises:
        InputError: If a run is none of text, its data are gone or not those of the others, or a temperature is no
            number above 0.
    """
    if not temperatures:
        raise InputError("--temperatures: expected at least one number")
    for temperature in temperatures:
        if not 0 < temperature < math.inf:
            raise InputError(f"--temperatures: expected numbers above 0, got {temperature}")
    opened = [open_run(path, trust, data=data) for path in runs]
    folder = out or runs[0]
    try_writing(folder / "temperatures.json", folder / "temperatures.png")
    generators: dict[str, Any] = {}
    for run in opened:
        generators |= _generators(run, reweight, candidates)
    task = _shared_task(opened)
    task.to(device)
    temperatures = sorted(set(temperatures))
    curves: dict[str, list[tuple[float, list[Score]]]] = {name: [] for name in generators}
    bar = tqdm(total=len(generators) * len(temperatures), desc="evaluate", unit="point", dynamic_ncols=True)
    for name, generator in generators.items():
        generator.to(device)
        for temperature in temperatures:
            scores = task.scores(generator, None, num=num, depth="run", seed=seed, temperature=temperature)
            curves[name].append((temperature, scores))
            bar.update()
    bar.close()
    _print_tables(curves)
    from discrete_gan.report.curves import save_temperature_curves  # and matplotlib: when they are needed

    try:
        written = {
            name: [{"temperature": temperature, "scores": as_json(scores)} for temperature, scores in points]
            for name, points in curves.items()
        }
        RunDirectory(folder).write_json("temperatures.json", {"curves": written, "num_samples": num})
        save_temperature_curves(folder / "temperatures.png", curves, task.axes)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written: {error.strerror}") from None
    print(f"picture  {folder / 'temperatures.png'}")


def _generators(run: SavedRun, reweight: Choice | None, candidates: Sequence[int]) -> dict[str, Any]:
    """The run's generator, it with its discriminator, and the one that maximum likelihood left, by name."""
    path = run.directory.path
    generator, name = run.model(), f"{path}: {run.config['args'].get('estimator', 'generator')}"
    found: dict[str, Any] = {name: generator}
    if wants_reweighted(run, reweight):
        for number in candidates:
            model, _ = reweighted(run, generator, reweight or "auto", number)
            run.one_sample(generator, model.discriminator)
            found[f"{name}, {model.method} of {number}"] = model
    if (path / "pretrained").is_dir():
        found[f"{path}: mle start"] = run.model("pretrained")
    return found


def _shared_task(runs: list[SavedRun]) -> Any:
    """What scores them all: the task of the first.

    Raises:
        InputError: If a task has no temperatures, or the data are not those of every run.
    """
    task: Any = runs[0].task
    for run in runs:
        path = run.directory.path
        if not hasattr(run.task, "axes"):
            raise InputError(f"{path}: expected a run of text, got one of {run.config['recipe']}")
        run._replace(task=task).check_data()
    return task


def _print_tables(curves: dict[str, list[tuple[float, list[Score]]]]) -> None:
    """For each generator, a line for each score and a column for each temperature."""
    for name, points in curves.items():
        rows = [["temperature", *(f"{temperature:g}" for temperature, _ in points), "real data"]]
        by_name = [{score.name: score for score in scores} for _, scores in points]  # not all points have the same
        every = {score.name: score for _, scores in points for score in scores}
        for score in every.values():
            values = [f"{scores[score.name].value:.4g}" if score.name in scores else "" for scores in by_name]
            rows.append([titled(score.name, every), *values, "" if score.real is None else f"{score.real:.4g}"])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        print(f"\n{name}")
        for row in rows:
            print(
                "  ".join([f"{row[0]:<{widths[0]}}", *(f"{c:>{w}}" for c, w in zip(row[1:], widths[1:], strict=True))])
            )
    protocols = (score.protocol for points in curves.values() for _, scores in points for score in scores)
    for protocol in dict.fromkeys(re.sub(r"\|?temperature:[^|]*", "", protocol) for protocol in protocols if protocol):
        print(f"protocol  {protocol}")

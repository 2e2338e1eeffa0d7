"""The page of one run: summary, samples, figures, curves, its discriminator, settings."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from discrete_gan.report.charts import Series, line_chart
from discrete_gan.report.evaluation import Evaluation
from discrete_gan.report.page import Block, Chart, Code, Picture, Section, Table, Text, write_page
from discrete_gan.training.directory import RunDirectory
from discrete_gan.weights import tail_index_threshold

_MAIN = (
    "log_likelihood",
    "likelihood_gap",
    "frechet",
    "coverage",
    "nll_oracle",
    "valid",
    "bleu4",
    "self_bleu4",
    "copies",
)
_LINES = 20  # of text samples
_SMALL = (7, 2.6)  # inches, of a curve
_CURVES = 24  # at most: a probe alone logs three for every layer


def write_run_page(
    directory: RunDirectory, evaluation: Evaluation | None = None, *, samples: Sequence[Block] = ()
) -> Path:
    """Write RUN/report.html from what the run directory holds, and from an evaluation if there is one.

    Args:
        directory: Of the run.
        evaluation: What ``discrete-gan evaluate`` found.
        samples: More of them to show, behind those that the run wrote at its end.

    Returns:
        The page's path.

    Raises:
        OSError: If it cannot be written.
    """
    config = directory.read_config()
    results = _read(directory.path / "results.json")
    rows = _rows(directory.path / "metrics.jsonl")
    args = config["args"]
    described = ", ".join(str(args[key]) for key in ("estimator", "loss") if args.get(key))
    title = f"{config['recipe']}: {described}" if described else config["recipe"]
    sections = [
        Section("Samples", [*_samples(directory.path), *samples]),
        Section("Figures", _figures(evaluation, results)),
        Section("Discriminator", [] if evaluation is None else _discriminator(evaluation)),
        Section("Curves", _curves(rows)),
        Section("How it was made", _origin(config, directory.path)),
    ]
    path = directory.path / "report.html"
    summary = _summary(config, results, evaluation)
    write_page(path, title=title, summary=summary, sections=[section for section in sections if section.blocks])
    return path


def _summary(config: dict[str, Any], results: dict[str, Any], evaluation: Evaluation | None) -> list[Block]:
    data, seconds = config["data"], results.get("seconds")
    took = f" in {_duration(seconds)}" if seconds else ""
    steps = f"{results['steps']:,} steps{took}" if "steps" in results else "a run that has not finished"
    subject = f"{config['recipe']} on {data.get('name', 'data')}, seed {config['args']['seed']}"
    blocks: list[Block] = [Text(f"{subject}: {steps}.")]
    if evaluation is None:
        return [*blocks, *_scores(results, "Scores at the end of the training")]
    rows = [[name, *evaluation.figures[name][:3]] for name in _MAIN if name in evaluation.figures]
    verdicts = [Text(f"{verdict[:1].upper()}{verdict[1:]}.") for verdict in evaluation.verdicts]
    return [*blocks, Table("The main figures", ["figure", "value", "95 % from", "to"], rows), *verdicts]


def _scores(results: dict[str, Any], caption: str) -> list[Block]:
    names = [name for name, value in results.items() if isinstance(value, int | float) and name != "steps"]
    return [Table(caption, ["score", "value"], [[name, results[name]] for name in names])] if names else []


def _samples(path: Path) -> list[Block]:
    if (path / "samples.png").is_file():
        alt = "Samples of the generator, beside real data where the run has them"
        return [Picture(path / "samples.png", alt, "Samples as they come, none picked.")]
    if (path / "samples.txt").is_file():
        with (path / "samples.txt").open(encoding="utf-8") as file:
            return [Code("".join(line for line, _ in zip(file, range(_LINES), strict=False)).rstrip("\n"))]
    return []


def _figures(evaluation: Evaluation | None, results: dict[str, Any]) -> list[Block]:
    if evaluation is None:
        return []
    header = ["figure", "value", "95 % from", "to", "what it says; what would be perfect"]
    rows = [[name, *figure[:3], figure.meaning] for name, figure in evaluation.figures.items()]
    blocks: list[Block] = [Table("Every figure, with its bootstrap interval", header, rows)]
    protocols = [[", ".join(names), protocol] for protocol, names in evaluation.protocols().items()]
    blocks.append(Table("Protocols: only figures of the same one compare", ["figures", "protocol"], protocols))
    return [*blocks, *_scores(results, "Scores that the training itself reported")]


def _discriminator(evaluation: Evaluation) -> list[Block]:
    blocks: list[Block] = []
    if (bins := evaluation.reliability) is not None:
        series = Series(
            "observed", *(values.tolist() for values in (bins.predicted, bins.observed, bins.low, bins.high))
        )
        chart = line_chart(
            [series], x_label="sigmoid of the raw output", y_label="fraction of real ones", diagonal=True, markers=True
        )
        alt = "Reliability diagram: fraction of real samples against what the discriminator says"
        caption = "On held-out data and samples in equal parts; on the diagonal they are log-ratios. Bands: 95 %."
        blocks.append(Chart(chart, alt, caption))
    if evaluation.weights:
        counts = [row.num_samples for row in evaluation.weights]
        series = [
            Series("effective sample size / M", counts, [row.effective_part for row in evaluation.weights]),
            Series("largest weight", counts, [row.largest_weight for row in evaluation.weights]),
        ]
        chart = line_chart(series, x_label="M, samples per latent", y_label="", log_x=True, markers=True)
        blocks.append(
            Chart(chart, "Effective part of the samples and largest weight over M", "Means over 256 latents.")
        )
        header = ["M", "effective part", "largest weight", "log-partition, nats", "Pareto tail index", "reliable up to"]
        table = [
            [*row, None if row.pareto_tail_index is None else tail_index_threshold(row.num_samples)]
            for row in evaluation.weights
        ]
        blocks.append(Table("Importance weights of M samples per latent", header, table))
    return blocks


def _curves(rows: Sequence[dict[str, float]]) -> list[Block]:
    names = dict.fromkeys(name for row in rows for name in row if name not in ("step", "seconds"))
    chosen = [name for name in names if not name.startswith("probe/") or name.startswith("probe/all/")]
    blocks: list[Block] = []
    for name in chosen:
        if len(blocks) == _CURVES:
            break
        points = [(row["step"], row[name]) for row in rows if isinstance(row.get(name), int | float)]
        if len(points) < 2:
            continue
        steps, values = zip(*points, strict=True)
        last = next((value for value in reversed(values) if math.isfinite(value)), math.nan)
        chart = line_chart([Series(name, steps, values)], x_label="steps", y_label=name, size=_SMALL)
        blocks.append(Chart(chart, f"{name} over the steps of the training, {last:.4g} at the end"))
    return blocks


def _origin(config: dict[str, Any], path: Path) -> list[Block]:
    settings = [[name.replace("_", "-"), _shown(value)] for name, value in config["args"].items()]
    data = [[name, _shown(value)] for name, value in config["data"].items()]
    versions = [[name, _shown(value)] for name, value in config["versions"].items()]
    return [
        Text("The command that makes it again, and the one that goes on with it:"),
        Code(f"{config['command']}\ndiscrete-gan train {config['recipe']} --resume {path}"),
        Table("Settings", ["option", "value"], settings),
        Table("Data", ["", ""], data),
        Table("Versions", ["package", "version"], [*versions, ["commit", _shown(config.get("commit"))]]),
    ]


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}


def _rows(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

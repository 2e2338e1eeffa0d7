"""The page of one run: summary, samples, scores, curves, its discriminator, settings."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from discrete_gan.report.advice import advice
from discrete_gan.report.charts import Series, line_chart
from discrete_gan.report.names import titled
from discrete_gan.report.page import Abreast, Block, Chart, Code, Picture, Section, Table, Text, write_page
from discrete_gan.report.samples import saved_samples
from discrete_gan.report.svg import plain
from discrete_gan.tasks.evaluation import Evaluation
from discrete_gan.tasks.score import Score
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.records import Results, read_figures, read_metrics, read_results
from discrete_gan.weights import tail_index_threshold

_MAIN = 6  # scores of the summary
_LINES = 20  # of text samples
_SMALL = (3.8, 2.4)  # inches, of a curve
_LISTED = 40  # of a setting
_CURVES = 24  # at most: a probe alone logs three for every layer
_COST = ("step", "seconds", "evaluations")  # what curves are drawn against


def write_run_page(directory: RunDirectory, evaluation: Evaluation | None = None) -> Path:
    """Write RUN/report.html from what the run directory holds, and from an evaluation if there is one.

    Args:
        directory: Of the run.
        evaluation: What ``discrete-gan evaluate`` found.

    Returns:
        The page's path.

    Raises:
        OSError: If it cannot be written.
    """
    config = directory.read_config()
    results = read_results(directory.path) or Results()
    scores = results.scores or []
    earlier = None if evaluation is not None else read_results(directory.path, "evaluation.json")
    measured = evaluation is not None or (earlier is not None and earlier.steps == results.steps)
    found = (
        evaluation.scores if evaluation is not None else (earlier.scores if earlier and measured else None) or scores
    )
    args = config["args"]
    described = ", ".join(str(args[key]) for key in ("estimator", "loss") if args.get(key))
    title = f"{config['recipe']}: {described}" if described else config["recipe"]
    sections = [
        Section("What to change", _advice(found, args)),
        Section("Samples", [*_samples(directory.path), *_pictures(found)]),
        Section("Scores", [*_scores(found, scores if measured else []), *_earlier(earlier, measured)]),
        Section("Discriminator", [] if evaluation is None else _discriminator(evaluation)),
        Section("Curves", _curves(directory, [*found, *scores])),
        Section("How it was made", _origin(config, directory.path)),
    ]
    path = directory.path / "report.html"
    summary = _summary(config, results, found)
    write_page(path, title=title, summary=summary, sections=[section for section in sections if section.blocks])
    return path


def _advice(scores: Sequence[Score], settings: dict[str, Any]) -> list[Block]:
    return [Text(told) for told in advice(scores, settings)]


def _summary(config: dict[str, Any], results: Results, scores: Sequence[Score]) -> list[Block]:
    data, seconds = config["data"], results.seconds
    took = f" in {_duration(seconds)}" if seconds else ""
    steps = f"{results.steps:,} steps{took}" if results.steps is not None else "a run that has not finished"
    subject = f"{config['recipe']} on {data.get('name', 'data')}, seed {config['args']['seed']}"
    # What is said of a picture stands below it.
    notes = [Text(f"{score.title}: {score.note}.") for score in scores if score.note and score.picture is None]
    main = [score_table("The main scores", scores[:_MAIN])] if scores else []
    return [Text(f"{subject}: {steps}."), *main, *notes]


def score_table(caption: str, scores: Sequence[Score]) -> Table:
    """Scores with all that is needed to read them, but for protocols and notes."""
    header = ["score", "value", "unit", "95 % from", "to", "better", "perfect", "real data"]
    rows = [
        [each.title, each.value, each.unit, each.low, each.high, each.better or "", each.perfect, each.real]
        for each in scores
    ]
    used = [True, True, *(any(row[column] not in (None, "") and row[column] == row[column] for row in rows)
                          for column in range(2, len(header)))]  # fmt: skip
    chosen = [column for column, is_used in enumerate(used) if is_used]
    return Table(caption, [header[column] for column in chosen], [[row[column] for column in chosen] for row in rows])


def _scores(scores: Sequence[Score], of_training: Sequence[Score]) -> list[Block]:
    if not scores:
        return []
    protocols: dict[str, list[str]] = {}
    for score in scores:
        if score.protocol:
            protocols.setdefault(score.protocol, []).append(score.title)
    rows = [[", ".join(dict.fromkeys(titles)), protocol] for protocol, titles in protocols.items()]
    blocks: list[Block] = [score_table("Every score", scores)]
    if rows:
        blocks.append(Table("Protocols: only scores of the same one compare", ["scores", "protocol"], rows))
    if of_training:
        blocks.append(score_table("Scores that the training itself reported", of_training))
    return blocks


def _earlier(evaluation: Results | None, is_of_these_weights: bool) -> list[Block]:
    """What is to be said of an evaluation that this page is not written by."""
    if evaluation is None:
        return []
    if is_of_these_weights:
        return [Text("Scores are those of the last evaluation; discrete-gan evaluate draws its pictures too.")]
    return [Text(f"The last evaluation is of step {evaluation.steps}: discrete-gan evaluate measures these weights.")]


def _pictures(scores: Sequence[Score]) -> list[Block]:
    return [
        Picture(
            score.picture,
            score.note or f"What this score rests on: {score.title}",
            f"{score.title} {score.value:.4g}{f': {score.note}' if score.note else ''}.",
        )
        for score in scores
        if score.picture is not None
    ]


def _samples(path: Path) -> list[Block]:
    alt = "Samples of the generator, beside real data where the run has them"
    drawn = saved_samples(path, alt=alt, caption="Samples as they come, none picked.", lines=_LINES)
    alt, caption = f"{alt}, reweighted", "Reweighted: chosen among candidates by the discriminator."
    return [*drawn, *saved_samples(path, alt=alt, caption=caption, lines=_LINES, name="reweighted")]


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


def _curves(directory: RunDirectory, scores: Sequence[Score]) -> list[Block]:
    """What was logged over the steps: scores first, in their order, then the figures of the training, then probes."""
    rows = read_metrics(directory.path) if (directory.path / "metrics.jsonl").exists() else []
    known = {score.name: score for score in [*read_figures(directory.path), *scores]}
    names = dict.fromkeys(name for row in rows for name in row if name not in _COST)
    chosen = [name for name in names if not name.startswith("probe/") or name.startswith("probe/all/")]
    order = {name: place for place, name in enumerate(known)}
    chosen.sort(key=lambda name: (order.get(name, len(order)), name.startswith("probe/")))
    charts: list[Chart] = []
    for name in chosen:
        points = [(row["step"], row[name]) for row in rows if isinstance(row.get(name), int | float)]
        if len(points) < 2 or len(charts) == _CURVES:
            continue
        score = known.get(name, Score(name, math.nan, titled(name, {})))
        steps, values = zip(*points, strict=True)
        last = next((value for value in reversed(values) if math.isfinite(value)), math.nan)
        aside = [score.unit, f"{score.better} is better" if score.better else ""]
        caption = ", ".join([score.title, *filter(None, aside)])
        chart = line_chart([Series(score.title, steps, values)], x_label="steps", y_label="", size=_SMALL)
        charts.append(Chart(chart, f"{score.title} over the steps of the training, {last:.4g} at the end", caption))
    return [Abreast(charts)] if charts else []


def _origin(config: dict[str, Any], path: Path) -> list[Block]:
    settings = [[name.replace("_", "-"), _shown(value)] for name, value in config["args"].items()]
    data = [[name, _shown(value)] for name, value in config["data"].items()]
    versions = [[name, _shown(value)] for name, value in config["versions"].items()]
    return [
        Text("The command that makes it again, and the one that goes on with it:"),
        Code(f"{config['command']}\ndiscrete-gan train {config['recipe']} --resume {path}"),
        Table("Settings", ["option", "value"], settings),
        Table("Data", ["of the data", "value"], data),
        Table("Versions", ["package", "version"], [*versions, ["commit", _shown(config.get("commit"))]]),
    ]


def _shown(value: Any) -> str:
    """A setting as text: none where it is left out, more than one by commas."""
    if isinstance(value, dict):
        value = [f"{name} {each}" for name, each in value.items()]
    if isinstance(value, list):
        more = [f"... ({len(value)} in all)"] if len(value) > _LISTED else []
        value = ", ".join([*map(str, value[:_LISTED]), *more]) or None
    return "none" if value is None else plain(str(value))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""The page of a comparison: summary first, then curves, tables, samples, gradient probes and settings."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from discrete_gan.report.charts import Series, line_chart
from discrete_gan.report.comparison import (
    Row,
    curve,
    described,
    few_seeds,
    interval_text,
    logged_figures,
    shown_scores,
    table,
    verdict,
)
from discrete_gan.report.names import PROBES, titled
from discrete_gan.report.page import Abreast, Block, Chart, Code, Section, Table, Text, write_page
from discrete_gan.report.samples import saved_samples
from discrete_gan.report.trials import Group
from discrete_gan.tasks.score import Score

_AXES = {"step": "steps", "evaluations": "discriminator evaluations", "seconds": "seconds of training"}
_LINES = 10  # of text samples
_SMALL = (3.8, 2.7)  # inches, of a curve: the three axes side by side


def write_comparison_page(
    path: Path, groups: Sequence[Group], *, title: str, command: str, settings: Mapping[str, str]
) -> None:
    """One self-contained HTML file.

    Args:
        path: To write.
        groups: What to compare; the differences are to the first.
        title: Of the page.
        command: That makes it again.
        settings: What all runs have in common, in words.
    """
    sections = [
        Section("Curves", _curves(groups)),
        Section("All scores", _scores(groups)),
        Section("Samples", _samples(groups)),
        Section("Gradient probe", _probes(groups)),
        Section("How it was made", _origin(groups, command, settings)),
    ]
    summary = [*map(Text, verdict(groups)), _overview(groups), *_failures(groups)]
    write_page(path, title=title, summary=summary, sections=[section for section in sections if section.blocks])


def _overview(groups: Sequence[Group]) -> Table:
    rows = table(groups)
    names = shown_scores(rows)
    body = [
        [
            row.name,
            f"{row.num_finished} of {len(group.trials)}",
            *(None if cost not in row.cost else round(row.cost[cost]) for cost in ("steps", "evaluations", "seconds")),
            *_cells(row, names),
        ]
        for group, row in zip(groups, rows, strict=True)
    ]
    header = ["", "seeds", "steps", "evaluations", "seconds", *(titled(name, described(rows)) for name in names)]
    caption = "Mean ± sample standard deviation over seeds; cost of the training, without the scores at the end."
    return Table(caption, header, body)


def _cells(row: Row, names: Sequence[str]) -> list[str | None]:
    """The scores; of a group without any finished run, why the first one failed."""
    if not row.num_finished:
        return [next(iter(row.failures.values()), None), *[None] * (len(names) - 1)][: len(names)]
    return [str(row.scores[name]) if name in row.scores else None for name in names]


def _failures(groups: Sequence[Group]) -> list[Block]:
    rows = [[row.name, seed, reason] for row in table(groups) for seed, reason in row.failures.items()]
    return [Table("Runs that failed; they count nowhere.", ["", "seed", "reason"], rows)] if rows else []


def _curves(groups: Sequence[Group]) -> list[Block]:
    """Every logged figure that all groups have, against steps, evaluations and seconds abreast."""
    blocks: list[Block] = []
    every = described(table(groups))
    for figure in logged_figures(groups):
        title, charts = titled(figure, every), []
        better = f", {every[figure].better} is better" if figure in every and every[figure].better else ""
        for axis, about in _AXES.items():
            series = _series(groups, figure, axis)
            if series:
                # What has a floor of zero falls to a hundredth, and the end is where estimators differ.
                log_y = figure in every and every[figure].better == "less" and every[figure].perfect == 0
                chart = line_chart(series, x_label=about, y_label="", log_y=log_y, size=_SMALL)
                charts.append(Chart(chart, f"{title} against {about}", f"{title}{better}. {_at_end(series)}"))
        if charts:
            blocks.append(Abreast(charts))
    note = Text(
        "Lines are means over seeds, bands one sample standard deviation to both sides. Scores on the way are of fewer "
        "samples than those at the end, so distances are mostly higher here than in the tables."
    )
    return [note, *blocks] if blocks else []


def _series(groups: Sequence[Group], figure: str, axis: str) -> list[Series]:
    found = ((group.name, curve(group, figure, axis)) for group in groups)
    return [Series(name, of.x, of.mean, of.low, of.high) for name, of in found if of is not None]


def _at_end(series: Sequence[Series]) -> str:
    """What a chart shows, for those who do not see it."""
    return "At the end: " + ", ".join(f"{each.name} {each.y[-1]:.4g}" for each in series) + "."


def _scores(groups: Sequence[Group]) -> list[Block]:
    """Every score of every group, and every difference to the first group."""
    rows = table(groups)
    every = described(rows)
    names = list(every)
    if not names:
        return []
    body = [
        [score.title, *(str(row.scores[name]) if name in row.scores else None for row in rows), *_aside(score)]
        for name, score in every.items()
    ]
    header = ["score", *(row.name for row in rows), "unit", "better"]
    blocks: list[Block] = [Table("Mean ± sample standard deviation over seeds.", header, body)]
    compared = [row for row in rows[1:] if row.differences]
    trials = [trial for group in groups for trial in group.finished]
    varying = {
        name for name in names if len({trial.scores[name].value for trial in trials if name in trial.scores}) > 1
    }  # not those of the data
    if compared:
        seeds = min(row.num_finished for row in [rows[0], *compared])
        differences = [
            [every[name].title, *(interval_text(row.differences.get(name)) for row in compared), *_aside(every[name])]
            for name in names
            if name in varying and any(name in row.differences for row in compared)
        ]
        caption = f"Minus {rows[0].name}: mean difference over seeds that both have, with its 95 % bootstrap interval"
        header = ["score", *(row.name for row in compared), "unit", "better"]
        blocks.append(Table(f"{caption}{few_seeds(seeds)}.", header, differences))
    return blocks


def _aside(score: Score) -> tuple[str, str]:
    """What a row ends with."""
    return score.unit, score.better or ""


def _samples(groups: Sequence[Group]) -> list[Block]:
    """Samples of each group's first seed, as they come."""
    blocks: list[Block] = []
    for group in groups:
        for trial in group.finished[:1]:
            caption = f"{group.name}, seed {trial.seed}: samples as they come, none picked"
            alt = f"Samples of {group.name} in a grid"
            blocks += saved_samples(trial.path, alt=alt, caption=caption, lines=_LINES)
    return blocks


def _probes(groups: Sequence[Group]) -> list[Block]:
    """How noisy the generator's gradient was, for the groups that measured it."""
    charts = []
    for name, words in PROBES.items():
        series = _series(groups, name, "step")
        if series:
            chart = line_chart(series, x_label="steps", y_label="", log_y=name.endswith("variance"), size=_SMALL)
            charts.append(Chart(chart, f"{words} against steps", f"{words}. {_at_end(series)}"))
    note = Text("Redrawn on one fixed batch with the networks as they were, all parameters of the generator together.")
    return [note, Abreast(charts)] if charts else []


def _origin(groups: Sequence[Group], command: str, settings: Mapping[str, str]) -> list[Block]:
    done = [trial for group in groups for trial in group.finished]
    rows: list[list[str | float | int | None]] = [list(item) for item in settings.items()]
    if done:
        config = done[0].config
        rows += [[f"version of {name}", version] for name, version in config["versions"].items()]
        rows += [["commit", config["commit"]], ["data", f"{config['data'].get('name')}"]]
        rows += [["fingerprint of the data", config["data"].get("fingerprint")]]
    folders = [[group.name, trial.seed, str(trial.path)] for group in groups for trial in group.trials]
    return [Code(command), Table("Settings", ["", "value"], rows), Table("Runs", ["", "seed", "folder"], folders)]

"""Runs side by side: mean and spread of every score over seeds, paired differences, curves with bands."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from discrete_gan.metrics.bootstrap import Interval, paired_difference
from discrete_gan.report.names import titled
from discrete_gan.report.trials import COST, Group
from discrete_gan.tasks.score import Score
from discrete_gan.tasks.score import as_json as scores_as_json

_MOST_SHOWN = 4
_MOST_POINTS = 200


class Spread(NamedTuple):
    """Mean and sample standard deviation over seeds; the deviation of one seed is NaN."""

    mean: float
    deviation: float
    num_seeds: int

    def __str__(self) -> str:
        """With two digits of the deviation."""
        if not 0 < self.deviation < math.inf:
            return f"{self.mean:.4g}" + ("" if math.isnan(self.deviation) else f" ± {self.deviation:.4g}")
        digits = min(6, max(0, 1 - math.floor(math.log10(self.deviation))))
        return f"{self.mean:.{digits}f} ± {self.deviation:.{digits}f}"


class Row(NamedTuple):
    """One group in the table.

    Attributes:
        name: Of the group.
        num_finished: Seeds.
        failures: Reason by seed.
        cost: Mean of steps, evaluations and seconds, as far as known.
        scores: By name, in order of interest.
        described: The same scores of one run: what they are called and which way they are better.
        differences: Group minus the first group, paired over the seeds that both have, by score; empty for the first.
    """

    name: str
    num_finished: int
    failures: dict[int, str]
    cost: dict[str, float]
    scores: dict[str, Spread]
    described: dict[str, Score]
    differences: dict[str, Interval]


class Curve(NamedTuple):
    """A figure over a run: mean over seeds and a standard deviation to both sides, None with one seed. Shapes (N,)."""

    x: list[float]
    mean: list[float]
    low: list[float] | None
    high: list[float] | None


def table(groups: Sequence[Group]) -> list[Row]:
    """A row a group: cost, scores, and differences to the first group."""
    rows = []
    for group in groups:
        failures = {trial.seed: trial.failure for trial in group.trials if trial.failure is not None}
        done = group.finished
        cost = {name: [trial.cost[name] for trial in done if name in trial.cost] for name in COST}
        described = _first_of(trial.scores for trial in done)
        scores = {
            name: _spread([trial.scores[name].value for trial in done if name in trial.scores]) for name in described
        }
        differences = {}
        for name in scores if group is not groups[0] else ():
            pairs = _pairs(group, groups[0], name)
            if pairs:
                own, other = torch.tensor(pairs, dtype=torch.float64).unbind(dim=1)
                differences[name] = paired_difference(own, other)
        means = {name: statistics.mean(values) for name, values in cost.items() if values}
        rows.append(Row(group.name, len(done), failures, means, scores, described, differences))
    return rows


def described(rows: Sequence[Row]) -> dict[str, Score]:
    """Every score that any group has, in order of interest."""
    return _first_of(row.described for row in rows)


def shown_scores(rows: Sequence[Row]) -> list[str]:
    """The few scores of a short table, of those that any group has: the first of which one way is better."""
    judged = [name for name, score in described(rows).items() if score.better]
    return judged[:_MOST_SHOWN]


def verdict(groups: Sequence[Group]) -> list[str]:
    """In words: which group is best by the most telling score, by how much, and at equal cost or not."""
    rows = [row for row in table(groups) if row.num_finished]
    by_name = {group.name: group for group in groups}
    sentences = []
    every = described(rows)
    score = next((name for name in shown_scores(rows) if all(name in row.scores for row in rows)), None)
    if score is not None and len(rows) > 1:
        better = every[score].better
        ranked = sorted(rows, key=lambda row: row.scores[score].mean, reverse=better == "more")
        best, other = ranked[:2]
        sentences.append(
            f"Best by {titled(score, every)}, of which {better} is better: {best.name} with "
            f"{best.scores[score]} ({_over(best.num_finished)}), then {other.name} "
            f"with {other.scores[score]}."
        )
        sentences.append(_doubt(by_name[best.name], by_name[other.name], score, best.scores, other.scores))
    failed, total = sum(len(group.trials) - len(group.finished) for group in groups), sum(len(g.trials) for g in groups)
    if failed:
        sentences.append(f"{failed} of {total} runs failed.")
    if apart := dict.fromkeys(title for group in groups for trial in group.trials for title in trial.apart):
        sentences.append(f"Not compared, as the runs were scored by different protocols: {', '.join(apart)}.")
    for name, tolerance in {"evaluations": 1.02, "seconds": 1.1}.items():
        costs = [row.cost[name] for row in rows if row.cost.get(name)]
        if len(costs) > 1 and len(costs) == len(rows):
            factor = max(costs) / min(costs)
            what = "discriminator evaluations" if name == "evaluations" else "wall seconds of training"
            equal = f"Equal {what}, to {100 * (factor - 1):.1f} %."
            sentences.append(equal if factor <= tolerance else f"The {what} differ by a factor of {factor:.2g}.")
    return sentences


def curve(group: Group, figure: str, against: str) -> Curve | None:
    """A logged figure over the finished runs of a group.

    Each seed is interpolated linearly onto the points of all seeds that lie where all of them have some; where seeds
    log at equal points, as they do against steps, nothing is interpolated.

    Args:
        group: Of any number of seeds.
        figure: Column of metrics.jsonl.
        against: Column of metrics.jsonl: ``step``, ``evaluations`` or ``seconds``.

    Returns:
        At most 200 points; None if no run has the figure, or the runs share no stretch.
    """
    lines = []
    for trial in group.finished:
        points = [(row.get(against), row.get(figure)) for row in trial.rows]
        points = [point for point in points if all(map(_is_finite, point))]
        if points:
            lines.append(np.array(points, dtype=float).T)
    if not lines:
        return None
    first, last = max(x[0] for x, _ in lines), min(x[-1] for x, _ in lines)
    x = np.unique(np.concatenate([x for x, _ in lines]))
    x = x[(x >= first) & (x <= last)]
    if len(x) == 0:
        return None
    x = x[np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).round().astype(int))]
    values = np.stack([np.interp(x, *line) for line in lines])
    mean = values.mean(axis=0)
    if len(lines) == 1:
        return Curve(x.tolist(), mean.tolist(), None, None)
    deviation = values.std(axis=0, ddof=1)
    return Curve(x.tolist(), mean.tolist(), (mean - deviation).tolist(), (mean + deviation).tolist())


def logged_figures(groups: Sequence[Group]) -> list[str]:
    """Columns of metrics.jsonl that every group with a finished run has, the most telling first; no probes."""
    columns = [
        {name: None for trial in group.finished for row in trial.rows for name in row if "/" not in name}
        for group in groups
        if group.finished
    ]
    shared = [name for name in (columns[0] if columns else ()) if all(name in of for of in columns)]
    shared = [name for name in shared if name not in ("step", "evaluations", "seconds")]
    every = described(table(groups))
    first = [name for name in every if name in shared]
    return first + [name for name in shared if name not in first]


def as_json(groups: Sequence[Group]) -> dict[str, Any]:
    """Everything of the table, ready for JSON: NaN and infinity are null."""
    rows = []
    for group, row in zip(groups, table(groups), strict=True):
        scores = {name: spread._asdict() for name, spread in row.scores.items()}
        differences = {name: interval._asdict() for name, interval in row.differences.items()}
        runs = [
            {
                "path": str(t.path),
                "seed": t.seed,
                "failure": t.failure,
                **t.cost,
                "scores": scores_as_json(t.scores.values()),
            }
            for t in group.trials
        ]
        parts = {"cost": row.cost, "scores": scores, "differences_to_first": differences, "runs": runs}
        rows.append({"name": row.name, "num_finished": row.num_finished, **parts})
    return _finite({"groups": rows, "verdict": verdict(groups)})


def _doubt(best: Group, other: Group, score: str, scores: dict[str, Spread], others: dict[str, Spread]) -> str:
    """Whether the difference of two groups is more than seeds make."""
    difference = abs(scores[score].mean - others[score].mean)
    deviations = [spread[score].deviation for spread in (scores, others)]
    if any(math.isnan(deviation) for deviation in deviations):
        return f"Their difference is {difference:.3g}; one seed tells no spread."
    spread = max(deviations)
    larger = "more than" if difference > spread else "not more than"
    text = f"Their difference, {difference:.3g}, is {larger} the spread over seeds, {spread:.2g}"
    pairs = _pairs(other, best, score)
    if len(pairs) < 2:
        return text + "."
    worse, better = torch.tensor(pairs, dtype=torch.float64).unbind(dim=1)
    interval = paired_difference(worse, better)
    return (
        f"{text}; {other.name} minus {best.name}, paired over {_seeds(len(pairs))}, is {interval.value:.3g} with a "
        f"95 % bootstrap interval from {interval.low:.3g} to {interval.high:.3g}{few_seeds(len(pairs))}."
    )


def interval_text(interval: Interval | None) -> str:
    """A difference with its interval; without, where one seed gives none, and empty where there is no difference."""
    if interval is None:
        return ""
    ends = "" if math.isnan(interval.low) else f" ({interval.low:+.3g} to {interval.high:+.3g})"
    return f"{interval.value:+.3g}{ends}"


def few_seeds(num: int) -> str:
    """A warning where an interval rests on little; empty where it does not."""
    return f", only a hint with {_seeds(num)}" if num < 10 else ""


def _over(num: int) -> str:
    return "1 seed" if num == 1 else f"mean ± standard deviation over {_seeds(num)}"


def _seeds(num: int) -> str:
    return f"{num} seed{'' if num == 1 else 's'}"


def _first_of(parts: Iterable[Mapping[str, Score]]) -> dict[str, Score]:
    """All scores in the order of the first part, then of the next ones, each as the first part that has it says."""
    found: dict[str, Score] = {}
    for scores in parts:
        for name, score in scores.items():
            found.setdefault(name, score)
    return found


def _pairs(group: Group, other: Group, score: str) -> list[tuple[float, float]]:
    """A score of both groups, by the seeds that both have."""
    by_seed = {trial.seed: trial.scores.get(score) for trial in other.finished}
    found = ((trial.scores.get(score), by_seed.get(trial.seed)) for trial in group.finished)
    return [(own.value, its.value) for own, its in found if own is not None and its is not None]


def _spread(values: Sequence[float]) -> Spread:
    deviation = statistics.stdev(values) if len(values) > 1 else math.nan
    return Spread(statistics.mean(values), deviation, len(values))


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

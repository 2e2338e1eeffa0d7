"""Runs to compare: what each was, logged and reached, and which of them only their seed tells apart."""

import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from discrete_gan.errors import InputError
from discrete_gan.tasks.score import Score
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.options import RunOptions
from discrete_gan.training.records import Results, read_metrics, read_results

COST = ("steps", "evaluations", "seconds")
# Settings that make no other method: where a run goes, what it reports. The data's fingerprint is compared instead.
_REPORTING = {option.name for option in fields(RunOptions)} - {"precision"} | {"data", "classifier_data"}

_HASH = re.compile(r"\b[0-9a-f]{12,}\b")  # of data, or of a network that was trained on them


@dataclass(frozen=True)
class Trial:
    """One run: what it was, what it logged, how it ended.

    Attributes:
        path: Run directory.
        seed: Of the run.
        config: What its config.json says; empty if it failed.
        rows: Lines of metrics.jsonl.
        cost: ``steps``, ``evaluations`` and ``seconds`` of the training, scores at the end left out; what is not known
            is left out too.
        scores: Those of results.json, and those of evaluation.json that every run has; of one protocol over all runs,
            but for the data of each seed.
        apart: Titles of scores that were measured by different protocols and so compare with nothing.
        failure: Why it failed; None if it did not.
    """

    path: Path
    seed: int
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, float]] = field(default_factory=list)
    cost: dict[str, float] = field(default_factory=dict)
    scores: dict[str, Score] = field(default_factory=dict)
    apart: tuple[str, ...] = ()
    failure: str | None = None


class Group(NamedTuple):
    """Trials that only their seed tells apart, in the order of their seeds."""

    name: str
    trials: list[Trial]

    @property
    def finished(self) -> list[Trial]:
        """Those that did not fail."""
        return [trial for trial in self.trials if trial.failure is None]


def read_trials(paths: Sequence[Path]) -> list[Trial]:
    """Finished runs.

    Raises:
        InputError: If one is no run directory or has not finished.
    """
    found, evaluated = [], []
    for path in paths:
        config = RunDirectory(path).read_config()
        results = read_results(path)
        if results is None:
            raise InputError(f"{path}: the run has not finished, expected a results.json (see train --resume {path})")
        if results.scores is None:
            made_by = config.get("versions", {}).get("discrete-gan")
            raise InputError(f"{path}: its results.json is of discrete-gan {made_by}, expected one of this version")
        rows = read_metrics(path)
        # The last line is written before the samples are scored.
        last = rows[-1] if rows else {}
        cost = {"steps": results.steps, "evaluations": last.get("evaluations"), "seconds": last.get("seconds")}
        found.append((path, config, rows, _numbers(cost), _scores(results)))
        evaluation = read_results(path, "evaluation.json") or Results()
        # One of fewer steps is of other weights than the results.
        evaluated.append(_scores(evaluation) if evaluation.steps == results.steps else {})
    # A score that some runs were not evaluated by compares with nothing, and one measured in another way neither.
    shared = set.intersection(*map(set, evaluated)) if evaluated else set()
    of_all = [
        scores | {name: score for name, score in more.items() if name in shared}
        for (*_, scores), more in zip(found, evaluated, strict=True)
    ]
    data = [config["data"].get("fingerprint") for _, config, *_ in found]
    apart = {
        name: score.title
        for scores in of_all
        for name, score in scores.items()
        if not _alike([(of, other[name].protocol) for of, other in zip(data, of_all, strict=True) if name in other])
    }
    return [
        Trial(
            path,
            config["args"]["seed"],
            config,
            rows,
            cost,
            {name: score for name, score in scores.items() if name not in apart},
            tuple(apart.values()),
        )
        for (path, config, rows, cost, _), scores in zip(found, of_all, strict=True)
    ]


def grouped(trials: Sequence[Trial]) -> list[Group]:
    """Trials by their settings but for seed and reporting, groups in the order of their first trial.

    A group is named by its estimator where that tells all groups apart, else by the settings that differ.

    Raises:
        InputError: If recipe or data differ, those of one seed by any datum, or two trials differ in nothing.
    """
    of_seed: dict[int, dict[str, Any]] = {}
    for trial in trials:
        data = trial.config["data"]
        kind = {"recipe": trial.config["recipe"], "data": data.get("name"), "fingerprint": data.get("fingerprint")}
        # What is held out, or drawn, may be another part of the same data with every seed.
        shared = {name: value for name, value in next(iter(of_seed.values()), kind).items() if name != "fingerprint"}
        for what, expected in (of_seed.setdefault(trial.seed, kind) | shared).items():
            if kind[what] != expected:
                raise InputError(f"{trial.path}: expected {what} {expected}, as {trials[0].path} has, got {kind[what]}")
    settings = [{k: v for k, v in trial.config["args"].items() if k not in _REPORTING} for trial in trials]
    names = [name for name in settings[0] if len({json.dumps(each.get(name)) for each in settings}) > 1]
    groups: dict[str, list[Trial]] = {}
    for trial, each in zip(trials, settings, strict=True):
        groups.setdefault(json.dumps([each.get(name) for name in names]), []).append(trial)
    # An estimator of the user's own is named by its file alone: its path says nothing in a table.
    estimators = [Path(str(of[0].config["args"].get("estimator"))).name for of in groups.values()]
    result = []
    for of, estimator in zip(groups.values(), estimators, strict=True):
        args = of[0].config["args"]
        described = ", ".join(f"{name.replace('_', ' ')} {args.get(name)}" for name in names)
        by_estimator = "estimator" in names and len(set(estimators)) == len(groups)
        of = sorted(of, key=lambda trial: trial.seed)
        for one, other in itertools.pairwise(of):
            if one.seed == other.seed:
                raise InputError(f"{one.path} and {other.path}: expected runs that differ, both have seed {one.seed}")
        result.append(Group(str(estimator) if by_estimator else described or trials[0].config["recipe"], of))
    return result


def _alike(protocols: Sequence[tuple[str | None, str]]) -> bool:
    """Whether values compare that were measured so, each with the fingerprint of its run's data.

    Where the seed splits the data, or draws them, every seed has data of its own, which a protocol names by hashes.
    """
    by_data: dict[str | None, set[str]] = {}
    for data, protocol in protocols:
        by_data.setdefault(data, set()).add(protocol)
    besides_data = {_HASH.sub("*", protocol) for _, protocol in protocols}
    return len(besides_data) <= 1 and all(len(of_one) == 1 for of_one in by_data.values())


def _scores(results: Results) -> dict[str, Score]:
    """The finite scores of a file, by name."""
    return {score.name: score for score in results.scores or () if math.isfinite(score.value)}


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    """The finite numbers among values."""
    numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
    return {name: value for name, value in numbers.items() if not isinstance(value, bool) and math.isfinite(value)}

"""A grid of estimators and seeds at equal cost: how many steps each may take, found by short pilot runs."""

import dataclasses
import hashlib
import itertools
import json
import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from discrete_gan.cli.cells import Cell, run_cells
from discrete_gan.cli.cluster import Cluster
from discrete_gan.errors import InputError
from discrete_gan.estimators import MaximumLikelihood, parse_estimator
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.lock import NAME
from discrete_gan.training.records import read_metrics, read_plan

_PILOT_STEPS, _PILOT_ROWS = 40, 4
_PILOT_SCORED = 20
_PHASES = ("pretrain_steps", "warmup_steps")  # before the discriminator's samples train the generator
_POINTS = {"log_every": 40, "sample_every": 8}  # of a curve, at least
_PROBES = 4
_NO_EVALUATIONS = "makes no discriminator evaluations, expected --budget seconds"
_UNITS = {"evaluations": "evaluations_per_step", "seconds": "seconds_per_step"}


class Option(NamedTuple):
    """An option of the recipe as the user wrote it."""

    name: str
    words: list[str]


@dataclass(frozen=True)
class Grid:
    """What is to be compared.

    Attributes:
        recipe: Name, or path of a recipe file.
        args: The recipe's arguments, parsed: ``steps`` and ``estimator`` among them.
        options: The same as the user wrote them.
        estimators: As written on the command line.
        seeds: Number of seeds, from 0.
        budget: ``evaluations`` or ``seconds``, with ``=AMOUNT`` if the first estimator's need in ``steps`` is not it.
        out: Folder of plan, pilots and runs.
        jobs: Runs at a time.
        cluster: Where they run; here if not given.
    """

    recipe: str
    args: Any
    options: Sequence[Option]
    estimators: Sequence[str]
    seeds: int
    budget: str
    out: Path
    jobs: int
    cluster: Cluster | None = None

    @property
    def phase_steps(self) -> int:
        """Steps before the phase that estimators differ in: they come on top of the budget."""
        return sum(getattr(self.args, name, 0) for name in _PHASES)

    def folder(self, estimator: str, seed: int) -> Path:
        """Run directory of a cell."""
        return self.out / "runs" / _folder_name(estimator) / f"seed-{seed}"

    def log(self, estimator: str, run: str) -> Path:
        """What a run of it writes onto the terminal."""
        return self.out / "logs" / f"{_folder_name(estimator)}-{run}.log"


class Plan(NamedTuple):
    """Steps of every estimator that can be run, and why not of the others."""

    amount: float
    costs: dict[str, dict[str, float]]
    steps: dict[str, int]
    failures: dict[str, str]


def parse_budget(text: str) -> tuple[str, float | None]:
    """Kind and amount, None if none is given.

    Raises:
        InputError: If the kind is unknown or the amount not a number above 0.
    """
    kind, equals, amount = text.partition("=")
    if kind not in _UNITS:
        raise InputError(f"--budget {text}: expected evaluations or seconds, with =AMOUNT if you like")
    if not equals:
        return kind, None
    try:
        value = float(amount)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"--budget {text}: expected a number above 0 after =, got {amount!r}")
    return kind, value


def steps_within(amount: float, cost: float, phase_steps: int) -> int:
    """Steps whose price is nearest to the budget, one at least, and those of the phases before."""
    return phase_steps + max(1, round(amount / cost))


def make_plan(grid: Grid) -> Plan:
    """Measure what a step of each estimator costs, or read it where it was measured before, and divide the budget.

    Evaluations per step are exact where they do not change with the steps; seconds are a median.

    Raises:
        InputError: If the folder holds something else or a comparison of other settings, the first estimator, whose
            need is the budget, cannot be run, or the phases before take all steps.
    """
    kind, amount = parse_budget(grid.budget)
    first = grid.estimators[0]
    if kind == "evaluations" and isinstance(parse_estimator(first), MaximumLikelihood):  # before any pilot
        raise InputError(f"estimator {first}, the first one, whose need is the budget: it {_NO_EVALUATIONS}")
    stored = _stored_plan(grid)
    pilots = {name: _pilot(grid, name) for name in grid.estimators if name not in stored["costs"]}
    failed = run_cells(
        grid.recipe,
        list(pilots.values()),
        jobs=grid.jobs,
        title="pilot runs",
        summary=lambda cell: "measured",
        cluster=grid.cluster,
    )
    failures = {name: f"pilot run {failed[cell.folder]}" for name, cell in pilots.items() if cell.folder in failed}
    stored["costs"] |= {name: cost_of_step(cell.folder) for name, cell in pilots.items() if name not in failures}
    for name in grid.estimators:
        if name not in failures and not stored["costs"][name][_UNITS[kind]]:
            failures[name] = f"failed: it {_NO_EVALUATIONS}"
    if stored["amount"] is None:
        first, steps = grid.estimators[0], grid.args.steps - grid.phase_steps
        if amount is None and first in failures:
            told = failures[first].removeprefix("failed: ")
            raise InputError(f"estimator {first}, the first one, whose need is the budget: {told}")
        if amount is None and steps < 1:
            raise InputError(
                f"--steps: expected more than the {grid.phase_steps} of the phases before, got {grid.args.steps}"
            )
        stored["amount"] = steps * stored["costs"][first][_UNITS[kind]] if amount is None else amount
    costs = {name: stored["costs"][name] for name in grid.estimators if name not in failures}
    steps = {name: steps_within(stored["amount"], of[_UNITS[kind]], grid.phase_steps) for name, of in costs.items()}
    stored["steps"] |= steps
    RunDirectory(grid.out).write_json("plan.json", stored)
    return Plan(stored["amount"], costs, steps, failures)


def cells_of(grid: Grid, plan: Plan) -> dict[tuple[str, int], Cell]:
    """The runs of a plan by estimator and seed, all estimators of a seed before the next seed."""
    given = {option.name for option in grid.options}
    cells = {}
    for seed in range(grid.seeds):
        for estimator, steps in plan.steps.items():
            options = {"estimator": estimator, "seed": seed, "steps": steps}
            for name, points in _POINTS.items():
                if name not in given:
                    options[name] = min(getattr(grid.args, name), max(1, steps // points))
            if "probe_every" not in given:
                options["probe_every"] = math.ceil(steps / _PROBES)
            name = f"{estimator}, seed {seed}"
            log = grid.log(estimator, f"seed-{seed}")
            cells[estimator, seed] = Cell(name, grid.folder(estimator, seed), log, _words(grid, options))
    return cells


def cost_of_step(folder: Path) -> dict[str, float]:
    """What a step of a pilot run cost; its first steps, which set everything up, are left out."""
    rows = read_metrics(folder)
    pairs = list(itertools.pairwise(rows))
    seconds = [(after["seconds"] - row["seconds"]) / (after["step"] - row["step"]) for row, after in pairs]
    evaluations = (rows[-1]["evaluations"] - rows[0]["evaluations"]) / (rows[-1]["step"] - rows[0]["step"])
    return {"evaluations_per_step": evaluations, "seconds_per_step": statistics.median(seconds)}


def _pilot(grid: Grid, estimator: str) -> Cell:
    """A short run without phases before, without pictures and probes."""
    options = {"estimator": estimator, "steps": _PILOT_STEPS, "log_every": _PILOT_STEPS // _PILOT_ROWS}
    options |= {"sample_every": 0, "checkpoint_every": 0, "probe_every": 0, "num_scored": _PILOT_SCORED}
    options |= dict.fromkeys(_PHASES, 0)
    options = {name: value for name, value in options.items() if hasattr(grid.args, name)}
    folder = grid.out / "pilots" / _folder_name(estimator)
    return Cell(estimator, folder, grid.log(estimator, "pilot"), _words(grid, options))


def _words(grid: Grid, options: dict[str, Any]) -> list[str]:
    """The user's options, and these in place of the user's."""
    words = [word for option in grid.options if option.name not in options for word in option.words]
    return [*words, *(f"--{name.replace('_', '-')}={value}" for name, value in options.items())]


def _folder_name(estimator: str) -> str:
    """An estimator's text as the name of a folder; a path is cut, and told from others by a digest."""
    name = re.sub(r"[^\w.=-]+", "-", estimator)
    if len(name) <= 60 and "/" not in estimator:
        return name
    return f"{name[-40:].strip('-')}-{hashlib.blake2b(estimator.encode(), digest_size=4).hexdigest()}"


def _stored_plan(grid: Grid) -> dict[str, Any]:
    """The folder's plan, begun if it is empty: settings, and what is known of the costs."""
    args = json.loads(json.dumps(dataclasses.asdict(grid.args), default=str))
    settings = {"recipe": grid.recipe, "budget": grid.budget, **args}
    if (stored := read_plan(grid.out)) is not None:
        for name in settings | stored["settings"]:
            was, now = stored["settings"].get(name), settings.get(name)
            if was != now:
                option = name if name == "recipe" else "--" + name.replace("_", "-")
                raise InputError(f"--out {grid.out}: its comparison has {option} {was}, got {now}: give another --out")
        return stored
    if any(path.name not in (NAME, ".plan.json.tmp") for path in grid.out.iterdir()):
        raise InputError(f"--out {grid.out}: not empty and no comparison, expected a new path")
    stored = {"settings": settings, "amount": None, "costs": {}, "steps": {}}
    RunDirectory(grid.out).write_json("plan.json", stored)
    return stored

"""``discrete-gan compare``: estimators over seeds at equal cost, or finished runs, in one table and one page."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from discrete_gan.cli.cells import Cell, run_cells
from discrete_gan.cli.cluster import Cluster
from discrete_gan.cli.grid import Grid, Option, Plan, cells_of, make_plan, parse_budget
from discrete_gan.cli.parsing import parse, parse_plain
from discrete_gan.cli.recipes import find_recipe, load_recipe
from discrete_gan.cli.terminal import one_line
from discrete_gan.errors import InputError
from discrete_gan.estimators import parse_estimator
from discrete_gan.ranges import Count, CountOrZero, check_ranges
from discrete_gan.report.comparison import (
    as_json,
    described,
    few_seeds,
    interval_text,
    shown_scores,
    table,
    titled,
    verdict,
)
from discrete_gan.report.trials import Group, Trial, grouped, read_trials
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.lock import hold
from discrete_gan.writing import told_in_a_line

_OF_CLUSTER = ("partition", "job_minutes", "job_gpus", "job_cpus")
_OURS = {"estimator": "--estimators", "seed": "--seeds", "resume": "the same command again", "overwrite": "a new --out"}


@dataclass(frozen=True)
class CompareArgs:
    """Estimators of a recipe over seeds at equal cost, or finished runs: a table, comparison.json and report.html.

    Every other option goes to the recipe: --data, --steps and so on; see discrete-gan train RECIPE --help. The same
    command again goes on where it stopped. A run that fails is reported and the others go on; the exit status is 1 only
    if all failed.
    """

    targets: Annotated[list[str], tyro.conf.Positional]
    """A recipe, by name or path, with --estimators; or run directories, grouped by what their settings differ in."""
    estimators: tuple[str, ...] = ()
    """Names with options as NAME:KEY=VALUE,KEY=VALUE, or your own as FILE.py:FUNCTION."""
    seeds: Count = 3
    """Runs of each estimator, with seeds from 0."""
    budget: str = "evaluations"
    """What is equal: discriminator evaluations or wall seconds, as evaluations=AMOUNT or seconds=AMOUNT. Without an
    amount it is what the first estimator needs for the recipe's --steps. Phases before the adversarial one are not
    part of it."""
    jobs: Count = 1
    """Runs at a time; they share the cores, and take several GPUs in turn."""
    cluster: Literal["slurm", "local"] | None = None
    """Queue every run as a job of its own: on Slurm, or local for submitit's processes on this machine."""
    partition: str | None = None
    """Of Slurm (--cluster)."""
    job_minutes: Count = 240
    """Limit of a job (--cluster): a run that reaches it saves, is queued again and goes on."""
    job_gpus: CountOrZero = 0
    """GPUs of each run (--cluster)."""
    job_cpus: Count = 1
    """Cores of each run (--cluster)."""
    out: Path | None = None
    """Folder for runs, comparison.json and report.html; runs/compare-RECIPE if not given, or runs/comparison."""


def compare(arguments: list[str]) -> None:
    """Run what is missing, print the table, write comparison.json and the page.

    Raises:
        InputError: If an option, an estimator or a run is not usable.
    """
    own, passed = split_options(arguments)
    args = parse_plain(CompareArgs, own, "discrete-gan compare")
    command = f"discrete-gan compare {shlex.join(arguments)}"
    if args.estimators:
        _compare_estimators(args, passed, command)
    else:
        _compare_runs(args, passed, command)


def split_options(arguments: Sequence[str]) -> tuple[list[str], list[Option]]:
    """The command's own words, and the options of the recipe. What follows ``--`` is the recipe's throughout."""
    names = {field.name for field in fields(CompareArgs)} | {"help"}
    own: list[str] = []
    passed: list[Option] = []
    words = own
    after = False
    for word in arguments:
        if word == "--":
            after = True
            continue
        if word.startswith("--"):
            name = word[2:].partition("=")[0].replace("-", "_")
            if after or name not in names:
                passed.append(Option(name, []))
            words = passed[-1].words if after or name not in names else own
        words.append(word)
    return own, passed


def _compare_estimators(args: CompareArgs, passed: list[Option], command: str) -> None:
    grid = _grid(args, passed)
    with told_in_a_line(grid.out):
        lock = hold(grid.out)
    try:
        _run_grid(grid, passed, command)
    finally:
        lock.release()


def _run_grid(grid: Grid, passed: list[Option], command: str) -> None:
    plan = make_plan(grid)
    for estimator, cost in plan.costs.items():
        evaluations, seconds = cost["evaluations_per_step"], cost["seconds_per_step"]
        print(f"{estimator}: {plan.steps[estimator]:,} steps of {evaluations:,.0f} evaluations and {seconds:.3g} s")
    cells = cells_of(grid, plan)
    failures = run_cells(
        grid.recipe, list(cells.values()), jobs=grid.jobs, title="runs", summary=_summary, cluster=grid.cluster
    )
    groups = _groups(grid, plan, cells, failures)
    settings = {option.name.replace("_", "-"): " ".join(option.words[1:]) for option in passed}
    settings |= {
        "recipe": grid.recipe,
        "budget": f"{grid.budget} ({plan.amount:,.6g})",
        "runs at a time": str(grid.jobs),
    }
    _report(grid.out, groups, f"Estimators of {grid.recipe}", command, settings)
    if not any(group.finished for group in groups):
        raise SystemExit(1)


def _compare_runs(args: CompareArgs, passed: list[Option], command: str) -> None:
    if passed:
        raise InputError(f"{passed[0].words[0]}: expected --estimators beside it, or run directories alone")
    if len(args.targets) == 1 and not Path(args.targets[0]).is_dir():
        find_recipe(args.targets[0])
        raise InputError(f"compare {args.targets[0]}: expected --estimators after a recipe")
    if len(args.targets) < 2:
        raise InputError("compare: expected a recipe with --estimators, or two run directories at least")
    groups = grouped(read_trials([Path(target) for target in args.targets]))
    recipe = groups[0].trials[0].config["recipe"]
    _report(args.out or Path("runs/comparison"), groups, f"Runs of {recipe}", command, {"recipe": recipe})


def _grid(args: CompareArgs, passed: list[Option]) -> Grid:
    """What is to be run, checked before anything is."""
    if len(args.targets) != 1:
        raise InputError(f"compare --estimators: expected one recipe, got {' '.join(args.targets)}")
    (name,) = args.targets
    recipe = load_recipe(name)
    known = {field.name for field in fields(recipe.Args)}
    if not known >= {"estimator", "steps"}:
        raise InputError(f"recipe {name}: expected one with --estimator and --steps, it has no estimators to compare")
    for option in passed:
        if option.name in _OURS:
            raise InputError(f"--{option.name}: a comparison sets it, expected {_OURS[option.name]}")
    check_ranges(args)
    parse_budget(args.budget)
    for index, spec in enumerate(args.estimators):
        parse_estimator(spec)
        if spec in args.estimators[:index]:
            raise InputError(f"--estimators: expected each once, got {spec} twice")
    words = [word for option in passed for word in option.words]
    parsed = parse(recipe.Args, words, prog=f"discrete-gan compare {name}", description=recipe.description)
    check_ranges(parsed)
    out = args.out or Path("runs") / f"compare-{Path(name).stem}"
    for option in ["partition"] if args.cluster == "local" else _OF_CLUSTER if args.cluster is None else []:
        if getattr(args, option) != getattr(CompareArgs(targets=[]), option):
            engine = "slurm" if option == "partition" else "slurm or local"
            raise InputError(f"--{option.replace('_', '-')}: expected --cluster {engine} beside it")
    cluster = args.cluster and Cluster(args.cluster, args.job_minutes, args.partition, args.job_gpus, args.job_cpus)
    return Grid(name, parsed, passed, args.estimators, args.seeds, args.budget, out, args.jobs, cluster)


def _groups(grid: Grid, plan: Plan, cells: dict[tuple[str, int], Cell], failures: dict[Path, str]) -> list[Group]:
    """The runs by estimator, those that failed among them."""
    failures = failures | {
        folder: reason
        for folder in (cell.folder for cell in cells.values() if cell.folder not in failures)
        if (reason := _damage(folder))
    }
    done = read_trials([cell.folder for cell in cells.values() if cell.folder not in failures])
    found = {trial.path: trial for trial in done}
    groups = []
    for estimator in grid.estimators:
        trials = []
        for seed in range(grid.seeds):
            folder = grid.folder(estimator, seed)
            reason = plan.failures.get(estimator) or failures.get(folder)
            trials.append(found.get(folder) or Trial(folder, seed, failure=reason))
        groups.append(Group(estimator, trials))
    return groups


def _damage(folder: Path) -> str | None:
    """Why a finished run cannot be read; None if it can."""
    try:
        read_trials([folder])
    except InputError as error:
        return f"failed: {error}"
    return None


def _summary(cell: Cell) -> str:
    """The scores that tell most, in one line."""
    if reason := _damage(cell.folder):
        return reason
    (trial,) = read_trials([cell.folder])
    (row,) = table([Group("", [trial])])
    shown = [trial.scores[name] for name in shown_scores([row])]
    scores = [f"{titled(score.name, trial.scores)} {score.value:.4g}" for score in shown]
    return ", ".join([*scores, f"{trial.cost.get('steps', 0):,.0f} steps, {trial.cost.get('seconds', 0):.0f} s"])


def _report(out: Path, groups: list[Group], title: str, command: str, settings: dict[str, str]) -> None:
    """Table and verdict onto the terminal, everything into files."""
    rows = table(groups)
    names = shown_scores(rows)
    titles = [titled(name, described(rows)) for name in names]
    header = ["", "seeds", "steps", "evaluations", "seconds", *titles]
    lines = [header]
    for group, row in zip(groups, rows, strict=True):
        cost = [f"{row.cost[name]:,.0f}" if name in row.cost else "" for name in ("steps", "evaluations", "seconds")]
        scores = [str(row.scores[name]) if name in row.scores else "" for name in names]
        lines.append([row.name, f"{row.num_finished}/{len(group.trials)}", *cost, *scores])
    _print_columns(lines)
    for row in rows:
        for seed, reason in row.failures.items():
            print(f"{row.name}, seed {seed}: {reason}")
    if any(row.differences for row in rows):
        fewest = min(row.num_finished for row in rows if row.num_finished)
        print(f"\nminus {rows[0].name}, paired over seeds, 95 % bootstrap intervals{few_seeds(fewest)}:")
        differences = [
            [row.name, *(interval_text(row.differences.get(name)) for name in names)] for row in rows if row.differences
        ]
        _print_columns([["", *titles], *differences])
    print("\n" + "\n".join(verdict(groups)))
    from discrete_gan.report.comparison_page import write_comparison_page  # matplotlib takes a second to load

    try:
        out.mkdir(parents=True, exist_ok=True)
        RunDirectory(out).write_json("comparison.json", {"command": command, "settings": settings, **as_json(groups)})
        write_comparison_page(out / "report.html", groups, title=title, command=command, settings=settings)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written: {error.strerror}") from None
    print(f"page     {out / 'report.html'}")


def _print_columns(lines: list[list[str]]) -> None:
    lines = [list(map(one_line, line)) for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  ".join([f"{line[0]:<{widths[0]}}", *cells]).rstrip())

"""``discrete-gan lab``: bias, variance and cost of gradient estimators, and training with exact curves."""

import csv
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from tqdm import tqdm

from discrete_gan.cli.parsing import parse_plain
from discrete_gan.errors import InputError, unknown_name
from discrete_gan.estimators import ESTIMATORS, parse_estimator
from discrete_gan.lab import (
    DISCRIMINATORS,
    PROBLEMS,
    Analysis,
    Curve,
    Divergences,
    Problem,
    analyze,
    train,
)
from discrete_gan.ranges import AtLeastTwo, Count, Range, check_ranges
from discrete_gan.writing import told_in_a_line, try_writing

_TRAINED = (
    "exact",
    "boundary-seeking",
    "boundary-seeking-cv",
    "reinforce",
    "disarm",
    "relax",
    "straight-through",
    "gumbel-softmax",
)


@dataclass(frozen=True)
class LabArgs:
    """Measure gradient estimators on problems small enough to enumerate, exactly where that is possible."""

    problem: tuple[str, ...] | None = None
    """One or several of table, table3, categories, ising, ising4, parity, missing-modes, equations. Without it, table,
    or missing-modes with --train."""
    estimators: tuple[str, ...] | None = None
    """Names with options as NAME:KEY=VALUE,KEY=VALUE, or your own as FILE.py:FUNCTION. All if not given (a selection
    with --train)."""
    num_samples: tuple[Annotated[int, Range(1, 10_000, closed=True)], ...] = (2, 4, 8)
    """M, for every estimator that takes it and whose text does not say; --train takes the last."""
    discriminator: Literal["network", "oracle", "wrong"] = "network"
    """network (trained on exact expectations), oracle (the exact log-ratio) or wrong (random, never trained)."""
    train: bool = False
    """Train on the problem with each estimator side by side, recording exact divergences and mode masses."""
    steps: Count = 300
    """Steps of a training."""
    seeds: Count = 3
    """Trainings with each estimator: the curves show mean and range."""
    lr: float = 0.05
    """Adam's learning rate of the generator, in training."""
    draws: AtLeastTwo = 20_000
    """Gradients drawn where not all outcomes can be enumerated; a twentieth where latents share a baseline."""
    most_tuples: Count = 500_000
    """Enumerate up to this many tuples or multisets of samples per latent."""
    seed: int = 0
    """Seed of the problem's tables, the network and all draws."""
    out: Path = Path("runs/lab")
    """Folder for the CSV files and the pictures."""


def lab(arguments: list[str]) -> None:
    """Measure, print a table, write CSV and pictures.

    Raises:
        InputError: If an estimator, a problem or a number is not usable.
    """
    args = parse_plain(LabArgs, arguments, "discrete-gan lab")
    _check(args)
    # Pictures come when everything is computed, printed and written: one that cannot be drawn takes nothing with it.
    with told_in_a_line(args.out), ExitStack() as pictures:
        for name in _problems(args):
            problem = PROBLEMS[name](args.seed)
            if args.train:
                _train(args, problem, pictures)
            else:
                _analyze(args, problem, pictures)


def _check(args: LabArgs) -> None:
    for option in ("problem", "estimators", "num_samples"):
        if getattr(args, option) == ():
            raise InputError(f"--{option.replace('_', '-')}: expected at least one value")
    for name in args.problem or ():
        if name not in PROBLEMS:
            raise unknown_name("problem", name, PROBLEMS)
    check_ranges(args)
    if not 0 <= args.seed < 2**32:
        raise InputError(f"--seed: expected a whole number from 0 to below 2^32, got {args.seed}")
    if not 0 < args.lr < math.inf:
        raise InputError(f"--lr: expected a number above 0, got {args.lr}")
    for spec in args.estimators or ():
        parse_estimator(spec)  # a mistake in the last name must not cost the minutes of the first
    try_writing(*(_stem(args, name).with_suffix(end) for name in _problems(args) for end in (".csv", ".png")))


def _problems(args: LabArgs) -> tuple[str, ...]:
    return args.problem or ("missing-modes" if args.train else "table",)


def _stem(args: LabArgs, problem: str) -> Path:
    """Where the files of a problem are written, without their suffixes."""
    return args.out / f"{problem}-{args.discriminator}{'-training' if args.train else ''}"


def _specs(spec: str, num_samples: tuple[int, ...]) -> list[str]:
    """An estimator's text for each M, or as it is where it says M itself or has none."""
    head, *options = spec.split(":", 2 if spec.partition(":")[0].endswith(".py") else 1)
    if head.endswith(".py"):
        head, options = ":".join([head, *options[:1]]), options[1:]
    if "num_samples" in spec.replace("-", "_"):
        return [spec]
    texts = [f"{head}:{','.join(filter(None, [*options, f'num_samples={number}']))}" for number in (2, *num_samples)]
    try:
        parse_estimator(texts[0])
    except InputError:
        return [spec]
    return texts[1:]


def _analyze(args: LabArgs, problem: Problem, pictures: ExitStack) -> None:
    discriminator = DISCRIMINATORS[args.discriminator](problem, problem.generator(), seed=args.seed)
    jobs = [(name, spec) for name in args.estimators or ESTIMATORS for spec in _specs(name, args.num_samples)]
    found: dict[str, list[Analysis]] = {}
    left_out: list[str] = []
    with tqdm(jobs, unit="row", dynamic_ncols=True, leave=False) as bar:
        for name, spec in bar:
            bar.set_description(spec)
            try:
                analysis = analyze(
                    spec,
                    problem,
                    discriminator=discriminator,
                    most_tuples=args.most_tuples,
                    num_draws=args.draws,
                    seed=args.seed,
                )
                found.setdefault(name, []).append(analysis)
            except (TypeError, ValueError) as error:
                left_out.append(_blame(spec, error))
    if found:
        title = f"{problem.name}: {len(problem.log_p)} states, {args.discriminator} discriminator"
        print(f"\n{title}; lengths relative to the exact gradient of the target\n")
        print(table(found))
        stem = _stem(args, problem.name)
        write_analyses(stem.with_suffix(".csv"), found)
        print(f"\n{stem}.csv")
        pictures.callback(_draw, "save_analyses", stem.with_suffix(".png"), found, title=title)
    _report(left_out, args)


def _train(args: LabArgs, problem: Problem, pictures: ExitStack) -> None:
    curves: dict[str, list[Curve]] = {}
    left_out: list[str] = []
    names = args.estimators or _TRAINED
    with tqdm(total=len(names) * args.seeds, unit="run", dynamic_ncols=True, leave=False) as bar:
        for name in names:
            bar.set_description(name)
            spec = _specs(name, args.num_samples)[-1]
            try:
                for seed in range(args.seed, args.seed + args.seeds):
                    curve = train(
                        parse_estimator(spec),
                        problem,
                        name=name,
                        discriminator=args.discriminator,
                        steps=args.steps,
                        lr=args.lr,
                        seed=seed,
                    )
                    curves.setdefault(name, []).append(curve)
                    bar.update()
            except (TypeError, ValueError) as error:
                curves.pop(name, None)
                left_out.append(_blame(spec, error))
    if curves:
        print(f"\n{problem.name}: after {args.steps} steps, {args.discriminator} discriminator")
        print(f"M = {args.num_samples[-1]}; mean ± standard deviation over {args.seeds} seeds; divergences in nats\n")
        print(final_table(curves))
        stem = _stem(args, problem.name)
        write_curves(stem.with_suffix(".csv"), curves, problem, first_seed=args.seed)
        data_mass = problem.mode_mass(problem.log_p).tolist()
        print(f"\n{stem}.csv")
        pictures.callback(_draw, "save_curves", stem.with_suffix(".png"), curves, problem.mode_names, data_mass)
    _report(left_out, args)


def _draw(name: str, path: Path, *arguments: Any, **options: Any) -> None:
    from discrete_gan.lab import figures  # and matplotlib: when they are needed

    getattr(figures, name)(path, *arguments, **options)
    print(path)


def _blame(spec: str, error: Exception) -> str:
    """One line that names the estimator."""
    return str(error) if spec in str(error) else f"{spec}: {error}"


def _report(left_out: list[str], args: LabArgs) -> None:
    """Say what could not be measured; that is a mistake only where it was asked for by name.

    Raises:
        InputError: If it was.
    """
    if args.estimators and left_out:
        raise InputError("; ".join(left_out))
    for line in left_out:
        print(f"left out: {line}")


def table(found: dict[str, list[Analysis]]) -> str:
    """Analyses as aligned text, one a line."""
    header = ["estimator", "M", "target", "evals", "bias", "variance", "MSE", "cos", "cos KL", "cos rKL", "ms", "how"]
    rows = [header]
    for name, analyses in found.items():
        for each in analyses:
            enumerated = each.method == "enumerated"
            bias = "0" if enumerated and each.bias < 1e-10 else f"{each.bias:.3g}"
            how = f"{each.num_outcomes:,} {'outcomes' if enumerated else 'draws'}"
            row = [name, str(each.num_samples or "-"), each.target, f"{each.evaluations:g}"]
            row += [
                bias if enumerated else f"{bias} ± {each.bias_error:.1g}",
                f"{each.variance:.3g}",
                f"{each.mse:.3g}",
            ]
            row += [f"{value:.3f}" for value in (each.cosine, each.cosine_kl, each.cosine_reverse_kl)]
            rows.append([*row, f"{1000 * each.seconds:.2f}", how])
    return _aligned(rows, left=(0, 2, 11))


def final_table(curves: dict[str, list[Curve]]) -> str:
    """Where training ended, one estimator a line: mean and standard deviation over seeds."""
    header = ["estimator", "KL", "reverse KL", "Jensen-Shannon", "total variation", "evaluations", "seconds"]
    rows = [header]
    for name, runs in curves.items():
        last = torch.stack([run.divergences[-1] for run in runs])
        spread = last.std(dim=0) if len(runs) > 1 else torch.full_like(last[0], math.nan)
        cells = [f"{mean:.4f} ± {deviation:.4f}" for mean, deviation in zip(last.mean(dim=0), spread, strict=True)]
        seconds = sum(float(run.seconds[-1]) for run in runs) / len(runs)
        rows.append([name, *cells, f"{int(runs[0].evaluations[-1]):,}", f"{seconds:.1f}"])
    return _aligned(rows, left=(0,))


def _aligned(rows: list[list[str]], *, left: tuple[int, ...]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [f"{cell:{'<' if i in left else '>'}{widths[i]}}" for i, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def write_analyses(path: Path, found: dict[str, list[Analysis]]) -> None:
    """Every figure of every row as CSV; the expected gradient is left out."""
    fields = [field for field in Analysis._fields if field not in ("estimator", "gradient")]
    with _csv(path) as write:
        write(["estimator", *fields])
        for name, analyses in found.items():
            for each in analyses:
                write([name, *(getattr(each, field) for field in fields)])


def write_curves(path: Path, curves: dict[str, list[Curve]], problem: Problem, *, first_seed: int = 0) -> None:
    """Every record of every run as CSV."""
    with _csv(path) as write:
        write(["estimator", "seed", "step", *Divergences._fields, *problem.mode_names, "evaluations", "seconds"])
        for name, runs in curves.items():
            for seed, run in enumerate(runs, start=first_seed):
                for row in zip(*(column.tolist() for column in run), strict=True):
                    step, divergences, mass, evaluations, seconds = row
                    write([name, seed, step, *divergences, *mass, evaluations, seconds])


@contextmanager
def _csv(path: Path) -> Iterator[Callable[[list[Any]], Any]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        yield csv.writer(file).writerow

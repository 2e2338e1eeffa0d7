"""``discrete-gan evaluate``: how good trained generators are, in figures with intervals, and a page for each run."""

import math
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from torch import nn
from tqdm import tqdm

from discrete_gan.cli.models import load_model
from discrete_gan.cli.recipes import find_recipe, load_recipe
from discrete_gan.cli.temperatures import score_temperatures
from discrete_gan.cli.train import saved_args
from discrete_gan.data import ImageData, load_images
from discrete_gan.errors import InputError
from discrete_gan.report import ImageReport, OracleReport, TextReport
from discrete_gan.report.evaluation import Evaluation, Figure
from discrete_gan.report.grid import picture_of
from discrete_gan.report.image_evaluation import evaluate_images
from discrete_gan.report.likelihood import LikelihoodMethod, LikelihoodOptions, check_annealing
from discrete_gan.report.page import Block, Code, Picture
from discrete_gan.report.run_page import write_run_page
from discrete_gan.report.text_evaluation import evaluate_text
from discrete_gan.training import num_classes_of
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.launch import find_device


@dataclass(frozen=True)
class EvaluateArgs:
    """How good trained runs are: a table, and in each run directory evaluation.json and report.html.

    Fidelity, diversity, likelihood, memorization and the discriminator's calibration; every figure with its protocol
    and a 95 % bootstrap interval.
    """

    runs: Annotated[list[Path], tyro.conf.Positional]
    """Run directories, before all options."""
    num: int | None = None
    """Samples to score; 10,000 images or 2,000 texts if not given."""
    likelihood: LikelihoodMethod = "auto"
    """Of held-out data: auto is exact where that is possible, else annealed importance sampling with its gap, else, of
    a generator that states no prior, the cheap importance-weighted bound; ais refuses that bound, bound asks for it;
    none skips it."""
    likelihood_num: int = 200
    """Held-out data whose likelihood is computed, where that is not exact."""
    ais_steps: int = 5000
    """Moves from the prior to the posterior."""
    ais_leapfrog: int = 2
    """Leapfrog steps of a move."""
    ais_chains: int = 1
    """Chains for each datum."""
    ais_simulated: int = 100
    """Samples of the model that the gap is measured on."""
    bound_latents: int = 1000
    """Latents of the importance-weighted bound."""
    test: str | None = None
    """Other data to take the likelihood of, of the same shape (images only), such as a folder of fixed-binarized .mat
    files: their test part."""
    temperatures: list[float] | None = None
    """Text only, and instead of all that: scores over temperatures, what divides the logits, of runs on the same text
    and of the generators that maximum likelihood left."""
    seed: int = 0
    """Of latents and samples."""
    out: Path | None = None
    """With --temperatures: folder for temperatures.json and temperatures.png; the first run directory if not given."""
    device: str = "cpu"
    """Where to compute: cpu, cuda, mps, or auto for the best there is."""


def evaluate(arguments: list[str]) -> None:
    """Score, print, write.

    Raises:
        InputError: If a run has nothing to evaluate, its data are gone, or an option is unusable.
    """
    args = tyro.cli(EvaluateArgs, args=arguments, prog="discrete-gan evaluate")
    for name, least in (("num", 2), ("likelihood_num", 1), ("ais_steps", 10), ("ais_leapfrog", 1), ("ais_chains", 1)):
        _check_least(name, getattr(args, name), least)
    _check_least("ais_simulated", args.ais_simulated, 2)
    _check_least("bound_latents", args.bound_latents, 2)
    device = find_device(args.device)
    if args.temperatures is not None:
        options = {"num": args.num or 2000, "seed": args.seed, "out": args.out, "device": device}
        score_temperatures(args.runs, args.temperatures, **options)
        return
    if args.out is not None:
        raise InputError("--out: expected with --temperatures only; else each run directory gets its evaluation")
    loaded = [(path, *_load(path)) for path in args.runs]  # all of them first: a mistake in the last costs nothing
    if args.likelihood == "ais":
        for _, _, generator, _ in loaded:
            check_annealing(generator)
    test = None if args.test is None else load_images(args.test)
    found: dict[str, Evaluation] = {}
    # Pages come when everything is computed, written and printed: one that cannot be drawn takes nothing with it.
    with ExitStack() as pages:
        for path, report, generator, discriminator in tqdm(loaded, desc="runs", unit="run", disable=len(loaded) == 1):
            report.to(device)
            generator.to(device)
            if discriminator is not None:
                discriminator.to(device)
            found[str(path)], blocks = _evaluate(args, path, report, generator, discriminator, test)
            directory = RunDirectory(path)
            try:
                directory.write_json("evaluation.json", found[str(path)].as_dict())
            except OSError as error:
                raise InputError(f"{path}: cannot be written: {error.strerror}") from None
            pages.callback(_write_page, directory, found[str(path)], blocks)
        _print_table(found)
        for name, evaluation in found.items():
            print(f"\n{name}")
            for verdict in evaluation.verdicts:
                print(f"  {verdict}")
            for protocol, names in evaluation.protocols().items():
                print(f"  protocol of {', '.join(names)}: {protocol}")


def _write_page(directory: RunDirectory, evaluation: Evaluation, samples: list[Block]) -> None:
    try:
        print(f"report  {write_run_page(directory, evaluation, samples=samples)}")
    except OSError as error:
        raise InputError(f"{directory.path}: cannot be written: {error.strerror}") from None


def _check_least(name: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise InputError(f"--{name.replace('_', '-')}: expected at least {least}, got {value}")


def _load(path: Path) -> tuple[Any, nn.Module, nn.Module | None]:
    """The report that scores the run's samples, its generator, and its discriminator if it has one.

    Raises:
        InputError: If a part is missing, does not fit, or the data are not those of the run.
    """
    directory = RunDirectory(path)
    config = directory.read_config()
    for key in ("recipe_file", "args", "data"):
        if key not in config:
            raise InputError(f"{path}: expected the config.json of a run, found one without {key}")
    generator = load_model(directory)
    discriminator = load_model(directory, "discriminator") if "discriminator" in config["models"] else None
    name = config["recipe_file"] if Path(config["recipe_file"]).is_file() else config["recipe"]
    recipe = load_recipe(find_recipe(name))
    if not hasattr(recipe, "load_report"):
        raise InputError(f"{path}: expected a recipe with a function load_report(args), {recipe.__file__} has none")
    try:
        args = saved_args(recipe.Args, config)
    except TypeError as error:
        raise InputError(f"{path}: its settings are not those of recipe {config['recipe']}: {error}") from None
    try:
        report = recipe.load_report(args)
    except InputError as error:
        raise InputError(f"{path}: its data cannot be read: {error}") from None
    fingerprint, was = report.summary()["fingerprint"], config["data"].get("fingerprint")
    if fingerprint != was:
        raise InputError(f"{path}: expected the data that it was trained on, fingerprint {was}, found {fingerprint}")
    return report, generator, discriminator


def _evaluate(
    args: EvaluateArgs,
    path: Path,
    report: Any,
    generator: nn.Module,
    discriminator: nn.Module | None,
    test: ImageData | None,
) -> tuple[Evaluation, list[Block]]:
    options = LikelihoodOptions(
        method=args.likelihood,
        num_steps=args.ais_steps,
        num_leapfrog=args.ais_leapfrog,
        num_chains=args.ais_chains,
        num_simulated=args.ais_simulated,
        num_latents=args.bound_latents,
    )
    common = {"likelihood": options, "num_likelihood": args.likelihood_num, "seed": args.seed}
    if isinstance(report, TextReport | OracleReport):
        if test is not None:
            raise InputError(f"--test: expected runs on images, {path} is one on text")
        evaluation, lines = evaluate_text(report, generator, discriminator, num=args.num or 2000, **common)
        return evaluation, [Code("\n".join(lines))]
    assert isinstance(report, ImageReport)
    if test is not None and test.image_shape != report.image_shape:
        raise InputError(f"--test {args.test}: expected images of {report.image_shape}, got {test.image_shape}")
    if test is not None and test.test_labels is None and num_classes_of(generator):
        raise InputError(f"--test {args.test}: expected labeled images for the conditional generator of {path}")
    evaluation, nearest = evaluate_images(report, generator, discriminator, num=args.num or 10_000, test=test, **common)
    pairs = torch.cat([nearest.samples.cpu(), nearest.training.cpu()])
    picture = picture_of(pairs, report.image_shape, columns=len(nearest.samples))
    alt = f"{len(nearest.samples)} samples above, the training images nearest to them below"
    caption = "The samples that come nearest to training images (above), and these images (below)."
    return evaluation, [Picture(picture, alt, caption)]


def _print_table(found: dict[str, Evaluation]) -> None:
    """A line a figure, a column a run."""
    names = list(dict.fromkeys(name for evaluation in found.values() for name in evaluation.figures))
    rows = [["", *found]]
    for name in names:
        rows.append([name, *(_cell(evaluation.figures.get(name)) for evaluation in found.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    meanings = {name: figure.meaning for e in found.values() for name, figure in e.figures.items()}
    for row in rows:
        cells = [f"{cell:<{widths[0]}}" if i == 0 else f"{cell:<{widths[i]}}" for i, cell in enumerate(row)]
        print("  ".join([*cells, meanings.get(row[0], "")]).rstrip())


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if not math.isfinite(figure.low):
        return f"{figure.value:.4g}"
    return f"{figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g})"

"""``discrete-gan evaluate``: how good trained generators are, in scores with intervals, and a page for each run."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro
from tqdm import tqdm

from discrete_gan.cli.parsing import parse_plain
from discrete_gan.cli.partial import Partial
from discrete_gan.cli.reweighting import Choice, reweighted, wants_reweighted, with_default
from discrete_gan.cli.runs import SavedRun, open_run
from discrete_gan.cli.temperatures import score_temperatures
from discrete_gan.data import load_images
from discrete_gan.errors import InputError
from discrete_gan.ranges import AtLeastTwo, Count, Range, check_ranges
from discrete_gan.report.advice import advice
from discrete_gan.reweighted import Reweighted
from discrete_gan.sampling import num_classes_of
from discrete_gan.tasks import Batch
from discrete_gan.tasks.base import OwnScore
from discrete_gan.tasks.evaluation import Evaluation
from discrete_gan.tasks.evaluation import evaluate as evaluate_task
from discrete_gan.tasks.likelihood import LikelihoodMethod, LikelihoodOptions, check_annealing
from discrete_gan.tasks.score import Score, lines
from discrete_gan.training.launch import find_device
from discrete_gan.training.records import read_results
from discrete_gan.writing import try_writing


@dataclass(frozen=True)
class EvaluateArgs:
    """How good trained runs are: a table, and in each run directory evaluation.json and report.html.

    Fidelity, diversity, likelihood, memorization and the discriminator's calibration; every figure with its protocol
    and a 95 % bootstrap interval.
    """

    runs: Annotated[list[Path], tyro.conf.Positional]
    """Run directories, before all options."""
    num: AtLeastTwo | None = None
    """Samples to score; 10,000 images or 2,000 texts if not given."""
    likelihood: LikelihoodMethod = "auto"
    """How the likelihood of held-out data is found: auto is exact where that is possible, else annealed importance
    sampling with its gap, else, for a generator that states no prior, the cheap importance-weighted bound; ais refuses
    that bound, bound asks for it; none skips it."""
    likelihood_num: Count = 200
    """Held-out data whose likelihood is computed, where that is not exact."""
    ais_steps: Annotated[int, Range(10)] = 5000
    """Moves from the prior to the posterior."""
    ais_leapfrog: Count = 2
    """Leapfrog steps of a move."""
    ais_chains: Count = 1
    """Chains for each datum."""
    ais_simulated: AtLeastTwo = 100
    """Samples of the model that the gap is measured on."""
    bound_latents: AtLeastTwo = 1000
    """Latents of the importance-weighted bound."""
    data: str | None = None
    """What the runs learnt from, where it has moved since; or other data of the same shape and classes, or tokens, as
    the protocols then say."""
    test: str | None = None
    """Other data to take the likelihood of, of the same shape (images only), such as a folder of fixed-binarized .mat
    files: their test part."""
    reweight: Choice | None = None
    """Beside each score that of samples chosen by the discriminator, and what its log-ratios add to the log-likelihood:
    by the methods of discrete-gan sample; none leaves it out. If not given, auto for runs that discrete-gan refine has
    refined."""
    candidates: tuple[Count, ...] = (5,)
    """Of each of these samples; with --temperatures several numbers, each a curve beside those of samples as drawn."""
    partition_num: Annotated[int, Range(100)] = 20_000
    """Samples that log Z is measured on."""
    scores: tuple[str, ...] = ()
    """Scores of your own, each as FILE.py:FUNCTION, beside those that the run was trained with."""
    temperatures: list[float] | None = None
    """Text only, and instead of all that: scores over temperatures, what divides the logits, of runs on the same text
    and of the generators that maximum likelihood left."""
    seed: int = 0
    """Seed of latents and samples."""
    out: Path | None = None
    """With --temperatures: folder for temperatures.json and temperatures.png; the first run directory if not given."""
    device: str = "cpu"
    """Where to compute: cpu, cuda, mps, or auto for the best there is."""
    trust: tuple[Path, ...] = ()
    """Files of your own that the runs name and that may be run: recipe, network, task, score. No others are."""


def evaluate(arguments: list[str]) -> None:
    """Score, print, write.

    Raises:
        InputError: If a run has nothing to evaluate, its data are gone, or an option is unusable.
    """
    args = parse_plain(EvaluateArgs, with_default(arguments, "--reweight", "auto"), "discrete-gan evaluate")
    check_ranges(args)
    if not args.runs:
        raise InputError("evaluate: expected at least one run directory, got none")
    device = find_device(args.device)
    if args.temperatures is not None:
        options = {"num": args.num or 2000, "seed": args.seed, "out": args.out, "device": device, "trust": args.trust}
        score_temperatures(
            args.runs, args.temperatures, data=args.data, reweight=args.reweight, candidates=args.candidates, **options
        )
        return
    if args.out is not None:
        raise InputError("--out: expected with --temperatures only; else each run directory gets its evaluation")
    # All of them first: a mistake in the last one costs nothing.
    opened = [open_run(path, args.trust, data=args.data) for path in args.runs]
    loaded = [_Loaded(run, run.scores(args.scores), *_networks(args, run)) for run in opened]
    told: dict[str, str] = {}
    for run, _, generator, discriminator, model in loaded:
        try_writing(run.directory.path / "evaluation.json", run.directory.path / "report.html")
        if args.data is not None:
            run.recall()
        told[str(run.directory.path)] = run.check_data(others=args.data is not None)
        run.one_sample(generator, discriminator)
        if model is not None:
            run.one_sample(generator, model.discriminator)
        if args.likelihood == "ais":
            check_annealing(generator)
    found: dict[str, Evaluation] = {}
    # Pages come when everything is computed, written and printed: one that cannot be drawn takes nothing with it.
    with ExitStack() as pages:
        for one in tqdm(loaded, desc="runs", unit="run", disable=len(loaded) == 1):
            run, _, generator, discriminator, model = one
            run.task.to(device)
            for network in filter(None, (generator, discriminator, model)):
                network.to(device)
            partial = Partial(run, args)
            evaluation = _evaluate(args, one, partial)
            if trained_on := told[str(run.directory.path)]:
                evaluation.scores = [
                    score._replace(protocol="|".join(filter(None, (score.protocol, trained_on))))
                    for score in evaluation.scores
                ]
            found[str(run.directory.path)] = evaluation
            try:
                run.directory.write_json("evaluation.json", {"steps": _steps(run), **evaluation.as_dict()})
                partial.forget()
            except OSError as error:
                raise InputError(f"{run.directory.path}: cannot be written: {error.strerror}") from None
            pages.callback(_write_page, run, generator, evaluation)
        _print_scores(found)
        for run, *_ in loaded:
            for sentence in advice(found[str(run.directory.path)].scores, run.config["args"]):
                print(f"{run.directory.path}: {sentence}" if len(loaded) > 1 else sentence)


class _Loaded(NamedTuple):
    """A run with what it is scored by."""

    run: SavedRun
    own: Sequence[OwnScore]
    generator: Any
    discriminator: Any
    reweighted: Reweighted | None


def _networks(args: EvaluateArgs, run: SavedRun) -> tuple[Any, Any, Reweighted | None]:
    """Generator; discriminator if the run has one; both as one model, if that is asked for or the run was refined."""
    generator = run.model()
    discriminator = run.model("discriminator") if "discriminator" in run.config["models"] else None
    if not wants_reweighted(run, args.reweight):
        return generator, discriminator, None
    if len(args.candidates) != 1:
        raise InputError("--candidates: expected one number, or --temperatures, which take several")
    (number,) = args.candidates
    return generator, discriminator, reweighted(run, generator, args.reweight or "auto", number)[0]


def _steps(run: SavedRun) -> int | None:
    """Those of the weights, saved with each checkpoint: a comparison takes no evaluation of others than its results."""
    if (last := run.directory.last_checkpoint()) is not None:
        return int(last.stem.removeprefix("step-"))
    results = read_results(run.directory.path)
    return results and results.steps


def _evaluate(args: EvaluateArgs, one: _Loaded, partial: Partial) -> Evaluation:
    run, own, generator, discriminator, model = one
    likelihood = LikelihoodOptions(
        method=args.likelihood,
        num_steps=args.ais_steps,
        num_leapfrog=args.ais_leapfrog,
        num_chains=args.ais_chains,
        num_simulated=args.ais_simulated,
        num_latents=args.bound_latents,
    )
    test, fingerprint = _test_data(args, run, generator)
    evaluation = evaluate_task(
        run.task,
        generator,
        discriminator,
        num=args.num,
        num_likelihood=args.likelihood_num,
        likelihood=likelihood,
        test=test,
        test_fingerprint=fingerprint,
        reweighted=model,
        num_partition=args.partition_num,
        own=own,
        seed=args.seed,
        stage=partial.stage,
    )
    if model is not None:
        shown = [score for score in evaluation.scores if score.name.startswith("reweighted_")]
        run.task.show(model, run.directory.path / "reweighted", shown)
    return evaluation


def _test_data(args: EvaluateArgs, run: SavedRun, generator: Any) -> tuple[Batch | None, str]:
    """What ``--test`` names, as the generator yields samples, and its fingerprint."""
    if args.test is None:
        return None, ""
    task: Any = run.task
    if not hasattr(task, "held_out_of"):
        raise InputError(
            f"--test: expected runs on images, {run.directory.path} learns {run.config['data'].get('name')}"
        )
    data = load_images(args.test)
    if data.image_shape != task.image_shape:
        raise InputError(f"--test {args.test}: expected images of {task.image_shape}, got {data.image_shape}")
    if data.test_labels is None and num_classes_of(generator):
        path = run.directory.path
        raise InputError(f"--test {args.test}: expected labeled images for the conditional generator of {path}")
    fingerprint = data.fingerprint()
    if num_classes_of(generator):
        data = data.labeled_as(task.data.named(), f"--test {args.test}")
    return task.held_out_of(data), fingerprint


def _write_page(run: SavedRun, generator: Any, evaluation: Evaluation) -> None:
    from discrete_gan.report.run_page import write_run_page  # and matplotlib: when they are needed

    try:
        if not any(run.directory.path.glob("samples.*")):  # of a run that has not finished
            run.task.show(generator, run.directory.path / "samples")
        print(f"report  {write_run_page(run.directory, evaluation)}")
    except OSError as error:
        raise InputError(f"{run.directory.path}: cannot be written: {error.strerror}") from None


def _print_scores(found: dict[str, Evaluation]) -> None:
    """For one run all that is known of each score; for several, a line for each score and a column for each run."""
    if len(found) > 1:
        titles = {score.name: score.title for evaluation in found.values() for score in evaluation.scores}
        columns = [{score.name: score for score in evaluation.scores} for evaluation in found.values()]
        rows = [["", *found]]
        rows += [[title, *(_cell(column.get(name)) for column in columns)] for name, title in titles.items()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    for name, evaluation in found.items():
        print(f"\n{name}")
        print("\n".join(f"  {line}" for line in lines(evaluation.scores)))


def _cell(score: Score | None) -> str:
    if score is None:
        return ""
    interval = f" ({score.low:.4g} to {score.high:.4g})" if score.low == score.low else ""
    return f"{score.value:.4g}{interval}"

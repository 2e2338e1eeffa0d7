"""``discrete-gan sample``: draw from a trained run."""

import functools
import inspect
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from discrete_gan.cli.parsing import parse_plain
from discrete_gan.cli.reweighting import Choice, reweighted, shifts_classes, with_default
from discrete_gan.cli.runs import SavedRun, open_run
from discrete_gan.data.classes import printable
from discrete_gan.errors import InputError
from discrete_gan.ranges import Count, check_ranges
from discrete_gan.reweighted import Reweighted
from discrete_gan.sampling import generate, num_classes_of
from discrete_gan.tasks.output import as_lines, suffixes, write_samples
from discrete_gan.training.launch import find_device


@dataclass(frozen=True)
class SampleArgs:
    """Draw from the generator of a run: images and rows of tables into a file, text onto the terminal or into one."""

    run: Annotated[Path, tyro.conf.Positional]
    """Run directory, or RUN/pretrained for the generator that maximum likelihood left."""
    out: Path | None = None
    """File to write. Images: .png for a grid, .npy for an array of uint8, shape (num, height, width) or (num, channels,
    height, width): bits, or intensities up to 255 where the images are not binary. Text: .txt or .smi, a sample per
    line, .jsonl, each as {"text": ...}, or .csv, the last two with the labels of a conditional run; printed if not
    given. Tables: .csv, in the form of the data, or .parquet."""
    num: Count = 64
    """Number of samples."""
    seed: int = 0
    """Seed of latents and samples."""
    temperature: float | None = None
    """Text only: divides the logits; below 1 safer and less diverse."""
    prompt: str | None = None
    """Text only: what every sample begins with."""
    label: str | None = None
    """Conditional runs only: class of all samples, by its exact name, such as that of its folder, else by its index
    from 0; if not given, the classes take turns."""
    reweight: Choice | None = None
    """Choose among candidates by the discriminator, the one that refined the run (discrete-gan refine) or else the
    run's own: resample or independence-mh over all that the generator draws, per-latent among samples of one latent,
    rejection, gibbs (bits and categories that are independent given z), smc (sequences, by a discriminator of every
    prefix). Without a word after it, or with auto: per-latent, and resample where there are no latents."""
    candidates: Count = 5
    """With --reweight: for each sample."""
    bound: float | None = None
    """With --reweight rejection: log of the largest weight in nats, where it is known; if not given, that of 1,000
    draws. Candidates above it are counted."""
    where: tuple[str, ...] = ()
    """Tables only: values that all rows have, each as COLUMN=VALUE, of columns of categories."""
    device: str = "cpu"
    """Where to draw: cpu, cuda, mps, or auto for the best there is."""
    trust: tuple[Path, ...] = ()
    """Files of your own that the run names and that may be run: its recipe, its network, its task. No others are."""


def sample(arguments: list[str]) -> None:
    """Draw and write.

    Raises:
        InputError: If the run, the file type or an option is not usable.
    """
    args = parse_plain(SampleArgs, with_default(arguments, "--reweight", "auto"), "discrete-gan sample")
    check_ranges(args)
    run = open_run(args.run, args.trust, part=True)
    run.recall()
    generator = run.model().to(find_device(args.device))
    model = _reweighted(args, run, generator)
    one = run.one_sample(generator, model and model.discriminator)
    label = _label(args, run, generator)
    options = _options(args, run, generator)
    _check_out(args, run.task, one)
    if args.where:
        drawn = _where(args, run, generator)
    else:
        drawn = generate(model or generator, args.num, seed=args.seed, label=label, convert=generator.decode, **options)
    # What is large when it is decoded is written in parts.
    samples = drawn if getattr(run.task, "writes_in_parts", False) else run.task.decode(drawn)
    if model is not None:  # not among the samples
        print("\n".join(model.diagnosis().lines()), file=sys.stderr if args.out is None else sys.stdout)
    if args.out is None:
        assert isinstance(samples, list)  # as _check_out has seen to
        print(as_lines(samples), end="")
        return
    if args.out.suffix == ".png" and hasattr(run.task, "pictured") and not hasattr(run.task, "write"):
        samples = run.task.pictured(samples)  # type: ignore[attr-defined]
    write = getattr(run.task, "write", write_samples)
    classes = num_classes_of(generator)
    if classes and isinstance(samples, list) and write is not write_samples:
        names = run.classes(classes).names
        write = functools.partial(
            write, labels=[names[number % classes if label is None else label] for number in range(args.num)]
        )
    try:
        write(args.out, samples)
    except OSError as error:
        raise InputError(f"--out {args.out}: cannot be written: {error.strerror}") from None
    print(f"{args.out}: {args.num} samples of {args.run}")


def _reweighted(args: SampleArgs, run: SavedRun, generator: Any) -> Reweighted | None:
    """The generator with its discriminator, where that is asked for."""
    if args.reweight in (None, "none"):
        if args.bound is not None:
            raise InputError("--bound: expected with --reweight rejection")
        return None
    if args.where:
        raise InputError("--reweight: expected without --where, which has weights of its own")
    model, which = reweighted(run, generator, args.reweight, args.candidates, args.bound)
    model.to(next(generator.parameters()).device)
    told = [f"reweighted by {which}", *filter(None, [shifts_classes(model)])]
    print("\n".join(told), file=sys.stderr if args.out is None else sys.stdout)
    return model


def _where(args: SampleArgs, run: SavedRun, generator: Any) -> torch.Tensor:
    """Rows that have the values asked for; says how many of all have them."""
    if not hasattr(run.task, "where"):
        raise InputError(f"--where: expected a run on a table, {args.run} is one of {run.config['recipe']}")
    found = run.task.where(generator, args.where, args.num, seed=args.seed)  # type: ignore[attr-defined]
    worth = f"these are worth {min(args.num, found.effective):,.0f} independent ones"
    print(f"{', '.join(args.where)}: {100 * found.share:.3g} % of all rows; {worth}")
    return found.x


def _label(args: SampleArgs, run: SavedRun, generator: Any) -> int | None:
    """The class that is asked for, as the generator is given it."""
    if args.label is None:
        return None
    num_classes = num_classes_of(generator)
    if not num_classes:
        given = "a run whose generator is given labels (--conditional, or am_gan --labeling predefined)"
        raise InputError(f"--label {printable(args.label)}: expected {given}")
    try:
        return run.classes(num_classes).find(args.label)
    except InputError as error:
        raise InputError(f"--label {error}") from None


def _options(args: SampleArgs, run: SavedRun, generator: Any) -> dict[str, Any]:
    """Options of the distribution's ``sample``, checked against what the generator takes."""
    num_classes = num_classes_of(generator)
    if args.temperature is not None and not 0 < args.temperature < math.inf:
        raise InputError(f"--temperature: expected a number above 0, got {args.temperature}")
    labels = (torch.zeros(1, dtype=torch.int64, device=next(generator.parameters()).device),) if num_classes else ()
    takes = inspect.signature(generator(generator.latents(1), *labels).sample).parameters
    for name, parameter in {"temperature": "temperature", "prompt": "prefix"}.items():
        if getattr(args, name) is not None and parameter not in takes:
            raise InputError(f"--{name}: expected a run of text, {args.run} is one of {run.config['recipe']}")
    options: dict[str, Any] = {}
    if args.temperature is not None:
        options["temperature"] = args.temperature
    if args.prompt is not None:
        task: Any = run.task
        if not hasattr(task, "encode_prompt"):
            raise InputError("--prompt: expected a run on text, this one is on numbered tokens")
        prefix = task.encode_prompt(args.prompt)
        if len(prefix) > generator.num_positions:
            most = f"at most {generator.num_positions} tokens, as many as a sample has"
            raise InputError(f"--prompt: expected {most}, got {len(prefix)}")
        options["prefix"] = prefix.to(next(generator.parameters()).device)
    return options


def _check_out(args: SampleArgs, task: Any, one: Any) -> None:
    """Refuse a file of another kind than the samples before they are drawn: by one of them. Text needs none."""
    if args.out is None and isinstance(one, list):
        return
    kinds = getattr(task, "suffixes", None) or suffixes(one)
    if args.out is None or args.out.suffix not in kinds:
        option = "--out is missing" if args.out is None else f"--out {args.out}"
        raise InputError(f"{option}: expected a file name ending in {' or '.join(kinds)}")

"""``discrete-gan weigh``: how much each sample of any model should count to stand for real data."""

import csv
import inspect
import io
import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from discrete_gan.cli.parsing import parse
from discrete_gan.data import IMAGE_FORMATS, TEXT_FORMATS, images, load_images
from discrete_gan.data.hub import is_hub
from discrete_gan.data.image_data import ImageData
from discrete_gan.data.images import binarize
from discrete_gan.data.table import EMBEDDED, read_any
from discrete_gan.data.table_features import common_schema, features
from discrete_gan.data.table_files import TABLE_FORMATS, is_table, write_rows
from discrete_gan.data.table_schema import TableReading
from discrete_gan.data.text_lines import Lines, TextReading
from discrete_gan.data.text_sources import read_source
from discrete_gan.data.vocabulary import KINDS, Vocabulary
from discrete_gan.errors import InputError
from discrete_gan.metrics.log_ratio import LogRatioFit, fit_log_ratio
from discrete_gan.metrics.two_sample import FEWEST
from discrete_gan.ranges import AtLeastTwo, Count, check_ranges
from discrete_gan.seeds import generator_of
from discrete_gan.tasks.output import suffixes, write_samples
from discrete_gan.training.launch import find_device
from discrete_gan.weights import resample, tail_index_threshold
from discrete_gan.writing import write_aside

_MOST_WORDS = 5000


@dataclass(frozen=True)
class WeighArgs:
    """Weigh samples of any model against real data, by networks that learn to tell them apart.

    Each sample gets log p_real / p_samples from a network that has not seen it, so that weighted samples stand for
    real ones as far as there are samples at all.
    """

    real: str
    """Real data: images ({IMAGE_FORMATS}), tables (wine, breast_cancer, {TABLE_FORMATS}) or text ({TEXT_FORMATS}). Of
    data that come in parts, those for training."""
    samples: str
    """Samples of a model, in any of these formats."""
    kind: Literal["images", "tables", "text"] | None = None
    """What they are; if not given, images or tables where --real is named as such, and text for any other file."""
    out: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """File to write, may be given twice: .csv for the log-weight and the weight of each sample, and with --resample
    .npy or .png for images, .txt or .jsonl for text, .csv or .parquet for tables (of two .csv, the second)."""
    resample: Count | None = None
    """Draw so many samples by their weights (systematic), for an --out of the kind of --samples."""
    binarize: Literal["stochastic", "threshold"] | None = None
    """Images: pixels to bits on both sides, for a model of bits; as they are if not given."""
    image_size: int | None = None
    """Images: side in pixels that the square in the middle of each is resized to."""
    crop: int | None = None
    """Images: side in pixels of that square."""
    tokenizer: str | None = None
    """Text: char, word, bpe, or a JSON file of the tokenizers library; char if --real is equations, else word."""
    vocabulary_size: Count | None = None
    """Text: most frequent characters or words to tell apart, or tokens of bpe; 5,000, or 2,000 of bpe, if not given."""
    max_length: Count = 256
    """Text: tokens at the beginning of a line that count."""
    column: str | None = None
    """Text: column, in data with columns, on both sides; with it a .csv file is text."""
    corrupt: Literal["refuse", "skip"] = "refuse"
    """Pictures that cannot be decoded and lines that are not UTF-8: refuse the data, or skip them."""
    drop: tuple[str, ...] = ()
    """Tables: columns to leave out; identifiers and constants of --real do not count anyway."""
    categorical: tuple[str, ...] = ()
    """Tables: columns whose values are categories, whatever they look like."""
    folds: AtLeastTwo = 5
    """Networks, each of which weighs the samples that it has not seen; time grows with them."""
    max_steps: Count = 5000
    """Longest training of each."""
    batch_size: Count = 256
    """Samples of each side per step."""
    seed: int = 0
    """Seed of every random draw."""
    device: str = "auto"
    """Where to train: cpu, cuda, mps, or auto for the best there is."""


class Sides(NamedTuple):
    """What is compared.

    Attributes:
        real: As ``fit_log_ratio`` takes it.
        generated: As ``real``.
        unit: What a sample is called.
        numbers: What each generated sample is called by: its line in the file, or its place from 0.
        chosen: Generated samples by their places, as ``write`` takes them.
        write: Writes them into a file of one of the ``suffixes``.
        suffixes: Of such files.
    """

    real: Tensor
    generated: Tensor
    unit: str
    numbers: list[int]
    chosen: Callable[[Tensor], Any]
    write: Callable[[Path, Any], object]
    suffixes: tuple[str, ...]


def weigh(arguments: list[str]) -> None:
    """Train, print and write.

    Raises:
        InputError: If a set cannot be read, both are of different kinds, or a file cannot be written.
    """
    description = inspect.getdoc(WeighArgs) or ""
    args = parse(WeighArgs, arguments, prog="discrete-gan weigh", description=description)
    check_ranges(args)
    device = find_device(args.device)
    readers = {"images": read_images, "tables": read_tables, "text": read_text}
    sides = readers[args.kind or _kind(args.real)](args)
    for name, side in {"real": sides.real, "samples": sides.generated}.items():
        if len(side) < max(FEWEST, args.folds):
            raise InputError(f"--{name}: expected at least {max(FEWEST, args.folds)} {sides.unit}s, got {len(side)}")
    _try_out(args, sides.suffixes)

    with tqdm(total=1, desc="weighing", bar_format="{desc}: {percentage:3.0f} %|{bar}| {elapsed}", leave=False) as bar:
        fit = fit_log_ratio(
            sides.real.to(device),
            sides.generated.to(device),
            num_folds=args.folds,
            max_steps=args.max_steps,
            batch_size=args.batch_size,
            seed=args.seed,
            progress=lambda done: bar.update(done - bar.n),
        )
    print("\n".join(report(fit, sides.unit)))
    for path in args.out:
        try:
            _write(path, fit, sides, args)
        except OSError as error:
            raise InputError(f"--out {path}: cannot be written: {error.strerror}") from None


def report(fit: LogRatioFit, unit: str) -> list[str]:
    """Lines for a terminal."""
    num, num_real, found = len(fit.log_w), len(fit.log_w_real), fit.diagnostics
    size, k = found.effective_sample_size.item(), found.pareto_tail_index.item()
    accuracy, reached = fit.test.accuracy, fit.mean_weight
    rows = {
        "sides": f"{num:,} {unit}s to be weighed, {num_real:,} real ones",
        "told apart": f"{100 * accuracy.value:.1f} % ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f}), where "
        f"50 is no better than chance; p = {fit.test.p_value:.2g}",
        "calibration": _calibration(fit.calibration.scale),
        "mean weight": f"{reached.value:.2f} ({reached.low:.2f} to {reached.high:.2f}), 1 of right log-ratios; "
        "below it, the part of what is real that samples reach",
        "effective": f"as many as {size:,.0f} equally weighted {unit}s ({100 * size / num:.0f} %); the largest weight "
        f"is {found.largest_weight.item():.2g} of all",
        "tail index": f"{k:.2f}; means are to be trusted up to {tail_index_threshold(num):.2f}"
        + (", and too few weights differ to tell" if k == math.inf else ""),
        "verdict": fit.verdict,
    }
    return [f"{name:<13}{text}" for name, text in rows.items()]


def _calibration(scale: float) -> str:
    if -math.inf < scale < 0:
        return "the networks' outputs run the wrong way on samples they have not seen: all weigh the same"
    if not math.isfinite(scale):
        return "the networks' outputs separate the sides, and stay as they are"
    return f"the networks' outputs had to be multiplied by {scale:.2f}"


def _kind(spec: str) -> Literal["images", "tables", "text"]:
    """By the name: a file of no format of images or tables, and ``equations``, is text."""
    if is_hub(spec):
        raise InputError(f"--real {spec}: expected --kind images, tables or text, as the hub has all of them")
    if is_table(spec) or spec in EMBEDDED:
        return "tables"
    expanded = Path(spec).expanduser()
    if not expanded.exists() and spec != "equations" and not any(one.reads(spec) for one in images.FORMATS):
        raise InputError(
            f"no data at {spec!r}: expected images ({IMAGE_FORMATS}), tables ({TABLE_FORMATS}) or text ({TEXT_FORMATS})"
        )
    is_image = expanded.is_dir() or any(one.reads(str(expanded)) for one in images.FORMATS)
    return "images" if is_image else "text"


def read_images(args: WeighArgs) -> Sides:
    """Images of both sides, of one shape and one kind of pixels."""
    options: dict[str, Any] = {"image_size": args.image_size, "crop": args.crop, "corrupt": args.corrupt}
    real, samples = (load_images(spec, seed=None, **options) for spec in (args.real, args.samples))
    if real.image_shape != samples.image_shape:
        expected = f"images of shape {real.image_shape}, as of --real"
        raise InputError(f"--samples {args.samples}: expected {expected}, got {samples.image_shape}")
    if args.binarize is None and (real.maximum == 1) != (samples.maximum == 1):
        grey = "real" if samples.maximum == 1 else "samples"
        told = "expected --binarize threshold or stochastic, as the model was trained"
        raise InputError(f"--{grey} has more than bits and the other side has not: {told}")
    generator = generator_of(args.seed)

    def intensities(data: ImageData) -> Tensor:
        pixels = data.train_images
        if args.binarize is None or data.maximum == 1:
            return pixels.float() / data.maximum
        return binarize(pixels, args.binarize, data.maximum, generator=generator)

    def chosen(index: Tensor) -> Tensor:
        taken = samples.train_images[index].unflatten(1, samples.image_shape)
        return taken.bool() if samples.maximum == 1 else taken.float() / samples.maximum

    numbers = list(range(len(samples.train_images)))
    kinds = suffixes(chosen(torch.arange(1)))
    return Sides(intensities(real), intensities(samples), "image", numbers, chosen, write_samples, kinds)


def read_tables(args: WeighArgs) -> Sides:
    """Rows of both sides, by the columns that they have in common."""
    (real, _), (samples, _) = (read_any(spec) for spec in (args.real, args.samples))
    schema = common_schema(real, samples, TableReading(drop=args.drop, categorical=args.categorical))

    def write(path: Path, index: Tensor) -> None:
        write_rows(path, samples, index.numpy())

    of_real, of_samples = (features(table, schema) for table in (real, samples))
    numbers = samples.numbers.tolist()
    return Sides(of_real, of_samples, samples.unit, numbers, lambda index: index, write, (".csv", ".parquet"))


def read_text(args: WeighArgs) -> Sides:
    """Lines of both sides, in tokens learnt from both."""
    lines: list[Lines] = [
        read_source(spec, TextReading(args.column, corrupt=args.corrupt, seed=args.seed)).train
        for spec in (args.real, args.samples)
    ]
    name = args.tokenizer or ("char" if args.real == "equations" else "word")
    if name in KINDS:
        size = args.vocabulary_size or (None if name == "bpe" else _MOST_WORDS)
        vocabulary = Vocabulary.learn([text for side in lines for text in side.texts], name, size)
    else:
        vocabulary = Vocabulary.load(name)
    ids = [[line[: args.max_length] for line in vocabulary.encode(side.texts)] for side in lines]
    length = max(len(line) for side in ids for line in side)
    real, generated = (vocabulary.pad(side, length) for side in ids)
    texts = lines[1].texts

    def chosen(index: Tensor) -> list[str]:
        return [texts[place] for place in index]

    return Sides(real, generated, lines[1].unit, lines[1].numbers, chosen, write_samples, suffixes([]))


def _for_samples(args: WeighArgs, kinds: tuple[str, ...]) -> list[Path]:
    """Of the files, those of resampled sets: of tables, which are .csv as weights are, the last one may be."""
    found = [path for path in args.out if path.suffix != ".csv"]
    if args.resample is not None and ".csv" in kinds and not found:
        return list(args.out[-1:])
    return found


def _try_out(args: WeighArgs, kinds: tuple[str, ...]) -> None:
    """Refuse files that cannot be written before the training."""
    if args.resample is not None and not _for_samples(args, kinds):
        raise InputError(f"--resample: expected an --out ending in {' or '.join(kinds)}")
    for path in args.out:
        if path.suffix not in (".csv", *kinds):
            expected = " or ".join(dict.fromkeys((".csv", *kinds)))
            raise InputError(f"--out {path}: expected a file name ending in {expected}")
        if path.suffix != ".csv" and args.resample is None:
            raise InputError(f"--out {path}: expected --resample and how many, or a file name ending in .csv")
        if path.is_dir():
            raise InputError(f"--out {path}: expected a file, this is a folder")
        if any(
            os.path.realpath(path) == os.path.realpath(Path(spec).expanduser()) for spec in (args.real, args.samples)
        ):
            raise InputError(f"--out {path}: expected another file than those that are read")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise InputError(f"--out {path}: cannot be written: {error.strerror}") from None


def _write(path: Path, fit: LogRatioFit, sides: Sides, args: WeighArgs) -> None:
    log_w = fit.log_w.cpu()
    if path not in _for_samples(args, sides.suffixes):
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow([sides.unit, "log_weight", "weight"])
        weights = fit.diagnostics.normalized_weights.cpu() * len(log_w)
        rows.writerows(
            [number, f"{log:.6g}", f"{weight:.6g}"]
            for number, log, weight in zip(sides.numbers, log_w.tolist(), weights.tolist(), strict=True)
        )
        write_aside(path, lambda file: file.write(text.getvalue().encode()))
        print(f"{path}: the weight of each {sides.unit}, 1 in the mean")
        return
    index = resample(log_w, args.resample, generator=generator_of(args.seed))
    sides.write(path, sides.chosen(index))
    print(f"{path}: {args.resample} {sides.unit}s drawn by their weights, {len(index.unique())} different ones")

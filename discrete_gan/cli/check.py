"""``discrete-gan check``: what text, a table, images or frames hold, and whether a training on them would start."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from discrete_gan.cli.parsing import parse_plain
from discrete_gan.data import Batches, load_images, load_text
from discrete_gan.data.arrays import read_arrays
from discrete_gan.data.table import EMBEDDED, make_table, read_any, report_table
from discrete_gan.data.table_files import is_table
from discrete_gan.data.text_report import report_text
from discrete_gan.errors import InputError
from discrete_gan.ranges import Count, check_ranges
from discrete_gan.tasks import Frames
from discrete_gan.tasks.options import FrameOptions, ImageOptions, TableOptions, TextOptions, reading, table_reading
from discrete_gan.training.launch import find_device
from discrete_gan.training.memory import available_memory, gigabytes, sequence_memory
from discrete_gan.writing import told_in_a_line


@dataclass(frozen=True)
class CheckArgs(TextOptions):
    """Read a text data set as a training would, and say what is in it."""

    data: Annotated[str, tyro.conf.Positional] = "equations"
    """equations, a text file (plain, .gz or .xz), a table with --column, hub:NAME[:CONFIG] or hub:FOLDER."""
    seed: int = 0
    """Seed that chooses the lines held out."""
    batch_size: Count = 64
    """Sequences per step."""
    num_samples: Count = 2
    """Samples per latent."""
    hidden: Count = 128
    """Width of the recurrent layers."""
    embedding: Count = 32
    """Width of a token's vector."""
    device: str = "auto"
    """Whose memory counts: cpu, cuda, mps, or auto for the best there is."""


@dataclass(frozen=True)
class TableCheckArgs(TableOptions):
    """Read a table as a training would, and say what its columns are."""

    data: Annotated[str, tyro.conf.Positional] = "wine"
    """wine, breast_cancer, a .csv or .tsv file (plain, .gz or .xz), a .parquet file, or hub:NAME with --table."""
    table: bool = True
    """That it is a table, where the name does not say so."""
    out: Path | None = None
    """Write what the columns are into this .json file, to be edited and given to --schema."""


@dataclass(frozen=True)
class ImageCheckArgs(ImageOptions):
    """Read images as a training would, and say what they are."""

    data: Annotated[str, tyro.conf.Positional] = "digits"
    """{IMAGE_FORMATS}."""
    batch_size: Count = 64
    """Images per step."""
    seed: int = 0
    """Seed that chooses what is held out."""


@dataclass(frozen=True)
class FrameCheckArgs(FrameOptions):
    """Read frames as a training would, and say what they are."""

    data: Annotated[str, tyro.conf.Positional] = "chords"
    """{FRAME_FORMATS}."""
    seed: int = 0
    """Seed that chooses what is held out."""


def check(arguments: list[str]) -> None:
    """Print the report.

    Raises:
        InputError: If a training would not start.
    """
    as_text = any(word.partition("=")[0] in ("--column", "--conditional", "--label-column") for word in arguments)
    named_table = any(is_table(word) or word in EMBEDDED for word in arguments[:1])
    if "--table" in arguments or (named_table and not as_text):
        check_table(arguments)
        return
    what = None if as_text else _other_than_text(arguments[:1])
    if what is not None:
        what(arguments)
        return
    args = parse_plain(CheckArgs, arguments, "discrete-gan check")
    check_ranges(args)
    sizes = {name: getattr(args, name) for name in ("batch_size", "num_samples", "hidden", "embedding")}
    device = find_device(args.device)
    # Damaged lines are skipped here, to see what else there is.
    data = load_text(args.data, seed=args.seed, **{**reading(args), "corrupt": "skip"})
    print(report_text(data))
    available = available_memory(device)
    needed = sequence_memory(max_length=data.max_length, num_categories=data.num_categories, **sizes)
    print(
        f"memory     {'unknown' if available is None else gigabytes(available)} free on {device}; about, in a step of"
    )
    for family, number in needed.items():
        print(f"  {family:<16}{gigabytes(number):>10}{'  too much' if available and number > available else ''}")

    Batches(len(data.train), args.batch_size, seed=args.seed)
    if data.notes.undecodable and args.corrupt == "refuse":
        raise InputError(f"{data.notes.remarks[0]}: a training refuses them without --corrupt skip")
    if available is not None and min(needed.values()) > available:
        raise InputError("no estimator fits in memory: use a smaller --batch-size, --max-length or --vocabulary-size")


def _other_than_text(words: list[str]) -> Callable[[list[str]], None] | None:
    """What checks images or frames, if the first word names such; None for text."""
    if not words:
        return None
    word = words[0]
    path = Path(word).expanduser()
    if path.is_dir():
        suffixes = {each.suffix.lower() for each in path.rglob("*")}
        return check_frames if suffixes & {".mid", ".midi"} else check_images
    if path.suffix == ".npz" and path.is_file():
        return check_frames if set(read_arrays(path)) & {"frames", "lengths", "mask"} else check_images
    if word == "chords" or path.suffix == ".json":
        return check_frames
    return check_images if word in ("digits", "mnist", "fashion_mnist") or path.suffix == ".npy" else None


def check_images(arguments: list[str]) -> None:
    """Print what images there are.

    Raises:
        InputError: If a training would not start.
    """
    args = parse_plain(ImageCheckArgs, arguments, "discrete-gan check")
    check_ranges(args)
    data = load_images(args.data, seed=args.seed, image_size=args.image_size, crop=args.crop, corrupt=args.corrupt)
    (channels, height, width), used = data.image_shape, data.looked_at.unique()
    num, held_out = len(data.train_images), len(data.test_images)
    print(f"{data.name}: {num:,} images for training, {held_out:,} held out; {height}x{width}, {channels} channel(s)")
    if data.is_mapped:
        print(f"           over the limit of memory: they stay in the file; the last {held_out:,} are held out")
    values = ", ".join(map(str, used.tolist())) if len(used) <= 8 else f"{len(used)} different ones"
    print(f"pixels     from 0 to {data.maximum}: {values}")
    if data.train_labels is not None:
        names = data.classes.names if data.classes else range(data.num_classes or 0)
        counts = data.train_labels.bincount(minlength=len(names)).tolist()
        print("classes    " + ", ".join(f"{name}: {count:,}" for name, count in zip(names, counts, strict=True)))
    Batches(num, args.batch_size, seed=args.seed)


def check_frames(arguments: list[str]) -> None:
    """Print what frames there are.

    Raises:
        InputError: If a training would not start.
    """
    args = parse_plain(FrameCheckArgs, arguments, "discrete-gan check")
    check_ranges(args)
    task = Frames(args)
    print(task.describe())
    Batches(len(task.data.train), args.batch_size, seed=args.seed)


def check_table(arguments: list[str]) -> None:
    """Print what the columns of a table are.

    Raises:
        InputError: If a training would not start, or the schema cannot be written.
    """
    args = parse_plain(TableCheckArgs, arguments, "discrete-gan check")
    check_ranges(args)
    if args.out is not None and args.out.suffix != ".json":
        raise InputError(f"--out {args.out}: expected a file name ending in .json")
    table, other = read_any(args.data)
    other = other if args.held_out is None else read_any(args.held_out)[0]
    data = make_table(table, other, seed=args.seed, reading=table_reading(args))
    print(report_table(data))
    if args.out is not None:
        with told_in_a_line(args.out.parent):
            args.out.parent.mkdir(parents=True, exist_ok=True)
            data.schema.save(args.out)
        print(f"{args.out}: what the columns are, for --schema")
    Batches(len(data.train), args.batch_size, seed=args.seed)

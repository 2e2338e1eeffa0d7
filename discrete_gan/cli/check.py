"""``discrete-gan check``: what a text data set or a table holds, and whether a training on it would start."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from discrete_gan.cli.parsing import parse_plain
from discrete_gan.data import Batches, load_text
from discrete_gan.data.table import EMBEDDED, make_table, read_any, report_table
from discrete_gan.data.table_files import is_table
from discrete_gan.data.text_report import report_text
from discrete_gan.errors import InputError
from discrete_gan.ranges import Count, check_ranges
from discrete_gan.tasks.options import TableOptions, TextOptions, reading, table_reading
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

"""``discrete-gan check``: what a text data set holds, and whether a training on it would start."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from discrete_gan.cli.parsing import parse_plain
from discrete_gan.data import Batches, load_text
from discrete_gan.data.text_report import report_text
from discrete_gan.errors import InputError
from discrete_gan.ranges import Count, check_ranges
from discrete_gan.tasks.options import TextOptions, reading
from discrete_gan.training.launch import find_device
from discrete_gan.training.memory import available_memory, gigabytes, sequence_memory


@dataclass(frozen=True)
class CheckArgs(TextOptions):
    """Read a text data set as a training would, and say what is in it."""

    data: Annotated[str, tyro.conf.Positional] = "equations"
    """equations, a text file (plain, .gz or .xz), hub:NAME[:CONFIG] or hub:FOLDER."""
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


def check(arguments: list[str]) -> None:
    """Print the report.

    Raises:
        InputError: If a training would not start.
    """
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

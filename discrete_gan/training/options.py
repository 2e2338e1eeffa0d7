"""Options that every recipe has."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from discrete_gan.errors import InputError

Precision = Literal["auto", "32-true", "bf16-mixed"]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Where a run goes, how often it reports, and what it runs on."""

    out: Path | None = None
    """Run directory; runs/RECIPE if not given."""
    resume: Path | None = None
    """Continue the run of this directory from its last checkpoint, with its settings."""
    overwrite: bool = False
    """Replace a run that the run directory already holds."""
    seed: int = 0
    """Of every random draw; a resumed run equals an unbroken one bit for bit on a CPU."""
    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is. torchrun starts several processes."""
    precision: Precision = "32-true"
    """Number format of the networks' matrix products; auto is bf16-mixed where the hardware multiplies bfloat16
    (recent GPUs, CPUs with AMX), else 32-true."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl."""
    sample_every: int = 1000
    """Steps between sample grids; 0 for none but the last."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; 0 for none but the last."""
    probe_every: int = 0
    """Steps between gradient probes; 0 for none."""
    probe_redraws: int = 16
    """Gradients drawn anew at each probe."""
    tensorboard: bool = False
    """Also log to the run directory in TensorBoard's format."""


@dataclass(frozen=True, kw_only=True)
class ImageOptions(RunOptions):
    """Options of a recipe on images: how pictures of any size and shape become equal squares."""

    image_size: int | None = None
    """Side in pixels that the square in the middle of each image is resized to; as the data is if not given."""
    crop: int | None = None
    """Side in pixels of that square; the shorter side of the image if not given. For CelebA 108, resized to 64."""
    corrupt: Literal["refuse", "skip"] = "refuse"
    """What to do with pictures of a folder that cannot be decoded: refuse the data, or skip them and say how many."""


def check_options(options: RunOptions, **ranges: tuple[float, float]) -> None:
    """Refuse options out of range before anything is loaded or written.

    Args:
        options: A recipe's arguments.
        ranges: Least allowed value, and the first that is not, under the option's name.

    Raises:
        InputError: If a value is out of its range or not a number.
    """
    for name, (least, end) in ranges.items():
        value = getattr(options, name)
        if not least <= value < end:
            expected = f"at least {least}" if math.isinf(end) else f"from {least} to below {end}"
            raise InputError(f"--{name.replace('_', '-')}: expected {expected}, got {value}")

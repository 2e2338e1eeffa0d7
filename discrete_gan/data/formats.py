"""What an entry in a table of formats says: how the format is called, what it reads, and its loader."""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from .image_data import ImageData

Corrupt = Literal["refuse", "skip"]


class ImageReading(NamedTuple):
    """How images are read: the same for every loader, and each uses what concerns it.

    Attributes:
        seed: Chooses the images held out where there is no test part; None holds out none.
        image_size: Side of the images, as in ``fit``.
        crop: Side of the square cut out of the middle, as in ``fit``.
        corrupt: ``refuse`` a picture that cannot be decoded, or ``skip`` it and say so on stderr.
    """

    seed: int | None = 0
    image_size: int | None = None
    crop: int | None = None
    corrupt: Corrupt = "refuse"


class ImageFormat(NamedTuple):
    """A format of images.

    Attributes:
        called: What the user names, as help and messages put it.
        reads: Whether what the user named is in this format; it need not exist.
        load: Reads what the user named; the images come cropped and resized.
        looked_for: What ``reads`` looks for in a folder; empty for a format that is no folder.
    """

    called: str
    reads: Callable[[str], bool]
    load: Callable[[str, ImageReading], ImageData]
    looked_for: str = ""


def listed(called: Iterable[str]) -> str:
    """The formats as a phrase: ``digits, hub:NAME, or a folder``."""
    *others, last = called
    return f"{', '.join(others)}, or {last}"

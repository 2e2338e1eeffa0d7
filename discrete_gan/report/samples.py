"""The samples that a run saved, on a page: as data, whatever the file holds."""

import os
from itertools import islice
from pathlib import Path

from discrete_gan.report.page import PNG_SIGNATURE, Block, Code, Picture, Text
from discrete_gan.training.records import inside

_LARGEST_PICTURE = 1 << 25  # bytes
_LONGEST_LINE = 2000


def saved_samples(folder: Path, *, alt: str, caption: str, lines: int, name: str = "samples") -> list[Block]:
    """RUN/NAME.png, else the first lines of RUN/NAME.txt, else nothing.

    Raises:
        InputError: If one is a symbolic link out of the folder.
    """
    picture, text = inside(folder, f"{name}.png"), inside(folder, f"{name}.txt")
    if os.path.isfile(picture):
        data = picture.read_bytes() if picture.stat().st_size <= _LARGEST_PICTURE else b""
        is_png = data.startswith(PNG_SIGNATURE)
        return [Picture(data, alt, caption) if is_png else Text(f"{picture}: left out, it is no PNG")]
    if os.path.isfile(text):
        with text.open(encoding="utf-8", errors="replace") as file:
            found = [line.rstrip("\n") for line in islice(iter(lambda: file.readline(_LONGEST_LINE), ""), lines)]
        return [Text(caption), Code("\n".join(found))]
    return []

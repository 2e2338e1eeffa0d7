"""Lines of text from what the user names: equations, a data set of the hub, or a file."""

import os
from pathlib import Path

from discrete_gan.data.equations import draw_equations
from discrete_gan.data.extras import nearest_path
from discrete_gan.data.formats import Corrupt, listed
from discrete_gan.data.hub import is_hub
from discrete_gan.data.limits import OPENERS
from discrete_gan.data.text_files import read_file
from discrete_gan.data.text_hub import read_hub
from discrete_gan.data.text_lines import Lines, Source, TextFormat, TextReading
from discrete_gan.errors import InputError


def _draw(_: str, reading: TextReading) -> Source:
    parts = [
        Lines("equations", "line", part, list(range(1, len(part) + 1)), total=len(part), empty=0, undecodable=[])
        for part in draw_equations(seed=reading.seed)
    ]
    return Source("equations", *parts)


# The first one that reads what the user names is taken: a file is anything else.
FORMATS = (
    TextFormat("equations", lambda spec: spec == "equations", _draw),
    TextFormat("hub:NAME", is_hub, read_hub),
    TextFormat(f"a text file (plain, {' or '.join(OPENERS)})", lambda _: True, read_file),
)
TEXT_FORMATS = listed(one.called for one in FORMATS)
"""What ``load_text`` reads, as a phrase."""


def read_source(
    spec: str | os.PathLike[str],
    *,
    column: str = "text",
    corrupt: Corrupt = "refuse",
    running: bool = False,
    seed: int = 0,
) -> Source:
    """Reads lines of text.

    Args:
        spec: ``equations``, ``hub:NAME[:CONFIG]`` or ``hub:FOLDER`` (through the datasets library), where each row is
            a line, or a UTF-8 text file, plain or ending in ``.gz`` or ``.xz``.
        column: Of those rows.
        corrupt: ``refuse`` lines that are not UTF-8, or ``skip`` them.
        running: Keep empty lines and the white space around lines.
        seed: Of the equations.

    Raises:
        InputError: If nothing is there, if it cannot be read, or if no line holds text.
    """
    spec = os.fspath(spec)
    expanded = os.path.expanduser(spec)
    chosen = next(one for one in FORMATS if one.reads(expanded))
    try:
        return chosen.read(expanded, TextReading(column, corrupt, running, seed))
    except FileNotFoundError:
        hint = nearest_path(Path(expanded), "equations")
        raise InputError(f"no text at {spec!r}: {hint}expected {TEXT_FORMATS}") from None
    except IsADirectoryError:
        other = "hub:FOLDER for one that datasets can read"
        raise InputError(f"{Path(expanded)}: this is a folder: expected {TEXT_FORMATS}, or {other}") from None

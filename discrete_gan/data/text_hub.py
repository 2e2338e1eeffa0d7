"""Lines of text from a column of a data set, through Hugging Face's ``datasets`` library."""

from typing import Any

from discrete_gan.data.extras import one_line, require
from discrete_gan.data.hub import load_splits
from discrete_gan.data.text_columns import of_columns
from discrete_gan.data.text_lines import Lines, Source, TextReading
from discrete_gan.errors import InputError

_HELD_OUT_SPLITS = ("test", "validation")


def read_hub(spec: str, reading: TextReading) -> Source:
    """Reads the split ``train``, and ``test`` or else ``validation``; each row is a line.

    Raises:
        InputError: If it cannot be loaded, has no such column of text, or no row holds text.
    """
    name, splits = load_splits(require("datasets", "datasets", spec), spec.removeprefix("hub:"))
    if "train" not in splits:
        raise InputError(f"{spec}: expected a split named train, found {', '.join(splits) or 'none'}")
    held_out = next((split for split in _HELD_OUT_SPLITS if split in splits), None)
    parts = {
        split: _read_split(splits[split], f"{name}, split {split}", reading)
        for split in ("train", held_out)
        if split is not None
    }
    return Source(name, parts["train"], None if held_out is None else parts[held_out])


def _read_split(split: Any, where: str, reading: TextReading) -> Lines:
    def cells(name: str) -> list[Any]:
        """Those of a column; of classes, their names."""
        try:
            kind, found = split.features[name], split[name][:]
        except Exception as error:  # A damaged file shows when its rows are asked for, as anything.
            raise InputError(f"{where}: column {name} cannot be read: {one_line(error)}") from error
        return [None if cell is None else kind.int2str(cell) for cell in found] if hasattr(kind, "int2str") else found

    return of_columns(where, "row", list(split.features), cells, range(len(split)), reading)

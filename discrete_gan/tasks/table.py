"""Rows of a table to learn: every column a position, judged by marginals, pairs, what a model learns, and copies."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.data.table import TableData, load_table, report_table
from discrete_gan.data.table_codec import decode, write_table
from discrete_gan.data.table_schema import Schema, TableReading
from discrete_gan.errors import InputError
from discrete_gan.sampling import generate
from discrete_gan.tasks.base import Depth, Rows
from discrete_gan.tasks.options import TableOptions, table_reading
from discrete_gan.tasks.score import Score
from discrete_gan.tasks.table_picture import write_marginals
from discrete_gan.tasks.table_scores import TableScorer
from discrete_gan.tasks.table_where import ConditionalRows, conditions, sample_where

_QUICK = 1000  # samples of a line of the log
_SHOWN = 2000  # samples of the picture
_WRITTEN = 50_000  # rows at a time


class Table(Rows):
    """Rows of a table.

    Args:
        options: Names data and reading.
        target: Column that is predicted from the others, in a score; the last one that is learnt if not given.
        condition: Columns to be drawn before all others.
    """

    num_classes = 0  # batches come without labels
    writes_in_parts = True

    def __init__(self, options: TableOptions, target: str | None = None, condition: Sequence[str] = ()) -> None:
        self.options, self.target, self.condition = options, target, tuple(condition)
        self._schema: Schema | None = None

    @functools.cached_property
    def data(self) -> TableData:
        """The table."""
        known = self._schema  # that of the run, whatever rows are read
        reading = table_reading(self.options) if known is None else TableReading(schema=known)
        return load_table(self.options.data, seed=self.options.seed, reading=reading, held_out=self.options.held_out)

    @property
    def schema(self) -> Schema:
        """What the columns are."""
        return self._schema or self.data.schema

    @property
    def sizes(self) -> list[int]:
        """Categories of each column that is learnt."""
        return self.schema.sizes

    @property
    def order(self) -> list[int]:
        """Columns in the order in which they are best drawn: those of conditions, the others, and the target."""
        names = [column.name for column in self.schema.learnt]
        target = self.target or names[-1]
        places = {name: place for place, name in enumerate(self.condition)}
        return sorted(
            range(len(names)),
            key=lambda d: (places.get(names[d], len(places)), names[d] == target and target not in places),
        )

    @functools.cached_property
    def scorer(self) -> TableScorer:
        """Scores rows against the training and the held-out ones."""
        return TableScorer(self.data, self.target)

    def describe(self) -> str:
        """What there is to learn, to be read before it is."""
        return report_table(self.data)

    def summary(self) -> dict[str, Any]:
        """What config.json says of the data.

        Raises:
            InputError: If the target, or a condition, is no column that is learnt.
        """
        names = [column.name for column in self.data.schema.learnt]
        asked = [("--target", self.target)] * (self.target is not None) + [
            ("--condition", name) for name in self.condition
        ]
        for option, name in asked:
            if name not in names:
                raise InputError(f"{option} {name}: expected a column that is learnt, one of {', '.join(names)}")
        return self.data.summary()

    def save(self, folder: Path) -> None:
        """Write the schema."""
        self.data.schema.save(folder / "schema.json")

    def recall(self, folder: Path, config: dict[str, Any]) -> None:
        """Take up the schema, by which other rows are then read."""
        if (folder / "schema.json").is_file():
            self._schema = Schema.load(folder / "schema.json")

    def parts(self) -> tuple[Tensor, Tensor]:
        """For training and held out, int64."""
        return self.data.train, self.data.held_out

    def decode(self, x: Tensor) -> Any:
        """A data frame of values."""
        return decode(x, self.schema)

    def write(self, path: Path, samples: Tensor) -> Path:
        """Write rows as the data are written, in parts, so that text of a million of them is never in memory.

        Args:
            path: The file.
            samples: Categories, integers, shape (N, D).

        Raises:
            InputError: If the file is no .csv and no .parquet.
        """
        if path.suffix not in (".csv", ".parquet"):
            raise InputError(f"{path}: expected a file name ending in .csv or .parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = samples.split(_WRITTEN)
        frames = (decode(part, self.schema) for part in tqdm(parts, desc="write", disable=len(parts) == 1))
        return write_table(path, frames, self.schema)

    def where(self, generator: Generator, where: Sequence[str], num: int, *, seed: int = 0) -> ConditionalRows:
        """Rows that have values given as ``COLUMN=VALUE``; raises as :func:`conditions` does."""
        return sample_where(generator, conditions(where, self.schema), num, seed=seed)

    def scores(
        self,
        generator: Generator,
        discriminator: Discriminator | None,
        *,
        num: int | None = None,
        depth: Depth = "run",
        seed: int = 0,
    ) -> list[Score]:
        """Marginals and pairs of columns, what a model learns from the samples; in full, copies and coverage too.

        Args:
            generator: To draw from.
            discriminator: Not asked.
            num: Samples; 10,000 if not given.
            depth: How much to measure.
            seed: Of latents and samples.
        """
        number = _QUICK if depth == "line" else num or 10_000
        x = generate(generator, number, seed=seed)
        return self.scorer.scores(x.cpu(), depth=depth, seed=seed)

    def show(self, generator: Generator, path: Path, scores: Sequence[Score] = ()) -> Path:
        """Marginals of samples beside those of the training rows."""
        x = generate(generator, _SHOWN)
        return write_marginals(path.with_suffix(".png"), self.schema, self.data.train, x.cpu())

"""A table in three lines, for who wants no command line: ``TableGAN().fit(frame).sample(1000)``."""

import io
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pandas
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from discrete_gan.cli.recipes import load_recipe
from discrete_gan.cli.runs import load_model
from discrete_gan.data.table_codec import decode, text_of_dates
from discrete_gan.data.table_files import of_frame
from discrete_gan.data.table_infer import infer_schema
from discrete_gan.data.table_schema import Schema, TableReading
from discrete_gan.errors import InputError
from discrete_gan.sampling import generate
from discrete_gan.tasks import Score
from discrete_gan.training.directory import RunDirectory
from discrete_gan.training.records import read_results

_LARGE = 2000  # rows, from which batches are large


class TableGAN(BaseEstimator):
    """The recipe ``table`` on a data frame, in the style of scikit-learn's estimators.

    Args:
        steps: Of the training, the first 600 by likelihood alone.
        batch_size: Rows per step; 256, or 64 of fewer than 2,000 rows, if not given.
        estimator: Of the gradient, as on the command line; ``"mle"`` for likelihood alone.
        target: Column that a score has predicted from the others, drawn last; the last one if not given.
        drop: Columns to leave out.
        categorical: Columns whose values are categories, whatever they look like.
        keep: Identifiers to learn all the same.
        condition: Columns that are drawn first.
        num_scored: Samples to score at the end.
        seed: Of every draw of the training.
        device: Where to train: cpu, cuda, mps, or auto for the best there is.
        out: Run directory to keep; one that is removed again if not given.
        verbose: Show what the command line shows.

    Attributes:
        generator_: Trained, on the CPU.
        schema_: What the columns are.
        scores_: Measured at the end.
    """

    generator_: Any
    schema_: Schema
    scores_: list[Score]

    def __init__(
        self,
        *,
        steps: int = 1200,
        batch_size: int | None = None,
        estimator: str = "boundary-seeking:num_samples=4",
        target: str | None = None,
        drop: Sequence[str] = (),
        categorical: Sequence[str] = (),
        keep: Sequence[str] = (),
        condition: Sequence[str] = (),
        num_scored: int = 2000,
        seed: int = 0,
        device: str = "auto",
        out: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.steps, self.batch_size, self.estimator, self.target = steps, batch_size, estimator, target
        self.drop, self.categorical, self.keep, self.condition = drop, categorical, keep, condition
        self.num_scored, self.seed, self.device, self.out, self.verbose = num_scored, seed, device, out, verbose

    def fit(self, frame: Any, y: object = None) -> "TableGAN":
        """Train on a data frame.

        Args:
            frame: Of pandas; its index does not count.
            y: Not asked, there for scikit-learn's pipelines.

        Raises:
            InputError: If it is no data frame, a column is mixed or all missing, an option names none, or the directory
                holds a run.
        """
        if not isinstance(frame, pandas.DataFrame):
            raise InputError(f"frame: expected a data frame of pandas, got {type(frame).__name__}")
        table = of_frame(frame, "frame", "frame")
        options = self._options()
        # Which refuses what could not be written, by the frame's own name.
        infer_schema(table, TableReading(options["drop"], options["categorical"], options["keep"]))
        recipe, quiet = load_recipe("table"), io.StringIO()
        with tempfile.TemporaryDirectory() as folder:
            file, out = Path(folder) / "frame.parquet", Path(self.out or Path(folder) / "run")
            table.frame.to_parquet(file)
            with (
                nullcontext() if self.verbose else redirect_stdout(quiet),
                nullcontext() if self.verbose else redirect_stderr(quiet),
            ):
                self._train(recipe, file, out, len(frame))
            directory = RunDirectory(out)
            self.generator_ = load_model(directory)
            self.schema_ = Schema.load(out / "schema.json")
            results = read_results(out)
            self.scores_ = list((results and results.scores) or [])
        self._types = dict(zip(table.frame.columns, frame.dtypes, strict=True))
        self._names = dict(zip(table.frame.columns, frame.columns, strict=True))
        return self

    def _train(self, recipe: Any, file: Path, out: Path, num_rows: int) -> None:
        options = self._options()
        options |= {
            name: getattr(self, name) for name in ("steps", "estimator", "target", "num_scored", "seed", "device")
        }
        size = self.batch_size or (256 if num_rows >= _LARGE else 64)
        args = recipe.Args(data=str(file), out=out, batch_size=size, sample_every=0, **options)
        directory = RunDirectory.of(args, recipe.path.stem)
        try:
            directory.claim()
            recipe.main(args)
        finally:
            directory.release()

    def _options(self) -> dict[str, tuple[str, ...]]:
        """Those that name columns: one alone is one."""
        found = {name: getattr(self, name) for name in ("drop", "categorical", "keep", "condition")}
        return {name: (value,) if isinstance(value, str) else tuple(value) for name, value in found.items()}

    def sample(self, num: int, *, seed: int = 0) -> Any:
        """Rows as a data frame: columns, order and types of the one it was fitted to, but identifiers.

        Args:
            num: Of rows.
            seed: Of latents and samples: the same seed, the same rows.

        Raises:
            NotFittedError: If it was not fitted.
            InputError: If ``num`` is below 1.
        """
        check_is_fitted(self, "generator_")
        if num < 1:
            raise InputError(f"num: expected at least 1, got {num}")
        rows = decode(generate(self.generator_, num, seed=seed), self.schema_)
        columns = {name: self._typed(rows[name]) for name in rows.columns}
        return pandas.DataFrame(columns).rename(columns=self._names)

    def _typed(self, cells: Any) -> Any:
        """A decoded column in the type of the data frame's; dates that were text are, those with a zone have it."""
        kind = self._types[cells.name]
        if isinstance(kind, pandas.DatetimeTZDtype):
            return cells.dt.tz_localize("UTC").dt.tz_convert(kind.tz).astype(kind)
        if cells.dtype.kind == "M" and kind.kind != "M":
            cells = text_of_dates(cells, self.schema_)
        return cells.astype(kind)

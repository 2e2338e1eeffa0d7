"""How good generated rows of a table are, beside held-out real ones that are scored like them."""

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from discrete_gan.data.extras import require
from discrete_gan.data.table import TableData
from discrete_gan.data.table_codec import decode
from discrete_gan.data.table_features import features
from discrete_gan.data.table_files import of_frame
from discrete_gan.data.table_schema import NUMERIC, Column, Schema
from discrete_gan.metrics.bootstrap import bootstrap_interval, mean_interval
from discrete_gan.metrics.memorization import memorization
from discrete_gan.metrics.precision_recall import memberships
from discrete_gan.metrics.two_sample import FEWEST, classifier_two_sample_test
from discrete_gan.seeds import generator_of, word_seed
from discrete_gan.tasks.base import Depth
from discrete_gan.tasks.likeness import memorization_scores, two_sample_score
from discrete_gan.tasks.score import Score
from discrete_gan.tasks.table_constraints import broken, dependencies

_REFERENCE = 50_000  # training rows that marginals, pairs and classifiers are compared with
_COMPARED = 2000  # samples, and held-out rows, of everything that is compared in pairs
_NEIGHBORS = 5
_ROWS = 500  # whose distances to all training rows are held at a time
_EQUAL = 1e-6  # a distance that is rounding
_PAIRED = 24  # columns whose pairs are scored: their number grows with its square
_NAMED = 5  # dependencies of a note
_RESAMPLES = 100


class Learnt(NamedTuple):
    """What a model that is trained on some rows predicts of others.

    Attributes:
        value: Area under the ROC curve, or R^2.
        predicted: For each row, probabilities or numbers.
    """

    value: float
    predicted: np.ndarray


class TableScorer:
    """Scores rows against the training and the held-out ones.

    Args:
        data: The table.
        target: Column that is predicted from the others; the last one that is learnt if not given.
    """

    def __init__(self, data: TableData, target: str | None = None) -> None:
        self.data, self.schema = data, data.schema
        self.target = target or data.schema.learnt[-1].name
        generator = generator_of(0)
        order = torch.randperm(len(data.train), generator=generator)[:_REFERENCE]
        self.reference = data.train[order]

    @functools.cached_property
    def frames(self) -> tuple[Any, Any]:
        """Training rows, or as many as are compared, and the held-out ones."""
        return decode(self.reference, self.schema), decode(self.data.held_out, self.schema)

    @functools.cached_property
    def _fingerprint(self) -> str:
        return self.data.fingerprint()

    def scores(self, x: Tensor, *, depth: Depth, seed: int = 0) -> list[Score]:
        """The most telling first: error of marginals and pairs, what a model learns, and whether samples are told.

        Args:
            x: Categories of samples, shape (N, D).
            depth: How much to measure: marginals for a line of the log, copies and coverage in full.
            seed: Of the classifiers.
        """
        frame = decode(x, self.schema)
        found = self.quality(frame, pairs=depth != "line", seed=seed)
        if depth == "line":
            return found
        found += self.learnt(frame, intervals=depth == "full", seed=seed)
        if depth == "full":
            found += self.constraints(x) + self.likeness(frame, seed)
        return found

    def quality(self, frame: Any, *, pairs: bool, seed: int = 0) -> list[Score]:
        """One minus SDMetrics' column shapes, and pair trends, in percent, of samples and of held-out rows.

        As :func:`~discrete_gan.tasks.table_quality.shape_distance` and
        :func:`~discrete_gan.tasks.table_quality.trend_distance` have them. Of more than 24 columns, the pairs of 24
        that are drawn once, the target among them.
        """
        real, held_out = self.frames
        errors, floor = (self._errors(side, pairs=pairs) for side in (frame, held_out))
        sizes = f"n:{len(frame)}|train:{len(real)}|held-out:{len(held_out)}"
        if pairs and len(self.schema.learnt) > _PAIRED:
            sizes += f"|pairs-of:{_PAIRED}"
        protocol = f"{sizes}|data:{self._fingerprint}|seed:{seed}|as:sdmetrics-0.25"
        names = {"shape_error": "column shape error", "trend_error": "pair trend error"}
        return [
            Score(name, errors[name], label, "%", "less", 0, floor[name], protocol=protocol)
            for name, label in names.items()
            if name in errors
        ]

    def constraints(self, x: Tensor) -> list[Score]:
        """How many samples break what decides one column by another in every training row; nothing if nothing does.

        Args:
            x: Categories of samples, shape (N, D).
        """
        columns = self.schema.learnt
        held = dependencies(self.data.train, columns)
        if not held:
            return []
        named = [f"{columns[each.of].name} decides {columns[each.on].name}" for each in held]
        note = "; ".join(named[:_NAMED]) + (f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else "")
        breaks, real = mean_interval(broken(x, held).double()), float(broken(self.data.held_out, held).double().mean())
        protocol = f"n:{len(x)}|train:{len(self.data.train)}|data:{self._fingerprint}"
        score = Score("broken", breaks.value, "broken dependencies", "of samples", "less", 0, real, protocol=protocol)
        return [score._replace(note=note).within(breaks)]

    def learnt(self, frame: Any, *, intervals: bool, seed: int = 0) -> list[Score]:
        """Train on synthetic rows, test on held-out real ones: gradient boosting predicts the target."""
        column = next(each for each in self.schema.learnt if each.name == self.target)
        is_number = column.kind in NUMERIC
        name, label = ("tstr_r2", "trained on samples, R^2") if is_number else ("tstr_auc", "trained on samples, AUC")
        real, held_out = self.frames
        protocol = f"n:{len(frame)}|held-out:{len(held_out)}|target:{self.target}|data:{self._fingerprint}|seed:{seed}"
        try:
            of_samples, of_real = (self._learn(side, held_out, column, seed) for side in (frame, real))
        except ValueError as error:  # held-out rows of one class
            return [Score(name, math.nan, label, note=f"{self.target}: {error}", protocol=protocol)]
        score = Score(name, of_samples.value, label, better="more", real=of_real.value, protocol=protocol)
        score = score._replace(unit=f"of {self.target}, gradient boosting")
        if not intervals:
            return [score]
        truth = _target(held_out, column)

        def of_rows(index: Tensor) -> float:
            return _goodness(truth[index], of_samples.predicted[index])

        rows = torch.arange(len(truth))
        return [score.within(bootstrap_interval(of_rows, rows, num_resamples=_RESAMPLES))]

    def _learn(self, train: Any, test: Any, column: Column, seed: int) -> Learnt:
        ensemble: Any = require("sklearn.ensemble", "scikit-learn", "scoring tables")
        others = Schema(tuple(each for each in self.schema.learnt if each.name != column.name))
        x, x_test = (_features(side, others) for side in (train, test))
        y, y_test = _target(train, column), _target(test, column)
        seed = word_seed(seed)
        if column.kind in NUMERIC:
            predicted = ensemble.HistGradientBoostingRegressor(random_state=seed).fit(x, y).predict(x_test)
            return Learnt(_goodness(y_test, predicted), predicted)
        predicted = np.zeros((len(x_test), column.size))
        if len(classes := np.unique(y)) > 1:
            model = ensemble.HistGradientBoostingClassifier(random_state=seed).fit(x, y)
            predicted[:, classes] = model.predict_proba(x_test)
        return Learnt(_goodness(y_test, predicted), predicted)

    def likeness(self, frame: Any, seed: int = 0) -> list[Score]:
        """A two-sample test, density and coverage, distances to the closest training row and a verdict on copies."""
        train, held_out = self.frames
        sides = [self.vectors(side) for side in (train, held_out[:_COMPARED], frame[:_COMPARED])]
        of_train, of_real, of_fake = map(torch.from_numpy, sides)
        protocol = (
            f"n:{len(of_fake)}|held-out:{len(of_real)}|train:{len(of_train)}|data:{self._fingerprint}|seed:{seed}"
        )
        size = min(len(of_real), len(of_fake))
        scores = []
        if size >= FEWEST:
            test = classifier_two_sample_test(of_real[:size], of_fake[:size], seed=seed)
            scores.append(two_sample_score(test, protocol))
        scale = self.scale(of_train)
        of_train, of_real, of_fake = of_train * scale, of_real * scale, of_fake * scale
        if size > _NEIGHBORS:
            scores += _coverage(of_real[:size], of_fake[:size], of_train[:size], protocol)
        copies = memorization(nearest_distances(of_fake, of_train), nearest_distances(of_real, of_train))
        return [*scores, *memorization_scores(copies, protocol, "standard deviations, or columns that differ,")]

    def _errors(self, frame: Any, *, pairs: bool) -> dict[str, float]:
        real, schema = self.frames[0], self.schema
        from discrete_gan.tasks.table_quality import shape_distance, trend_distance

        errors = {"shape_error": 100 * shape_distance(real, frame, schema)}
        if pairs and len(schema.learnt) > 1:
            errors["trend_error"] = 100 * trend_distance(real, frame, self._paired)
        return errors

    @functools.cached_property
    def _paired(self) -> Schema:
        """The columns whose pairs are scored."""
        columns = self.schema.learnt
        order = torch.randperm(len(columns), generator=generator_of(0)).tolist()
        order.sort(key=lambda place: columns[place].name != self.target)
        return Schema(tuple(columns[place] for place in sorted(order[:_PAIRED])))

    def vectors(self, frame: Any) -> np.ndarray:
        """Rows as :func:`discrete_gan.data.table_features.features` has them, shape (N, F)."""
        return _features(frame, self.schema)

    def scale(self, rows: Tensor) -> Tensor:
        """Numbers to unit variance, and categories so that two that differ are at distance one."""
        scale: list[Tensor] = []
        for column in self.schema.learnt:
            width = _features(self.frames[0][:2], Schema((column,))).shape[1]
            here = rows[:, sum(map(len, scale)) :][:, :width]
            is_number = torch.tensor([column.kind in NUMERIC, *[False] * (width - 1)])
            spread = here.std(dim=0)
            scale.append(torch.where(is_number & (spread > 0), 1 / spread.clamp(min=1e-12), math.sqrt(0.5)))
        return torch.cat(scale)


def nearest_distances(rows: Tensor, references: Tensor) -> Tensor:
    """Euclidean distance of each row (N, F) to the nearest reference (N', F), float64, shape (N,); exact 0 if equal."""
    references = references.double()
    found = [torch.cdist(part, references).min(dim=1).values for part in rows.double().split(_ROWS)]
    distances = torch.cat(found)
    return torch.where(distances < _EQUAL, 0.0, distances)


def _features(frame: Any, schema: Schema) -> np.ndarray:
    return features(of_frame(frame, "rows", "rows"), schema).numpy()


def _target(frame: Any, column: Column) -> np.ndarray:
    """Numbers, or categories as integers."""
    if column.kind in NUMERIC:
        numbers = frame[column.name]
        if column.kind == "datetime":
            numbers = numbers.astype("int64").where(numbers.notna())
        found = numbers.astype("float64").to_numpy()
        return np.nan_to_num(found, nan=float(np.nanmean(found)))
    places = {value: place for place, value in enumerate(column.values)}
    return np.array([places.get(value, len(places)) for value in frame[column.name]])


def _goodness(truth: np.ndarray, predicted: np.ndarray) -> float:
    """R^2 of numbers; of classes the area under the ROC curve, one against the others, mean over those that occur."""
    metrics: Any = require("sklearn.metrics", "scikit-learn", "scoring tables")
    if predicted.ndim == 1:
        return float(metrics.r2_score(truth, predicted))
    classes = np.unique(truth)
    if len(classes) < 2:
        raise ValueError("held-out rows are all of one class")
    if len(classes) == 2:
        classes = classes[1:]
    return float(np.mean([metrics.roc_auc_score(truth == each, predicted[:, each]) for each in classes]))


def _coverage(real: Tensor, fake: Tensor, train: Tensor, protocol: str) -> list[Score]:
    inside, of_train = (memberships(real, side, k=_NEIGHBORS) for side in (fake, train))
    protocol = f"k:{_NEIGHBORS}|{protocol}"
    density, coverage = mean_interval(inside.balls / _NEIGHBORS), mean_interval(inside.covered.double())
    real_density = (of_train.balls.double().mean() / _NEIGHBORS).item()
    real_coverage = of_train.covered.double().mean().item()
    return [
        Score("density", density.value, "density", better="more", real=real_density, protocol=protocol).within(density),
        Score("coverage", coverage.value, "coverage", better="more", real=real_coverage, protocol=protocol).within(
            coverage
        ),
    ]

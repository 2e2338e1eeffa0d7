"""Frechet distance, class scores and likeness within a class of generated images, with what real images get."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from discrete_gan.metrics import am_score, class_coverage, frechet_distance, gaussian_statistics, inception_score
from discrete_gan.metrics.bootstrap import Interval, bootstrap_interval, mean_interval
from discrete_gan.metrics.classifier import Predictions, fingerprint, predict
from discrete_gan.metrics.coverage import num_classes_covered
from discrete_gan.metrics.intra_class_ms_ssim import SMALLEST_SIDE, intra_class_ms_ssim
from discrete_gan.metrics.precision_recall import memberships
from discrete_gan.seeds import generator_of
from discrete_gan.tasks.base import Depth
from discrete_gan.tasks.score import Score

COVERAGE_THRESHOLD = 0.03
_RESAMPLES = 100  # of the scores that take a matrix root each
_NAMED = 20  # classes at most whose shares are told
_NEIGHBOR = 5  # whose distance is the radius of precision and recall


class ImageScorer:
    """Scores samples again and again against the same real images, whose features are computed once.

    Args:
        classifier: The feature network, on the device to compute on: the package's, or any module that
            :func:`predict` accepts.
        train_images: Flat images in {0, 1}, shape (N, D), binarized as the samples are.
        test_images: Flat images in {0, 1}, shape (N', D).
        accuracy: The classifier's accuracy on the test images, to be reported with the scores.
        seed: Chooses the training images of the floor.
        image_shape: (C, H, W), of which MS-SSIM is computed; that of the package's classifier if not given.
        class_names: What the classes are called, where that is not their numbers.

    Attributes:
        name: Of the feature network: its class and a hash of its weights.

    Raises:
        ValueError: If either set has fewer than 2 images.
    """

    def __init__(
        self,
        classifier: nn.Module,
        train_images: Tensor,
        test_images: Tensor,
        *,
        accuracy: float | None = None,
        seed: int = 0,
        image_shape: tuple[int, int, int] | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        for name, images in (("train_images", train_images), ("test_images", test_images)):
            _check_images(name, images)
        self.classifier = classifier
        self.accuracy = accuracy
        self.name = f"{type(classifier).__name__} {fingerprint(classifier)}"
        self._image_shape = image_shape or getattr(classifier, "image_shape", None)
        self._class_names = class_names
        self._train_images = train_images
        self._train_order = torch.randperm(len(train_images), generator=generator_of(seed))
        self._train: dict[int, Predictions] = {}
        self._test = predict(classifier, test_images)
        self._test_statistics = gaussian_statistics(self._test.features)
        self._inception_score_real = inception_score(self._test.probabilities).score.item()
        self._ms_ssim_real = self._ms_ssim(test_images, self._test)

    def scores(
        self, samples: Tensor, *, in_turn: bool = False, depth: Depth = "run", protocol: str = ""
    ) -> list[Score]:
        """Scores of generated images, the most telling first.

        Args:
            samples: Flat images in [0, 1], shape (N, D), any device.
            in_turn: Whether class n mod K was asked for of sample n, as ``sampling.generate`` does.
            depth: ``"line"`` for the Frechet distance alone; ``"full"`` for intervals, precision and recall too.
            protocol: What the caller's samples depend on besides their number.

        Raises:
            ValueError: If the shape is not (N, D) or N is below 2.
        """
        _check_images("samples", samples)
        predictions = predict(self.classifier, samples)
        train = self.train_predictions(len(samples))
        rest = f"test:{len(self._test.features)}|features:{self.name}{protocol}"
        floor = f"n:{len(samples)}|floor:{len(train.features)}|{rest}"
        frechet = Score(
            "frechet",
            self._distance(predictions),
            "Frechet distance",
            "squared feature units",
            "less",
            0,
            None if depth == "line" else self._distance(train),
            protocol=floor,
        )
        if depth == "line":
            return [frechet]
        scores = [frechet, *self._class_scores(samples, predictions, train, floor, in_turn)]
        if depth == "run":
            return scores
        intervals = self._intervals(predictions, train)
        scores = [score.within(intervals[score.name]) if score.name in intervals else score for score in scores]
        return [*scores, *self._neighbors(predictions, f"n:{len(samples)}|{rest}")]

    def _class_scores(
        self, samples: Tensor, predictions: Predictions, train: Predictions, protocol: str, in_turn: bool
    ) -> list[Score]:
        """Scores of the classifier's classes and of the likeness within one."""
        probabilities, test = predictions.probabilities, self._test.probabilities
        num_classes = probabilities.shape[1]
        fractions, reference = class_coverage(probabilities, num_classes), train.probabilities.double().mean(0)
        covered = num_classes_covered(fractions, threshold=COVERAGE_THRESHOLD)
        percents = _percents(fractions.tolist(), self._class_names)
        accurate = "" if self.accuracy is None else f"; the classifier is right on {100 * self.accuracy:.1f} % of test"
        found = [
            Score(
                "classes_covered",
                covered,
                "classes covered",
                f"of {num_classes} above {100 * COVERAGE_THRESHOLD:g} % of the samples",
                "more",
                num_classes,
                note=f"{percents} %{accurate}",
                parts=tuple(fractions.tolist()),
            ),
            Score(
                "inception_score",
                inception_score(probabilities).score.item(),
                "Inception Score",
                "",
                "more",
                num_classes,
                self._inception_score_real,
            ),
            Score(
                "am_score",
                am_score(probabilities, reference).score.item(),
                "AM Score",
                "nats",
                "less",
                0,
                am_score(test, reference).score.item(),
            ),
        ]
        if (similarity := self._ms_ssim(samples, predictions)) is not None:
            label, unit = "MS-SSIM", "in the class of the most alike images"
            found.append(Score("ms_ssim", similarity, label, unit, "less", None, self._ms_ssim_real))
        if in_turn:
            asked = torch.arange(len(samples)) % num_classes
            right = (probabilities.argmax(1) == asked).double().mean().item()
            found.append(
                Score("label_accuracy", right, "label accuracy", "of samples of the class asked for", "more", 1)
            )
        return [score._replace(protocol=protocol) for score in found]

    def _intervals(self, predictions: Predictions, train: Predictions) -> dict[str, Interval]:
        """Bootstrap intervals over samples, by the score's name."""
        reference, num_classes = train.probabilities.double().mean(0), predictions.probabilities.shape[1]

        def covered(probabilities: Tensor) -> float:
            fractions = class_coverage(probabilities, num_classes)
            return float(num_classes_covered(fractions, threshold=COVERAGE_THRESHOLD))

        def interval(statistic: Callable[[Tensor], Tensor | float], values: Tensor) -> Interval:
            return bootstrap_interval(statistic, values, num_resamples=_RESAMPLES)

        classes = predictions.probabilities
        return {
            "frechet": interval(
                lambda features: frechet_distance(*gaussian_statistics(features), *self._test_statistics),
                predictions.features,
            ),
            "inception_score": interval(lambda p: inception_score(p).score, classes),
            "am_score": interval(lambda p: am_score(p, reference).score, classes),
            "classes_covered": interval(covered, classes),
        }

    def _neighbors(self, predictions: Predictions, protocol: str) -> list[Score]:
        """Precision, recall, density and coverage by the classifier's features."""
        size = min(len(self._test.features), len(predictions.features))  # only values at equal numbers compare
        units = {
            "precision": "of samples inside a real ball",
            "recall": "of test images inside a generated ball",
            "density": "real balls around a sample, by k",
            "coverage": "of real balls with a sample inside",
        }
        if size <= _NEIGHBOR:
            note = f"these need more than {_NEIGHBOR} images on both sides"
            return [Score(name, math.nan, note=note) for name in units]
        inside = memberships(self._test.features[:size], predictions.features[:size], k=_NEIGHBOR)
        balls = inside.balls.double()
        values = {
            "precision": (balls > 0).double(),
            "recall": inside.recalled.double(),
            "density": balls / _NEIGHBOR,
            "coverage": inside.covered.double(),
        }
        protocol = f"k:{_NEIGHBOR}|n-each:{size}|{protocol}"
        found = []
        for name, value in values.items():
            interval = mean_interval(value)
            score = Score(name, interval.value, name, units[name], "more", 1, protocol=protocol)
            found.append(score.within(interval))
        return found

    def _distance(self, predictions: Predictions) -> float:
        return frechet_distance(*gaussian_statistics(predictions.features), *self._test_statistics).item()

    def train_predictions(self, count: int) -> Predictions:
        """Of so many training images, or of all if there are fewer; the same images at every call."""
        count = min(count, len(self._train_images))
        if count not in self._train:
            chosen = self._train_order[:count].to(self._train_images.device)
            self._train[count] = predict(self.classifier, self._train_images[chosen])
        return self._train[count]

    def _ms_ssim(self, images: Tensor, predictions: Predictions) -> float | None:
        if self._image_shape is None or min(self._image_shape[1:]) < SMALLEST_SIDE:
            return None
        shaped = images.unflatten(1, self._image_shape)
        similarity = intra_class_ms_ssim(shaped, predictions.probabilities.argmax(1)).maximum.item()
        return None if math.isnan(similarity) else similarity


def _percents(fractions: Sequence[float], names: Sequence[str]) -> str:
    """The share of each class, or of the rarest ones; by name where they have one, else in their order."""
    shown = [f"{100 * fraction:.1f}" for fraction in fractions]
    rarest = sorted(range(len(shown)), key=fractions.__getitem__)[:_NAMED]
    if len(rarest) == len(shown) and not names:
        return " ".join(shown)
    chosen = range(len(shown)) if len(rarest) == len(shown) else rarest
    listed = ", ".join(f"{names[label] if names else label} {shown[label]}" for label in chosen)
    return listed if len(rarest) == len(shown) else f"the rarest: {listed}"


def _check_images(name: str, images: Tensor) -> None:
    if images.ndim != 2 or len(images) < 2:
        raise ValueError(f"{name}: expected shape (N, D) with at least 2 images, got {tuple(images.shape)}")

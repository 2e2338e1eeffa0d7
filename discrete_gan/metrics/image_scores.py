"""Frechet distance, class scores and likeness within a class of generated images, with what real images get."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .class_scores import am_score
from .classifier import Predictions, fingerprint, predict
from .coverage import class_coverage, num_classes_covered
from .frechet import frechet_distance, gaussian_statistics
from .inception_score import inception_score
from .intra_class_ms_ssim import SMALLEST_SIDE, intra_class_ms_ssim

COVERAGE_THRESHOLD = 0.03


class ImageScores(NamedTuple):
    """Scores of a set of samples, and the protocol that they belong to.

    Attributes:
        frechet: Distance of the samples to the test images, in squared units of the classifier's features.
        frechet_floor: Distance of as many training images to the test images: what perfect samples would get.
            The classifier has seen the training images, so it holds that small gap too.
        class_fractions: Fraction of the samples in each class, shape (K,).
        classes_covered: Classes with more than 3 % of the samples.
        inception_score: Of the samples.
        inception_score_real: Of the test images.
        am_score: Of the samples, against the classes of the training images behind the floor.
        am_score_real: Of the test images, against the same.
        ms_ssim: Of pairs of samples in the class where it is largest; None if the images are too small.
        ms_ssim_real: Of pairs of test images, the same.
        label_accuracy: Fraction of the samples whose class is the one asked for; None if none was.
        num_samples: Samples scored.
        num_test: Test images compared with.
        num_floor: Training images behind the floor: ``num_samples`` unless the data has fewer.
        feature_network: Its class and a hash of its weights; distances under another one do not compare.
        classifier_accuracy: Of the feature network on the test images, None if not given.
    """

    frechet: float
    frechet_floor: float
    class_fractions: Tensor
    classes_covered: int
    inception_score: float
    inception_score_real: float
    am_score: float
    am_score_real: float
    ms_ssim: float | None
    ms_ssim_real: float | None
    label_accuracy: float | None
    num_samples: int
    num_test: int
    num_floor: int
    feature_network: str
    classifier_accuracy: float | None

    def lines(self) -> list[str]:
        """A few plain lines for the terminal."""
        num_classes = len(self.class_fractions)
        percents = " ".join(f"{100 * fraction:.1f}" for fraction in self.class_fractions.tolist())
        accuracy = self.classifier_accuracy
        network = self.feature_network + ("" if accuracy is None else f", {100 * accuracy:.1f} % accurate")
        lines = [
            f"Frechet distance  {self.frechet:.3f} squared feature units "
            f"({self.num_floor:,} training images: {self.frechet_floor:.3f})",
            f"classes covered   {self.classes_covered} of {num_classes} "
            f"above {100 * COVERAGE_THRESHOLD:.0f} %: {percents} %",
            f"Inception Score   {self.inception_score:.2f} of at most {num_classes} "
            f"(test images: {self.inception_score_real:.2f})",
            f"AM Score          {self.am_score:.3f} nats (test images: {self.am_score_real:.3f})",
        ]
        if self.ms_ssim is not None:
            real = "" if self.ms_ssim_real is None else f" (test images: {self.ms_ssim_real:.2f})"
            lines.append(f"MS-SSIM           {self.ms_ssim:.2f} in the class of the most alike images{real}")
        if self.label_accuracy is not None:
            lines.append(f"labels            {100 * self.label_accuracy:.1f} % of samples are of the class asked for")
        return [
            *lines,
            f"protocol          {self.num_samples:,} samples against {self.num_test:,} test images, "
            f"features of {network}",
        ]

    def as_dict(self) -> dict[str, object]:
        """Everything as plain numbers, lists and strings, ready for JSON."""
        scores = self._asdict()
        protocol = {
            "feature_network": scores.pop("feature_network"),
            "feature_network_accuracy": scores.pop("classifier_accuracy"),
            "num_samples": scores.pop("num_samples"),
            "num_test": scores.pop("num_test"),
            "num_floor": scores.pop("num_floor"),
            "coverage_threshold": COVERAGE_THRESHOLD,
        }
        return {**scores, "class_fractions": self.class_fractions.tolist(), "protocol": protocol}


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
    ) -> None:
        for name, images in (("train_images", train_images), ("test_images", test_images)):
            _check_images(name, images)
        self.classifier = classifier
        self.accuracy = accuracy
        self.name = f"{type(classifier).__name__} {fingerprint(classifier)}"
        self._image_shape = image_shape or getattr(classifier, "image_shape", None)
        self._train_images = train_images
        self._train_order = torch.randperm(len(train_images), generator=torch.Generator().manual_seed(seed))
        self._train: dict[int, Predictions] = {}
        self._test = predict(classifier, test_images)
        self._test_statistics = gaussian_statistics(self._test.features)
        self._inception_score_real = inception_score(self._test.probabilities).score.item()
        self._ms_ssim_real = self._ms_ssim(test_images, self._test)

    def __call__(self, samples: Tensor, *, in_turn: bool = False) -> ImageScores:
        """Scores of generated images.

        Args:
            samples: Flat images in {0, 1}, shape (N, D), any device.
            in_turn: Whether class n mod K was asked for of sample n, as ``training.generate`` does.

        Raises:
            ValueError: If the shape is not (N, D) or N is below 2.
        """
        _check_images("samples", samples)
        predictions = predict(self.classifier, samples)
        num_classes = predictions.probabilities.shape[1]
        fractions = class_coverage(predictions.probabilities, num_classes)
        num_floor = min(len(samples), len(self._train_images))
        train = self.train_predictions(num_floor)
        reference = train.probabilities.double().mean(0)
        asked = torch.arange(len(samples)) % num_classes
        return ImageScores(
            frechet=self._distance(predictions),
            frechet_floor=self._distance(train),
            class_fractions=fractions,
            classes_covered=num_classes_covered(fractions, threshold=COVERAGE_THRESHOLD),
            inception_score=inception_score(predictions.probabilities).score.item(),
            inception_score_real=self._inception_score_real,
            am_score=am_score(predictions.probabilities, reference).score.item(),
            am_score_real=am_score(self._test.probabilities, reference).score.item(),
            ms_ssim=self._ms_ssim(samples, predictions),
            ms_ssim_real=self._ms_ssim_real,
            label_accuracy=(predictions.probabilities.argmax(1) == asked).double().mean().item() if in_turn else None,
            num_samples=len(samples),
            num_test=len(self._test.features),
            num_floor=num_floor,
            feature_network=self.name,
            classifier_accuracy=self.accuracy,
        )

    def frechet(self, samples: Tensor) -> float:
        """The Frechet distance alone of samples, shape (N, D)."""
        _check_images("samples", samples)
        return self._distance(predict(self.classifier, samples))

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


def image_scores(
    samples: Tensor,
    test_images: Tensor,
    train_images: Tensor,
    classifier: nn.Module,
    *,
    accuracy: float | None = None,
    seed: int = 0,
) -> ImageScores:
    """Scores of one set of samples; ``ImageScorer`` where there are more to come.

    Args:
        samples: Flat images in {0, 1}, shape (N, D).
        test_images: Flat images in {0, 1}, shape (N', D).
        train_images: Flat images in {0, 1}, for the floor.
        classifier: The feature network.
        accuracy: Its accuracy on the test images, to be reported with the scores.
        seed: Chooses the training images of the floor.
    """
    return ImageScorer(classifier, train_images, test_images, accuracy=accuracy, seed=seed)(samples)


def _check_images(name: str, images: Tensor) -> None:
    if images.ndim != 2 or len(images) < 2:
        raise ValueError(f"{name}: expected shape (N, D) with at least 2 images, got {tuple(images.shape)}")

"""What tasks on images share; each way of looking at them has a file of its own."""

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.data import Batches, ImageData, binarize, load_images
from discrete_gan.data.classes import Classes, printable
from discrete_gan.errors import InputError
from discrete_gan.metrics import load_or_train_classifier
from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.metrics.memorization import memorization
from discrete_gan.metrics.nearest import nearest_hamming
from discrete_gan.metrics.two_sample import classifier_two_sample_test
from discrete_gan.sampling import generate, num_classes_of
from discrete_gan.seeds import seeded
from discrete_gan.tasks.base import Batch, Depth
from discrete_gan.tasks.grid import picture_of, save_comparison
from discrete_gan.tasks.image_scores import ImageScorer
from discrete_gan.tasks.likeness import memorization_scores, two_sample_score
from discrete_gan.tasks.options import ImageOptions
from discrete_gan.tasks.output import write_samples
from discrete_gan.tasks.rolls import rolls_pictured
from discrete_gan.tasks.score import Score

Pixels = Literal["threshold", "stochastic", "none", "grey"]
_QUICK = 2000  # samples of the distance in a line of the log
_COMPARED = 2000  # samples, and held-out images, of everything that is not scored by features
_NEAREST = 10  # pairs to show
_SHOWN = 20  # classes at most
_LONGEST = 20  # letters of the name of a class in a picture


class Images:
    """What all tasks on images share; a member says how pixels become what a generator yields.

    Args:
        options: Names data and reading.
        labels_for: What needs labels, for the message where there are none; batches come with their classes unless it
            is empty.
        pixels: How images are looked at: as bits, made as binarize says, or ``"grey"``, as they are.
    """

    num_compared = _COMPARED
    scored_by_features = True
    distance = "Hamming distance"

    def __init__(self, options: ImageOptions, *, labels_for: str = "", pixels: Pixels = "grey") -> None:
        self.options, self.labels_for = options, labels_for
        self.look: Pixels = pixels
        self._image_shape: tuple[int, int, int] | None = None
        self._are_rolls: bool | None = None
        self._classes: Classes | None = None
        self._scorer: ImageScorer | None = None

    # Data, read when they are first asked for.

    @functools.cached_property
    def data(self) -> ImageData:
        """The data set: of the shape and with the classes that were recalled, if any were."""
        spec = self.options.data
        data = self._read(spec, seed=self.options.seed)
        if self._image_shape is not None and data.image_shape != self._image_shape:
            raise InputError(f"{spec}: expected images of shape {self._image_shape}, found {data.image_shape}")
        if self._image_shape is not None and self.labels_for and data.train_labels is None:
            raise InputError(f"{spec}: expected labeled images, as {self.labels_for} asks for them")
        return data if self._classes is None else data.labeled_as(self._classes, spec)

    @functools.cached_property
    def classifier_data(self) -> ImageData:
        """Data that the scores' classifier is trained on: those of the task, where these have labels."""
        return self.data

    def _read(self, spec: str, *, seed: int = 0) -> ImageData:
        options = self.options
        return load_images(spec, seed=seed, image_size=options.image_size, crop=options.crop, corrupt=options.corrupt)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self._image_shape or self.data.image_shape

    @property
    def num_positions(self) -> int:
        """D, numbers of an image."""
        channels, height, width = self.image_shape
        return channels * height * width

    @property
    def num_classes(self) -> int:
        """K that networks are built for; 0 where batches come without labels."""
        return self.data.classes_for(self.labels_for) if self.labels_for else 0

    def summary(self) -> dict[str, object]:
        """What config.json says of the data."""
        return self.data.summary()

    def recall(self, folder: Path, config: dict[str, Any]) -> None:
        """Know the shape of the images, what they are and what their classes are called without them."""
        known = config["data"]
        if "image_shape" not in known:
            raise InputError(f"{folder}: expected a run on images, its config.json says no image_shape")
        self._image_shape = tuple(known["image_shape"])
        self._are_rolls = known.get("are_rolls") is True
        self._classes = Classes.recalled(known)

    def to(self, device: torch.device) -> None:
        """Move images there, and make what scores need; the first time on a data set, this trains its classifier."""
        data, labeled = self.data, self.classifier_data
        self._device = device
        self.rows = self.training_rows() if data.is_mapped else self.training_rows().to(device)
        self.labels = None if data.train_labels is None or not self.labels_for else data.train_labels.to(device)
        self._batches = Batches(len(self.rows), self.options.batch_size, seed=self.options.seed)
        with seeded("report", "binarization"):
            self.train = self.prepared(data.looked_at.to(device), data.maximum)
            self.test = self.prepared(data.test_images.to(device), data.maximum)
        if not self.scored_by_features or labeled.train_labels is None or labeled.test_labels is None:
            return
        if len(self.test) < 2:  # they have no covariance
            return
        # Labeled grey images may serve 0/1 data, which needs no binarization itself.
        classes = labeled.named()
        how: Pixels = "stochastic" if self.look == "none" and labeled.maximum > 1 else self.look
        trained = load_or_train_classifier(
            labeled.train_images,
            labeled.train_labels,
            labeled.test_images,
            labeled.test_labels,
            labeled.image_shape,
            len(classes.names),
            binarizer=lambda images: prepared(images, how, labeled.maximum),
            key=f"{labeled.fingerprint()}-{how}",
            device=device,
        )
        names = () if classes.are_numbered else [*map(printable, classes.names)]
        options: dict[str, Any] = {"accuracy": trained.accuracy, "class_names": names}
        self._scorer = ImageScorer(trained.classifier, self.train, self.test, **options)

    # Batches.

    def training_rows(self) -> Tensor:
        """What batches are chosen from, shape (N, ...)."""
        return self.data.train_images

    def encode(self, rows: Tensor) -> Tensor:
        """Rows as a generator yields samples."""
        return self.encode_images(rows, self.data.maximum)

    def encode_images(self, images: Tensor, maximum: int) -> Tensor:
        """Images up to ``maximum``, shape (N, D), as a generator yields samples."""
        raise NotImplementedError

    def prepared(self, images: Tensor, maximum: int) -> Tensor:
        """Images as they are looked at, in [0, 1]."""
        return prepared(images, self.look, maximum)

    def batch(self, step: int) -> Batch:
        """Rows of the training images, each once per epoch, and their classes where networks are given them."""
        return self._batch(self._batches.indices(step, device=self.rows.device))

    def set_apart(self, part: float) -> Batch:
        """Training images that no later batch has."""
        return self._batch(self._batches.set_apart(part).to(self.rows.device))

    def _batch(self, chosen: Tensor) -> Batch:
        rows = self.rows[chosen].to(self._device)
        return Batch(self.encode(rows), None if self.labels is None else self.labels[chosen])

    def held_out(self) -> Batch:
        """Test images, with their labels where there are any; bits are drawn by one fixed seed."""
        return self.held_out_of(self.data)

    def held_out_of(self, data: ImageData) -> Batch:
        """The test images of a data set, as this task's generator yields samples."""
        with seeded("report", "binarization"):
            x = self.encode_images(data.test_images.to(self._device), data.maximum)
        return Batch(x, None if data.test_labels is None else data.test_labels.to(self._device))

    # Scores and pictures.

    def decode(self, x: Tensor) -> Tensor:
        """Pixels of shape (N, C, H, W), from 0 to 1."""
        return x.unflatten(1, self.image_shape)

    def draw(self, generator: Generator, num: int, *, seed: int = 0, labels: Sequence[int] | None = None) -> Tensor:
        """Samples as flat pixels in [0, 1], shape (num, D); of all classes in turn, or of some."""
        return generate(generator, num, seed=seed, label=labels, convert=generator.decode)

    def pictured(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) as a picture shows them, grey or RGB: piano rolls are turned and colored."""
        are_rolls = self.data.are_rolls if self._are_rolls is None else self._are_rolls
        return rolls_pictured(images) if are_rolls else images

    def _shown(self, images: Tensor) -> Tensor:
        return self.pictured(images.unflatten(1, self.image_shape))

    def scores(
        self,
        generator: Generator,
        discriminator: Discriminator | None,
        *,
        num: int | None = None,
        depth: Depth = "run",
        seed: int = 0,
    ) -> list[Score]:
        """Frechet distance and class scores; in full, intervals, neighbors, memorization and a two-sample test too."""
        full = depth == "full"
        found: list[Score] = []
        if self._scorer is None:
            reason = "the data has no labels, which train its classifier; discrete-gan evaluate has scores without"
            if len(self.test) < 2:
                reason = "it takes two test images, the data has one"
            found.append(Score("frechet", math.nan, "Frechet distance", note=reason))
            if not full:
                return found
        samples = self.draw(generator, _QUICK if depth == "line" else num or 10_000, seed=seed)
        if self._scorer is not None:
            in_turn = bool(num_classes_of(generator))
            found += self._scorer.scores(samples, in_turn=in_turn, depth=depth, protocol=f"|seed:{seed}")
        return [*found, *self.copies(samples, seed)] if full else found

    def copies(self, samples: Tensor, seed: int) -> list[Score]:
        """Distinct samples, nearest training images, and whether a classifier can tell samples from test images."""
        drawn = self.as_categories(samples)
        _, which, times = drawn.unique(dim=0, return_inverse=True, return_counts=True)
        distinct = mean_interval(1 / times[which].double())
        train, test = self.as_categories(self.train), self.as_categories(self.test[:_COMPARED])
        compared, nearest_test = nearest_hamming(drawn[:_COMPARED], train), nearest_hamming(test, train)
        data = self.data.fingerprint()
        protocol = f"n:{len(compared.distance)}|test:{len(test)}|train:{len(train)}|data:{data}|seed:{seed}"
        closest = compared.distance.argsort(stable=True)[:_NEAREST]
        pairs = torch.cat(
            [samples[closest.to(samples.device)], self.train[compared.index[closest].to(self.train.device)]]
        )
        shown = self._shown(pairs.cpu())
        picture = picture_of(shown.flatten(1), _shape_of(shown), columns=len(closest))
        found = [
            Score(
                "distinct",
                distinct.value,
                "distinct samples",
                "per sample",
                "more",
                1,
                protocol=f"n:{len(drawn)}|seed:{seed}",
            ).within(distinct),
            *memorization_scores(
                memorization(compared.distance, nearest_test.distance), protocol, self.distance, picture
            ),
        ]
        if min(len(drawn), len(test)) >= 20:
            tested = classifier_two_sample_test(test.float(), drawn[: len(test)].float(), seed=seed)
            found.append(two_sample_score(tested, protocol))
        return found

    def as_categories(self, images: Tensor) -> Tensor:
        """Pixels (N, D) in [0, 1] as whole numbers that differ where pixels do, uint8 on the CPU."""
        return (images > 0.5).to(torch.uint8).cpu()

    def show(self, generator: Generator, path: Path, scores: Sequence[Score] = ()) -> Path | None:
        """A grid of 64 samples, or of 8 of each class in columns; with scores, 100 beside test images.

        Of more than 20 classes the first 20 are shown.
        """
        num_classes = num_classes_of(generator)
        labels = range(_SHOWN) if num_classes > _SHOWN else None
        columns = min(num_classes, _SHOWN)
        path = path.with_suffix(".png")
        if not scores:
            columns = columns or 8
            samples = self.draw(generator, 8 * columns, labels=labels)
            return write_samples(path, self._shown(samples), columns=columns)
        title = "samples as they come, none picked"
        first = scores[0]
        if math.isfinite(first.value):
            real = "" if first.real is None else f" (real data: {first.real:.3g})"
            title += f"; {first.title} {first.value:.3g}{real}"
        if columns < num_classes:
            title += f"; the first {columns} of {num_classes} classes"
        num = 10 * (columns or 10)
        drawn = {"generated": self.draw(generator, num, labels=labels), "real (test)": self._real(num, columns)}
        shown = {name: self._shown(images) for name, images in drawn.items()}
        panels = {name: images.flatten(1) for name, images in shown.items()}
        classes = Classes.numbered(num_classes) if self.data.train_labels is None else self.data.named()
        names = [printable(name, longest=_LONGEST) for name in classes.names[:columns]]
        shape = _shape_of(shown["generated"])
        save_comparison(path, panels, shape, title=title, columns=columns or 10, names=names)
        return path

    def _real(self, num: int, num_classes: int) -> Tensor:
        """Test images for a picture, in columns of one class where there are classes: NaN where one has no more."""
        if not num_classes or self.data.test_labels is None:
            return self.test[:: max(1, len(self.test) // num)][:num]
        of_class = [(self.data.test_labels == label).nonzero()[:, 0] for label in range(num_classes)]
        rows = min(num // num_classes, max(map(len, of_class)))
        found = self.test.new_full((rows, num_classes, self.test.shape[1]), math.nan)
        for label, indices in enumerate(of_class):
            found[: len(indices), label] = self.test[indices[:rows]]
        return found.flatten(0, 1)


def _shape_of(images: Tensor) -> tuple[int, int, int]:
    _, channels, height, width = images.shape
    return channels, height, width


def prepared(images: Tensor, pixels: Pixels, maximum: int) -> Tensor:
    """Pixels in [0, 1]: as bits, or with ``"grey"`` as the intensities that they are. Float32, the same shape."""
    return images / maximum if pixels == "grey" else binarize(images, pixels, maximum)

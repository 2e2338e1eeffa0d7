"""What a run on images is judged by: grids of samples beside real images, and their scores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from discrete_gan.data import ImageData, binarize
from discrete_gan.data.palette import to_pixels
from discrete_gan.errors import InputError
from discrete_gan.metrics import ImageScorer, load_or_train_classifier
from discrete_gan.report.grid import save_comparison, save_grid
from discrete_gan.training import generate, num_classes_of, seeded

Binarize = Literal["threshold", "stochastic", "none"]
Pixels = Literal["threshold", "stochastic", "none", "grey"]
_QUICK = 2000  # samples behind the distance in a line of the log


def prepared(images: Tensor, pixels: Pixels, maximum: int) -> Tensor:
    """Pixels in [0, 1]: as bits, or with ``"grey"`` as the intensities that they are. Float32, the same shape."""
    return images / maximum if pixels == "grey" else binarize(images, pixels, maximum)


def generate_pixels(generator: nn.Module, num: int, *, seed: int = 0, label: int | None = None) -> Tensor:
    """Samples as pixels in [0, 1]: as they are, or from the generator's ``pixel_range``, or in its ``palette``.

    Args:
        generator: With a method ``latents(num)`` and a forward that returns a distribution.
        num: Number of samples.
        seed: Of latents and samples.
        label: Class of all samples, of a conditional generator; if not given its classes take turns.

    Returns:
        Shape (num, D), on the generator's device. No gradient.
    """

    def pixels(samples: Tensor) -> Tensor:
        if hasattr(generator, "palette"):
            return to_pixels(samples, cast(Tensor, generator.palette))
        low, high = cast(tuple[float, float], getattr(generator, "pixel_range", (0, 1)))
        return (samples - low) / (high - low)

    return generate(generator, num, seed=seed, label=label, convert=pixels)


class ImageReport:
    """Scores and pictures of a generator of images against one data set.

    The feature network of the scores is a classifier trained on ``labeled``, once, and cached.

    Args:
        data: The training run's data.
        pixels: How pixels are made bits in the training, or ``"grey"`` where they are not.
        labeled: Data to train the classifier on: usually the same; None, or without labels, for no scores.

    Attributes:
        train: Training images in [0, 1], float32, shape (N, D), once :meth:`to` has been called.
        test: Test images, the same.
        scorer: Scores samples; None without labels.

    Raises:
        InputError: If ``labeled`` has images of another shape.
    """

    train: Tensor
    test: Tensor

    def __init__(self, data: ImageData, pixels: Pixels, *, labeled: ImageData | None) -> None:
        self.data = data
        self.pixels: Pixels = pixels
        self.image_shape = data.image_shape
        self.scorer: ImageScorer | None = None
        self._labeled = labeled if labeled is not None and labeled.train_labels is not None else None
        if labeled is not None and labeled.image_shape != data.image_shape:
            raise InputError(
                f"{labeled.name}: its images are {labeled.image_shape}, expected {data.image_shape} as in {data.name}"
            )

    def summary(self) -> dict[str, object]:
        """What a run's config.json says of its data."""
        return self.data.summary()

    def to(self, device: torch.device) -> None:
        """Make what scores need there; the first time on a data set, this trains its classifier."""
        data, labeled = self.data, self._labeled
        pixels: Pixels = self.pixels
        with seeded("report", "binarization"):
            self.train = prepared(data.train_images.to(device), pixels, data.maximum)
            self.test = prepared(data.test_images.to(device), pixels, data.maximum)
        if labeled is None or labeled.train_labels is None or labeled.test_labels is None:
            return
        # Labeled grey images may serve 0/1 data, which needs no binarization itself.
        how: Pixels = "stochastic" if pixels == "none" and labeled.maximum > 1 else pixels
        trained = load_or_train_classifier(
            labeled.train_images,
            labeled.train_labels,
            labeled.test_images,
            labeled.test_labels,
            labeled.image_shape,
            labeled.num_classes or 0,
            binarizer=lambda images: prepared(images, how, labeled.maximum),
            key=f"{labeled.fingerprint()}-{how}",
            device=device,
        )
        print(f"classifier of {labeled.name}: {100 * trained.accuracy:.2f} % of test images right")
        self.scorer = ImageScorer(trained.classifier, self.train, self.test, accuracy=trained.accuracy)

    def grid(self, path: Path, generator: nn.Module) -> None:
        """Write a grid of 64 samples, or of 8 a class in columns; the same latents at every call."""
        columns = num_classes_of(generator) or 8
        save_grid(path, generate_pixels(generator, 8 * columns), self.image_shape, columns=columns)

    def quick(self, generator: nn.Module) -> dict[str, float]:
        """Frechet distance of 2,000 samples, the same latents at every call, for a line of the log."""
        if self.scorer is None:
            return {}
        return {"frechet": self.scorer.frechet(generate_pixels(generator, _QUICK))}

    def final(
        self,
        folder: Path,
        generator: nn.Module,
        *,
        num_samples: int = 10_000,
        save: Callable[[dict[str, Any]], object] = lambda scores: None,
    ) -> dict[str, Any]:
        """Score samples, print and save what came out, then draw ``folder/samples.png`` beside real images.

        Args:
            folder: Run directory.
            generator: As trained.
            num_samples: Samples to score.
            save: Called with the scores before anything is drawn: a picture that fails takes nothing with it.

        Returns:
            The scores for results.json, empty without a labeled data set.
        """
        num_classes = num_classes_of(generator)
        columns = num_classes or 10
        shown = 10 * columns
        samples = generate_pixels(generator, num_samples if self.scorer else shown)
        scores = self.scorer(samples, in_turn=bool(num_classes)) if self.scorer else None
        title = "samples as they come, none picked"
        if scores is not None:
            title += f"; Frechet distance {scores.frechet:.1f} (training images: {scores.frechet_floor:.1f})"
        panels = {
            "generated": samples[:shown],
            "real (test)": self._real(shown, num_classes),
        }
        without = "no labels, so no Frechet distance: labels train its classifier (see --classifier-data, if any)"
        for line in scores.lines() if scores else [without]:
            print(line)
        results = scores.as_dict() if scores else {}
        save(results)
        save_comparison(folder / "samples.png", panels, self.image_shape, title=title, columns=columns)
        print(f"picture           {folder / 'samples.png'}")
        print(f"run               {folder}")
        return results

    def _real(self, num: int, num_classes: int) -> Tensor:
        """Test images for a picture, in columns of one class where there are classes."""
        if not num_classes or self.data.test_labels is None:
            return self.test[:: max(1, len(self.test) // num)][:num]
        of_class = [(self.data.test_labels == label).nonzero()[:, 0] for label in range(num_classes)]
        rows = min(num // num_classes, *map(len, of_class))
        return self.test[torch.stack([indices[:rows] for indices in of_class], dim=1).flatten()]

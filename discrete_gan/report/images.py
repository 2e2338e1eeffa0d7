"""What a run on binary images is judged by: grids of samples beside real images, and their scores."""

from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from discrete_gan.data import ImageData, binarize
from discrete_gan.errors import InputError
from discrete_gan.metrics import ImageScorer, load_or_train_classifier
from discrete_gan.report.grid import save_comparison, save_grid
from discrete_gan.training import generate, seeded

Binarize = Literal["threshold", "stochastic", "none"]

_PANEL = 100  # images in each panel of the last picture


class ImageReport:
    """Scores and pictures of a generator of binary images against one data set.

    The feature network of the scores is a classifier trained on ``labeled``, once, and cached.

    Args:
        data: The training run's data.
        binarization: As in the training.
        labeled: Data to train the classifier on: usually the same; None, or without labels, for no scores.
        device: Where to compute.

    Raises:
        InputError: If ``labeled`` has images of another shape.
    """

    def __init__(
        self, data: ImageData, binarization: Binarize, *, labeled: ImageData | None, device: torch.device
    ) -> None:
        self.image_shape = data.image_shape
        with seeded("report", "binarization"):
            train = binarize(data.train_images.to(device), binarization, data.maximum)
            self.test = binarize(data.test_images.to(device), binarization, data.maximum)
        self.scorer: ImageScorer | None = None
        if labeled is None or labeled.train_labels is None or labeled.test_labels is None:
            return
        if labeled.image_shape != data.image_shape:
            raise InputError(
                f"{labeled.name}: its images are {labeled.image_shape}, expected {data.image_shape} as in {data.name}"
            )
        # Labeled grey images may serve 0/1 data, which needs no binarization itself.
        how = "stochastic" if binarization == "none" and labeled.maximum > 1 else binarization
        trained = load_or_train_classifier(
            labeled.train_images,
            labeled.train_labels,
            labeled.test_images,
            labeled.test_labels,
            labeled.image_shape,
            labeled.num_classes or 0,
            binarizer=lambda images: binarize(images, how, labeled.maximum),
            key=f"{labeled.fingerprint()}-{how}",
            device=device,
        )
        print(f"classifier of {labeled.name}: {100 * trained.accuracy:.2f} % of test images right")
        self.scorer = ImageScorer(trained.classifier, train, self.test, accuracy=trained.accuracy)

    def grid(self, path: Path, generator: nn.Module) -> None:
        """Write a grid of 64 samples; the same latents at every call."""
        save_grid(path, generate(generator, 64), self.image_shape)

    def final(self, folder: Path, generator: nn.Module, *, num_samples: int = 10_000) -> dict[str, Any]:
        """Score samples, write ``folder/samples.png`` beside real images, and print where and what.

        Args:
            folder: Run directory.
            generator: As trained.
            num_samples: Samples to score.

        Returns:
            The scores for results.json, empty without a labeled data set.
        """
        samples = generate(generator, num_samples)
        scores = self.scorer(samples) if self.scorer else None
        title = "samples as they come, none picked"
        if scores is not None:
            title += f"; Frechet distance {scores.frechet:.1f} (training images: {scores.frechet_floor:.1f})"
        panels = {
            "generated": samples[:_PANEL],
            "real (test)": self.test[:: max(1, len(self.test) // _PANEL)][:_PANEL],
        }
        save_comparison(folder / "samples.png", panels, self.image_shape, title=title)
        for line in scores.lines() if scores else ["no labels, so no Frechet distance: see --classifier-data"]:
            print(line)
        print(f"picture           {folder / 'samples.png'}")
        print(f"run               {folder}")
        return scores.as_dict() if scores else {}

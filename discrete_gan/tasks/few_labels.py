"""Images of which a few have labels: the discriminator is the classifier, judged by its accuracy on test images."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from discrete_gan.contracts import Discriminator, Generator
from discrete_gan.data import labeled_subset
from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.sampling import evaluating
from discrete_gan.tasks.base import Batch, Depth
from discrete_gan.tasks.continuous_images import ContinuousImages
from discrete_gan.tasks.options import ImageOptions
from discrete_gan.tasks.score import Score
from discrete_gan.writing import write_aside


class FewLabels(ContinuousImages):
    """Images in [0, 1], without labels but for as many of each class, chosen by the seed.

    Args:
        options: Names data and reading.
        labels_per_class: Training images of each class whose labels are used.
        pictures: Whether there is a generator to show images of.
    """

    scored_by_features = False

    def __init__(self, options: ImageOptions, labels_per_class: int, *, pictures: bool = True) -> None:
        super().__init__(options, pixel_range=(0, 1), labels_for="a classifier")
        self._per_class, self._pictures = labels_per_class, pictures

    @functools.cached_property
    def chosen(self) -> Tensor:
        """Indices of the labeled images, int64, shape (K, labels per class)."""
        labels = self.data.train_labels
        assert labels is not None  # num_classes has seen to it
        names, seed = self.data.named().names, self.options.seed
        return labeled_subset(labels, self._per_class, self.num_classes, seed=seed, names=names)

    def save(self, folder: Path) -> None:
        """Write which images have labels."""
        content = {"seed": self.options.seed, "indices_by_class": self.chosen.tolist()}
        text = json.dumps(content) + "\n"
        write_aside(folder / "labeled.json", lambda file: file.write(text.encode()))

    def _batch(self, chosen: Tensor) -> Batch:
        """Training images without their labels."""
        return Batch(super()._batch(chosen).x)

    def labeled(self) -> tuple[Tensor, Tensor]:
        """All labeled images, in [0, 1], shape (K * labels per class, D), and their classes."""
        rows = self.chosen.flatten()
        assert self.labels is not None
        return self.encode(self.rows[rows]), self.labels[rows]

    @torch.no_grad()
    def scores(
        self,
        generator: Generator,
        discriminator: Discriminator | None,
        *,
        num: int | None = None,
        depth: Depth = "run",
        seed: int = 0,
    ) -> list[Score]:
        """Accuracy on the test images, without noise and dropout; in full, the memorization of samples too."""
        x, labels = self.held_out()
        assert labels is not None and discriminator is not None  # the recipe has both
        with evaluating(discriminator):
            parts = [discriminator(part)[:, : self.num_classes].argmax(dim=1) for part in x.split(1000)]
        right = torch.cat(parts) == labels
        value = int(right.sum()) / len(labels)
        protocol = f"labels:{self.chosen.numel()}|test:{len(labels)}|data:{self.data.fingerprint()}"
        score = Score("test_accuracy", value, "test accuracy", "", "more", 1, protocol=protocol)
        if depth != "full":
            return [score]
        copies = self.copies(self.draw(generator, num or 10_000, seed=seed), seed)
        return [score.within(mean_interval(right.double().cpu())), *copies]

    def show(self, generator: Generator, path: Path, scores: Sequence[Score] = ()) -> Path | None:
        """The generator's images, where there is one that is trained."""
        return super().show(generator, path, scores) if self._pictures else None

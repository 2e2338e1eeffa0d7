"""Scores of features and images that arrive in batches, on one process or several: torchmetrics classes."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from discrete_gan.metrics.frechet import GaussianStatistics, check_features, frechet_distance
from discrete_gan.metrics.intra_class_ms_ssim import IntraClassSimilarity, check_images, intra_class_ms_ssim
from discrete_gan.metrics.precision_recall import PrecisionRecallResult, precision_recall


class FrechetDistance(Metric):
    """Frechet distance of features that arrive in batches, on one process or several.

    Holds running moments in float64, so its memory does not grow with the samples and the value does not
    depend on how they were split. Call ``update`` rather than the metric itself: one batch is one side only.

    Args:
        num_features: F, the length of a feature vector.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    real_count: Tensor
    real_sum: Tensor
    real_outer: Tensor
    fake_count: Tensor
    fake_sum: Tensor
    fake_outer: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
        total = torch.zeros(num_features, dtype=torch.float64)
        for side in ("real", "fake"):
            self.add_state(f"{side}_count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
            self.add_state(f"{side}_sum", total.clone(), dist_reduce_fx="sum")
            self.add_state(f"{side}_outer", torch.outer(total, total), dist_reduce_fx="sum")

    def update(self, features: Tensor, real: bool) -> None:
        """Add samples of one side.

        Args:
            features: Shape (N, F).
            real: Whether they come from data (True) or from the generator (False).

        Raises:
            ValueError: If the shape is not (N, F).
        """
        check_features(features)
        if features.shape[1] != self.num_features:
            raise ValueError(f"features: expected {self.num_features} per row, got {features.shape[1]}")
        features = features.detach().double()
        if real:
            self.real_count += len(features)
            self.real_sum += features.sum(0)
            self.real_outer += features.T @ features
        else:
            self.fake_count += len(features)
            self.fake_sum += features.sum(0)
            self.fake_outer += features.T @ features

    def compute(self) -> Tensor:
        """The distance, a float64 scalar.

        Raises:
            ValueError: If a side has fewer than 2 samples.
        """
        real = self._statistics("real", self.real_count, self.real_sum, self.real_outer)
        fake = self._statistics("fake", self.fake_count, self.fake_sum, self.fake_outer)
        return frechet_distance(*real, *fake)

    @staticmethod
    def _statistics(side: str, count: Tensor, total: Tensor, outer: Tensor) -> GaussianStatistics:
        if count < 2:
            raise ValueError(f"FrechetDistance: needs at least 2 {side} samples, got {int(count)}")
        mean = total / count
        return GaussianStatistics(mean, (outer - count * torch.outer(mean, mean)) / (count - 1))


class PrecisionRecall(Metric):
    """Precision, recall, density and coverage of features that arrive in batches, on one process or several.

    Holds all features in float64, gathered on every process. Call ``update`` rather than the metric itself: one batch
    is one side only.

    Args:
        num_features: F, the length of a feature vector.
        k: Which neighbor sets the radius.
    """

    is_differentiable = False
    full_state_update = False

    real_features: list[Tensor]
    fake_features: list[Tensor]

    def __init__(self, num_features: int, *, k: int = 5) -> None:
        super().__init__()
        self.num_features = num_features
        self.k = k
        self.add_state("real_features", [], dist_reduce_fx="cat")
        self.add_state("fake_features", [], dist_reduce_fx="cat")

    @property
    def dtype(self) -> torch.dtype:
        """Type of the empty vector that a process without samples contributes; it must be that of the others'."""
        return torch.float64

    def update(self, features: Tensor, real: bool) -> None:
        """Add samples of one side.

        Args:
            features: Shape (N, F).
            real: Whether they come from data (True) or from the generator (False).

        Raises:
            ValueError: If the shape is not (N, F).
        """
        if features.ndim != 2 or features.shape[1] != self.num_features:
            raise ValueError(f"features: expected shape (N, {self.num_features}), got {tuple(features.shape)}")
        # Flat, since a process without samples contributes a vector.
        side = self.real_features if real else self.fake_features
        side.append(features.detach().double().flatten())

    def compute(self) -> PrecisionRecallResult:
        """Precision, recall, density and coverage.

        Raises:
            ValueError: If a side has no more than k samples.
        """
        return precision_recall(self._rows(self.real_features), self._rows(self.fake_features), k=self.k)

    def _rows(self, features: list[Tensor] | Tensor) -> Tensor:
        # dim_zero_cat refuses an empty list, where the message should be that of the samples missing.
        flat = dim_zero_cat(features) if len(features) else torch.zeros(0, dtype=torch.float64, device=self.device)
        return flat.view(-1, self.num_features)


class IntraClassMSSSIM(Metric):
    """Intra-class MS-SSIM of images that arrive in batches, on one process or several.

    Holds all images, gathered on every process; the pairs are those of one process that saw them in order of rank.

    Args:
        image_shape: (C, H, W).
        num_classes: K.
        num_pairs: Pairs drawn in each class.
        seed: Of the draw.
        data_range: Largest pixel minus smallest possible one.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    images: list[Tensor]
    labels: list[Tensor]

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        num_pairs: int = 100,
        seed: int = 0,
        data_range: float = 1.0,
    ) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes
        self.num_pairs = num_pairs
        self.seed = seed
        self.data_range = data_range
        self.add_state("images", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, images: Tensor, labels: Tensor) -> None:
        """Add samples.

        Args:
            images: Shape (N, C, H, W).
            labels: Class of each, int64 of shape (N,).

        Raises:
            ValueError: If a shape is wrong.
        """
        check_images(images, labels)
        if images.shape[1:] != self.image_shape:
            raise ValueError(f"images: expected each of shape {self.image_shape}, got {tuple(images.shape[1:])}")
        # Both flat and of the metric's type, as is the empty vector that a process without samples contributes.
        self.images.append(images.detach().to(self.dtype).flatten())
        self.labels.append(labels.to(self.dtype))

    def compute(self) -> IntraClassSimilarity:
        """Means of the classes and their maximum.

        Raises:
            ValueError: If no sample came, or a label is not below K.
        """
        if len(self.labels) == 0:
            raise ValueError("IntraClassMSSSIM: needs at least 1 sample, got 0")
        return intra_class_ms_ssim(
            dim_zero_cat(self.images).view(-1, *self.image_shape),
            dim_zero_cat(self.labels).long(),
            num_classes=self.num_classes,
            num_pairs=self.num_pairs,
            seed=self.seed,
            data_range=self.data_range,
        )

"""Which classes a generator's samples fall in: the plainest sight of mode collapse."""

import torch
from torch import Tensor
from torchmetrics import Metric


def class_coverage(predictions: Tensor, num_classes: int) -> Tensor:
    """Fraction of the samples that a classifier puts in each class.

    Args:
        predictions: Class indices, integers of shape (N,), or probabilities or logits, shape (N, K).
        num_classes: K.

    Returns:
        Fractions that sum to one, float64, shape (K,).

    Raises:
        ValueError: If the shape does not fit, an index is not below K, or N is 0.
    """
    if len(predictions) == 0:
        raise ValueError("predictions: expected at least 1 sample, got 0")
    counts = _class_counts(predictions, num_classes)
    return counts.double() / counts.sum()


def num_classes_covered(fractions: Tensor, *, threshold: float = 0.03) -> int:
    """How many classes have more than a threshold of the samples.

    Args:
        fractions: Fraction of the samples in each class, shape (K,).
        threshold: Fraction a class must exceed; 3 % is about a third of an even share of ten classes.
    """
    return int((fractions > threshold).sum())


def _class_counts(predictions: Tensor, num_classes: int) -> Tensor:
    if predictions.ndim == 2 and predictions.shape[1] == num_classes:
        predictions = predictions.argmax(1)
    if predictions.ndim != 1 or predictions.is_floating_point():
        raise ValueError(
            f"predictions: expected integers of shape (N,) or probabilities of shape (N, {num_classes}), "
            f"got {predictions.dtype} of shape {tuple(predictions.shape)}"
        )
    counts = torch.bincount(predictions, minlength=num_classes)
    if len(counts) > num_classes:
        raise ValueError(f"predictions: expected indices below {num_classes}, got {len(counts) - 1}")
    return counts


class ClassCoverage(Metric):
    """Fraction of samples in each class, over batches, on one process or several.

    Args:
        num_classes: K.
    """

    is_differentiable = False
    full_state_update = False

    counts: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("counts", torch.zeros(num_classes, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, predictions: Tensor) -> None:
        """Add samples: class indices, shape (N,), or probabilities, shape (N, K)."""
        self.counts += _class_counts(predictions, self.num_classes)

    def compute(self) -> Tensor:
        """Fractions, float64, shape (K,).

        Raises:
            ValueError: If no sample came.
        """
        total = self.counts.sum()
        if total == 0:
            raise ValueError("ClassCoverage: needs at least 1 sample, got 0")
        return self.counts.double() / total

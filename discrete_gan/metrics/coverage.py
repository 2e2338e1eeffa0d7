"""Which classes a generator's samples fall in: the plainest sight of mode collapse."""

import torch
from torch import Tensor


def class_coverage(predictions: Tensor, num_classes: int) -> Tensor:
    """Fraction of the samples that a classifier puts in each class.

    Args:
        predictions: Class indices, integers of shape (N,), or probabilities or logits, shape (N, K).
        num_classes: K.

    Returns:
        Fractions that sum to one, float64, shape (K,).

    Raises:
        ValueError: If the shape does not fit, an index is not below K, or N is 0.

    Example:
        >>> class_coverage(torch.tensor([0, 0, 1, 1]), 3)
        tensor([0.5000, 0.5000, 0.0000], dtype=torch.float64)
    """
    if len(predictions) == 0:
        raise ValueError("predictions: expected at least 1 sample, got 0")
    counts = class_counts(predictions, num_classes)
    return counts.double() / counts.sum()


def num_classes_covered(fractions: Tensor, *, threshold: float = 0.03) -> int:
    """How many classes have more than a threshold of the samples.

    Args:
        fractions: Fraction of the samples in each class, shape (K,).
        threshold: Fraction a class must exceed; 3 % is about a third of an even share of ten classes.

    Example:
        >>> num_classes_covered(torch.tensor([0.5, 0.49, 0.01]))
        2
    """
    return int((fractions > threshold).sum())


def class_counts(predictions: Tensor, num_classes: int) -> Tensor:
    """How many samples a classifier puts in each class, int64, shape (K,), from what :func:`class_coverage` takes."""
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

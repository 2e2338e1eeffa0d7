"""Scores of classifier outputs that arrive in batches, on one process or several: torchmetrics classes."""

import torch
from torch import Tensor
from torchmetrics import Metric

from discrete_gan.metrics.class_scores import (
    AMScoreResult,
    ModeScoreResult,
    am_score_of_means,
    check_against,
    checked_reference,
    kl_divergence,
    mode_score_of_means,
)
from discrete_gan.metrics.coverage import class_counts
from discrete_gan.metrics.inception_score import (
    InceptionScoreResult,
    check_probabilities,
    entropy,
    inception_score_of_means,
)


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
        self.counts += class_counts(predictions, self.num_classes)

    def compute(self) -> Tensor:
        """Fractions, float64, shape (K,).

        Raises:
            ValueError: If no sample came.
        """
        total = self.counts.sum()
        if total == 0:
            raise ValueError("ClassCoverage: needs at least 1 sample, got 0")
        return self.counts.double() / total


class InceptionScore(Metric):
    """Inception Score of samples that arrive in batches, on one process or several.

    Args:
        num_classes: K.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    count: Tensor
    probability_sum: Tensor
    entropy_sum: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("probability_sum", torch.zeros(num_classes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("entropy_sum", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, probabilities: Tensor) -> None:
        """Add samples.

        Args:
            probabilities: Class probabilities, shape (N, K).

        Raises:
            ValueError: If the shape is not (N, K).
        """
        check_probabilities(probabilities)
        if probabilities.shape[1] != self.num_classes:
            given = probabilities.shape[1]
            raise ValueError(f"probabilities: expected {self.num_classes} classes, got {given}")
        probabilities = probabilities.detach().double()
        self.count += len(probabilities)
        self.probability_sum += probabilities.sum(0)
        self.entropy_sum += entropy(probabilities).sum()

    def compute(self) -> InceptionScoreResult:
        """Score, marginal entropy and mean conditional entropy.

        Raises:
            ValueError: If no sample came.
        """
        if self.count == 0:
            raise ValueError("InceptionScore: needs at least 1 sample, got 0")
        return inception_score_of_means(self.probability_sum / self.count, self.entropy_sum / self.count)


class _ReferenceScore(Metric):
    """Sums of C(x) and of one number per sample, over batches and processes.

    Args:
        reference: Mean class probabilities of training data, shape (K,).
    """

    is_differentiable = False
    full_state_update = False

    reference: Tensor
    count: Tensor
    probability_sum: Tensor
    term_sum: Tensor

    def __init__(self, reference: Tensor) -> None:
        super().__init__()
        self.register_buffer("reference", checked_reference(reference), persistent=False)
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("probability_sum", torch.zeros(len(reference), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("term_sum", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def _terms(self, probabilities: Tensor) -> Tensor:
        raise NotImplementedError

    def update(self, probabilities: Tensor) -> None:
        """Add samples.

        Args:
            probabilities: Class probabilities, shape (N, K).

        Raises:
            ValueError: If the shape is not (N, K).
        """
        check_against(probabilities, self.reference)
        probabilities = probabilities.detach().double()
        self.count += len(probabilities)
        self.probability_sum += probabilities.sum(0)
        self.term_sum += self._terms(probabilities).sum()

    def _means(self) -> tuple[Tensor, Tensor]:
        if self.count == 0:
            raise ValueError(f"{type(self).__name__}: needs at least 1 sample, got 0")
        return self.probability_sum / self.count, self.term_sum / self.count


class ModeScore(_ReferenceScore):
    """Mode Score of samples that arrive in batches, on one process or several.

    Args:
        reference: Mean class probabilities of training data, shape (K,).

    Raises:
        ValueError: If the reference is no distribution of shape (K,).
    """

    higher_is_better = True

    def _terms(self, probabilities: Tensor) -> Tensor:
        return kl_divergence(probabilities, self.reference)

    def compute(self) -> ModeScoreResult:
        """Score and its two terms.

        Raises:
            ValueError: If no sample came.
        """
        return mode_score_of_means(*self._means(), self.reference)


class AMScore(_ReferenceScore):
    """AM Score of samples that arrive in batches, on one process or several.

    Args:
        reference: Mean class probabilities of training data, shape (K,).

    Raises:
        ValueError: If the reference is no distribution of shape (K,).
    """

    higher_is_better = False

    def _terms(self, probabilities: Tensor) -> Tensor:
        return entropy(probabilities)

    def compute(self) -> AMScoreResult:
        """Score and its two terms.

        Raises:
            ValueError: If no sample came.
        """
        return am_score_of_means(*self._means(), self.reference)

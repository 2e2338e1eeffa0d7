r"""Inception Score under any classifier.

References:
    Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498
    A Note on the Inception Score (Barratt and Sharma, 2018), https://arxiv.org/abs/1801.01973
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric


class InceptionScoreResult(NamedTuple):
    """The score, from 1 to K, and the two entropies behind it in nats; float64 scalars."""

    score: Tensor
    marginal_entropy: Tensor
    conditional_entropy: Tensor


def inception_score(probabilities: Tensor) -> InceptionScoreResult:
    r"""Exponential of the mutual information between a sample and its class.

    .. math:: \mathrm{IS} = \exp\left(H[\bar p] - \tfrac{1}{N} \sum_n H[p(y \mid x_n)]\right), \quad
              \bar p = \tfrac{1}{N} \sum_n p(y \mid x_n)

    High when every sample has one clear class and the classes are even. It never sees the data: one perfect
    sample a class scores K. All N samples in one split, not the mean over ten splits of the original.

    Args:
        probabilities: Class probabilities of each sample, rows summing to one, shape (N, K).

    Returns:
        Score, marginal entropy and mean conditional entropy.

    Raises:
        ValueError: If the shape is not (N, K) or N is 0.
    """
    check_probabilities(probabilities)
    if len(probabilities) == 0:
        raise ValueError("probabilities: expected at least 1 sample, got 0")
    probabilities = probabilities.detach().double()
    return _score(probabilities.mean(0), entropy(probabilities).mean())


def entropy(probabilities: Tensor) -> Tensor:
    """Of each row in nats: shape (..., K) in, (...) out."""
    return torch.special.entr(probabilities).sum(-1)


def _score(marginal: Tensor, conditional_entropy: Tensor) -> InceptionScoreResult:
    marginal_entropy = entropy(marginal)
    score = (marginal_entropy - conditional_entropy).exp()
    return InceptionScoreResult(score, marginal_entropy, conditional_entropy)


def check_probabilities(probabilities: Tensor) -> None:
    """Raise unless the shape is (N, K)."""
    if probabilities.ndim != 2:
        raise ValueError(f"probabilities: expected shape (N, K), got {tuple(probabilities.shape)}")


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
        return _score(self.probability_sum / self.count, self.entropy_sum / self.count)

r"""Inception Score under any classifier.

References:
    Improved Techniques for Training GANs (Salimans et al., 2016), https://arxiv.org/abs/1606.03498
    A Note on the Inception Score (Barratt and Sharma, 2018), https://arxiv.org/abs/1801.01973
"""

from typing import NamedTuple

import torch
from torch import Tensor


class InceptionScoreResult(NamedTuple):
    """The score, from 1 to K, and the two entropies it comes from, in nats; float64 scalars."""

    score: Tensor
    marginal_entropy: Tensor
    conditional_entropy: Tensor


def inception_score(probabilities: Tensor) -> InceptionScoreResult:
    r"""Exponential of the mutual information between a sample and its class.

    .. math:: \mathrm{IS} = \exp\left(H[\bar p] - \tfrac{1}{N} \sum_n H[p(y \mid x_n)]\right), \quad
              \bar p = \tfrac{1}{N} \sum_n p(y \mid x_n)

    High when every sample has one clear class and the classes are even. It never sees the data: one perfect
    sample per class scores K. All N samples in one split, not the mean over ten splits of the original.

    Args:
        probabilities: Class probabilities of each sample, rows summing to one, shape (N, K).

    Returns:
        Score, marginal entropy and mean conditional entropy.

    Raises:
        ValueError: If the shape is not (N, K), N is 0, or a row is no distribution.

    Example:
        >>> inception_score(torch.eye(3)).score  # sure of each, and each as often: as many as there are
        tensor(3.0000, dtype=torch.float64)
    """
    check_probabilities(probabilities)
    if len(probabilities) == 0:
        raise ValueError("probabilities: expected at least 1 sample, got 0")
    probabilities = probabilities.detach().double()
    return inception_score_of_means(probabilities.mean(0), entropy(probabilities).mean())


def entropy(probabilities: Tensor) -> Tensor:
    """Of each row in nats: shape (..., K) in, (...) out."""
    return torch.special.entr(probabilities).sum(-1)


def inception_score_of_means(marginal: Tensor, conditional_entropy: Tensor) -> InceptionScoreResult:
    """The score from the mean probabilities, shape (K,), and the mean entropy in nats."""
    marginal_entropy = entropy(marginal)
    score = (marginal_entropy - conditional_entropy).exp()
    return InceptionScoreResult(score, marginal_entropy, conditional_entropy)


def check_probabilities(probabilities: Tensor) -> None:
    """Raise unless these are N distributions over K classes: logits would give a score as well, and a wrong one."""
    if probabilities.ndim != 2:
        raise ValueError(f"probabilities: expected shape (N, K), got {tuple(probabilities.shape)}")
    rows = probabilities.detach().double()
    # Rows that were rounded to bfloat16 miss 1 by up to 0.4 %. NaN is wrong too.
    wrong = ~((rows >= 0).all(1) & ((rows.sum(1) - 1).abs() <= 0.01))
    if wrong.any():
        index = int(wrong.nonzero()[0])
        first = ", ".join(f"{value:.4g}" for value in rows[index, :5].tolist())
        raise ValueError(
            f"probabilities: expected rows from 0 that sum to 1, got row {index} with sum "
            f"{float(rows[index].sum()):.4g}: {first}, ... (a softmax makes probabilities of logits)"
        )

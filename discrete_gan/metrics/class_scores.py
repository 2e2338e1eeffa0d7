r"""Mode Score and AM Score: Inception Scores that know the classes of the training data.

C(x) is a classifier's distribution over K classes, :math:`\bar C^G` its mean over generated samples and
:math:`\bar C^{train}` its mean over training data, or the training labels' frequencies.

References:
    Mode Regularized Generative Adversarial Networks (Che et al., 2017), https://arxiv.org/abs/1612.02136
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), https://arxiv.org/abs/1703.02000
"""

from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan.metrics.inception_score import check_probabilities, entropy


class ModeScoreResult(NamedTuple):
    """The score, from 1 to K, and the two divergences it comes from, in nats; float64 scalars.

    Attributes:
        score: exp(sample_divergence - marginal_divergence).
        sample_divergence: Mean KL of C(x) from the reference.
        marginal_divergence: KL of the mean of C(x) from the reference.
    """

    score: Tensor
    sample_divergence: Tensor
    marginal_divergence: Tensor


class AMScoreResult(NamedTuple):
    """The score, 0 at best, and its two terms, all in nats; float64 scalars.

    Attributes:
        score: divergence + conditional_entropy.
        divergence: KL of the reference from the mean of C(x).
        conditional_entropy: Mean entropy of C(x).
    """

    score: Tensor
    divergence: Tensor
    conditional_entropy: Tensor


def mode_score(probabilities: Tensor, reference: Tensor) -> ModeScoreResult:
    r"""Inception Score written with the training data's classes, which cancel.

    .. math:: \mathrm{MS} = \exp\left(\tfrac{1}{N} \sum_n \mathrm{KL}(C(x_n) \| \bar C^{train})
              - \mathrm{KL}(\bar C^G \| \bar C^{train})\right)

    Equation 38 of Zhou et al.; their equation 41 shows that it equals the Inception Score for every reference, so only
    the two terms say something new. Kept for comparison with papers that report it.

    Args:
        probabilities: C(x) of each sample, rows summing to one, shape (N, K).
        reference: Mean class probabilities of training data, shape (K,).

    Returns:
        Score and its two terms. NaN, as infinity minus infinity, where samples have mass on a class of which the
        reference has none.

    Raises:
        ValueError: If the shapes do not fit together, the reference or a row is no distribution, or N is 0.
    """
    probabilities, reference = _checked(probabilities, reference)
    return mode_score_of_means(probabilities.mean(0), kl_divergence(probabilities, reference).mean(), reference)


def am_score(probabilities: Tensor, reference: Tensor) -> AMScoreResult:
    r"""Distance of the samples' classes from the data's, plus the doubt about each sample; lower is better.

    .. math:: \mathrm{AM} = \mathrm{KL}(\bar C^{train} \| \bar C^G) + \tfrac{1}{N} \sum_n H[C(x_n)]

    Equation 23 of Zhou et al. It rewards even classes only as far as the data's are even. The KL is infinite where the
    reference has a class of which the mean of C(x) is exactly 0: a softmax never gives that, one-hot rows do.

    Args:
        probabilities: C(x) of each sample, rows summing to one, shape (N, K).
        reference: Mean class probabilities of training data, shape (K,).

    Returns:
        Score and its two terms; infinity where a class is missing altogether.

    Raises:
        ValueError: If the shapes do not fit together, the reference or a row is no distribution, or N is 0.
    """
    probabilities, reference = _checked(probabilities, reference)
    return am_score_of_means(probabilities.mean(0), entropy(probabilities).mean(), reference)


def mode_score_of_means(marginal: Tensor, sample_divergence: Tensor, reference: Tensor) -> ModeScoreResult:
    """The score from the mean probabilities, shape (K,), and the mean divergence from the reference in nats."""
    marginal_divergence = kl_divergence(marginal, reference)
    return ModeScoreResult((sample_divergence - marginal_divergence).exp(), sample_divergence, marginal_divergence)


def am_score_of_means(marginal: Tensor, conditional_entropy: Tensor, reference: Tensor) -> AMScoreResult:
    """The score from the mean probabilities, shape (K,), and the mean entropy in nats."""
    divergence = kl_divergence(reference, marginal)
    return AMScoreResult(divergence + conditional_entropy, divergence, conditional_entropy)


def kl_divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) over the last dimension: 0 log 0 is 0, and mass of p where q has none makes it infinite."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum(-1)


def _checked(probabilities: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64, after all checks."""
    reference = checked_reference(reference)
    check_against(probabilities, reference)
    if len(probabilities) == 0:
        raise ValueError("probabilities: expected at least 1 sample, got 0")
    return probabilities.detach().double(), reference


def check_against(probabilities: Tensor, reference: Tensor) -> None:
    """Raise unless these are N distributions over the K classes of a reference, shape (K,)."""
    check_probabilities(probabilities)
    if probabilities.shape[1] != len(reference):
        raise ValueError(
            f"probabilities: expected {len(reference)} classes as in reference, got {probabilities.shape[1]}"
        )


def checked_reference(reference: Tensor) -> Tensor:
    """The reference in float64, after a check that it is a distribution of shape (K,)."""
    if reference.ndim != 1:
        raise ValueError(f"reference: expected shape (K,), got {tuple(reference.shape)}")
    reference = reference.detach().double()
    total = reference.sum().item()
    # 1e-4 is far above what a mean of float32 softmax rows misses, and far below a class left out.
    if not (reference >= 0).all() or abs(total - 1) > 1e-4:
        raise ValueError(f"reference: expected probabilities that sum to 1, got {reference.tolist()[:10]}, sum {total}")
    return reference

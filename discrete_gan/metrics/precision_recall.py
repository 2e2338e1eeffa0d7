r"""Precision, recall, density and coverage of generated features, by nearest neighbors.

References:
    Improved Precision and Recall Metric for Assessing Generative Models (Kynkaanniemi et al., 2019),
        https://arxiv.org/abs/1904.06991
    Reliable Fidelity and Diversity Metrics for Generative Models (Naeem et al., 2020),
        https://arxiv.org/abs/2002.09797
"""

from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least


class PrecisionRecallResult(NamedTuple):
    """Float64 scalars, higher is better; all but density, which may exceed 1, are fractions.

    Attributes:
        precision: Fraction of the generated samples inside at least one real ball.
        recall: Fraction of the real samples inside at least one generated ball.
        density: Real balls that a generated sample is inside of, mean, divided by k.
        coverage: Fraction of the real balls that hold at least one generated sample.
    """

    precision: Tensor
    recall: Tensor
    density: Tensor
    coverage: Tensor


class Memberships(NamedTuple):
    """Who lies inside whose ball: one figure per sample, of which precision, recall, density and coverage are means.

    Attributes:
        balls: Real balls that each generated sample is inside of, int64, shape (N',).
        recalled: Whether each real sample is inside at least one generated ball, shape (N,).
        covered: Whether each real ball holds at least one generated sample, shape (N,).
    """

    balls: Tensor
    recalled: Tensor
    covered: Tensor


def precision_recall(
    real_features: Tensor, fake_features: Tensor, *, k: int = 5, chunk_size: int = 1024
) -> PrecisionRecallResult:
    r"""How far real and generated features lie inside balls around each other.

    The ball of a sample reaches to the k-th nearest other sample of its own set, boundary excluded:

    .. math:: r_i = d(x_i, \mathrm{NN}_k(x_i)), \qquad \text{density} = \tfrac{1}{k N'} \sum_{i,j} 1[d(x_i, y_j) < r_i]

    Of one distribution on both sides, density is 1 in expectation, and coverage 1 - 2^-k for large N = N'. Precision
    and recall depend on N more, and an outlier's ball is large; only values at equal N, N' and k compare.

    Distances come from a matrix product in float64: exact for integers, and of other features to 1e-8 of their length.
    With N = N' = 10,000 and F = 128, ten seconds on one core.

    Args:
        real_features: Shape (N, F), any real type.
        fake_features: Shape (N', F).
        k: Which neighbor sets the radius. With more than k equal samples in a set their radius is 0, and nothing is
            inside. Features that are not finite are inside of nothing.
        chunk_size: Rows of distances held at a time: 8 * chunk_size * max(N, N') bytes.

    Returns:
        Precision, recall, density and coverage. No gradient.

    Raises:
        ValueError: If the shapes do not fit together, k or chunk_size is below 1, or a side has no more than k samples.
    """
    inside = memberships(real_features, fake_features, k=k, chunk_size=chunk_size)
    return PrecisionRecallResult(
        precision=(inside.balls > 0).double().mean(),
        recall=inside.recalled.double().mean(),
        density=inside.balls.double().mean() / k,
        coverage=inside.covered.double().mean(),
    )


def memberships(real_features: Tensor, fake_features: Tensor, *, k: int = 5, chunk_size: int = 1024) -> Memberships:
    """What :func:`precision_recall` averages, sample by sample, so that a bootstrap can resample it.

    Resampled features would have copies as their neighbors, at distance 0, and balls that are too small. Resampling
    memberships instead keeps the balls as they are, so an interval lacks what the placement of the balls adds.

    Args:
        real_features: Shape (N, F), any real type.
        fake_features: Shape (N', F).
        k: As of :func:`precision_recall`, whose price and assumptions these are.
        chunk_size: Rows of distances held at a time.

    Returns:
        Balls, recalled and covered. No gradient.

    Raises:
        ValueError: If the shapes do not fit together, k or chunk_size is below 1, or a side has no more than k samples.
    """
    check_at_least("k", k, 1)
    check_at_least("chunk_size", chunk_size, 1)
    for name, features in (("real_features", real_features), ("fake_features", fake_features)):
        if features.ndim != 2:
            raise ValueError(f"{name}: expected shape (N, F), got {tuple(features.shape)}")
        check_at_least(f"number of {name}", len(features), k + 1, f"the radius needs {k} others")
    if real_features.shape[1] != fake_features.shape[1]:
        expected, given = real_features.shape[1], fake_features.shape[1]
        raise ValueError(f"fake_features: expected {expected} per row as in real_features, got {given}")
    real, fake = real_features.detach().double(), fake_features.detach().double()
    real_radii, fake_radii = _radii(real, k, chunk_size), _radii(fake, k, chunk_size)
    balls = torch.zeros(len(fake), dtype=torch.long, device=fake.device)
    recalled, covered = [], []
    for part, radii in zip(real.split(chunk_size), real_radii.split(chunk_size), strict=True):
        distances = _distances(part, fake)
        inside = distances < radii[:, None]
        balls += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((distances < fake_radii).any(1))
    return Memberships(balls, torch.cat(recalled), torch.cat(covered))


def _radii(features: Tensor, k: int, chunk_size: int) -> Tensor:
    """Distance of each sample to its k-th nearest other one, shape (N,)."""
    # k + 1, because the nearest of all is the sample itself.
    nearest = [_distances(part, features).topk(k + 1, largest=False).values for part in features.split(chunk_size)]
    return torch.cat(nearest)[:, -1]


def _distances(a: Tensor, b: Tensor) -> Tensor:
    # One mode for all shapes, or distances that are equal would not be. The other one takes 8 times as long.
    return torch.cdist(a, b, compute_mode="use_mm_for_euclid_dist")

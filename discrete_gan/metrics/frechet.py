r"""Frechet distance between two sets of features, each taken as a Gaussian.

References:
    The Frechet distance between multivariate normal distributions (Dowson and Landau, 1982),
        https://doi.org/10.1016/0047-259X(82)90077-X
    GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al., 2017),
        https://arxiv.org/abs/1706.08500
"""

from typing import NamedTuple

import torch
from torch import Tensor


class GaussianStatistics(NamedTuple):
    """Mean, shape (F,), and unbiased covariance, shape (F, F), both float64."""

    mean: Tensor
    cov: Tensor


def gaussian_statistics(features: Tensor) -> GaussianStatistics:
    """Mean and unbiased covariance of a set of features.

    Args:
        features: One row per sample, shape (N, F), any real type.

    Returns:
        Mean and covariance in float64.

    Raises:
        ValueError: If the shape is not (N, F) or N is below 2.
    """
    check_features(features)
    if len(features) < 2:
        raise ValueError(f"features: a covariance needs at least 2 samples, got {len(features)}")
    features = features.double()
    mean = features.mean(0)
    centered = features - mean
    return GaussianStatistics(mean, centered.T @ centered / (len(features) - 1))


def frechet_distance(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> Tensor:
    r"""Squared 2-Wasserstein distance of two Gaussians.

    .. math:: d^2 = \|\mu_a - \mu_b\|^2
              + \operatorname{tr}\left(\Sigma_a + \Sigma_b - 2 (\Sigma_a \Sigma_b)^{1/2}\right)

    The trace of the root is the sum of the singular values of :math:`\Sigma_a^{1/2} \Sigma_b^{1/2}`, which
    needs no root of a non-symmetric matrix and no jitter: singular covariances are fine. Estimated from N
    samples it is biased upwards at rate 1/N, so only distances at equal N compare.

    Args:
        mean_a: Mean of the first Gaussian, shape (F,).
        cov_a: Its covariance, symmetric positive semi-definite, shape (F, F).
        mean_b: Mean of the second, shape (F,).
        cov_b: Covariance of the second, shape (F, F).

    Returns:
        A float64 scalar, in squared units of the features; NaN if an input is not finite. No gradient.

    Raises:
        ValueError: If the shapes do not fit together.

    Example:
        >>> eye = torch.eye(2, dtype=torch.float64)
        >>> frechet_distance(torch.zeros(2).double(), eye, torch.ones(2).double(), eye)  # of means alone
        tensor(2., dtype=torch.float64)
    """
    size = mean_a.shape[-1] if mean_a.ndim == 1 else -1
    expected = {"mean_a": (size,), "cov_a": (size, size), "mean_b": (size,), "cov_b": (size, size)}
    for (name, shape), given in zip(expected.items(), (mean_a, cov_a, mean_b, cov_b), strict=True):
        if given.shape != shape:
            wanted = shape if size >= 0 else "(F,)"
            raise ValueError(f"{name}: expected shape {wanted}, got {tuple(given.shape)}")
    mean_a, cov_a, mean_b, cov_b = (given.detach().double() for given in (mean_a, cov_a, mean_b, cov_b))
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace()
    # A generator that has diverged gives a NaN in the log; eigh would end the run.
    if not all(given.isfinite().all() for given in (mean_a, cov_a, mean_b, cov_b)):
        return distance * torch.nan
    root_trace = torch.linalg.svdvals(_half_factor(cov_a).T @ _half_factor(cov_b)).sum()
    return (distance - 2 * root_trace).clamp(min=0)  # equal Gaussians may round to -1e-15


def _half_factor(cov: Tensor) -> Tensor:
    """A matrix L with L L^T = cov; eigenvalues that are rounding noise count as zero."""
    eigenvalues, vectors = torch.linalg.eigh(cov)
    # Left in, noise of size eps would enter the trace as its root: 1e-8 for each null direction.
    noise = eigenvalues[-1:].clamp(min=0) * len(cov) * torch.finfo(cov.dtype).eps
    return vectors * torch.where(eigenvalues > noise, eigenvalues, 0).sqrt()


def check_features(features: Tensor) -> None:
    """Raise unless the shape is (N, F)."""
    if features.ndim != 2:
        raise ValueError(f"features: expected shape (N, F), got {tuple(features.shape)}")

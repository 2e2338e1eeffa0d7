"""The tail of the weights: a generalized Pareto distribution fitted to the largest, and these smoothed by it.

References:
    Pareto Smoothed Importance Sampling (Vehtari et al., 2024), https://arxiv.org/abs/1507.02646
    A New and Efficient Estimation Method for the Generalized Pareto Distribution (Zhang and Stephens, 2009),
    https://doi.org/10.1198/tech.2009.08017
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan._precision import widest_float
from discrete_gan.weights._samples import Samples, samples

# Zhang and Stephens (2009) put their grid of 30 + sqrt(n) points against this many quartiles.
_GRID_POINTS, _GRID_QUARTILES = 30, 3
# Vehtari et al. (2024), appendix C: the estimate is shrunk to 1/2 with the weight of ten observations.
_PRIOR_COUNT, _PRIOR_INDEX = 10, 0.5
# Below five exceedances PSIS calls the tail unknown.
_LEAST_TAIL = 5
_HIGHEST_THRESHOLD = 0.7
# The fewest samples with such a tail: a fifth of 20 is 4.
_LEAST_SAMPLES = 21
# Points of the grid times exceedances at a time: 1 MiB of float64, which a CPU's cache holds, elsewhere 32 MiB.
_ON_CPU, _ELSEWHERE = 2**17, 2**22
# Below this, times the largest exceedance, the logarithm is its series.
_NEAR_ZERO = 1e-4


class ParetoSmoothed(NamedTuple):
    """What :func:`psis` returns.

    Attributes:
        log_w: Smoothed log-weights in nats, the shape of those given and at their level.
        k: :func:`pareto_tail_index` of those given, their shape without the samples.
        threshold: :func:`tail_index_threshold` of how many samples there are, the shape of ``k``: do not trust a mean
            where k is above.
    """

    log_w: Tensor
    k: Tensor
    threshold: Tensor


class _Tail(NamedTuple):
    """The largest log-weights of (B, M), and where they are, in columns.

    Attributes:
        log_w: In descending order, infinities as the bounds of the type, shape (n, B).
        places: Where they are among the samples, shape (n, B).
        cutoff: Weight of the next, which is no longer among them, over the largest, in the widest type, shape (1, B).
        excess: Weights over the largest above the cutoff, in ascending order, in the widest type; zero or less where a
            sample does not belong to the tail, shape (n, B).
        size: How many do, the last of ``excess``, shape (B,).
        all_equal: Where the largest is no larger than the cutoff, shape (B,).
    """

    log_w: Tensor
    places: Tensor
    cutoff: Tensor
    excess: Tensor
    size: Tensor
    all_equal: Tensor


class _Fit(NamedTuple):
    """A generalized Pareto distribution for each latent: k, shrunk, and the scale, each of shape (B,)."""

    k: Tensor
    scale: Tensor


def pareto_tail_index(log_w: Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False) -> Tensor:
    r"""Index k of a generalized Pareto distribution fitted to the largest weights of each latent, as in PSIS.

    The largest :math:`\min(M/5, 3\sqrt M)` weights, those equal to the next one left out, are taken as the tail and
    fitted by the estimator of Zhang and Stephens with the shrinkage of Vehtari et al. Moments of the weights below 1/k
    exist: k < 1/2 means finite variance, k > 1 that the mean does not exist. Means of M samples are reliable up to
    :func:`tail_index_threshold` of M.

    Args:
        log_w: Log-ratios in nats, shape (M, B), or any other with the samples along ``dim``.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``; M is their number.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        k, shape (B,). Infinite where the tail has fewer than five samples and so cannot be judged (always if M < 21),
        minus infinity where its weights are all equal and there is no tail. Gradients reach ``log_w``.

    Raises:
        ValueError: If an argument does not fit, as in ``normalized_weights``.
    """
    given = samples(log_w, dim, where, check=check)
    if _tail_size(given.log_w.shape[given.dim]) < _LEAST_TAIL:
        return torch.full_like(given.log_w.select(given.dim, 0), math.inf)
    tails = (_tail(rows) for rows in given.rows())
    k = torch.cat([_index(tail, _fit(tail)) for tail in tails])
    return k.to(given.log_w.dtype).view(given.batch_shape)


def psis(log_w: Tensor, dim: int = 0, *, where: Tensor | None = None, check: bool = False) -> ParetoSmoothed:
    r"""Pareto-smoothed log-weights: the largest are replaced by quantiles of the distribution fitted to them.

    .. math:: w_{(M - n + j)} \leftarrow \min\Big(w_{(M - n)} + F^{-1}_{k, \sigma}\big(\tfrac{j - 1/2}{n}\big),\
        w_{(M)}\Big), \qquad j = 1, \dots, n

    They keep their order, none exceeds the largest before, and means have less variance for a bias that is small where
    k is below the threshold. Where there is no tail (k infinite) all stay as they are. The n weights are those of
    :func:`pareto_tail_index`.

    Args:
        log_w: Log-ratios in nats, shape (M, B), or any other with the samples along ``dim``; M is at least 21.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``; M is their number. Where it is below 21 there is
            no tail. The values of the others stay as they are.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        :class:`ParetoSmoothed`. Gradients reach ``log_w``, through the fit as well.

    Raises:
        ValueError: If M is too small for a tail, or an argument does not fit, as in ``normalized_weights``.
    """
    given = samples(log_w, dim, where, check=check)
    num_samples = given.log_w.shape[given.dim]
    if num_samples < _LEAST_SAMPLES:
        raise ValueError(
            f"log_w: expected at least {_LEAST_SAMPLES} samples along axis {given.dim}, of which {_LEAST_TAIL} are the "
            f"tail, got {num_samples}"
        )
    indices: list[Tensor] = []
    smoothed = given.from_rows(_smoothed(rows, indices) for rows in given.rows())
    k = torch.cat(indices).to(given.log_w.dtype).view(given.batch_shape)
    if isinstance(given.number, int):
        threshold = torch.full_like(k, tail_index_threshold(num_samples))
    else:
        threshold = (1 - 1 / given.number.squeeze(given.dim).log10()).clamp(max=_HIGHEST_THRESHOLD)
    return ParetoSmoothed(smoothed, k, threshold)


def tail_index_threshold(num_samples: int) -> float:
    r"""Largest k of :func:`pareto_tail_index` at which a weighted mean of M samples is still reliable.

    .. math:: \min(1 - 1 / \log_{10} M,\ 0.7)

    0.5 at M = 100, 0.67 at 1,000, and 0.7 from 2,155 on (Vehtari et al., 2024, section 3.2.4).

    Args:
        num_samples: M, at least 2.

    Raises:
        ValueError: If M is below 2.
    """
    check_at_least("num_samples", num_samples, 2)
    return min(1 - 1 / math.log10(num_samples), _HIGHEST_THRESHOLD)


def _tail_size(num_samples: int) -> int:
    return math.ceil(min(num_samples / 5, 3 * math.sqrt(num_samples)))


def _tail(given: Samples) -> _Tail:
    """Of log-weights of shape (B, M)."""
    bounds, size = torch.finfo(given.log_w.dtype), _tail_size(given.log_w.shape[1])
    clamped = given.only_there(given.log_w.clamp(bounds.min, bounds.max), bounds.min)
    # Sorted when they are few: several times as fast as what topk does by itself.
    unsorted, places = clamped.topk(size + 1, dim=1, sorted=False)
    in_order, order = unsorted.sort(dim=1, descending=True)
    largest, places = in_order.T.contiguous(), places.gather(1, order).T
    dtype = widest_float(largest.device.type)
    if given.there is None:
        next_one = largest[-1:]
    else:  # of each latent's own number of samples
        number = given.there.sum(dim=1).to(dtype)
        own_size = torch.minimum(number / 5, 3 * number.sqrt()).ceil().long()
        next_one = largest.take_along_dim(own_size[None], dim=0)
    # A tail of 50 nats or more needs float64: squares of its smallest weights stand in the gradient. Weights that
    # underflow are no tail: they would all look alike.
    level, tiny = largest[:1].detach(), torch.finfo(dtype).tiny
    cutoff = (next_one - level).to(dtype).exp().clamp(min=tiny)
    excess = ((largest[:-1] - level).to(dtype).exp() - cutoff).flip(0)
    return _Tail(largest[:-1], places[:-1], cutoff, excess, (excess > tiny).sum(dim=0), largest[0] == next_one[0])


def _smoothed(given: Samples, indices: list[Tensor]) -> Tensor:
    """Smoothed log-weights (B, M) of those given; k, shape (B,), goes to the list."""
    tail = _tail(given)
    fit = _fit(tail)
    k = _index(tail, fit)
    place = torch.arange(len(tail.log_w), device=k.device)[:, None]
    smooth = (place < tail.size) & k.isfinite()
    quantiles = _quantiles(tail, fit).to(given.log_w.dtype)
    places = tail.places.T
    largest = torch.where(smooth.T, quantiles.T, given.log_w.gather(1, places))
    indices.append(k)
    return given.log_w.scatter(1, places, largest)


def _index(tail: _Tail, fit: _Fit) -> Tensor:
    """k, or what stands for it where there is none, shape (B,)."""
    k = torch.where(tail.size < _LEAST_TAIL, math.inf, fit.k)
    k = torch.where(tail.all_equal, -math.inf, k)
    return torch.where(tail.log_w[0].isnan(), math.nan, k)


def _quantiles(tail: _Tail, fit: _Fit) -> Tensor:
    """Logarithms of the smoothed weights in descending order, as those of the tail, at its level."""
    place = torch.arange(len(tail.log_w), device=fit.k.device)[:, None]
    count = tail.size.to(fit.k.dtype)
    exponential = -((place + 0.5) / count.clamp(min=1)).clamp(max=1).log()
    # At k = 0 the distribution is the exponential one, the limit of 0 / 0.
    zero = fit.k == 0
    k = torch.where(zero, 1.0, fit.k)
    quantile = fit.scale * torch.where(zero, exponential, torch.expm1(k * exponential) / k)
    tiny = torch.finfo(fit.k.dtype).tiny
    # Where there is no fit a number takes its place, so that gradients are none either.
    quantile = torch.where(place < tail.size, quantile, 1.0).clamp(min=tiny)
    log_w = (quantile + tail.cutoff).log()
    level = tail.log_w[:1].detach()
    return torch.minimum(log_w, (tail.log_w[:1] - level).to(log_w.dtype)) + level


def _fit(tail: _Tail) -> _Fit:
    """Zhang and Stephens' posterior mean from the exceedances.

    Where fewer than five are above zero, the result is finite and means nothing.
    """
    excess, count = tail.excess, tail.size
    num_tail = len(excess)
    position = torch.arange(num_tail, device=excess.device)[:, None]
    unknown = count < _LEAST_TAIL
    count = torch.where(unknown, num_tail, count)
    inside = position >= num_tail - count
    # Numbers to count with where nothing is known, so that neither values nor gradients are NaN.
    excess = torch.where(unknown, (position + 1) / num_tail, torch.where(inside, excess, 0.0))
    quartile = excess.take_along_dim((num_tail - count + (count / 4 + 0.5).long() - 1)[None], dim=0)[0]
    # The fit is the same at any scale. At this one no power of a small quartile overflows.
    scale = quartile.detach()
    excess, quartile = excess / scale, quartile / scale
    num_grid = _GRID_POINTS + count.sqrt().long()
    steps = torch.arange(1, _GRID_POINTS + math.isqrt(num_tail) + 1, device=excess.device)[:, None]  # (G, 1)
    # A shorter tail has fewer points: those after its last repeat it and count for nothing.
    ratio = (num_grid / (torch.minimum(steps, num_grid) - 0.5).to(excess.dtype)).sqrt()
    theta = 1 / excess[-1] + (1 - ratio) / (_GRID_QUARTILES * quartile)  # (G, B)
    # At zero the fit is an exponential, the limit of 0 / 0.
    theta = torch.where(theta == 0, torch.finfo(excess.dtype).eps / excess[-1], theta)
    index = _profile_index(theta, excess, count)  # (G, B)
    profile = count * (torch.log(-theta / index) - index - 1)
    profile = profile.masked_fill(steps > num_grid, -math.inf)
    theta = (torch.softmax(profile, dim=0) * theta).sum(dim=0)
    k = torch.log1p(-theta * excess).sum(dim=0) / count
    return _Fit((count * k + _PRIOR_COUNT * _PRIOR_INDEX) / (count + _PRIOR_COUNT), -k / theta * scale)


def _profile_index(theta: Tensor, excess: Tensor, count: Tensor) -> Tensor:
    """Mean of log(1 - theta x) over the exceedances (n, B), those of zero adding nothing, for points (G, B).

    log is several times as fast as log1p. What it loses shows where theta is near zero, and there three terms of the
    series are exact to twelve digits.
    """
    most = _ON_CPU if theta.device.type == "cpu" else _ELSEWHERE
    one = theta.new_ones(())
    plain = []
    for points in theta.split(max(1, most // max(1, excess.numel()))):
        value = torch.addcmul(one, points[:, None], excess, value=-1)
        plain.append((value.log() if value.requires_grad else value.log_()).sum(dim=1))
    largest = excess[-1]
    ratio = excess / largest
    square = ratio * ratio
    first, second, third = ratio.sum(dim=0), square.sum(dim=0), (square * ratio).sum(dim=0)
    near = theta.abs() * largest < _NEAR_ZERO
    small = torch.where(near, theta * largest, 0.0)
    series = -small * (first + small * (second / 2 + small * third / 3))
    return torch.where(near, series, torch.cat(plain)) / count

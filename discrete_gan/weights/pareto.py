"""The tail of the weights: a generalized Pareto distribution fitted to the largest, and these smoothed by it.

References:
    Pareto Smoothed Importance Sampling (Vehtari et al., 2024), https://arxiv.org/abs/1507.02646
    A New and Efficient Estimation Method for the Generalized Pareto Distribution (Zhang and Stephens, 2009),
    https://doi.org/10.1198/tech.2009.08017
"""

import contextlib
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan._precision import widest_float
from discrete_gan.weights._generalized_pareto import GeneralizedPareto, fit
from discrete_gan.weights._samples import Samples, samples

# Below five exceedances PSIS calls the tail unknown.
_LEAST_TAIL = 5
_HIGHEST_THRESHOLD = 0.7
# The fewest samples with such a tail: a fifth of 20 is 4.
_LEAST_SAMPLES = 21
# Log-weights of tails at a time, those of a few hundred rows.
_AT_ONCE = 2**16


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


class _Largest(NamedTuple):
    """The largest log-weights of rows (B, M), one more than may be the tail.

    Attributes:
        log_w: In descending order, infinities as the bounds of the type, shape (B, n + 1).
        places: Where they are among the samples, shape (B, n + 1).
        size: How many are the tail of the samples that are there, shape (B, 1).
        before: As they were given, shape (B, n).
    """

    log_w: Tensor
    places: Tensor
    size: Tensor
    before: Tensor


class _Tail(NamedTuple):
    """The largest log-weights but the last, as they are fitted.

    Attributes:
        log_w: In descending order, infinities as the bounds of the type, shape (B, n).
        before: As they were given.
        cutoff: Weight of the next, which is no longer among them, over the largest, in the widest type, shape (B, 1).
        excess: Weights over the largest above the cutoff, in descending order, in the widest type; zero or less where a
            sample does not belong to the tail, shape (B, n).
        size: How many do, the first of ``excess``, shape (B, 1).
        all_equal: Where the largest is no larger than the cutoff, shape (B, 1).
    """

    log_w: Tensor
    before: Tensor
    cutoff: Tensor
    excess: Tensor
    size: Tensor
    all_equal: Tensor


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

    Example:
        >>> pareto_tail_index(torch.arange(100.0)) > 1  # every weight e times the one before
        tensor(True)
    """
    given = samples(log_w, dim, where, check=check)
    if _tail_size(given.log_w.shape[given.dim]) < _LEAST_TAIL:
        return torch.full_like(given.log_w.select(given.dim, 0), math.inf)
    largest = _joined([_largest(rows.turned()) for rows in given.rows()])
    k = torch.cat([_index(tail, fit(tail.excess, tail.size, _LEAST_TAIL)) for tail in _tails(largest)])
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

    Example:
        >>> log_w = -2 * torch.linspace(0.01, 1, 100).log()  # weights u ** -2 of even u: a tail index near 2
        >>> float(psis(log_w).k) > tail_index_threshold(100)
        True
    """
    given = samples(log_w, dim, where, check=check)
    num_samples = given.log_w.shape[given.dim]
    if num_samples < _LEAST_SAMPLES:
        raise ValueError(
            f"log_w: expected at least {_LEAST_SAMPLES} samples along axis {given.dim}, of which {_LEAST_TAIL} are the "
            f"tail, got {num_samples}"
        )
    parts: list[_Largest] = []
    rows = given.together(_copied(given, parts), given.log_w.dtype)
    scatter = rows.scatter if len(parts) == 1 else rows.scatter_  # a single block may be what is given
    largest = _joined(parts)
    smoothed, k = zip(*map(_smoothed, _tails(largest)), strict=True)
    smoothed = given.shaped(scatter(1, largest.places[:, :-1], torch.cat(smoothed)))
    k = torch.cat(k).to(given.log_w.dtype).view(given.batch_shape)
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

    Example:
        >>> tail_index_threshold(100)
        0.5
        >>> tail_index_threshold(100_000)
        0.7
    """
    check_at_least("num_samples", num_samples, 2)
    return min(1 - 1 / math.log10(num_samples), _HIGHEST_THRESHOLD)


def _tail_size(num_samples: int) -> int:
    return math.ceil(min(num_samples / 5, 3 * math.sqrt(num_samples)))


def _copied(given: Samples, largest: list[_Largest]) -> Iterator[Tensor]:
    """Blocks of rows, of which the largest go to the list."""
    for rows in given.rows():
        rows = rows.turned()
        largest.append(_largest(rows))
        yield rows.log_w


def _largest(given: Samples) -> _Largest:
    """Of log-weights (B, M)."""
    bounds, size = torch.finfo(given.log_w.dtype), _tail_size(given.log_w.shape[1])
    present = given.only_there(given.log_w, bounds.min)
    places = _places(present, size + 1)
    log_w = present.gather(1, places).clamp(bounds.min, bounds.max)
    before = given.log_w.gather(1, places[:, :-1])
    own_size = torch.full_like(places[:, :1], size)
    if given.there is not None:
        number = given.there.sum(dim=1, keepdim=True).double()
        own_size = torch.minimum(number / 5, 3 * number.sqrt()).ceil().long()
    return _Largest(log_w, places, own_size, before)


def _places(log_w: Tensor, number: int) -> Tensor:
    """Of the largest log-weights of each row, the largest first."""
    if log_w.device.type == "cpu" and not torch.compiler.is_compiling():
        with contextlib.suppress(RuntimeError):  # there is no array of what torch.func.vmap goes over
            array = log_w.detach().numpy()
            some = torch.from_numpy(np.argpartition(array, -number, axis=1)[:, -number:])
            order = torch.from_numpy(np.argsort(log_w.detach().gather(1, some).numpy(), axis=1))
            return some.gather(1, order.flip(1))
    # Sorted when they are few: several times as fast as what topk does by itself.
    values, places = log_w.topk(number, dim=1, sorted=False)
    return places.gather(1, values.argsort(dim=1, descending=True))


def _joined(parts: list[_Largest]) -> _Largest:
    """Of all rows. Takes the place of the list, which is empty then: both would be there at once."""
    joined = _Largest(*(torch.cat(each) for each in zip(*parts, strict=True)))
    parts.clear()
    return joined


def _tails(largest: _Largest) -> Iterator[_Tail]:
    """In blocks of rows that a cache holds, more of them than of all samples."""
    whole = largest.log_w.device.type != "cpu" or torch.compiler.is_compiling()
    size = len(largest.log_w) if whole else _AT_ONCE // largest.log_w.shape[1]
    blocks = zip(*(each.split(max(1, size)) for each in largest), strict=True)
    return (_tail(_Largest(*block)) for block in blocks)


def _tail(largest: _Largest) -> _Tail:
    log_w, next_one = largest.log_w[:, :-1], largest.log_w.gather(1, largest.size)
    dtype = widest_float(log_w.device.type)
    # A tail of 50 nats or more needs float64: squares of its smallest weights stand in the gradient. Weights that
    # underflow are no tail: they would all look alike.
    level, tiny = log_w[:, :1].detach(), torch.finfo(dtype).tiny
    cutoff = (next_one - level).to(dtype).exp().clamp(min=tiny)
    excess = (log_w - level).to(dtype).exp() - cutoff
    size = (excess > tiny).sum(dim=1, keepdim=True)
    return _Tail(log_w, largest.before, cutoff, excess, size, log_w[:, :1] == next_one)


def _smoothed(tail: _Tail) -> tuple[Tensor, Tensor]:
    """What takes the place of the tail, shape (B, n), and k, shape (B,)."""
    found = fit(tail.excess, tail.size, _LEAST_TAIL)
    k = _index(tail, found)
    known = k.isfinite()
    smooth = (torch.arange(tail.log_w.shape[1], device=k.device) < tail.size) & known
    # Where there is no fit numbers take its place, so that gradients are none either.
    found = GeneralizedPareto(torch.where(known, found.k, 1.0), torch.where(known, found.scale, 1.0))
    return torch.where(smooth, _quantiles(tail, found).to(tail.before.dtype), tail.before), k.squeeze(1)


def _index(tail: _Tail, found: GeneralizedPareto) -> Tensor:
    """k, or what stands for it where there is none, shape (B, 1)."""
    k = torch.where(tail.size < _LEAST_TAIL, math.inf, found.k)
    k = torch.where(tail.all_equal, -math.inf, k)
    return torch.where(tail.log_w[:, :1].isnan(), math.nan, k)


def _quantiles(tail: _Tail, found: GeneralizedPareto) -> Tensor:
    """Logarithms of the smoothed weights in descending order, as those of the tail, at its level."""
    dtype, bounds = found.k.dtype, torch.finfo(found.k.dtype)
    place = torch.arange(tail.log_w.shape[1], dtype=dtype, device=found.k.device)
    exponential = (tail.size.to(dtype).log() - (place + 0.5).log()).clamp(min=0)
    # At k = 0 the distribution is the exponential one, the limit of 0 / 0.
    k = torch.where(found.k.abs() < bounds.eps, bounds.eps, found.k)
    quantile = torch.expm1(k * exponential) * (found.scale / k)
    log_w = (quantile.clamp(min=bounds.tiny) + tail.cutoff).log()
    level = tail.log_w[:, :1].detach()
    return torch.minimum(log_w, (tail.log_w[:, :1] - level).to(dtype)) + level

"""Equally weighted samples out of weighted ones: which ancestor each has."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_choice
from discrete_gan._precision import widest_float
from discrete_gan.weights._samples import Samples, samples
from discrete_gan.weights.diagnosis import effective_sample_size
from discrete_gan.weights.estimates import log_partition

Method = Literal["systematic", "stratified", "residual", "multinomial"]
METHODS: tuple[Method, ...] = ("systematic", "stratified", "residual", "multinomial")


class Resampled(NamedTuple):
    """What :func:`resample_if` returns.

    Attributes:
        ancestors: That of each sample, int64, the shape of the log-weights.
        log_w: Their log-weights in nats: equal ones where it was resampled, of the same mean weight as before.
        resampled: Where it was, bool, the shape of the log-weights without the samples.
    """

    ancestors: Tensor
    log_w: Tensor
    resampled: Tensor


def resample(
    log_w: Tensor,
    num: int | None = None,
    *,
    method: Method = "systematic",
    dim: int = 0,
    where: Tensor | None = None,
    generator: torch.Generator | None = None,
    check: bool = False,
) -> Tensor:
    r"""Ancestors of equally weighted samples: sample m is taken :math:`M' \tilde w_m` times in expectation.

    Points from 0 to 1 meet the cumulative sum of the weights, in float64 where the device has it. The points:

    - ``"systematic"``: :math:`(i + u) / M'` with one uniform number u for all. A sample is taken
      :math:`\lfloor M' \tilde w_m \rfloor` times or once more, so that no method has counts of less variance. That of
      a mean depends on the order of the samples, and is the least as a rule, not always.
    - ``"stratified"``: :math:`(i + u_i) / M'`. No mean has more variance than with independent draws.
    - ``"residual"``: :math:`\lfloor M' \tilde w_m \rfloor` times each, and those left over from what is left of the
      weights, independently. No mean has more variance than with independent draws.
    - ``"multinomial"``: independent draws.

    Args:
        log_w: Log-weights in nats, shape (M, B), or any other with the samples along ``dim``.
        num: M', as many as there are samples by default.
        method: One of the four.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``. The others are no ancestors.
        generator: Source of the uniform numbers, on the device of ``log_w``; torch's own by default.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        int64, the shape of ``log_w`` with M' along ``dim``, in ascending order whatever the method: ``take(x, index)``
        are the samples. None of weight zero is taken unless all are. Where ``where`` leaves none at all it is as if all
        were there, with equal weights: an index has no NaN. No gradient.

    Raises:
        ValueError: If ``num`` is below 1, ``method`` is unknown, or another argument does not fit, as in
            ``normalized_weights``.

    References:
        Comparison of Resampling Schemes for Particle Filtering (Douc et al., 2005), https://arxiv.org/abs/cs/0507025

    Example:
        >>> resample(torch.tensor([0.5, 0.25, 0.25]).log(), 4, generator=torch.Generator().manual_seed(0))
        tensor([0, 0, 1, 2])
    """
    check_choice("method", method, METHODS)
    given = samples(log_w, dim, where, check=check)
    num = given.log_w.shape[given.dim] if num is None else num
    check_at_least("num", num, 1)
    with torch.no_grad():
        blocks = (_ancestors(rows, num, method, generator) for rows in given.rows())
        return given.shaped(given.together(blocks, torch.int64))


def resample_if(
    log_w: Tensor,
    fraction: float = 0.5,
    *,
    method: Method = "systematic",
    dim: int = 0,
    where: Tensor | None = None,
    generator: torch.Generator | None = None,
    check: bool = False,
) -> Resampled:
    """Resample the batch elements whose effective sample size is below a fraction of their samples, as filters do.

    Both outcomes are computed and one is taken, so that nothing waits for the device. The mean weight stays what it
    was: with log-weights that a filter keeps adding to, :func:`log_partition` at its end is the log-likelihood.

    Args:
        log_w: Log-weights in nats, shape (M, B), or any other with the samples along ``dim``.
        fraction: From 0, never, to 1, whenever the weights differ.
        method: As in :func:`resample`.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``. Where it is resampled, those that are not get an
            ancestor but no weight.
        generator: As in :func:`resample`.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        :class:`Resampled`. Gradients reach ``log_w``, through the mean weight.

    Raises:
        ValueError: If ``fraction`` is not from 0 to 1, or another argument does not fit, as in :func:`resample`.

    Example:
        >>> resample_if(torch.zeros(3)).ancestors  # even weights: nothing is gained by it
        tensor([0, 1, 2])
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction: expected from 0 to 1, got {fraction}")
    given = samples(log_w, dim, where, check=check)
    log_w, dim, there = given.log_w, given.dim, given.there
    ancestors = resample(log_w, method=method, dim=dim, where=there, generator=generator)
    size = effective_sample_size(log_w.detach(), dim=dim, where=there).unsqueeze(dim)
    resampled = size < fraction * given.number
    along = [1] * log_w.dim()
    along[dim] = -1
    stay = torch.arange(log_w.shape[dim], device=log_w.device).view(along)
    equal = log_partition(log_w, dim=dim, where=there).unsqueeze(dim).expand(log_w.shape)
    return Resampled(
        torch.where(resampled, ancestors, stay),
        torch.where(resampled, given.only_there(equal, -torch.inf), log_w),
        resampled.squeeze(dim),
    )


def take(x: Tensor, index: Tensor, *, dim: int = 0) -> Tensor:
    """Samples by the index of their ancestors.

    Args:
        x: Samples, shape (M, B, *event): that of the log-weights, and any axes after it.
        index: As :func:`resample` gives it, shape (M', B).
        dim: The axis of the samples, of both, counted from the front or, below zero, from the end of ``index``.

    Returns:
        Shape (M', B, *event). Gradients reach ``x``.

    Raises:
        ValueError: If ``x`` does not begin with the shape of ``index``, but for the samples.

    Example:
        >>> take(torch.tensor([10, 20, 30]), torch.tensor([0, 0, 2]))
        tensor([10, 10, 30])
    """
    dim = dim % index.dim()
    expected = (*index.shape[:dim], *x.shape[dim : dim + 1], *index.shape[dim + 1 :])
    if x.shape[: index.dim()] != expected:
        raise ValueError(
            f"x: expected a shape beginning with that of index, {tuple(index.shape)}, but for axis {dim}, got "
            f"{tuple(x.shape)}"
        )
    index = index.view(*index.shape, *[1] * (x.dim() - index.dim()))
    return x.gather(dim, index.expand(*index.shape[: dim + 1], *x.shape[dim + 1 :]))


def _ancestors(given: Samples, num: int, method: Method, generator: torch.Generator | None) -> Tensor:
    """Of log-weights (B, M), shape (B, num)."""
    finite = given.finite.contiguous()
    mass = finite.sub_(finite.amax(dim=1, keepdim=True)).exp_()
    dtype = widest_float(mass.device.type)
    if method == "residual":
        below = _whole_and_left(mass.to(dtype), num, generator)
    else:
        cumulative = mass.cumsum(dim=1, dtype=dtype)
        if method == "multinomial":
            number = torch.full((len(mass), 1), num, device=mass.device)
            return _search(cumulative, _sorted_uniform(number, num, dtype, generator).mul_(cumulative[:, -1:]))
        shape = (len(mass), 1 if method == "systematic" else num)
        uniform = torch.rand(shape, dtype=dtype, device=mass.device, generator=generator)
        below = _count(cumulative, uniform, num)
    below[:, -1] = num
    return _spread(below, num)


def _search(cumulative: Tensor, point: Tensor) -> Tensor:
    """The first whose cumulative sum exceeds the point, which is kept below the total: none of mass zero."""
    point = torch.minimum(point, cumulative[:, -1:] * (1 - torch.finfo(cumulative.dtype).eps / 2))
    return torch.searchsorted(cumulative, point, right=True).clamp_(max=cumulative.shape[1] - 1)


def _count(cumulative: Tensor, uniform: Tensor, num: int) -> Tensor:
    """How many of the points i + 1 - u, one in each of ``num`` strata, each cumulative sum (B, M) is not below.

    Takes the place of ``cumulative``. With one u for all it is a floor, with one for each stratum that of its own.
    """
    # The total itself is above all points, whatever rounding does. Whole numbers make nothing of NaN.
    place = cumulative.mul_(num / cumulative[:, -1:] * (1 + 4 * torch.finfo(cumulative.dtype).eps))
    if uniform.shape[1] > 1:
        uniform = uniform.gather(1, place.long().clamp_(0, num - 1))
    return place.add_(uniform).long().clamp_(0, num)


def _whole_and_left(mass: Tensor, num: int, generator: torch.Generator | None) -> Tensor:
    """As :func:`_count`, of the whole copies that masses (B, M) make, and of independent points in what is left."""
    mass = mass.mul_(num / mass.sum(dim=1, keepdim=True))
    whole = (mass * (1 + 1e-12)).floor_()  # a whole number that division left just below itself
    left = mass.sub_(whole).clamp_(min=0).cumsum(dim=1)
    whole = whole.cumsum(dim=1)
    number = (num - whole[:, -1:]).long().clamp_(0, num)
    bounds = torch.finfo(mass.dtype)
    share = left.mul_((1 + 4 * bounds.eps) / left[:, -1:].clamp(min=bounds.tiny))
    below = torch.searchsorted(_sorted_uniform(number, num, mass.dtype, generator), share)
    return torch.minimum(below, number).add_(whole.long()).clamp_(0, num)


def _sorted_uniform(number: Tensor, num: int, dtype: torch.dtype, generator: torch.Generator | None) -> Tensor:
    """In each row as many uniform numbers as ``number`` (B, 1) says, in ascending order, then none below 1, (B, num).

    The times of a Poisson process over that of the next one: no sorting, which takes several times as long.
    """
    shape = (len(number), num + 1)
    waiting = torch.rand(shape, dtype=dtype, device=number.device, generator=generator).neg_().log1p_()
    times = waiting.cumsum(dim=1)
    return times[:, :-1] / times.gather(1, number)


def _spread(below: Tensor, num: int) -> Tensor:
    """From how many of ``num`` are at most sample m, for each of (B, M), which sample each is, (B, num)."""
    if below.device.type != "cpu":
        place = torch.arange(num, device=below.device).expand(len(below), num).contiguous()
        return torch.searchsorted(below, place, right=True)
    ones = torch.ones_like(below, dtype=torch.int32)
    return ones.new_zeros(len(below), num + 1).scatter_add_(1, below, ones)[:, :-1].cumsum(dim=1, dtype=ones.dtype)

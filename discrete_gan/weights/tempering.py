"""Weights made safer at the price of bias: the largest cut off, or all flattened."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan._precision import log_sum_exp
from discrete_gan.weights._samples import samples

# Of [0, 1] in halves: to 4e-15, and float32 has no more digits near zero than are needed.
_HALVINGS = 48


class Tempered(NamedTuple):
    """What :func:`tempered` returns.

    Attributes:
        log_w: Log-weights times the exponent, the shape of those given.
        exponent: From 0 to 1, their shape without the samples. No gradient.
    """

    log_w: Tensor
    exponent: Tensor


def truncated(log_w: Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False) -> Tensor:
    r"""Log-weights of which none is above :math:`\sqrt M` times the mean weight.

    Of finite variance whatever the weights, and consistent, as the bound rises with M.

    Args:
        log_w: Log-weights in nats, shape (M, B), or any other with the samples along ``dim``.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``; M is their number.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        Nats, the shape of ``log_w``. Gradients reach it, through the mean as well.

    Raises:
        ValueError: If an argument does not fit, as in ``normalized_weights``.

    References:
        Truncated Importance Sampling (Ionides, 2008), https://doi.org/10.1198/106186008X320456

    Example:
        >>> truncated(torch.tensor([0.0, 0.0, 0.0, 9.0])).exp()  # at most the mean times the root of M
        tensor([1.0000e+00, 1.0000e+00, 1.0000e+00, 4.0530e+03])
    """
    given = samples(log_w, dim, where, check=check)
    number = given.number
    half = math.log(number) / 2 if isinstance(number, int) else number.log() / 2
    total = log_sum_exp(given.only_there(given.log_w, -torch.inf), given.dim).unsqueeze(given.dim)
    return given.only_there(torch.minimum(given.log_w, total - half), -torch.inf)


def tempered(
    log_w: Tensor, size: float | Tensor, *, dim: int = 0, where: Tensor | None = None, check: bool = False
) -> Tempered:
    r"""Log-weights times the largest exponent up to 1 at which their effective sample size is the one wanted.

    Found by halving [0, 1] a fixed number of times, for all batch elements at once and without reading a value: Kish's
    size falls as the exponent rises. The exponents of an annealed sampler, and a safe start for weights of a
    discriminator that is far off.

    Args:
        log_w: Log-weights in nats, shape (M, B), or any other with the samples along ``dim``.
        size: The effective sample size wanted, from 1 to M, a number or of shape (B,). One that cannot be reached,
            since samples of minus infinity stay without weight, gives an exponent of zero.
        dim: The axis of the samples.
        where: Which samples are there, bool, broadcasts to ``log_w``.
        check: Read the values, and raise where they are NaN or no sample has a weight.

    Returns:
        :class:`Tempered`. Gradients reach ``log_w`` with the exponent held fixed.

    Raises:
        ValueError: If ``size`` is a number that is not from 1 to M or a tensor that does not broadcast to (B,), or
            another argument does not fit, as in ``normalized_weights``.

    References:
        Sequential Monte Carlo Samplers (Del Moral et al., 2006), https://doi.org/10.1111/j.1467-9868.2006.00553.x

    Example:
        >>> found = tempered(torch.tensor([0.0, 1.0, 4.0]), 2.0)
        >>> effective_sample_size(found.log_w)
        tensor(2.0000)
    """
    given = samples(log_w, dim, where, check=check)
    wanted = _size(size, given.log_w, given.dim)
    bounds = torch.finfo(given.log_w.dtype)
    ruled_out = given.log_w.isneginf() if given.there is None else given.log_w.isneginf() | ~given.there
    finite = given.log_w.masked_fill(ruled_out, bounds.min).clamp(bounds.min, bounds.max)
    with torch.no_grad():
        below = (finite - finite.amax(dim=given.dim, keepdim=True)).clamp(min=bounds.min)
        counts = (~ruled_out).to(below.dtype)
        low = torch.zeros_like(below.select(given.dim, 0).unsqueeze(given.dim))
        high = torch.ones_like(low)
        whole = _effective(below, counts, high, given.dim) >= wanted
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            enough = _effective(below, counts, middle, given.dim) >= wanted
            low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
        exponent = torch.where(whole, 1.0, low)
    return Tempered((finite * exponent).masked_fill(ruled_out, -torch.inf), exponent.squeeze(given.dim))


def _effective(below: Tensor, counts: Tensor, exponent: Tensor, dim: int) -> Tensor:
    """Kish's effective sample size of exp(exponent * below) where a sample counts, with the axis of samples."""
    w = counts * (exponent * below).exp()
    return w.sum(dim=dim, keepdim=True).square() / w.square().sum(dim=dim, keepdim=True)


def _size(size: float | Tensor, log_w: Tensor, dim: int) -> Tensor | float:
    num_samples = log_w.shape[dim]
    if not isinstance(size, Tensor):
        if not 1 <= size <= num_samples:
            raise ValueError(f"size: expected from 1 to {num_samples}, the number of samples, got {size}")
        return size
    batch = log_w.select(dim, 0).shape
    try:
        return size.to(log_w.dtype).expand(batch).unsqueeze(dim)
    except RuntimeError:
        raise ValueError(f"size: expected a shape that broadcasts to {tuple(batch)}, got {tuple(size.shape)}") from None

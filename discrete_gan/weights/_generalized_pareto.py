r"""Zhang and Stephens' estimate of a generalized Pareto distribution, for many tails at once.

.. math:: S(\theta) = \sum_i \log(1 - \theta x_i), \qquad \hat k(\theta) = S / n, \qquad
    \ell(\theta) = n \big(\log(-\theta / \hat k) - \hat k - 1\big)

The estimate is the mean of :math:`\theta` over a grid, weighted by :math:`e^\ell`. Points of the grid are
:math:`\theta = 1 / x_{max} - a / x_*` with a quartile :math:`x_*` and numbers :math:`a > 0` that depend on n alone. In
units of the quartile each term is :math:`\log s_i + \log(p_i + a q_i)` with

.. math:: s_i = \max(1, x_i), \qquad q_i = x_i / s_i, \qquad p_i = 1 / s_i - q_i / x_{max},

none of them negative. So a product of eight terms is a polynomial in a whose coefficients are positive: nothing
cancels, a product of matrices has its values on all of the grid, and several terms share a logarithm.

References:
    A New and Efficient Estimation Method for the Generalized Pareto Distribution (Zhang and Stephens, 2009),
    https://doi.org/10.1198/tech.2009.08017
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from discrete_gan._precision import matmul

# Zhang and Stephens (2009) put their grid of 30 + sqrt(n) points against this many quartiles.
_GRID_POINTS, _GRID_QUARTILES = 30, 3
# Vehtari et al. (2024), appendix C: the estimate is shrunk to 1/2 with the weight of ten observations.
_PRIOR_COUNT, _PRIOR_INDEX = 10, 0.5
# Below this, times the largest exceedance, the sum of logarithms is its series.
_NEAR_ZERO = 1e-4
# Terms in a polynomial, a power of two, and in a product: of 32 the least is 1e-100, from ten million samples.
_DEGREE, _FACTORS = 8, 32


class GeneralizedPareto(NamedTuple):
    """A distribution for each tail: k, shrunk as PSIS does, and the scale, each of shape (B, 1)."""

    k: Tensor
    scale: Tensor


def fit(excess: Tensor, count: Tensor, least: int) -> GeneralizedPareto:
    """From exceedances in descending order, the first ``count`` of them above zero.

    Args:
        excess: Shape (B, n), float64 where the device has it.
        count: Shape (B, 1).
        least: Where there are fewer than that, the result is finite and means nothing.

    Returns:
        :class:`GeneralizedPareto`. Gradients reach ``excess``.
    """
    num_tail = excess.shape[1]
    position = torch.arange(num_tail, device=excess.device)
    unknown = count < least
    count = torch.where(unknown, num_tail, count)
    # Numbers to count with where nothing is known, so that neither values nor gradients are NaN.
    excess = torch.where(unknown, 1 - position / num_tail, excess.relu())
    quartile = excess.gather(1, count - (count / 4 + 0.5).long())
    # The fit is the same at any scale. At this one no power of a small quartile overflows.
    level = quartile.detach()
    quartile = quartile / level
    x = excess / level / quartile
    most = x[:, :1]
    num_grid = _GRID_POINTS + count.sqrt().long()
    powers = _powers(num_grid, num_tail, x)  # (B, 9, G)
    theta = 1 / most - powers[:, 1]
    # At zero the fit is an exponential, the limit of 0 / 0.
    theta = torch.where(theta == 0, torch.finfo(x.dtype).eps / most, theta)
    index = log_sums(theta, powers, x) / count
    profile = count * (torch.log(-theta / index) - index - 1)
    # A shorter tail has fewer points: those after its last repeat it and count for nothing.
    beyond = torch.arange(theta.shape[1], device=x.device) >= num_grid
    weights = torch.softmax(profile.masked_fill(beyond, -math.inf), dim=1)
    theta = (weights * theta).sum(dim=1, keepdim=True)
    k = torch.log1p(-theta * x).sum(dim=1, keepdim=True) / count
    scale = -k / theta * quartile * level
    return GeneralizedPareto((count * k + _PRIOR_COUNT * _PRIOR_INDEX) / (count + _PRIOR_COUNT), scale)


def _powers(num_grid: Tensor, num_tail: int, x: Tensor) -> Tensor:
    """Of the numbers a of each tail's grid, those from 0 to the degree of the polynomials, (B, 9, G)."""
    most = _GRID_POINTS + math.isqrt(num_tail)
    sizes = torch.arange(_GRID_POINTS, most + 1, dtype=x.dtype, device=x.device)[:, None, None]
    step = torch.minimum(torch.arange(1, most + 1, dtype=x.dtype, device=x.device), sizes)
    a = ((sizes / (step - 0.5)).sqrt() - 1) / _GRID_QUARTILES
    return a.pow(torch.arange(_DEGREE + 1, device=x.device)[:, None])[num_grid.squeeze(1) - _GRID_POINTS]


def log_sums(theta: Tensor, powers: Tensor, x: Tensor) -> Tensor:
    """Sums of log(1 - theta x) over the exceedances (B, n), zeros adding nothing, for points (B, G)."""
    most, num_tail = x[:, :1], x.shape[1]
    x = pad(x, (0, -num_tail % _DEGREE))
    above = x.clamp(min=1)
    share = x / above
    terms = torch.stack([1 / above - share / most, share], dim=1)  # (B, 2, n)
    while terms.shape[1] <= _DEGREE:
        half = terms.shape[2] // 2
        terms = _product(terms[..., :half], terms[..., half:])
    value = matmul(terms.mT, powers)  # (B, n / 8, G)
    while value.shape[1] % 2 == 0 and num_tail // value.shape[1] < _FACTORS:
        half = value.shape[1] // 2
        value = value[:, :half] * value[:, half:]
    plain = value.log().sum(dim=1) + above.log().sum(dim=1, keepdim=True)
    # What rounding takes away shows where theta is near zero. There three terms of the series have twelve digits.
    ratio = x / most
    square = ratio * ratio
    first, second, third = (each.sum(dim=1, keepdim=True) for each in (ratio, square, square * ratio))
    near = theta.abs() * most < _NEAR_ZERO
    small = torch.where(near, theta * most, 0.0)
    series = -small * (first + small * (second / 2 + small * third / 3))
    return torch.where(near, series, plain)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Coefficients of products of polynomials, lowest power first, (B, i, q) and (B, j, q) to (B, i + j - 1, q)."""
    order = b.shape[1]
    product = a.new_zeros(len(a), a.shape[1] + order - 1, a.shape[2])
    for power in range(a.shape[1]):
        product[:, power : power + order].addcmul_(a[:, power : power + 1], b)
    return product

r"""Bootstrap intervals: how far a figure would move if other samples of the same size had been drawn.

References:
    Bootstrap Methods: Another Look at the Jackknife (Efron, 1979), https://doi.org/10.1214/aos/1176344552
    An Introduction to the Bootstrap (Efron and Tibshirani, 1993), https://doi.org/10.1201/9780429246593
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from discrete_gan._arguments import check_at_least, check_same_shape
from discrete_gan.seeds import generator_of

ELEMENTS_AT_A_TIME = 2**22  # of resampled values, 64 MiB with their int64 indices


class Interval(NamedTuple):
    """A figure and where it lies, as floats; ``low`` and ``high`` are NaN where one sample cannot tell."""

    value: float
    low: float
    high: float


def mean_interval(values: Tensor, *, level: float = 0.95, num_resamples: int = 2000, seed: int = 0) -> Interval:
    r"""Mean of independent values, with the percentile interval of the bootstrap.

    .. math:: \theta^* = \tfrac{1}{N} \sum_i v_{c_i}, \quad c_i \sim \text{uniform on } 1..N, \qquad
              [Q_{\alpha/2}(\theta^*), Q_{1-\alpha/2}(\theta^*)]

    The spread of the resampled means is sqrt((N - 1) / N) of what it should be, so the interval is too narrow by 5 %
    at N = 10 and by nothing to speak of at N = 100. Values that are all equal give a width of 0, and a heavy tail that
    shows in none of them is not seen. N = 10,000 takes 0.4 s, and time grows with N * num_resamples; memory does not.

    Args:
        values: Shape (N,), any real type, each of an independent unit. NaN anywhere gives NaN everywhere.
        level: Probability that the interval should hold the mean of the distribution.
        num_resamples: Draws of N values.
        seed: Of the resampling alone; the caller's random state is left as it was.

    Returns:
        The mean and its interval; with N = 1, NaN for both ends.

    Raises:
        ValueError: If the shape is not (N,), there is no value, or an option is out of its range.
    """
    _check_options(level, num_resamples)
    if values.ndim != 1:
        raise ValueError(f"values: expected shape (N,), got {tuple(values.shape)}")
    check_at_least("number of values", len(values), 1)
    values = values.detach().double().cpu()
    if len(values) == 1:
        return Interval(values.item(), torch.nan, torch.nan)
    generator = generator_of(seed)
    rows = max(1, ELEMENTS_AT_A_TIME // len(values))
    means = [
        values[torch.randint(len(values), (min(rows, num_resamples - done), len(values)), generator=generator)].mean(1)
        for done in range(0, num_resamples, rows)
    ]
    return Interval(values.mean().item(), *_ends(torch.cat(means), level))


def bootstrap_interval(
    statistic: Callable[..., Tensor | float],
    *samples: Tensor,
    level: float = 0.95,
    num_resamples: int = 200,
    seed: int = 0,
) -> Interval:
    r"""Any statistic of one or several independent groups of samples, with an interval that is centered on it.

    .. math:: [\theta + Q_{\alpha/2}(\theta^*) - \bar\theta^*, \; \theta + Q_{1-\alpha/2}(\theta^*) - \bar\theta^*]

    Frechet distance and Inception Score are biased at rate 1/N, and a resample, which repeats some rows and lacks a
    third of them, adds about as much bias again: plain percentiles would lie beside the value. Subtracting the mean of
    the resampled values leaves the spread alone. The bias of the value itself stays, so the interval says where
    the statistic would fall with other samples of the same sizes. An end may pass a bound of the statistic (below 0,
    above 1). The price is num_resamples calls of the statistic.

    Args:
        statistic: Called with one tensor for each of ``samples``, returns one number. NaN in a resample gives NaN.
        samples: Groups, shapes (N_1, ...), (N_2, ...), ...; the rows of each are resampled by themselves.
        level: Probability that the interval should hold the expected value at these sizes.
        num_resamples: Calls of the statistic; with 200, an end rests on the 5 outermost values.
        seed: Of the resampling alone; the caller's random state is left as it was.

    Returns:
        The statistic and its interval; NaN for both ends if any group has one row only.

    Raises:
        ValueError: If there is no group, a group has no row, or an option is out of its range.
    """
    _check_options(level, num_resamples)
    check_at_least("number of samples", len(samples), 1, "at least one group to resample")
    for position, group in enumerate(samples):
        check_at_least(f"rows of samples[{position}]", len(group) if group.ndim else 0, 1)
    value = float(statistic(*samples))
    if min(map(len, samples)) == 1:
        return Interval(value, torch.nan, torch.nan)
    generator = generator_of(seed)
    resampled = torch.empty(num_resamples, dtype=torch.float64)
    for draw in range(num_resamples):
        rows = [torch.randint(len(group), (len(group),), generator=generator) for group in samples]
        resampled[draw] = float(
            statistic(*(group[index.to(group.device)] for group, index in zip(samples, rows, strict=True)))
        )
    low, high = _ends(resampled, level)
    # Added at once, a shift of rounding size would move the ends of a statistic that is the same in every resample.
    center = resampled.mean().item() if low < high else low
    return Interval(value, value + (low - center), value + (high - center))


def paired_difference(
    a: Tensor, b: Tensor, *, level: float = 0.95, num_resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean of a - b over units that both were measured on, resampled in pairs.

    What varies between units and moves both sides alike cancels; intervals of each side by itself would overlap long
    before the difference is in doubt. :func:`mean_interval` of the differences, with its assumptions and price.

    Args:
        a: Shape (N,), any real type.
        b: Shape (N,), of the same units in the same order.
        level: Probability that the interval should hold the expected difference.
        num_resamples: Draws of N units.
        seed: Of the resampling alone.

    Returns:
        The mean difference and its interval; with N = 1, NaN for both ends.

    Raises:
        ValueError: If the shapes differ or are not (N,), there is no unit, or an option is out of its range.
    """
    check_same_shape("b", b, "a", a)
    if a.ndim != 1:
        raise ValueError(f"a: expected shape (N,), got {tuple(a.shape)}")
    return mean_interval(a.double() - b.double(), level=level, num_resamples=num_resamples, seed=seed)


def _ends(resampled: Tensor, level: float) -> tuple[float, float]:
    """Quantiles at (1 - level) / 2 on both sides, rounded outwards to values that occur: infinity stays infinity."""
    tail = (1 - level) / 2
    low = resampled.quantile(tail, interpolation="lower").item()
    return low, resampled.quantile(1 - tail, interpolation="higher").item()


def _check_options(level: float, num_resamples: int) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, got {level}")
    check_at_least("num_resamples", num_resamples, 1)

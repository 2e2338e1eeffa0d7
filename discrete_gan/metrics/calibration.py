r"""Is the discriminator's raw output a log-ratio? On held-out real and on generated samples, each side half the weight.

At equal prior, the sigmoid of log p_data(x) / p_g(x) is the probability that x is real.

References:
    On Calibration of Modern Neural Networks (Guo et al., 2017), https://arxiv.org/abs/1706.04599
    Obtaining Well Calibrated Probabilities Using Bayesian Binning (Naeini, Cooper, Hauskrecht, 2015),
        https://doi.org/10.1609/aaai.v29i1.9602
    Probable Inference, the Law of Succession, and Statistical Inference (Wilson, 1927),
        https://doi.org/10.1080/01621459.1927.10502953
"""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from discrete_gan._arguments import check_at_least
from discrete_gan.metrics._extra import train_extra
from discrete_gan.metrics.bootstrap import Interval, bootstrap_interval, mean_interval


class Reliability(NamedTuple):
    """Bins of outputs in rising order, each field of shape (bins,); float64, ``count`` int64.

    Attributes:
        predicted: Mean sigmoid(log_w) in the bin.
        observed: Fraction of real samples in the bin at equal prior; ``predicted`` if the outputs are log-ratios.
        low: Lower end of its 95 % Wilson interval.
        high: Upper end.
        count: Samples in the bin, of both sides together.
        weight: Probability of the bin at equal prior; they sum to 1.
    """

    predicted: Tensor
    observed: Tensor
    low: Tensor
    high: Tensor
    count: Tensor  # pyright: ignore[reportIncompatibleMethodOverride]
    weight: Tensor


def reliability(log_w_real: Tensor, log_w_fake: Tensor, *, num_bins: int = 10) -> Reliability:
    r"""How often samples of an output are real, against how often sigmoid(output) says they are.

    With r real and f fake samples in a bin,

    .. math:: \text{observed} = \frac{r / N}{r / N + f / N'}, \qquad
              \text{predicted} = \frac{\sum_r \sigma(\log w) / N + \sum_f \sigma(\log w) / N'}{r / N + f / N'}

    Bins are quantiles of the outputs at equal prior: of equal counts if N = N'. Equal outputs share a bin, so ties
    leave fewer bins than asked for, and none is empty. The interval is that of r in r + f draws; it takes the edges as
    given. The price is a sort.

    Args:
        log_w_real: Raw outputs in nats on real samples the discriminator has not seen, shape (N,).
        log_w_fake: Raw outputs on generated samples, shape (N',).
        num_bins: At most so many bins.

    Returns:
        The bins, on the CPU. No gradient.

    Raises:
        ValueError: If a shape is wrong, a side is empty, or num_bins is below 1.
    """
    with train_extra("reliability"):
        from scipy.stats import binomtest
    check_at_least("num_bins", num_bins, 1)
    real, fake = _sides(log_w_real, log_w_fake)
    outputs = torch.cat([real, fake])
    is_real = torch.arange(len(outputs)) < len(real)
    mass = torch.cat([torch.full_like(side, 0.5 / len(side)) for side in (real, fake)])
    levels, level_of = outputs.unique(return_inverse=True)
    level_mass = torch.zeros_like(levels).index_add(0, level_of, mass)
    middle = level_mass.cumsum(0) - level_mass / 2
    bin_of_level = (middle * num_bins).long()
    kept, bin_of = bin_of_level[level_of].unique(return_inverse=True)

    def total(of: Tensor) -> Tensor:
        return torch.zeros(len(kept), dtype=torch.float64).index_add(0, bin_of, of.double())

    weight, num_real, count = total(mass), total(is_real).long(), bin_of.bincount(minlength=len(kept))
    ends = [
        binomtest(k, n).proportion_ci(method="wilson") for k, n in zip(num_real.tolist(), count.tolist(), strict=True)
    ]
    low, high = (
        _at_equal_prior(torch.tensor(side, dtype=torch.float64), len(real), len(fake))
        for side in ([end.low for end in ends], [end.high for end in ends])
    )
    return Reliability(
        predicted=total(mass * outputs.sigmoid()) / weight,
        observed=_at_equal_prior(num_real / count.double(), len(real), len(fake)),
        low=low,
        high=high,
        count=count,
        weight=weight,
    )


def _at_equal_prior(fraction: Tensor, num_real: int, num_fake: int) -> Tensor:
    """The fraction of real ones if both sides were equally many."""
    real, fake = fraction / num_real, (1 - fraction) / num_fake
    return real / (real + fake)


def expected_calibration_error(bins: Reliability) -> float:
    r"""Mean distance between predicted and observed, a probability: 0 for log-ratios.

    .. math:: \text{ECE} = \sum_b \text{weight}_b \, |\text{predicted}_b - \text{observed}_b|

    Of finite samples it is biased upwards: even log-ratios give about 0.4 * sqrt(bins / (N + N')) where the two sides
    cannot be told apart. What errs in both directions within a bin cancels.

    Args:
        bins: Of :func:`reliability`.
    """
    return (bins.weight * (bins.predicted - bins.observed).abs()).sum().item()


class CalibrationFit(NamedTuple):
    """The log-ratios that fit best among scale * log_w + offset, as floats.

    Attributes:
        scale: 1 for log-ratios; below it if the discriminator is overconfident.
        offset: 0 for log-ratios, in nats. Weights that are normalized over samples do not depend on it.
        cross_entropy: Of the outputs as they are, in nats; log 2 where they tell nothing.
        cross_entropy_fitted: Of the fitted ones, never larger.
    """

    scale: float
    offset: float
    cross_entropy: float
    cross_entropy_fitted: float

    @property
    def temperature(self) -> float:
        """What to divide the outputs by, 1 / scale; infinite where they tell nothing."""
        return 1 / self.scale if self.scale else math.inf

    @property
    def usable(self) -> tuple[float, float]:
        """Finite scale and offset that make log-ratios.

        They are (1, 0) where the sides are told apart without an error, so that no scale is finite, and (0, 0) where a
        scale below 0 says that the outputs tell nothing.
        """
        if 0 <= self.scale < math.inf:
            return self.scale, self.offset
        return (0.0, 0.0) if -math.inf < self.scale < 0 else (1.0, 0.0)


def fit_calibration(log_w_real: Tensor, log_w_fake: Tensor) -> CalibrationFit:
    r"""Temperature and offset of the log-ratio by maximum likelihood at equal prior.

    .. math:: \min_{s, o} \; \tfrac{1}{2N} \sum_{\text{real}} \operatorname{softplus}(-s \log w - o)
              + \tfrac{1}{2N'} \sum_{\text{fake}} \operatorname{softplus}(s \log w + o)

    The offset is fitted as well, since a temperature by itself would make up for it: normalized weights lose any
    offset, so the scale alone says how far they are too sharp (below 1) or too flat (above 1). Convex; Newton's method,
    a second for a million outputs. It assumes log-ratios up to this line; :func:`reliability` shows the rest.

    Outputs that separate the sides have no finite optimum: the scale is then inf (or -inf if real ones have the smaller
    outputs), the offset NaN, and the fitted cross entropy the limit, 0 but for ties at the edge. Outputs that are all
    equal have scale 0 and offset 0; any that is not finite makes everything NaN.

    Args:
        log_w_real: Raw outputs in nats on real samples the discriminator has not seen, shape (N,).
        log_w_fake: Raw outputs on generated samples, shape (N',).

    Returns:
        The fit. No gradient.

    Raises:
        ValueError: If a shape is wrong or a side is empty.
    """
    with train_extra("fit_calibration"):
        from sklearn.linear_model import LogisticRegression
    real, fake = _sides(log_w_real, log_w_fake)
    if not (real.isfinite().all() and fake.isfinite().all()):
        return CalibrationFit(*[math.nan] * 4)
    cross_entropy = _cross_entropy(real, fake)
    outputs = torch.cat([real, fake])
    spread = outputs.std(correction=0).item()
    if real.min() == real.max() == fake.min() == fake.max():
        return CalibrationFit(0.0, 0.0, cross_entropy, math.log(2))
    for sign in (1, -1):
        edge = (sign * fake).max()
        if (sign * real).min() >= edge:
            # All that is left uncertain lies on the edge, where both sides may have outputs.
            ties = [(sign * side == edge).double().mean().item() / 2 for side in (real, fake)]
            left = sum(tie * math.log(sum(ties) / tie) for tie in ties if tie)
            return CalibrationFit(sign * math.inf, math.nan, cross_entropy, left)
    # Newton's method starts from 0 and its tolerance is absolute, so the outputs are brought to a scale of 1.
    center = outputs.mean().item()
    mass = np.repeat([0.5 / len(real), 0.5 / len(fake)], [len(real), len(fake)])
    labels = np.repeat([1, 0], [len(real), len(fake)])
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    model.fit(((outputs - center) / spread).numpy()[:, None], labels, sample_weight=mass)
    scale = float(model.coef_[0, 0]) / spread
    offset = float(np.asarray(model.intercept_)[0]) - scale * center
    return CalibrationFit(scale, offset, cross_entropy, _cross_entropy(scale * real + offset, scale * fake + offset))


def _cross_entropy(real: Tensor, fake: Tensor) -> float:
    return ((F.softplus(-real).mean() + F.softplus(fake).mean()) / 2).item()


def mean_weight(log_w_fake: Tensor, *, level: float = 0.95, num_resamples: int = 2000, seed: int = 0) -> Interval:
    r"""Mean importance weight of generated samples, 1 if the outputs are log-ratios.

    .. math:: E_{x \sim p_g}[w(x)] = \sum_x p_g(x) \frac{p_\text{data}(x)}{p_g(x)} = 1

    where the generator reaches all data; less by the data's mass elsewhere. Weights are scaled by the largest before
    they are averaged, so the result is inf only where the mean itself does not fit into float64 (above exp(709)). With
    a heavy tail the interval is too short, as a few samples decide: see ``weights.diagnose``.

    Args:
        log_w_fake: Raw outputs in nats on generated samples, shape (N,).
        level: Probability that the interval should hold the expected weight.
        num_resamples: Draws of N weights.
        seed: Of the resampling alone.

    Returns:
        The mean and its bootstrap interval; with N = 1, NaN for both ends.

    Raises:
        ValueError: If the shape is not (N,), there is no weight, or an option is out of its range.
    """
    _check("log_w_fake", log_w_fake)
    log_w = log_w_fake.detach().double().cpu()
    largest = log_w.max()
    shift = largest if largest.isfinite() else torch.zeros_like(largest)
    scaled = mean_interval((log_w - shift).exp(), level=level, num_resamples=num_resamples, seed=seed)
    return Interval(*(torch.tensor(scaled, dtype=torch.float64).log() + shift).exp().tolist())


def discriminator_accuracy(log_w_real: Tensor, log_w_fake: Tensor) -> Interval:
    r"""Balanced accuracy at threshold 0: 0.5 where the discriminator tells nothing, ties half.

    .. math:: \tfrac{1}{2} \big( P(\log w_\text{real} > 0) + P(\log w_\text{fake} < 0) \big)

    Args:
        log_w_real: Raw outputs in nats on real samples the discriminator has not seen, shape (N,).
        log_w_fake: Raw outputs on generated samples, shape (N',).

    Returns:
        The accuracy and its 95 % interval, of 1,000 resamples of both sides.

    Raises:
        ValueError: If a shape is wrong or a side is empty.
    """
    real, fake = _sides(log_w_real, log_w_fake)
    return bootstrap_interval(
        lambda real_correct, fake_correct: (real_correct.mean() + fake_correct.mean()) / 2,
        (1 + real.sign()) / 2,
        (1 - fake.sign()) / 2,
        num_resamples=1000,
    )


def _sides(log_w_real: Tensor, log_w_fake: Tensor) -> tuple[Tensor, Tensor]:
    _check("log_w_real", log_w_real)
    _check("log_w_fake", log_w_fake)
    return log_w_real.detach().double().cpu(), log_w_fake.detach().double().cpu()


def _check(name: str, log_w: Tensor) -> None:
    if log_w.ndim != 1:
        raise ValueError(f"{name}: expected shape (N,), got {tuple(log_w.shape)}")
    check_at_least(f"number of {name}", len(log_w), 1)

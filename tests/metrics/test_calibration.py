"""Calibration on known discrete distributions, whose log-ratios are exact, and at the limits."""

import math

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics.bootstrap import mean_interval
from discrete_gan.metrics.calibration import (
    CalibrationFit,
    discriminator_accuracy,
    expected_calibration_error,
    fit_calibration,
    mean_weight,
    reliability,
)

# How often each of five x occurs on 32 real and 64 generated samples: p = counts / 32, q = counts / 64.
REAL_COUNTS = torch.tensor([1, 3, 8, 8, 12])
FAKE_COUNTS = torch.tensor([24, 20, 16, 3, 1])
LOG_RATIO = (REAL_COUNTS.double() / 32 / (FAKE_COUNTS.double() / 64)).log()


def outputs(log_w: Tensor) -> tuple[Tensor, Tensor]:
    """Raw outputs on the real and on the generated samples."""
    return log_w.repeat_interleave(REAL_COUNTS), log_w.repeat_interleave(FAKE_COUNTS)


def normal(seed: int, n: int, mean: float = 0) -> Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + mean


@pytest.mark.parametrize("num_bins", [1, 2, 3, 10, 1000])
def test_log_ratios_are_calibrated_in_any_bins(num_bins: int) -> None:
    bins = reliability(*outputs(LOG_RATIO), num_bins=num_bins)
    # Sums of at most 96 terms, each within 1.
    torch.testing.assert_close(bins.predicted, bins.observed, atol=1e-14, rtol=0)
    assert expected_calibration_error(bins) < 1e-14
    assert bins.count.sum() == 96
    assert bins.weight.sum().item() == pytest.approx(1, abs=1e-14)
    assert len(bins.count) == min(num_bins, 5) if num_bins in (1, 2, 1000) else 1 < len(bins.count) <= 5


def test_bins_of_known_outputs() -> None:
    log_w = 3 * LOG_RATIO + 1
    bins = reliability(*outputs(log_w), num_bins=1000)
    p, q = REAL_COUNTS / 32, FAKE_COUNTS / 64
    assert bins.count.tolist() == (REAL_COUNTS + FAKE_COUNTS).tolist()
    torch.testing.assert_close(bins.predicted, torch.sigmoid(log_w), atol=1e-14, rtol=0)
    torch.testing.assert_close(bins.observed, (p / (p + q)).double(), atol=1e-7, rtol=0)  # p and q are float32
    torch.testing.assert_close(bins.weight, ((p + q) / 2).double(), atol=1e-7, rtol=0)
    error = ((p + q) / 2 * (torch.sigmoid(log_w) - p / (p + q)).abs()).sum().item()
    assert expected_calibration_error(bins) == pytest.approx(error, abs=1e-6)
    assert error > 0.05


def test_predicted_is_a_mean_at_equal_prior() -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0])
    bins = reliability(real.double(), fake.double(), num_bins=1)
    expected = (torch.sigmoid(real).mean() + torch.sigmoid(fake).mean()) / 2
    assert bins.predicted.item() == pytest.approx(expected.item(), abs=1e-6)  # float32 expected
    assert bins.observed.item() == pytest.approx(0.5, abs=1e-15)


def test_distinct_outputs_of_equal_sides_give_equal_counts() -> None:
    bins = reliability(normal(0, 50, 1), normal(1, 50))
    assert bins.count.tolist() == [10] * 10
    torch.testing.assert_close(bins.weight, torch.full((10,), 0.1).double(), atol=1e-7, rtol=0)  # 0.1 in float32
    assert (bins.predicted.diff() > 0).all()
    unequal = reliability(normal(0, 500, 1), normal(1, 50))
    assert (unequal.weight - 0.1).abs().max() <= 0.01 + 1e-9  # to the weight of one sample of the smaller side


def test_wilson_interval_by_its_formula() -> None:
    real, fake = torch.tensor([2.0] * 7 + [-1.0] * 3), torch.tensor([2.0] * 3 + [-1.0] * 17)
    bins = reliability(real, fake, num_bins=1000)
    z = 1.959963984540054
    for column, (hits, n) in enumerate([(3, 20), (7, 10)]):
        fraction = hits / n
        center = (fraction + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(fraction * (1 - fraction) / n + z * z / (4 * n * n))
        # Twice as many generated samples: the odds double at equal prior.
        expected = [2 * end / (2 * end + 1 - end) for end in (center - half, fraction, center + half)]
        found = [bins.low[column], bins.observed[column], bins.high[column]]
        assert [value.item() for value in found] == pytest.approx(expected, abs=1e-12)


def test_ties_share_a_bin_whatever_their_order() -> None:
    flat = reliability(torch.full((7,), 0.3), torch.full((5,), 0.3))
    assert (flat.count.tolist(), flat.observed.item()) == ([12], 0.5)
    real, fake = normal(0, 90).round(), normal(1, 80).round()
    first, second = reliability(real, fake), reliability(real.flip(0), fake[torch.randperm(80)])
    assert all(torch.equal(a, b) for a, b in zip((first.count, first.low), (second.count, second.low), strict=True))
    assert first.count.min() > 0
    assert len(first.count) < 10


def test_the_fit_of_log_ratios_is_the_identity() -> None:
    fit = fit_calibration(*outputs(LOG_RATIO))
    # Newton's method stops at gradients of 1e-10; the Hessian's eigenvalues are above 0.1.
    assert fit[:2] == pytest.approx((1, 0), abs=1e-8)
    p, q = REAL_COUNTS.double() / 32, FAKE_COUNTS.double() / 64
    entropy = ((p * ((p + q) / p).log() + q * ((p + q) / q).log()) / 2).sum().item()
    assert fit[2:] == pytest.approx((entropy, entropy), abs=1e-12)


@pytest.mark.parametrize(("scale", "offset"), [(0.5, 0), (2, 0.7), (1000, -3), (-1, 0.2), (1e-6, 100)])
def test_the_fit_undoes_scale_and_offset(scale: float, offset: float) -> None:
    fit = fit_calibration(*outputs((LOG_RATIO - offset) / scale))
    # Two outputs 100 / 1e-6 from 0 lose eight digits of their differences.
    assert fit.scale == pytest.approx(scale, rel=1e-6)
    assert fit.offset == pytest.approx(offset, abs=1e-5)
    assert fit.temperature == pytest.approx(1 / scale, rel=1e-6)
    assert fit.cross_entropy_fitted == pytest.approx(fit_calibration(*outputs(LOG_RATIO)).cross_entropy, abs=1e-9)


def test_the_fit_is_where_the_likelihood_is_flat() -> None:
    real, fake = normal(0, 40, 0.5).requires_grad_(), normal(1, 100)
    fit = fit_calibration(real, fake)
    weights = torch.tensor([fit.scale, fit.offset], dtype=torch.float64, requires_grad=True)
    softplus = torch.nn.functional.softplus
    sides = [softplus(sign * (weights[0] * x + weights[1])).mean() for sign, x in ((-1, real), (1, fake))]
    loss = torch.stack(sides).mean()
    (gradient,) = torch.autograd.grad(loss, weights)
    assert gradient.abs().max() < 1e-9  # the outputs have a spread of about 1, the tolerance is 1e-10
    assert fit.cross_entropy_fitted == pytest.approx(loss.item(), abs=1e-12)
    assert fit.cross_entropy_fitted < fit.cross_entropy


def test_separated_sides() -> None:
    upper, lower = torch.tensor([1.0, 2.0]), torch.tensor([0.0, -1.0])
    for real, fake, scale in ((upper, lower, math.inf), (lower, upper, -math.inf)):
        fit = fit_calibration(real, fake)
        assert fit.scale == scale
        assert math.isnan(fit.offset)
        assert (fit.temperature, fit.cross_entropy_fitted) == (0, 0)
        assert fit.cross_entropy > 0
    # One real in four and one fake in two on the edge: the outputs there are real with probability 1/3.
    edge = fit_calibration(torch.tensor([0.0, 1, 2, 3]), torch.tensor([0.0, -1]))
    assert edge.scale == math.inf
    expected = (math.log(3) / 4 + math.log(1.5) / 2) / 2
    assert edge.cross_entropy_fitted == pytest.approx(expected, abs=1e-12)
    # The limit is that of sides which overlap by less and less.
    near = fit_calibration(torch.tensor([-1e-4, 1, 2, 3]).double(), torch.tensor([1e-4, -1]).double())
    assert near.cross_entropy_fitted == pytest.approx(expected, abs=1e-3)


def test_outputs_that_tell_nothing() -> None:
    assert fit_calibration(torch.zeros(4), torch.zeros(2)) == (0, 0, math.log(2), math.log(2))
    assert fit_calibration(torch.ones(4), torch.ones(2)).temperature == math.inf
    broken = fit_calibration(torch.tensor([0.0, math.nan]), torch.zeros(2))
    assert isinstance(broken, CalibrationFit)
    assert all(math.isnan(value) for value in broken)
    certain = reliability(torch.tensor([math.inf, 0.0]), torch.tensor([-math.inf, 0.0]))
    assert (certain.predicted.tolist(), certain.observed.tolist()) == ([0, 0.5, 1], [0, 0.5, 1])


def test_mean_weight_of_log_ratios_is_one() -> None:
    _, fake = outputs(LOG_RATIO)
    options = {"level": 0.8, "num_resamples": 300, "seed": 4}
    found = mean_weight(fake, **options)
    assert found.value == pytest.approx(1, abs=1e-14)
    assert found == pytest.approx(mean_interval(fake.exp(), **options), rel=1e-13)
    # exp(log(v) + 700) has an error of 700 times that of float64.
    assert mean_weight(fake + 700, **options) == pytest.approx([v * math.exp(700) for v in found], rel=1e-12)
    # exp(710) does not fit into float64, a hundredth of it does.
    one = torch.tensor([710.0] + 99 * [-math.inf], dtype=torch.float64)
    assert mean_weight(one).value == pytest.approx(math.exp(710 - math.log(100)), rel=1e-12)


def test_limits_of_mean_weight() -> None:
    assert mean_weight(torch.full((3,), 800.0)) == (math.inf,) * 3
    assert mean_weight(torch.full((3,), -math.inf)) == (0, 0, 0)
    assert mean_weight(torch.tensor([0.0, math.inf])).value == math.inf
    alone = mean_weight(torch.tensor([math.log(2.0)]))
    assert alone.value == pytest.approx(2, rel=1e-6)  # log 2 in float32
    assert math.isnan(alone.low)


def test_balanced_accuracy() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1, 0]), torch.tensor([-1.0, 3])
    assert discriminator_accuracy(real, fake).value == (2.5 / 4 + 1 / 2) / 2
    assert discriminator_accuracy(torch.ones(3), -torch.ones(9)) == (1, 1, 1)
    found = discriminator_accuracy(normal(0, 300, 1), normal(1, 100))
    error = math.sqrt((0.841 * 0.159 / 300 + 0.25 / 100) / 4)
    # Ends of 1,000 draws have standard errors of 0.085, and the fractions are estimates: 5 times both.
    assert found.high - found.low == pytest.approx(3.92 * error, rel=0.25)


def test_wrong_arguments_are_errors() -> None:
    good = torch.zeros(3)
    for function in (reliability, fit_calibration, discriminator_accuracy):
        with pytest.raises(ValueError, match=r"log_w_real: expected shape \(N,\), got \(3, 1\)"):
            function(good[:, None], good)
        with pytest.raises(ValueError, match="number of log_w_fake: expected at least 1, got 0"):
            function(good, good[:0])
    with pytest.raises(ValueError, match="num_bins: expected at least 1, got 0"):
        reliability(good, good, num_bins=0)
    with pytest.raises(ValueError, match=r"log_w_fake: expected shape \(N,\), got \(\)"):
        mean_weight(good[0])
    with pytest.raises(ValueError, match="number of log_w_fake: expected at least 1, got 0"):
        mean_weight(good[:0])

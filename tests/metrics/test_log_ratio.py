"""Log-ratios of two sets of samples: where the true one is known, whom each network has seen, and the test's level."""

import math
import re

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.metrics import LogRatioFit, fit_log_ratio
from discrete_gan.metrics.bootstrap import Interval
from discrete_gan.metrics.log_ratio import _verdict, combined
from discrete_gan.metrics.two_sample import TwoSampleTest
from discrete_gan.weights import diagnose

D = 6
ODDS = torch.tensor([[0.8, -0.5, 0.0, 0.4, -0.9, 0.3], [-0.2, 0.1, 0.3, 0.4, -0.4, -0.5]])


class Affine(nn.Module):
    """The log-ratio of two distributions of independent bits is one."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(D, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).squeeze(-1)


def bits(odds: Tensor, num: int, seed: int) -> Tensor:
    return torch.bernoulli(odds.sigmoid().expand(num, D), generator=torch.Generator().manual_seed(seed))


def true_log_ratio(x: Tensor) -> Tensor:
    real, generated = (torch.distributions.Bernoulli(logits=odds).log_prob(x).sum(-1) for odds in ODDS)
    return real - generated


def affine_fit(real: Tensor, generated: Tensor, seed: int = 0) -> LogRatioFit:
    return fit_log_ratio(
        real, generated, network=Affine, num_folds=2, batch_size=1000, learning_rate=0.02, seed=seed, max_steps=200
    )


@pytest.fixture(scope="module")
def sides() -> tuple[Tensor, Tensor]:
    return bits(ODDS[0], 12_000, 1), bits(ODDS[1], 5_000, 2)


@pytest.fixture(scope="module")
def fit(sides: tuple[Tensor, Tensor]) -> LogRatioFit:
    return affine_fit(*sides)


def slope_and_offset(x: Tensor, y: Tensor) -> tuple[float, float]:
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return slope.item(), (y.mean() - slope * x.mean()).item()


def test_the_true_log_ratio_is_found_whatever_the_sizes(sides: tuple[Tensor, Tensor], fit: LogRatioFit) -> None:
    for found, samples in zip((fit.log_w_real, fit.log_w), sides, strict=True):
        truth = true_log_ratio(samples)
        slope, offset = slope_and_offset(found, truth)
        assert (found - truth).square().mean().sqrt() < 0.15  # 0.06 is what so many samples leave
        assert abs(slope - 1) < 0.1 and abs(offset) < 0.05
    assert abs(fit.calibration.scale - 1) < 0.1
    assert fit.mean_weight.low < 1 < fit.mean_weight.high
    assert fit.test.p_value < 1e-6 and fit.test.num_held_out == 17_000
    assert fit.verdict.startswith("weights can be used")


def test_a_tail_that_is_just_trusted_is_no_good_weight() -> None:
    """Of 2,000 samples, 40 with a thousand times the weight of others: no heavy tail, and worth 44."""
    log_w = torch.zeros(2000)
    log_w[:40] = math.log(1000)
    differ = TwoSampleTest(Interval(0.7, 0.6, 0.8), 0.0, 2000)
    told = _verdict(differ, diagnose(log_w[:, None]), Interval(1.0, 0.9, 1.1), 2000)
    assert told == "a few samples have most of the weight: weighted means are as rough as those of 44 of 2,000"


def test_weighted_samples_have_the_means_of_real_ones(sides: tuple[Tensor, Tensor], fit: LogRatioFit) -> None:
    weighted = fit.diagnostics.normalized_weights @ sides[1]
    error = 0.5 / fit.diagnostics.effective_sample_size.sqrt()
    assert (sides[1].mean(0) - ODDS[0].sigmoid()).abs().max() > 5 * error
    assert ((weighted - ODDS[0].sigmoid()).abs() < 3 * error).all()


def test_sides_change_roles(sides: tuple[Tensor, Tensor], fit: LogRatioFit) -> None:
    real, generated = sides
    other = affine_fit(generated, real)
    assert (other.log_w + fit.log_w_real).abs().mean() < 0.15
    assert (other.log_w_real + fit.log_w).abs().mean() < 0.15


def test_the_seed_alone_decides(sides: tuple[Tensor, Tensor], fit: LogRatioFit) -> None:
    state = torch.random.get_rng_state()
    again = affine_fit(*sides)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(again.log_w, fit.log_w) and torch.equal(again.log_w_real, fit.log_w_real)
    assert not torch.equal(affine_fit(*sides, seed=1).log_w, fit.log_w)


class Overconfident(Affine):
    """Twice as sure as it is right, and fond of what is real."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if self.training else 2 * super().forward(x) + 3


def test_calibration_takes_a_scale_and_an_offset_away(sides: tuple[Tensor, Tensor]) -> None:
    plain, other = (
        fit_log_ratio(*sides, network=network, num_folds=2, max_steps=20, learning_rate=0.05)  # a single check
        for network in (Affine, Overconfident)
    )
    assert other.calibration.scale == pytest.approx(plain.calibration.scale / 2, rel=1e-3)
    torch.testing.assert_close(other.log_w, plain.log_w, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(other.log_w_real, plain.log_w_real, rtol=1e-3, atol=1e-3)


class Memory(nn.Module):
    """Knows nothing of what it has not seen, and everything else by heart."""

    def __init__(self) -> None:
        super().__init__()
        self.of = nn.Embedding(200, 1)
        nn.init.zeros_(self.of.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.of(x).flatten()


def test_no_network_has_seen_what_it_judges() -> None:
    real, generated = torch.arange(200).view(2, 100, 1)
    told: list[float] = []
    fit = fit_log_ratio(real, generated, network=Memory, num_folds=4, max_steps=60, progress=told.append)
    assert not fit.log_w.any() and not fit.log_w_real.any()
    assert fit.test.p_value == 1 and fit.calibration.scale == 0
    assert fit.verdict.startswith("these networks cannot tell the sides apart")
    assert told == sorted(told) and told[-1] == 1


class Contrary(Memory):
    """Says the wrong of what it is asked."""

    def forward(self, x: Tensor) -> Tensor:
        return self.of(x).flatten() if self.training else -10.0 * (x.flatten() < 100)


def test_outputs_that_are_wrong_tell_nothing() -> None:
    real, generated = torch.arange(200).view(2, 100, 1)
    noise = torch.arange(100)[:, None] % 10 == 0  # neither side without the other's outputs
    real, generated = torch.where(noise, generated, real), torch.where(noise, real, generated)
    fit = fit_log_ratio(real, generated, network=Contrary, num_folds=2, max_steps=20)
    assert fit.calibration.scale < 0 and not fit.log_w.any() and not fit.log_w_real.any()


def test_what_no_sample_reaches_is_said() -> None:
    real, generated = bits(ODDS[1], 400, 3), bits(ODDS[1], 400, 4)
    generated[:, 0] = 0  # a mode that is not there
    fit = affine_fit(torch.where(torch.arange(400)[:, None] < 200, real, generated), generated)
    assert re.search(
        r"weights are not enough: about \d\d % of what is real lies where there are no samples", fit.verdict
    )


def test_sides_that_never_overlap_stay_uncalibrated() -> None:
    real, generated = torch.ones(30, D), torch.zeros(30, D)
    fit = affine_fit(real, generated)
    assert fit.log_w.isfinite().all() and (fit.log_w < 0).all() and (fit.log_w_real > 0).all()
    assert fit.test.accuracy.value == 1 and fit.mean_weight.high < 0.5
    assert fit.verdict.startswith("weights are not enough")


@pytest.mark.parametrize(("num_folds", "factor"), [(2, 20 / 9), (3, 15 / 9)])
def test_p_values_of_folds_are_combined_for_any_dependence(num_folds: int, factor: float) -> None:
    """Each fold finds all of its n + n labels, one assignment of so many, and the p-value of it is multiplied."""
    sides = torch.ones(30, D), torch.zeros(30, D)
    fit = fit_log_ratio(*sides, network=Affine, num_folds=num_folds, learning_rate=0.02, max_steps=100)
    each = 30 // num_folds
    assert fit.test.p_value == pytest.approx(factor / math.comb(2 * each, each))


def test_one_fold_that_tells_the_sides_apart_is_enough_and_so_is_a_little_in_most() -> None:
    assert combined([0.5, 0.2, 1e-20, 0.7, 0.4]) == pytest.approx(5e-19)
    assert combined([0.011, 0.9, 0.012, 0.8, 0.013]) == pytest.approx(10 / 9 * 5 / 3 * 0.013)
    assert combined([0.5, 0.6]) == 1


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_the_level_holds_whatever_folds_share(shared: float) -> None:
    """p-values of five normal numbers of one variance, a part of which is the same: at most 0.05 are rejected."""
    noise = torch.randn(20_000, 6, generator=torch.Generator().manual_seed(0)).double()
    z = math.sqrt(shared) * noise[:, 5:] + math.sqrt(1 - shared) * noise[:, :5]
    rejected = sum(combined(row) < 0.05 for row in torch.special.ndtr(z).tolist())
    assert rejected / len(z) < 0.05  # the most of the three is 0.026, with a standard error of 0.001


@pytest.mark.slow
def test_equal_distributions_keep_their_samples_and_the_level_holds() -> None:
    """Rejected at 0.05, of 20 seeds: more than 4 in a thousand such tests."""
    rejected = 0
    for seed in range(20):
        fit = affine_fit(bits(ODDS[0], 300, 2 * seed), bits(ODDS[0], 300, 2 * seed + 1), seed=seed)
        rejected += fit.test.p_value < 0.05
        assert fit.diagnostics.effective_sample_size > 0.9 * 300
    assert rejected <= 4


@pytest.mark.slow
def test_tokens_and_numbers_have_networks_of_their_own() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = [torch.randint(4 + more, (300, 5), generator=generator).clamp(max=3) for more in (0, 2)]
    rows = [
        torch.randn(300, 3, generator=generator) * torch.tensor([1e-3, 1.0, 1e4]) + shift * torch.tensor([1e-3, 0, 0])
        for shift in (0, 1)
    ]
    for real, generated in (tokens, rows):
        fit = fit_log_ratio(real, generated, num_folds=2, max_steps=200)
        assert fit.test.p_value < 0.01 and fit.log_w_real.mean() > fit.log_w.mean() + 0.2


ROWS = torch.zeros(20, D)


@pytest.mark.parametrize(
    ("real", "generated", "options", "message"),
    [
        (ROWS[0], ROWS, {}, r"real: expected numbers of shape \(N, \*event\), got torch.float32 \(6,\)"),
        (ROWS, ROWS[:19], {}, "number of generated: expected at least 20, got 19"),
        (ROWS, ROWS[:, :5], {}, r"generated: expected samples of shape \(6,\), as of real, got \(5,\)"),
        (ROWS, ROWS.double(), {}, "generated: expected type torch.float32, as of real, got torch.float64"),
        (ROWS / 0, ROWS, {}, "real: expected finite values"),
        (
            ROWS.long() - 1,
            ROWS.long(),
            {},
            "int64 is taken for tokens, expected from 0, got a negative one: pass floats",
        ),
        (ROWS.numpy(), ROWS, {}, "real: expected a tensor, got a NumPy array"),
        (ROWS, ROWS, {"num_folds": 1}, "num_folds: expected at least 2, got 1"),
        (ROWS, ROWS, {"num_folds": 21}, "num_folds: expected at most as many as samples of a side, 20, got 21"),
        (ROWS, ROWS, {"max_steps": 0}, "max_steps: expected at least 1"),
        (ROWS, ROWS, {"learning_rate": 0.0}, "learning_rate: expected a number above 0"),
        (
            ROWS,
            ROWS,
            {"network": lambda: nn.Linear(D, 1)},
            r"network: expected raw outputs of shape .*, got \(\d+, 1\)",
        ),
    ],
)
def test_bad_input_is_named(real: Tensor, generated: Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_log_ratio(real, generated, **options)

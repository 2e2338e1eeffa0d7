"""Losses of the original GAN against the formulas in D, and the slopes of appendix A of the AM-GAN paper."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from discrete_gan.divergences import GAN
from discrete_gan.losses.gan import discriminator_loss, log_odds_loss, minimax_loss, non_saturating_loss
from tests.problems import assert_exact, seeded_normal

REAL, FAKE = seeded_normal(5, scale=2), seeded_normal(3, 2, seed=1, scale=2)


def cross_entropy(target: float, raw: Tensor) -> Tensor:
    d = torch.sigmoid(raw)
    return -target * d.log() - (1 - target) * (1 - d).log()


def slope(loss: Callable[[Tensor], Tensor], raw: Tensor) -> Tensor:
    raw = raw.clone().requires_grad_()
    return torch.autograd.grad(loss(raw).sum(), raw)[0]


@pytest.mark.parametrize(("smoothing_real", "smoothing_fake"), [(0.0, 0.0), (0.1, 0.0), (0.2, 0.3)])
def test_discriminator_loss_is_the_smoothed_cross_entropy(smoothing_real: float, smoothing_fake: float) -> None:
    loss = discriminator_loss(REAL, FAKE, smoothing_real=smoothing_real, smoothing_fake=smoothing_fake)
    expected = cross_entropy(1 - smoothing_real, REAL).mean() + cross_entropy(smoothing_fake, FAKE).mean()
    assert_exact(loss, expected)


def test_without_smoothing_it_is_the_divergence() -> None:
    assert_exact(discriminator_loss(REAL, FAKE), GAN.discriminator_loss(REAL, FAKE))


def test_optimum_under_smoothing() -> None:
    # Counts of each of four states among eight samples: the loss on them is the expectation.
    real_counts, fake_counts = torch.tensor([5, 2, 1, 0]), torch.tensor([0, 1, 3, 4])
    p_data, p_g = real_counts.double() / 8, fake_counts.double() / 8
    smoothing_real, smoothing_fake = 0.2, 0.1
    d = ((1 - smoothing_real) * p_data + smoothing_fake * p_g) / (p_data + p_g)
    raw = torch.logit(d).requires_grad_()
    real, fake = (raw.repeat_interleave(counts) for counts in (real_counts, fake_counts))
    loss = discriminator_loss(real, fake, smoothing_real=smoothing_real, smoothing_fake=smoothing_fake)
    assert_exact(torch.autograd.grad(loss, raw)[0], torch.zeros(4).double())
    bounds = [math.log((1 - smoothing_real) / smoothing_real), math.log(smoothing_fake / (1 - smoothing_fake))]
    assert_exact(raw.detach()[[0, 3]], torch.tensor(bounds, dtype=torch.float64))


def test_generator_losses_are_one_per_sample() -> None:
    d = torch.sigmoid(FAKE)
    assert_exact(minimax_loss(FAKE), (1 - d).log())
    assert_exact(non_saturating_loss(FAKE), -d.log())
    assert_exact(log_odds_loss(FAKE), (1 - d).log() - d.log())
    assert_exact(log_odds_loss(FAKE), minimax_loss(FAKE) + non_saturating_loss(FAKE))
    assert_exact(minimax_loss(FAKE, smoothing_fake=0.2), -cross_entropy(0.2, FAKE))
    assert_exact(non_saturating_loss(FAKE, smoothing_real=0.3), cross_entropy(0.7, FAKE))


def test_slopes() -> None:
    d = torch.sigmoid(FAKE)
    assert_exact(slope(lambda raw: minimax_loss(raw, smoothing_fake=0.2), FAKE), 0.2 - d)
    assert_exact(slope(lambda raw: non_saturating_loss(raw, smoothing_real=0.3), FAKE), d - 0.7)
    assert_exact(slope(log_odds_loss, FAKE), -torch.ones_like(d))


def test_exact_where_softplus_turns_linear() -> None:
    raw = torch.tensor([21.0, 25.0], dtype=torch.float64)
    assert_exact(minimax_loss(raw), -raw - (-raw).exp().log1p(), rtol=1e-15, atol=0)
    assert_exact(1 + slope(minimax_loss, raw), (-raw).exp() / (1 + (-raw).exp()), atol=1e-15)


def test_minimax_gradient_vanishes_where_the_discriminator_is_sure() -> None:
    raw = torch.tensor([-10.0, -30.0, -100.0]).double()
    vanishing = slope(minimax_loss, raw)
    assert_exact(vanishing, -1 / (1 + (-raw).exp()), atol=0)
    assert vanishing[2].abs() < 1e-43
    assert_exact(slope(non_saturating_loss, raw), -1 / (1 + raw.exp()), atol=0)


def test_smoothed_minimax_gradient_changes_sign_at_the_target() -> None:
    raw = torch.logit(torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64))
    smoothed = slope(lambda raw: minimax_loss(raw, smoothing_fake=0.2), raw)
    assert_exact(smoothed, torch.tensor([0.1, 0, -0.1], dtype=torch.float64))
    assert_exact(slope(minimax_loss, raw), torch.tensor([-0.1, -0.2, -0.3], dtype=torch.float64))


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_smoothing_is_between_0_and_1(value: float) -> None:
    for name in ("smoothing_real", "smoothing_fake"):
        with pytest.raises(ValueError, match=rf"^{name}: expected a number between 0 and 1, got {value}"):
            discriminator_loss(REAL, FAKE, **{name: value})
    with pytest.raises(ValueError, match=r"^smoothing_fake"):
        minimax_loss(FAKE, smoothing_fake=value)
    with pytest.raises(ValueError, match=r"^smoothing_real"):
        non_saturating_loss(FAKE, smoothing_real=value)

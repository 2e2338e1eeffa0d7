"""Wasserstein, least-squares, hinge and log-ratio losses, and all losses at scores of ten thousand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from discrete_gan.divergences import DIVERGENCES, FDivergence
from discrete_gan.losses import gan, hinge, least_squares, log_ratio, softmax_gan, wasserstein
from tests.problems import assert_exact, seeded_normal

REAL, FAKE = seeded_normal(5, scale=2), seeded_normal(3, 2, seed=1, scale=2)


def test_wasserstein() -> None:
    assert_exact(wasserstein.discriminator_loss(REAL, FAKE), FAKE.sum() / 6 - REAL.sum() / 5)
    assert_exact(wasserstein.generator_loss(FAKE), -FAKE)


def test_least_squares() -> None:
    expected = ((REAL - 1) ** 2).sum() / 10 + (FAKE**2).sum() / 12
    assert_exact(least_squares.discriminator_loss(REAL, FAKE), expected)
    expected = ((REAL - 3) ** 2).sum() / 10 + ((FAKE + 2) ** 2).sum() / 12
    assert_exact(least_squares.discriminator_loss(REAL, FAKE, real_label=3, fake_label=-2), expected)
    assert_exact(least_squares.generator_loss(FAKE), (FAKE - 1) ** 2 / 2)
    assert_exact(least_squares.generator_loss(FAKE, label=0.5), (FAKE - 0.5) ** 2 / 2)


def test_least_squares_minimize_pearsons_divergence() -> None:
    """The paper's theorem for b - c = 1 and b - a = 2, on counts of four states among ten samples each."""
    real_counts, fake_counts = torch.tensor([4, 3, 2, 1]), torch.tensor([1, 3, 5, 1])
    p_data, p_g = real_counts.double() / 10, fake_counts.double() / 10
    raw = ((p_data - p_g) / (p_data + p_g)).requires_grad_()
    real, fake = raw.repeat_interleave(real_counts), raw.repeat_interleave(fake_counts)
    loss = least_squares.discriminator_loss(real, fake, fake_label=-1)
    assert_exact(torch.autograd.grad(loss, raw)[0], torch.zeros(4).double())
    both = least_squares.generator_loss(torch.cat([real, fake]).detach(), label=0).sum() / 10
    assert_exact(both, ((2 * p_g - (p_data + p_g)) ** 2 / (p_data + p_g)).sum() / 2)


def test_hinge() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0, 1.0]).requires_grad_(), torch.tensor([-3.0, 0.5]).requires_grad_()
    loss = hinge.discriminator_loss(real, fake)
    assert loss.item() == (0 + 0.5 + 2 + 0) / 4 + (0 + 1.5) / 2
    loss.backward()
    assert real.grad is not None and fake.grad is not None
    assert real.grad.tolist() == [0, -0.25, -0.25, 0]
    assert fake.grad.tolist() == [0, 0.5]
    assert_exact(hinge.generator_loss(FAKE), -FAKE)


def test_log_ratio_is_the_squared_log_odds() -> None:
    d = torch.sigmoid(FAKE)
    assert_exact(log_ratio.generator_loss(FAKE), (d.log() - (1 - d).log()) ** 2 / 2)
    raw = FAKE.clone().requires_grad_()
    assert_exact(torch.autograd.grad(log_ratio.generator_loss(raw).sum(), raw)[0], FAKE)


@pytest.mark.parametrize("divergence", DIVERGENCES.values(), ids=lambda divergence: divergence.name)
def test_log_ratio_of_any_divergence(divergence: Any) -> None:
    expected = divergence.log_weight(FAKE) ** 2 / 2
    assert_exact(log_ratio.generator_loss(FAKE, divergence=divergence), expected)


def test_log_ratio_asks_the_divergence() -> None:
    class Doubled(FDivergence):
        def log_weight(self, raw: Tensor) -> Tensor:
            return 2 * raw

    doubled = Doubled("doubled", torch.exp, torch.exp)
    assert_exact(log_ratio.generator_loss(FAKE, divergence=doubled), 2 * FAKE**2)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "gan": gan.discriminator_loss,
    "gan, smoothed": lambda real, fake: gan.discriminator_loss(real, fake, smoothing_real=0.1, smoothing_fake=0.2),
    "minimax": lambda real, fake: gan.minimax_loss(fake),
    "minimax, smoothed": lambda real, fake: gan.minimax_loss(fake, smoothing_fake=0.2),
    "non-saturating": lambda real, fake: gan.non_saturating_loss(fake),
    "non-saturating, smoothed": lambda real, fake: gan.non_saturating_loss(fake, smoothing_real=0.1),
    "log-odds": lambda real, fake: gan.log_odds_loss(fake),
    "log-ratio": lambda real, fake: log_ratio.generator_loss(fake),
    "softmax, discriminator": softmax_gan.discriminator_loss,
    "softmax, generator": softmax_gan.generator_loss,
    "wasserstein, discriminator": wasserstein.discriminator_loss,
    "wasserstein, generator": lambda real, fake: wasserstein.generator_loss(fake),
    "least squares, discriminator": least_squares.discriminator_loss,
    "least squares, generator": lambda real, fake: least_squares.generator_loss(fake),
    "hinge, discriminator": hinge.discriminator_loss,
    "hinge, generator": lambda real, fake: hinge.generator_loss(fake),
}
EXTREMES = [-1e4, -100.0, -25.0, -1.0, 0.0, 0.5, 21.0, 100.0, 1e4]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("order", ["told apart", "confused", "mixed"])
def test_exact_in_float32_at_large_scores(name: str, order: str) -> None:
    scores = torch.tensor(EXTREMES)
    pairs = {"told apart": (scores[-3:], scores[:3]), "confused": (scores[:3], scores[-3:]), "mixed": (scores, scores)}
    found = value_and_gradients(LOSSES[name], *pairs[order])
    exact = value_and_gradients(LOSSES[name], *(part.double() for part in pairs[order]))
    for single, double in zip(found, exact, strict=True):
        assert single.isfinite().all()
        # The smallest numbers of float32 have fewer digits.
        torch.testing.assert_close(single.double(), double, rtol=5e-7, atol=1e-37)


def value_and_gradients(loss: Callable[[Tensor, Tensor], Tensor], real: Tensor, fake: Tensor) -> list[Tensor]:
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    value = loss(real, fake)
    gradients = torch.autograd.grad(value.sum(), (real, fake), allow_unused=True)
    return [value.detach(), *(gradient for gradient in gradients if gradient is not None)]


@pytest.mark.parametrize("name", [name for name in LOSSES if "softmax" not in name])
def test_generator_losses_couple_no_samples(name: str) -> None:
    value = LOSSES[name](REAL, FAKE)
    if "discriminator" in name or name.startswith("gan"):
        assert value.shape == ()
    else:
        assert value.shape == FAKE.shape
        assert_exact(value[1], LOSSES[name](REAL, FAKE[1]))

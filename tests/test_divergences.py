"""Every divergence on two laws over six states, whose expectations are exact means over a list of samples."""

import math

import pytest
import torch
from torch import Tensor

from discrete_gan.divergences import DIVERGENCES, GAN, JENSEN_SHANNON, DonskerVaradhan, FDivergence
from discrete_gan.losses import gan
from tests.problems import seeded_normal

# Counts out of 24: repeating each state as often makes a mean over samples the expectation itself.
REAL_COUNTS, FAKE_COUNTS = torch.tensor([1, 2, 3, 4, 5, 9]), torch.tensor([6, 5, 1, 4, 3, 5])
P, Q = REAL_COUNTS.double() / 24, FAKE_COUNTS.double() / 24
LOG_RATIO = (P / Q).log()


def kl(p: Tensor, q: Tensor) -> Tensor:
    return (p * (p / q).log()).sum()


MIDDLE = (P + Q) / 2
ANALYTIC = {
    "gan": kl(P, MIDDLE) + kl(Q, MIDDLE) - 2 * math.log(2),
    "jsd": kl(P, MIDDLE) + kl(Q, MIDDLE),
    "kl": kl(P, Q),
    "reverse_kl": kl(Q, P),
    "hellinger": (P.sqrt() - Q.sqrt()).square().sum(),
    "pearson": ((P - Q).square() / Q).sum(),
    "neyman": ((P - Q).square() / P).sum(),
    "donsker-varadhan": kl(P, Q),
}


def exact_loss(name: str, raw: Tensor) -> Tensor:
    """The discriminator's loss in expectation, for a raw output of each state."""
    return DIVERGENCES[name].discriminator_loss(raw.repeat_interleave(REAL_COUNTS), raw.repeat_interleave(FAKE_COUNTS))


def test_every_divergence_is_tested() -> None:
    assert ANALYTIC.keys() == DIVERGENCES.keys()
    assert all(name == divergence.name for name, divergence in DIVERGENCES.items())


@pytest.mark.parametrize("name", DIVERGENCES)
def test_loss_at_the_log_ratio_is_minus_the_divergence_and_stationary(name: str) -> None:
    raw = LOG_RATIO.clone().requires_grad_()
    loss = exact_loss(name, raw)
    torch.testing.assert_close(loss.detach(), -ANALYTIC[name], rtol=1e-12, atol=1e-14)
    (gradient,) = torch.autograd.grad(loss, raw)
    assert gradient.abs().max() < 1e-9


@pytest.mark.parametrize("name", DIVERGENCES)
def test_descent_finds_the_log_ratio(name: str) -> None:
    raw = seeded_normal(6, scale=0.5).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [raw], max_iter=200, tolerance_grad=1e-10, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = exact_loss(name, raw)
        loss.backward()
        return loss.item()

    optimizer.step(closure)
    found = DIVERGENCES[name].log_weight(raw.detach())
    # The logarithm of Donsker and Varadhan leaves a constant free.
    constant = (found - LOG_RATIO).mean() if name == "donsker-varadhan" else 0.0
    # A minimum of a float64 function is found to about the square root of its rounding, 1e-8.
    torch.testing.assert_close(found - constant, LOG_RATIO, rtol=0, atol=1e-6)


@pytest.mark.parametrize("divergence", [d for d in DIVERGENCES.values() if isinstance(d, FDivergence)])
def test_weight_is_the_exponential_of_the_raw_output(divergence: FDivergence) -> None:
    raw = torch.linspace(-3, 3, 13, dtype=torch.float64, requires_grad=True)
    (slope_fake,) = torch.autograd.grad(divergence.conjugate(raw).sum(), raw)
    (slope_real,) = torch.autograd.grad(divergence.activation(raw).sum(), raw)
    torch.testing.assert_close(slope_fake / slope_real, raw.detach().exp(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("divergence", DIVERGENCES.values(), ids=DIVERGENCES.keys())
def test_real_comes_before_fake(divergence: FDivergence | DonskerVaradhan) -> None:
    real, fake = torch.tensor([0.5, 1.5], requires_grad=True), torch.tensor([[-1.0], [-2.0], [0.3]], requires_grad=True)
    loss = divergence.discriminator_loss(real, fake)
    assert loss.shape == ()
    towards_real, towards_fake = torch.autograd.grad(loss, (real, fake))
    assert bool((towards_real < 0).all() and (towards_fake > 0).all())


def test_the_gan_loss_is_one_formula_exact_to_rounding() -> None:
    real, fake = torch.tensor([25.0, -3.0, 0.0]).double(), torch.tensor([21.0, 40.0, -700.0]).double()
    assert torch.equal(gan.discriminator_loss(real, fake), GAN.discriminator_loss(real, fake))
    for raw in (-700.0, -30.0, -1.0, 0.0, 1.0, 21.0, 25.0, 36.0):
        # log(1 + e^y) = max(y, 0) + log(1 + e^-|y|); torch's softplus leaves the second term out above 20
        small = math.log1p(math.exp(-abs(raw)))
        for divergence, constant in ((GAN, 0.0), (JENSEN_SHANNON, math.log(2))):
            y = torch.tensor(raw, dtype=torch.float64)
            assert divergence.conjugate(y).item() == pytest.approx(max(raw, 0) + small - constant, rel=1e-15)
            assert divergence.activation(-y).item() == pytest.approx(constant - max(raw, 0) - small, rel=1e-15)
            assert -GAN.activation(y).item() == pytest.approx(max(-raw, 0) + small, rel=1e-15)


@pytest.mark.parametrize("level", [0.0, 1e4, 1e6])
def test_donsker_varadhan_gradients_sum_to_one_and_minus_one(level: float) -> None:
    fake = (level + torch.randn(500, generator=torch.Generator().manual_seed(0))).requires_grad_()
    real = torch.full((3,), level, requires_grad=True)
    of_real, of_fake = torch.autograd.grad(DonskerVaradhan().discriminator_loss(real, fake), (real, fake))
    assert of_fake.sum().item() == pytest.approx(1, rel=1e-6)
    assert of_real.sum().item() == pytest.approx(-1, rel=1e-6)


def test_donsker_varadhan_ignores_a_constant() -> None:
    raw = torch.tensor([0.3, -1.0, 2.0, 0.0, 0.5, -0.2]).double()
    torch.testing.assert_close(
        exact_loss("donsker-varadhan", raw + 50), exact_loss("donsker-varadhan", raw), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("offset", [0, 1e4, -1e4, 1e6])
def test_gradient_of_donsker_varadhan_sums_to_one_wherever_the_outputs_are(offset: float) -> None:
    fake = (seeded_normal(1000).float() + offset).requires_grad_()
    (slopes,) = torch.autograd.grad(DonskerVaradhan().discriminator_loss(torch.zeros(1), fake), fake)
    assert slopes.double().sum().item() == pytest.approx(1, abs=1e-6)


def test_donsker_varadhan_of_samples_that_are_ruled_out() -> None:
    real, fake = torch.zeros(2, requires_grad=True), torch.full((3,), -torch.inf, requires_grad=True)
    loss = DonskerVaradhan().discriminator_loss(real, fake)
    slopes = torch.autograd.grad(loss, (real, fake))
    assert loss.item() == -torch.inf
    assert [slope.tolist() for slope in slopes] == [[-0.5, -0.5], [0, 0, 0]]


@pytest.mark.parametrize("name", ["gan", "jsd", "donsker-varadhan"])
def test_huge_raw_outputs_stay_finite(name: str) -> None:
    real, fake = torch.full((3,), -1e4, requires_grad=True), torch.full((5,), 1e4, requires_grad=True)
    loss = DIVERGENCES[name].discriminator_loss(real, fake)
    assert loss.item() == pytest.approx(2e4, abs=2)
    towards_real, towards_fake = torch.autograd.grad(loss, (real, fake))
    # Every output that is wrong by 1e4 still pulls with its full share of the mean; float32 at 1e4 is exact to 1e-3.
    torch.testing.assert_close(towards_real, torch.full((3,), -1 / 3), rtol=1e-3, atol=0)
    torch.testing.assert_close(towards_fake, torch.full((5,), 1 / 5), rtol=1e-3, atol=0)


def test_gan_loss_by_hand() -> None:
    loss = GAN.discriminator_loss(torch.tensor([math.log(3)]), torch.tensor([0.0]))
    assert loss.item() == pytest.approx(-math.log(3 / 4) - math.log(1 / 2), rel=1e-6)

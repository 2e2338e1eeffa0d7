"""Softmax GAN's losses: closed forms, importance sampling, the optimum, and exponentials that overflow."""

import math
from collections.abc import Callable
from decimal import Decimal, localcontext

import pytest
import torch
from torch import Tensor

from discrete_gan.losses.softmax_gan import discriminator_loss, generator_loss
from tests.problems import assert_exact, seeded_normal

Loss = Callable[[Tensor, Tensor], Tensor]
BOTH = pytest.mark.parametrize("loss", [discriminator_loss, generator_loss])
SIZES = pytest.mark.parametrize(("num_real", "num_fake"), [(5, 5), (2, 7), (6, 1)])


def target(loss: Loss, num_real: int, num_fake: int) -> Tensor:
    """Equations 1 and 3, shape (num_real + num_fake,)."""
    if loss is generator_loss:
        return torch.ones(num_real + num_fake).double() / (num_real + num_fake)
    return torch.cat([torch.ones(num_real).double() / num_real, torch.zeros(num_fake)])


@BOTH
@SIZES
def test_energy_form_of_the_paper(loss: Loss, num_real: int, num_fake: int) -> None:
    real, fake = seeded_normal(num_real), seeded_normal(num_fake, seed=1)
    energy = -torch.cat([real, fake])
    expected = (target(loss, num_real, num_fake) * energy).sum() + (-energy).exp().sum().log()
    assert_exact(loss(real, fake), expected)


@BOTH
@SIZES
def test_gradient_is_softmax_minus_target(loss: Loss, num_real: int, num_fake: int) -> None:
    real, fake = seeded_normal(num_real).requires_grad_(), seeded_normal(num_fake, seed=1).requires_grad_()
    gradient = torch.cat(torch.autograd.grad(loss(real, fake), (real, fake)))
    softmax = torch.cat([real, fake]).exp() / torch.cat([real, fake]).exp().sum()
    assert_exact(gradient, (softmax - target(loss, num_real, num_fake)).detach())


@BOTH
def test_shift_and_shape(loss: Loss) -> None:
    real, fake = seeded_normal(2, 3), seeded_normal(4, seed=1)
    assert_exact(loss(real + 3, fake + 3), loss(real, fake))
    assert_exact(loss(real, fake), loss(real.flatten().flip(0), fake.flip(0)))


def test_least_values() -> None:
    equal = torch.zeros(3).double()
    assert_exact(generator_loss(equal, equal), torch.tensor(math.log(6), dtype=torch.float64))
    assert_exact(discriminator_loss(equal, equal - 1000), torch.tensor(math.log(3), dtype=torch.float64))


def test_gradient_is_importance_sampling_of_the_likelihood() -> None:
    """Equation 9 with the proposal's batch Q = B: a model's energy, its data, and its self-normalized expectation."""
    parameters, x_real, x_fake = (
        seeded_normal(4).requires_grad_(),
        seeded_normal(5, 4, seed=1),
        seeded_normal(5, 4, seed=2),
    )

    def energy(x: Tensor) -> Tensor:
        return (x.sin() @ parameters).square()

    (gradient,) = torch.autograd.grad(discriminator_loss(-energy(x_real), -energy(x_fake)), parameters)
    union = torch.cat([x_real, x_fake])
    (slopes,) = torch.autograd.functional.jacobian(lambda p: (union.sin() @ p).square(), (parameters.detach(),))
    r = (-energy(union)).exp().detach()
    assert_exact(gradient, slopes[:5].mean(dim=0) - (r[:, None] * slopes).sum(dim=0) / r.sum())


@pytest.mark.parametrize("fake_counts", [[1, 3, 5, 1], [0, 1, 2, 2]], ids=["equal", "half as many"])
def test_optimum_is_the_ratio_to_the_mixture(fake_counts: list[int]) -> None:
    """On four states a batch with p_data and p_g as counts is the expectation; found from zero by Newton's method."""
    real_counts = torch.tensor([4, 3, 2, 1])

    def loss(scores: Tensor) -> Tensor:
        return discriminator_loss(
            scores.repeat_interleave(real_counts), scores.repeat_interleave(torch.tensor(fake_counts))
        )

    scores = torch.zeros(4).double()
    for _ in range(100):
        (gradient,) = torch.autograd.functional.jacobian(loss, (scores,))
        hessian = torch.autograd.functional.hessian(loss, scores)
        assert isinstance(hessian, Tensor)
        scores = scores - 0.5 * torch.linalg.pinv(hessian, rtol=1e-10) @ gradient  # a constant has no curvature
    n, m = sum(real_counts.tolist()), sum(fake_counts)
    p_data, p_g = real_counts.double() / n, torch.tensor(fake_counts).double() / m
    mixture = (n * p_data + m * p_g) / (n + m)  # (p_data + p_g) / 2 with equal batches
    expected = (p_data / mixture).log()
    assert_exact(scores - scores.mean(), expected - expected.mean(), atol=1e-10)


def exact_discriminator_loss(real: list[float], fake: list[float]) -> float:
    with localcontext() as context:
        context.prec = 60
        partition = sum((Decimal(s).exp() for s in real + fake), Decimal(0))
        return float(partition.ln() - sum(map(Decimal, real), Decimal(0)) / len(real))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_whose_exponential_overflows(dtype: torch.dtype) -> None:
    # Energies 0 of eight real and -120 of eight generated samples: exp(120) is no float32, the loss is 120 + log 8.
    real, fake = [0.0] * 8, [120.0] * 8
    exact = exact_discriminator_loss(real, fake)
    assert round(exact, 2) == 122.08
    assert exact == pytest.approx(120 + math.log(8), rel=1e-15)
    assert torch.tensor(fake).exp().isinf().all()
    loss = discriminator_loss(torch.tensor(real, dtype=dtype), torch.tensor(fake, dtype=dtype))
    assert loss.item() == pytest.approx(exact, rel=torch.finfo(dtype).eps)


def test_large_scores_cancel_without_loss() -> None:
    # log-sum-exp minus the mean would round to 0.001, the spacing of float32 at 1e4.
    real, fake = torch.full((3,), 1e4), torch.full((4,), 1e4)
    assert discriminator_loss(real, fake).item() == pytest.approx(math.log(7), rel=1e-6)
    assert generator_loss(real, fake).item() == pytest.approx(math.log(7), rel=1e-6)

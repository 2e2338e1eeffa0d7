"""The penalty between real and generated samples, of functions whose gradient is known."""

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.losses.penalties import gradient_penalty, interpolates, wgan_gp_penalty
from tests.problems import assert_exact, seeded_normal

EVENTS = pytest.mark.parametrize("event", [(6,), (2, 3)])


@EVENTS
def test_penalty_of_a_linear_function(event: tuple[int, ...]) -> None:
    vector = seeded_normal(6).requires_grad_()
    real, fake = seeded_normal(4, *event, seed=1), seeded_normal(4, *event, seed=2)
    penalty = wgan_gp_penalty(lambda x: x.flatten(1) @ vector, real, fake)
    norm = vector.detach().norm()
    assert_exact(penalty.detach(), ((norm - 1) ** 2).expand(4))
    expected = 2 * (norm - 1) / norm * vector.detach()
    assert_exact(torch.autograd.grad(penalty.mean(), vector)[0], expected)


@EVENTS
def test_penalty_is_taken_at_the_interpolates(event: tuple[int, ...]) -> None:
    real, fake = seeded_normal(4, *event, seed=1).requires_grad_(), seeded_normal(4, *event, seed=2).requires_grad_()
    weight = nn.Parameter(torch.ones(()).double())
    torch.manual_seed(0)
    penalty = wgan_gp_penalty(lambda x: weight * 0.5 * x.flatten(1).square().sum(dim=1), real, fake)
    torch.manual_seed(0)
    norm = interpolates(real, fake).flatten(1).norm(dim=1)  # the gradient of half the squared norm is x
    assert_exact(penalty.detach(), (norm - 1) ** 2)
    penalty.sum().backward()
    assert (real.grad, fake.grad) == (None, None)
    assert weight.grad is not None
    assert_exact(weight.grad, (2 * (norm - 1) * norm).sum())


@EVENTS
def test_interpolates_lie_on_the_segments(event: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    real = seeded_normal(2000, *event).requires_grad_()
    fake = seeded_normal(2000, *event, seed=1)
    x = interpolates(real, fake)
    assert not x.requires_grad
    epsilon = ((x - fake) / (real - fake)).flatten(1).detach()
    assert_exact(epsilon, epsilon[:, :1].expand_as(epsilon), rtol=1e-9, atol=1e-9)  # one for all of a sample
    uniform = epsilon[:, 0]
    assert uniform.min() >= 0 and uniform.max() <= 1
    for moment, variance in ((1, 1 / 12), (2, 1 / 5 - 1 / 9)):
        assert abs((uniform**moment).mean() - 1 / (moment + 1)) < 5 * (variance / 2000) ** 0.5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_interpolates_keep_the_number_format(dtype: torch.dtype) -> None:
    assert interpolates(torch.zeros(2, 3, dtype=dtype), torch.ones(2, 3, dtype=dtype)).dtype == dtype


def test_no_gradient_where_the_norm_is_zero() -> None:
    weight = torch.zeros(3, requires_grad=True)
    penalty = wgan_gp_penalty(lambda x: x @ weight, torch.ones(2, 3), torch.zeros(2, 3))
    assert penalty.tolist() == [1, 1]
    penalty.sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [0, 0, 0]


def test_squared_norm_between_samples_is_the_gradient_penalty() -> None:
    vector = seeded_normal(3)
    x = interpolates(seeded_normal(2, 3, seed=1), seeded_normal(2, 3, seed=2)).requires_grad_()
    assert_exact(2 * gradient_penalty(x @ vector, x).detach(), vector.square().sum().expand(2))


def test_shapes_must_agree() -> None:
    def critic(x: Tensor) -> Tensor:
        return x.sum(dim=1)

    with pytest.raises(ValueError, match=r"^fake: expected the shape of real, \(2, 3\), got \(1, 3\)"):
        wgan_gp_penalty(critic, torch.zeros(2, 3), torch.zeros(1, 3))

"""Gradient penalty of functions whose gradient is known."""

import pytest
import torch
from torch import Tensor

from discrete_gan.losses.penalties import gradient_penalty
from tests.problems import assert_exact, seeded_normal


def quadratic(x: Tensor, matrix: Tensor, vector: Tensor) -> Tensor:
    """F(x) = x' A x / 2 + b' x with A symmetric, whose gradient is A x + b."""
    flat = x.flatten(1)
    return 0.5 * torch.einsum("bi,ij,bj->b", flat, matrix, flat) + flat @ vector


@pytest.mark.parametrize("event", [(6,), (2, 3)])
def test_penalty_of_a_quadratic(event: tuple[int, ...]) -> None:
    matrix = seeded_normal(6, 6)
    matrix = matrix + matrix.T
    vector = seeded_normal(6, seed=1).requires_grad_()
    x = seeded_normal(4, *event, seed=2).requires_grad_()
    penalty = gradient_penalty(quadratic(x, matrix, vector), x)
    gradient = (x.flatten(1) @ matrix + vector).detach()
    assert_exact(penalty.detach(), 0.5 * gradient.square().sum(dim=1))
    # half the squared norm, so its derivative in b is the gradient itself
    assert_exact(torch.autograd.grad(penalty.sum(), vector)[0], gradient.sum(dim=0))


def test_loss_and_penalty_share_one_forward_pass() -> None:
    vector = seeded_normal(3).requires_grad_()
    x = seeded_normal(2, 3, seed=1).requires_grad_()
    raw = x @ vector
    (gradient_penalty(raw, x).sum() + raw.sum()).backward()
    assert vector.grad is not None
    assert_exact(vector.grad, 2 * vector.detach() + x.detach().sum(dim=0))


def test_samples_must_require_a_gradient() -> None:
    with pytest.raises(ValueError, match=r"^x: expected samples with requires_grad"):
        gradient_penalty(torch.zeros(2), torch.zeros(2, 3))

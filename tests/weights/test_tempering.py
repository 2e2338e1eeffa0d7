"""Truncated and tempered weights against their definitions."""

import math

import pytest
import torch

from discrete_gan.weights import effective_sample_size, tempered, truncated
from tests.problems import assert_exact, seeded_normal


def test_truncated_weights_are_at_most_the_root_of_their_number_times_the_mean() -> None:
    log_w = seeded_normal(100, 5, scale=4)
    w = log_w.exp()
    bound = math.sqrt(100) * w.mean(dim=0)
    assert_exact(truncated(log_w).exp(), torch.minimum(w, bound))
    assert bool((w > bound).any(dim=0).all())
    even = torch.zeros(10, 1)
    assert torch.equal(truncated(even), even)
    assert_exact(truncated(log_w + 1e4), truncated(log_w) + 1e4, rtol=1e-11)
    assert truncated(torch.full((4, 1), -torch.inf)).isneginf().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("level", [0.0, 1e4])
def test_tempered_weights_have_the_size_wanted(dtype: torch.dtype, level: float) -> None:
    log_w = (seeded_normal(200, 4) * torch.tensor([0.5, 3, 30, 1e5]).double()).to(dtype) + level
    for size in (2.0, 50.0, 150.0):
        found = tempered(log_w, size)
        enough = effective_sample_size(log_w) >= size
        assert bool((found.exponent[enough] == 1).all())
        assert torch.equal(found.log_w[:, enough], log_w[:, enough])
        reached = effective_sample_size(log_w.double() * found.exponent.double())[~enough]
        # float32 rounds the sum of 200 weights, and 1e4 nats to 1e-3.
        rtol = 1e-9 if dtype == torch.float64 else 1e-3
        torch.testing.assert_close(reached, torch.full_like(reached, size), rtol=rtol, atol=0)
        assert_exact(found.log_w, log_w * found.exponent, rtol=1e-6)


def test_tempering_takes_a_size_for_each() -> None:
    log_w, sizes = seeded_normal(100, 3, scale=10), torch.tensor([5.0, 20.0, 80.0])
    found = tempered(log_w, sizes)
    for column, size in enumerate(sizes):
        assert_exact(found.exponent[column], tempered(log_w[:, column], float(size)).exponent)
    assert_exact(effective_sample_size(found.log_w), sizes.double(), rtol=1e-9)


def test_tempering_at_its_bounds() -> None:
    inf = math.inf
    log_w = torch.tensor([[0.0, -inf, -inf, inf], [-1.0, 0.0, -inf, 0.0], [-2.0, -inf, -inf, 0.0]]).double()
    found = tempered(log_w, 2.0)
    assert found.exponent[1:3].tolist() == [0, 0]  # one sample, and none, are fewer than two
    assert found.log_w.isneginf().tolist() == log_w.isneginf().tolist()
    assert found.log_w[~log_w.isneginf()].isfinite().all()
    assert 0 < found.exponent[0] < 1
    assert found.exponent[3] < 1e-300
    whole = tempered(log_w[:, :1], 3.0)
    assert effective_sample_size(whole.log_w).item() == pytest.approx(3)
    assert tempered(log_w[:, :1], 1.0).exponent.item() == 1


def test_the_gradient_of_tempered_weights_holds_the_exponent() -> None:
    log_w = seeded_normal(50, 2, scale=3).requires_grad_()
    found = tempered(log_w, 25)
    assert not found.exponent.requires_grad
    (gradient,) = torch.autograd.grad(found.log_w.sum(), log_w)
    assert_exact(gradient, found.exponent.expand(50, 2))


def test_errors() -> None:
    log_w = torch.zeros(4, 3)
    for size in (0.5, 4.5, math.nan):
        with pytest.raises(ValueError, match=rf"^size: expected from 1 to 4, the number of samples, got {size}$"):
            tempered(log_w, size)
    with pytest.raises(ValueError, match=r"^size: expected a shape that broadcasts to \(3,\), got \(2,\)$"):
        tempered(log_w, torch.ones(2))

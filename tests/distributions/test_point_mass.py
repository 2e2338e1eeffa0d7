"""A distribution with all its mass at one point."""

import pytest
import torch

from discrete_gan.distributions import PointMass


def test_every_sample_is_the_point() -> None:
    value = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    g = PointMass(value)
    assert (g.batch_shape, g.event_shape) == ((3,), (4,))
    assert torch.equal(g.sample(), value)
    assert torch.equal(g.sample((2,)), value.expand(2, 3, 4))
    assert not g.sample((2,)).requires_grad
    assert torch.equal(g.mean, value)
    assert not g.variance.any()
    g.rsample((5,)).sum().backward()
    assert value.grad is not None
    assert torch.equal(value.grad, torch.full((3, 4), 5.0))


def test_there_is_no_density() -> None:
    with pytest.raises(NotImplementedError):
        PointMass(torch.zeros(2, 3)).log_prob(torch.zeros(2, 3))


def test_shape_is_checked() -> None:
    with pytest.raises(ValueError, match=r"^value: expected shape \(B, D\), got \(\)"):
        PointMass(torch.zeros(()))

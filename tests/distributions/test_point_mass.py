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


def test_the_mean_carries_gradient_and_samples_may() -> None:
    value = torch.zeros(3, 4, requires_grad=True)
    assert PointMass(value).has_rsample
    PointMass(value).mean.sum().backward()
    assert value.grad is not None
    assert torch.equal(value.grad, torch.ones(3, 4))


def test_more_batch_axes() -> None:
    g = PointMass(torch.zeros(2, 3, 4))
    assert (g.batch_shape, g.event_shape) == ((2, 3), (4,))
    assert g.sample((5,)).shape == (5, 2, 3, 4)


def test_any_finite_point_is_valid() -> None:
    value = torch.tensor([[-2.0, 7.0]])
    support = PointMass(value, validate_args=True).support
    assert support is not None
    assert support.check(value).tolist() == [True]
    with pytest.raises(ValueError, match="value"):
        PointMass(torch.full((1, 2), torch.nan), validate_args=True)


def test_there_is_no_density() -> None:
    with pytest.raises(NotImplementedError):
        PointMass(torch.zeros(2, 3)).log_prob(torch.zeros(2, 3))


def test_shape_is_checked() -> None:
    with pytest.raises(ValueError, match=r"^value: expected shape \(B, D\), got \(\)"):
        PointMass(torch.zeros(()))

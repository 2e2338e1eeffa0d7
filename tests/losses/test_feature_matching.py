"""Distance of mean features."""

import pytest
import torch

from discrete_gan.losses.feature_matching import generator_loss
from tests.problems import assert_exact, seeded_normal


@pytest.mark.parametrize("event", [(4,), (2, 3, 3)])
def test_squared_distance_of_means(event: tuple[int, ...]) -> None:
    real, fake = seeded_normal(5, *event).requires_grad_(), seeded_normal(3, *event, seed=1).requires_grad_()
    difference = (real.sum(dim=0) / 5 - fake.sum(dim=0) / 3).detach()
    loss = generator_loss(real, fake)
    assert_exact(loss.detach(), (difference**2).sum())
    of_real, of_fake = torch.autograd.grad(loss, (real, fake))
    assert_exact(of_real, (2 / 5 * difference).expand_as(real))
    assert_exact(of_fake, (-2 / 3 * difference).expand_as(fake))


def test_zero_for_equal_means_of_different_samples() -> None:
    assert generator_loss(torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0]])).item() == 0


@pytest.mark.parametrize("shape", [(3, 5), (3, 4, 1), (3,)])
def test_features_must_agree(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^fake: expected features \(B, \.\.\.\) as of real, \(2, 4\)"):
        generator_loss(torch.zeros(2, 4), torch.zeros(shape))


def test_features_have_an_axis_beside_the_batch() -> None:
    with pytest.raises(ValueError, match=r"^fake: expected features"):
        generator_loss(torch.zeros(2), torch.zeros(3))

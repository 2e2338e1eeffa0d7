"""Samples of conditional generators: the classes in turn, across batches, or the one that is asked for."""

import torch
from torch import Tensor, nn

from discrete_gan.distributions import PointMass
from discrete_gan.training import generate, num_classes_of


class Echo(nn.Module):
    """Each sample is its latent and its label."""

    num_classes = 3

    def latents(self, num: int) -> Tensor:
        return torch.randn(num, 1)

    def forward(self, z: Tensor, labels: Tensor) -> PointMass:
        return PointMass(torch.cat([z, labels[:, None].to(z.dtype)], dim=1))


def test_classes_in_turn() -> None:
    samples = generate(Echo(), 11, batch_size=4)
    assert samples[:, 1].tolist() == [0, 1, 2] * 3 + [0, 1]
    assert num_classes_of(Echo()) == 3 and num_classes_of(nn.Linear(1, 1)) == 0


def test_the_class_that_is_asked_for_at_the_same_latents() -> None:
    of_class, in_turn = generate(Echo(), 11, label=1, batch_size=4), generate(Echo(), 11, batch_size=4)
    assert of_class[:, 1].tolist() == [1] * 11
    assert torch.equal(of_class[:, 0], in_turn[:, 0])

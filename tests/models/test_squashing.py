"""The last layer of generators of continuous pixels."""

import pytest
import torch
from torch import nn

from discrete_gan.models import DCGANGenerator, MLPImageGenerator
from discrete_gan.models.base import squashing


@pytest.mark.parametrize(("pixel_range", "activation"), [((-1, 1), "tanh"), ((0.0, 1.0), "sigmoid")])
def test_activation_follows_from_the_range(pixel_range: tuple, activation: str) -> None:
    x = torch.linspace(-30, 30, 7)
    for layer in (squashing(pixel_range), squashing(pixel_range, activation)):
        assert torch.equal(layer(x), getattr(torch, activation)(x))
        assert (float(layer(x).min()), float(layer(x).max())) == pytest.approx(pixel_range, abs=1e-6)


@pytest.mark.parametrize("generator", [DCGANGenerator, MLPImageGenerator])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pixel_range": (0, 255)}, "pixel_range: expected -1 1 (tanh) or 0 1 (sigmoid), got 0 255"),
        ({"activation": "relu"}, "activation: expected tanh or sigmoid, got relu"),
        (
            {"activation": "sigmoid"},
            "activation sigmoid gives pixels in 0 1, which contradicts pixel_range -1 1: "
            "change to pixel_range 0 1 or activation tanh",
        ),
        (
            {"activation": "tanh", "pixel_range": (0, 1)},
            "activation tanh gives pixels in -1 1, which contradicts pixel_range 0 1: "
            "change to pixel_range -1 1 or activation sigmoid",
        ),
    ],
)
def test_contradictions_are_refused(generator: type[nn.Module], options: dict, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        generator(**options)
    assert str(refused.value) == message

"""Samples of every kind of generator as the data look."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from discrete_gan.models import (
    AMGANGenerator,
    ConvGenerator,
    DCGANGenerator,
    MLPGenerator,
    MLPImageGenerator,
    PaletteGenerator,
    PixelGenerator,
    RecurrentGenerator,
)

SHAPE = (3, 8, 8)
PALETTE = [[0.0, 0.0, 0.0], [1.0, 0.5, 0.25], [0.2, 0.4, 0.8]]
CONTINUOUS: list[Callable[[tuple[float, float]], PixelGenerator]] = [
    lambda pixels: MLPImageGenerator(4, 192, hidden=(8,), pixel_range=pixels),
    lambda pixels: DCGANGenerator(4, (3, 16, 16), width=2, pixel_range=pixels),
    lambda pixels: AMGANGenerator(4, SHAPE, width=2, pixel_range=pixels),
]


def palette_generator() -> PaletteGenerator:
    return PaletteGenerator(PALETTE, 4, SHAPE, width=2, hidden=8)


@pytest.mark.parametrize("pixel_range", [(-1, 1), (0, 1)])
@pytest.mark.parametrize("make", CONTINUOUS, ids=["mlp", "dcgan", "am_gan"])
def test_pixels_of_a_range_become_those_of_the_unit_interval(
    make: Callable[[tuple[float, float]], PixelGenerator], pixel_range: tuple[float, float]
) -> None:
    torch.manual_seed(0)
    generator = make(pixel_range)
    low, high = pixel_range
    with torch.no_grad():
        x = generator(generator.latents(5)).sample()
    pixels = generator.decode(x)
    assert torch.equal(pixels, (x - low) / (high - low))
    assert pixels.shape == x.shape and pixels.dim() == 2
    assert 0 <= pixels.min() < 0.5 < pixels.max() <= 1
    ends = torch.tensor([[low, (low + high) / 2, high]], dtype=torch.float32)
    assert generator.decode(ends).tolist() == [[0, 0.5, 1]]


def test_range_read_from_a_file_is_that_of_the_constructor() -> None:
    """JSON has lists for tuples."""
    options: dict[str, Any] = {"hidden": [8], "pixel_range": [-1, 1]}
    generator = MLPImageGenerator(4, 6, **options)
    assert generator.pixel_range == (-1, 1)
    assert generator.decode(torch.tensor([[-1.0, 1.0]])).tolist() == [[0, 1]]


def test_categories_become_their_colors_channel_first() -> None:
    x = torch.tensor([[[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]])
    expected = [1.0, 0.5, 0.2, 0.5, 0.25, 0.4, 0.25, 0.125, 0.8]  # all reds, all greens, all blues
    torch.testing.assert_close(palette_generator().decode(x), torch.tensor([expected]), rtol=0, atol=0)


def test_a_sample_of_colors_has_the_bits_of_the_product() -> None:
    torch.manual_seed(0)
    generator = palette_generator()
    with torch.no_grad():
        g = generator(generator.latents(5))
    for x in (g.sample(), g.rsample()):
        pixels = generator.decode(x)
        assert torch.equal(pixels, (x @ torch.tensor(PALETTE)).movedim(-1, -2).flatten(-2))
        assert pixels.shape == (5, 192)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(generator.decode(x), pixels)


@pytest.mark.parametrize(
    ("generator", "x"),
    [
        (MLPGenerator(4, 6, hidden=(8,)), torch.tensor([[0.0, 1.0]])),
        (MLPGenerator(4, 2, 3, hidden=(8,)), torch.eye(3)[None]),
        (ConvGenerator(4, (1, 8, 8), width=2, hidden=8), torch.tensor([[0.0, 1.0]])),
        (RecurrentGenerator(5, 2, end=0), torch.tensor([[3, 0]])),
    ],
    ids=["mlp-bits", "mlp-categories", "conv", "rnn"],
)
def test_what_the_data_look_like_stays_as_it_is(
    generator: MLPGenerator | ConvGenerator | RecurrentGenerator, x: Tensor
) -> None:
    assert generator.decode(x) is x

"""The DCGAN pair: shapes, ranges, what each option takes away."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import nn

from discrete_gan.models import DCGANDiscriminator, DCGANGenerator

SIZES = pytest.mark.parametrize("image_shape", [(1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 16, 8)])


def count(module: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(layer, kind) for layer in module.modules())


@SIZES
@pytest.mark.parametrize("pixel_range", [(-1, 1), (0, 1)])
def test_generator(image_shape: tuple, pixel_range: tuple) -> None:
    if image_shape == (1, 16, 8):
        with pytest.raises(ValueError, match=r"^image_shape: expected sides from 16 that can be halved twice"):
            DCGANGenerator(5, image_shape, width=2)
        return
    generator = DCGANGenerator(5, image_shape, width=2, pixel_range=pixel_range)
    z = generator.latents(1000)
    assert z.shape == (1000, 5)
    assert -1 <= float(z.min()) < -0.99 < 0.99 < float(z.max()) <= 1
    assert generator.prior.event_shape == (5,)
    draws = []
    for draw in (generator.latents, lambda num: torch.rand(num, 5) * 2 - 1, lambda num: generator.prior.sample((num,))):
        torch.manual_seed(0)
        draws.append(draw(7))
    assert torch.equal(draws[0], draws[1]) and torch.equal(draws[0], draws[2])
    with torch.no_grad():
        for layer in generator.layers:
            if isinstance(layer, nn.ConvTranspose2d):
                layer.weight.mul_(200)  # saturates, to see the whole range
    x = generator(z[:20]).sample((3,))
    assert x.shape == (3, 20, image_shape[0] * image_shape[1] * image_shape[2])
    assert float(x.min()) == pytest.approx(pixel_range[0], abs=1e-3)
    assert float(x.max()) == pytest.approx(pixel_range[1], abs=1e-3)


def test_channels_double_at_each_halving_or_stay() -> None:
    def widths(model: nn.Module, kind: type[nn.Conv2d] | type[nn.ConvTranspose2d]) -> list[tuple[int, int]]:
        return [(layer.in_channels, layer.out_channels) for layer in model.modules() if isinstance(layer, kind)]

    shape = (3, 64, 64)
    doubling = DCGANGenerator(5, shape, width=4)
    constant = DCGANGenerator(5, shape, width=4, constant_filters=True)
    assert widths(doubling, nn.ConvTranspose2d) == [(32, 16), (16, 8), (8, 4), (4, 3)]
    assert widths(constant, nn.ConvTranspose2d) == [(4, 4), (4, 4), (4, 4), (4, 3)]
    assert widths(DCGANDiscriminator(shape, width=4), nn.Conv2d) == [(3, 4), (4, 8), (8, 16), (16, 32)]


def test_options_take_away_what_they_say() -> None:
    shape = (1, 28, 28)
    assert count(DCGANGenerator(5, shape, 4), nn.BatchNorm2d) == 2
    assert count(DCGANGenerator(5, shape, 4, batch_norm=False), nn.BatchNorm2d) == 0
    assert count(DCGANDiscriminator(shape, 4), nn.BatchNorm2d) == 1
    assert count(DCGANDiscriminator(shape, 4, normalization="none"), nn.BatchNorm2d) == 0
    assert (count(DCGANDiscriminator(shape, 4), nn.LeakyReLU), count(DCGANDiscriminator(shape, 4), nn.ReLU)) == (2, 0)
    relu = DCGANDiscriminator(shape, 4, relu=True)
    assert (count(relu, nn.LeakyReLU), count(relu, nn.ReLU)) == (0, 2)


@SIZES
def test_discriminator_scores_any_leading_axes(image_shape: tuple) -> None:
    if image_shape == (1, 16, 8):
        return
    discriminator = DCGANDiscriminator(image_shape, width=2, normalization="none")
    x = torch.rand(2, 3, image_shape[0] * image_shape[1] * image_shape[2])
    raw = discriminator(x)
    assert raw.shape == (2, 3)
    torch.testing.assert_close(discriminator(x[1, 2]), raw[1, 2])
    assert discriminator.features(x).shape[:2] == (2, 3)
    torch.testing.assert_close(discriminator.output(discriminator.features(x)).squeeze(-1), raw)


def test_spectral_normalization_bounds_every_weight() -> None:
    discriminator = DCGANDiscriminator((1, 28, 28), width=4, normalization="spectral")
    with torch.no_grad():
        for _ in range(50):  # power iterations
            discriminator(torch.rand(2, 784))
    for layer in discriminator.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, rel=0.02)


def test_weight_norm_splits_every_weight_into_length_and_direction() -> None:
    plain = DCGANDiscriminator((1, 28, 28), width=4, normalization="none")
    normed = DCGANDiscriminator((1, 28, 28), width=4, normalization="weight")
    assert count(normed, nn.BatchNorm2d) == 0
    for layer in normed.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            parts: Any = cast(nn.ModuleDict, layer.parametrizations)["weight"]
            length, direction = parts.original0, parts.original1
            with torch.no_grad():
                direction.mul_(3)  # leaves the weight as it is
            expected = length * direction / direction.flatten(1).norm(dim=1).view(-1, *[1] * (direction.dim() - 1))
            torch.testing.assert_close(layer.weight, expected)
    assert sum(p.numel() for p in normed.parameters()) > sum(p.numel() for p in plain.parameters())


def test_unknown_normalization() -> None:
    with pytest.raises(ValueError, match=r"^normalization: expected batch, spectral, weight, none, got layer"):
        DCGANDiscriminator(normalization="layer")  # pyright: ignore[reportArgumentType]


def test_weights_start_as_in_the_paper() -> None:
    for model in (DCGANGenerator(100, (3, 64, 64)), DCGANDiscriminator((3, 64, 64))):
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
                assert layer.bias is None or not layer.bias.any()


def test_saved_and_loaded(tmp_path: Path) -> None:
    generator = DCGANGenerator(5, (1, 28, 28), 2, constant_filters=True, pixel_range=(0, 1)).eval()
    generator.save_pretrained(tmp_path)
    loaded = DCGANGenerator.from_pretrained(tmp_path).eval()
    z = generator.latents(3)
    assert loaded.pixel_range == (0, 1)
    assert torch.equal(loaded(z).sample(), generator(z).sample())

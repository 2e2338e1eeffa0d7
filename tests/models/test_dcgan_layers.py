"""The layers of the DCGAN pair one by one: order, biases, slopes, number formats."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from discrete_gan.models import DCGANDiscriminator, DCGANGenerator

SHAPE = (1, 16, 32)  # sides that differ show which is which


def described(layers: nn.Sequential) -> list[str]:
    """Names of the layers; + for a bias and - for none, where there may be one."""
    signs = {nn.Linear, nn.Conv2d, nn.ConvTranspose2d}
    return [
        type(layer).__name__ + (" " + "-+"[layer.bias is not None] if type(layer) in signs else "") for layer in layers
    ]


@pytest.mark.parametrize("batch_norm", [True, False])
def test_generator_has_biases_where_no_batch_norm_follows(batch_norm: bool) -> None:
    between, sign = (["BatchNorm2d", "ReLU"], "-") if batch_norm else (["ReLU"], "+")
    generator = DCGANGenerator(5, SHAPE, 4, batch_norm)
    assert described(generator.layers)[:-2] == [
        f"Linear {sign}",
        "Unflatten",
        *between,
        f"ConvTranspose2d {sign}",
        *between,
        "ConvTranspose2d +",
    ]


@pytest.mark.parametrize("normalization", ["batch", "none"])
def test_discriminator_has_biases_where_no_batch_norm_follows(normalization: str) -> None:
    between, sign = (["BatchNorm2d"], "-") if normalization == "batch" else ([], "+")
    discriminator = DCGANDiscriminator(SHAPE, 4, normalization)  # type: ignore[arg-type]
    expected = ["Conv2d +", "LeakyReLU", f"Conv2d {sign}", *between, "LeakyReLU", "Flatten"]
    assert described(discriminator.layers) == expected


@pytest.mark.parametrize(("relu", "slope"), [(False, 0.2), (True, 0.0)])
def test_discriminator_written_out(relu: bool, slope: float) -> None:
    discriminator = DCGANDiscriminator(SHAPE, 4, "none", relu)
    first, second = (layer for layer in discriminator.layers if isinstance(layer, nn.Conv2d))
    x = torch.randn(3, 512, generator=torch.Generator().manual_seed(0))
    hidden = F.leaky_relu(F.conv2d(x.view(3, *SHAPE), first.weight, first.bias, 2, 2), slope)
    hidden = F.leaky_relu(F.conv2d(hidden, second.weight, second.bias, 2, 2), slope)
    assert hidden.shape == (3, 8, 4, 8)
    torch.testing.assert_close(discriminator(x), discriminator.output(hidden.flatten(1)).squeeze(1))


def test_generator_written_out() -> None:
    generator = DCGANGenerator(5, SHAPE, 4, batch_norm=False)
    linear, first, second = (m for m in generator.layers if isinstance(m, nn.Linear | nn.ConvTranspose2d))
    z = generator.latents(3)
    hidden = F.linear(z, linear.weight, linear.bias).view(3, 8, 4, 8).relu()
    hidden = F.conv_transpose2d(hidden, first.weight, first.bias, 2, 2, 1).relu()
    x = F.conv_transpose2d(hidden, second.weight, second.bias, 2, 2, 1).tanh()
    torch.testing.assert_close(generator(z).mean, x.view(3, 512))


@pytest.mark.parametrize("image_shape", [(1, 16, 18), (1, 18, 16), (1, 16, 8), (1, 8, 16)])
def test_either_side_can_be_too_odd_or_too_small(image_shape: tuple) -> None:
    for make in (DCGANGenerator, DCGANDiscriminator):
        with pytest.raises(ValueError, match=r"^image_shape: expected sides from 16 that can be halved twice"):
            make(image_shape=image_shape)


def test_last_layer_of_the_discriminator_is_not_in_half_precision() -> None:
    discriminator = DCGANDiscriminator(SHAPE, 4, "none")
    with torch.no_grad():
        discriminator.output.weight.mul_(50)
        x = torch.randn(3, 512, generator=torch.Generator().manual_seed(0))
        with torch.autocast("cpu", torch.bfloat16):
            raw, features = discriminator(x), discriminator.features(x)
        assert (raw.dtype, features.dtype) == (torch.float32, torch.bfloat16)
        expected = F.linear(features.float(), discriminator.output.weight, discriminator.output.bias).squeeze(1)
    torch.testing.assert_close(raw, expected)

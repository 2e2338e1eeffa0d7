"""The networks of the AM-GAN paper and the noisy classifier: sizes, normalization, noise, files."""

from pathlib import Path

import pytest
import torch
from torch import nn

from discrete_gan.models import AMGANDiscriminator, AMGANGenerator, NoisyMLPClassifier


def shapes(model: nn.Module, x: torch.Tensor, kinds: tuple[type[nn.Module], ...]) -> list[tuple[int, ...]]:
    """Of the outputs of these layers, without the batch."""
    found: list[tuple[int, ...]] = []
    for layer in model.modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(lambda module, given, output: found.append(tuple(output.shape[1:])))
    model(x)
    return found


def test_generator_of_appendix_f() -> None:
    generator = AMGANGenerator()
    found = shapes(generator, generator.latents(2), (nn.Unflatten, nn.ConvTranspose2d))
    assert found == [(768, 4, 4), (384, 8, 8), (192, 16, 16), (96, 32, 32), (3, 32, 32)]
    assert generator.layers[0].in_features == 100
    assert AMGANGenerator(num_classes=10).layers[0].in_features == 110
    values = generator(generator.latents(2)).sample()
    assert values.shape == (2, 3 * 32 * 32) and values.abs().max() <= 1


@pytest.mark.parametrize("extra_layer", [False, True])
def test_discriminator_of_appendix_f(extra_layer: bool) -> None:
    discriminator = AMGANDiscriminator(extra_layer=extra_layer)
    found = shapes(discriminator, torch.rand(2, 3072), (nn.Conv2d, nn.AdaptiveAvgPool2d, nn.Linear))
    convolutions = [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), *[(512, 4, 4)] * extra_layer]
    assert found == [*convolutions, (512, 1, 1), (11,)]
    dropouts = [layer.p for layer in discriminator.modules() if isinstance(layer, nn.Dropout)]
    assert dropouts == [0.3] * (len(convolutions) + 1)


def test_small_pair() -> None:
    """As many levels as the paper's: 28 pixels are halved to 4 as 32 are."""
    generator, discriminator = AMGANGenerator(10, (1, 28, 28), 4), AMGANDiscriminator((1, 28, 28), 5, 4)
    found = shapes(generator, generator.latents(2), (nn.Unflatten, nn.ConvTranspose2d))
    assert found == [(32, 4, 4), (16, 7, 7), (8, 14, 14), (4, 28, 28), (1, 28, 28)]
    found = shapes(discriminator, torch.rand(2, 784), (nn.Conv2d, nn.Linear))
    assert found == [(4, 28, 28), (8, 14, 14), (16, 7, 7), (32, 4, 4), (5,)]


def test_sides_of_any_length() -> None:
    generator, discriminator = AMGANGenerator(10, (3, 9, 14), 2), AMGANDiscriminator((3, 9, 14), 5, 2)
    found = shapes(generator, generator.latents(2), (nn.Unflatten, nn.ConvTranspose2d))
    assert found == [(8, 3, 4), (4, 5, 7), (2, 9, 14), (3, 9, 14)]
    found = shapes(discriminator, torch.rand(2, 378), (nn.Conv2d, nn.Linear))
    assert found == [(2, 9, 14), (4, 5, 7), (8, 3, 4), (5,)]


@pytest.mark.parametrize("model", [AMGANGenerator(5, (1, 16, 16), 2), AMGANDiscriminator((1, 16, 16), 5, 2)])
def test_every_weight_is_normalized_by_output(model: nn.Module) -> None:
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    assert len(layers) == 4
    for layer in layers:
        outputs = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        assert layer.parametrizations["weight"].original0.numel() == layer.weight.shape[outputs]  # pyright: ignore


def test_noise_on_the_input_of_every_layer_in_training_alone() -> None:
    """Two layers that pass a positive number on as it is: what comes out spreads as both noises together."""
    model = NoisyMLPClassifier(1, 1, hidden=(1,))
    for layer in (model.hidden[0], model.output):
        layer.weight = torch.ones(1, 1)
        torch.nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    x = torch.full((20_000, 1), 3.0)
    assert model(x).std().item() == pytest.approx((0.3**2 + 0.5**2) ** 0.5, rel=0.03)  # standard error 0.5 %
    model.eval()
    torch.testing.assert_close(model(x), x)


def test_noise_on_images_in_training_alone() -> None:
    discriminator = AMGANDiscriminator((1, 16, 16), 3, 2, dropout=0)
    seen: list[torch.Tensor] = []
    discriminator.layers.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    x = torch.rand(50, 256)
    discriminator(x)
    discriminator.eval()(x)
    noise = seen[0].flatten(1) - x
    assert noise.std().item() == pytest.approx(0.1, rel=0.03)  # 12,800 values, standard error 0.6 %
    assert torch.equal(seen[1].flatten(1), x)


def test_files(tmp_path: Path) -> None:
    generator, discriminator = AMGANGenerator(5, (1, 16, 16), 2), AMGANDiscriminator((1, 16, 16), 5, 2)
    classifier = NoisyMLPClassifier(16, 3, (8, 4))
    x, z = torch.rand(3, 256), generator.latents(3)
    for name, model, given in (("g", generator, z), ("d", discriminator, x), ("c", classifier, x[:, :16])):
        model.eval().save_pretrained(tmp_path / name)
        again = type(model).from_pretrained(tmp_path / name).eval()
        expected, found = (m(given).sample() if name == "g" else m(given) for m in (model, again))
        assert torch.equal(expected, found)

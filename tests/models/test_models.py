"""One battery for both pairs of models: shapes, the order of positions, independence of samples, files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from discrete_gan.models import ConvDiscriminator, ConvGenerator, MLPDiscriminator, MLPGenerator

LATENT = 6
SHAPES = [(1, 8, 8), (1, 28, 28), (3, 8, 12)]
PAIRS = pytest.mark.parametrize("kind", ["mlp", "conv"])
IMAGES = pytest.mark.parametrize("image_shape", SHAPES, ids=str)
CATEGORIES = pytest.mark.parametrize("num_categories", [None, 3])


def event_shape(image_shape: tuple[int, ...], num_categories: int | None) -> tuple[int, ...]:
    positions = torch.Size(image_shape).numel()
    return (positions,) if num_categories is None else (positions, num_categories)


def generator_of(kind: str, image_shape: tuple, num_categories: int | None) -> Any:
    torch.manual_seed(0)
    if kind == "mlp":
        return MLPGenerator(LATENT, torch.Size(image_shape).numel(), num_categories, hidden=(16, 8))
    return ConvGenerator(LATENT, image_shape, num_categories, width=4, hidden=16)


def discriminator_of(kind: str, image_shape: tuple, num_categories: int | None, **options: bool) -> Any:
    torch.manual_seed(1)
    if kind == "mlp":
        return MLPDiscriminator(torch.Size(image_shape).numel(), num_categories, hidden=(16, 8), **options)
    return ConvDiscriminator(image_shape, num_categories, width=4, hidden=16, **options)


@PAIRS
@IMAGES
@CATEGORIES
def test_generator_returns_the_distribution(kind: str, image_shape: tuple, num_categories: int | None) -> None:
    generator = generator_of(kind, image_shape, num_categories)
    z = generator.latents(5)
    assert z.shape == (5, LATENT)
    g = generator(z)
    assert isinstance(g, FactorizedBernoulli if num_categories is None else FactorizedCategorical)
    assert (g.batch_shape, g.event_shape) == ((5,), event_shape(image_shape, num_categories))
    g.log_prob(g.sample((2,))).sum().backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())


@PAIRS
def test_latents_are_standard_normal(kind: str) -> None:
    generator = generator_of(kind, (1, 8, 8), None)
    z = generator.latents(20_000)
    count = z.numel()
    assert abs(z.mean().item()) < 5 / count**0.5
    assert abs(z.var().item() - 1) < 5 * (2 / count) ** 0.5


@PAIRS
@pytest.mark.parametrize("num", [1, 3, 50])
def test_latents_are_the_draws_of_randn_and_of_the_prior(kind: str, num: int) -> None:
    """Runs of a seed stay what they are, and the random stream after the draws too."""
    generator = generator_of(kind, (1, 8, 8), None)
    draws = []
    for draw in (generator.latents, lambda num: torch.randn(num, LATENT), lambda num: generator.prior.sample((num,))):
        torch.manual_seed(num)
        draws.append((draw(num), torch.rand(1)))
    for z, after in draws:
        assert torch.equal(z, draws[0][0]) and torch.equal(after, draws[0][1])
    assert generator.prior.event_shape == (LATENT,) and generator.prior.batch_shape == ()
    assert not draws[0][0].requires_grad
    assert generator.double().latents(2).dtype == torch.float32


@PAIRS
@IMAGES
@CATEGORIES
@pytest.mark.parametrize("leading", [(), (5,), (2, 3), (2, 1, 3)], ids=str)
def test_discriminator_takes_any_leading_axes(
    kind: str, image_shape: tuple, num_categories: int | None, leading: tuple
) -> None:
    discriminator = discriminator_of(kind, image_shape, num_categories)
    event = event_shape(image_shape, num_categories)
    flat = torch.rand(torch.Size(leading).numel(), *event)
    with torch.no_grad():
        for x in (flat, flat.round()):  # relaxed and hard
            shaped = x.view(*leading, *event)
            raw, features = discriminator(shaped), discriminator.features(shaped)
            assert raw.shape == leading
            torch.testing.assert_close(raw.flatten(), discriminator(x))
            torch.testing.assert_close(discriminator.output(features).squeeze(-1), raw)
            assert features.shape[:-1] == leading


@PAIRS
@CATEGORIES
def test_discriminator_scores_each_sample_by_itself(kind: str, num_categories: int | None) -> None:
    discriminator = discriminator_of(kind, (1, 8, 8), num_categories)
    x = torch.rand(4, 2, *event_shape((1, 8, 8), num_categories), requires_grad=True)
    (gradient,) = torch.autograd.grad(discriminator(x)[2, 1], x)
    touched = (gradient != 0).flatten(2).any(dim=2)
    assert touched.nonzero().tolist() == [[2, 1]]


@PAIRS
def test_raw_output_under_autocast_is_float32(kind: str) -> None:
    discriminator = discriminator_of(kind, (1, 8, 8), None)
    with torch.autocast("cpu", torch.bfloat16):
        raw = discriminator(torch.rand(200, 64))
    assert raw.dtype == torch.float32
    assert not torch.equal(raw, raw.bfloat16().float())


@PAIRS
@CATEGORIES
def test_discriminator_takes_what_the_generator_yields(kind: str, num_categories: int | None) -> None:
    g = generator_of(kind, (1, 8, 8), num_categories)(torch.randn(5, LATENT))
    discriminator = discriminator_of(kind, (1, 8, 8), num_categories)
    for x in (g.sample((2,)), g.rsample((2,)), g.rsample((2,), hard=True)):
        assert discriminator(x).shape == (2, 5)
    assert discriminator(g.mean).shape == (5,)


@CATEGORIES
def test_conv_generator_orders_positions_as_channel_row_column_category(num_categories: int | None) -> None:
    channels, height, width = shape = (3, 8, 12)
    generator = generator_of("conv", shape, num_categories).eval()
    z = torch.randn(2, LATENT)
    count = num_categories or 1
    layout = (2, channels, height, width, count)

    def unnormalized() -> Tensor:
        return generator.layers(z).detach()  # (B, channels * K, height, width)

    def logits() -> Tensor:
        return generator(z).logits.detach().reshape(layout)

    maps = unnormalized().view(2, channels, count, height, width).movedim(2, -1)
    expected = maps if num_categories is None else torch.log_softmax(maps, dim=-1)
    torch.testing.assert_close(logits(), expected)

    before = logits()
    channel, category = 1, count - 1
    with torch.no_grad():
        generator.layers[-1].bias[channel * count + category] += 1
    raised = logits() > before + 1e-4
    only = torch.zeros(layout, dtype=torch.bool)
    only[:, channel, ..., category] = True
    assert torch.equal(raised, only)
    others = [c for c in range(channels) if c != channel]
    torch.testing.assert_close(logits()[:, others], before[:, others])


def test_mlp_generator_orders_its_outputs_as_position_category() -> None:
    generator: Any = MLPGenerator(LATENT, 4, 3, hidden=(8,)).eval()
    z = torch.randn(2, LATENT)
    with torch.no_grad():
        before = generator(z).logits
        generator.layers[-1].bias[2 * 3 + 1] += 1
        raised = generator(z).logits > before + 1e-4
    assert raised.nonzero().tolist() == [[0, 2, 1], [1, 2, 1]]


@CATEGORIES
def test_conv_discriminator_reads_positions_in_the_same_order(num_categories: int | None) -> None:
    channels, height, width = shape = (2, 8, 12)
    discriminator = discriminator_of("conv", shape, num_categories)
    seen = []
    discriminator.layers[0].register_forward_hook(lambda module, args, output: seen.append(args[0].detach()))
    x = torch.rand(5, *event_shape(shape, num_categories))
    discriminator(x)
    for channel in range(channels):
        for category in range(num_categories or 1):
            image = x.view(5, channels, height, width, num_categories or 1)[:, channel, :, :, category]
            assert torch.equal(seen[0][:, channel * (num_categories or 1) + category], image)


@pytest.mark.parametrize("shape", [(1, 10, 8), (1, 8, 9)], ids=str)
def test_conv_images_must_halve_twice(shape: tuple[int, int, int]) -> None:
    for model in (ConvGenerator, ConvDiscriminator):
        with pytest.raises(ValueError, match=rf"^image_shape: .* divisible by 4, got {shape[1]} x {shape[2]}"):
            model(image_shape=shape)


@PAIRS
@CATEGORIES
def test_saved_models_load_with_equal_outputs(kind: str, num_categories: int | None, tmp_path: Path) -> None:
    shape = (1, 8, 8)
    generator, discriminator = (make(kind, shape, num_categories) for make in (generator_of, discriminator_of))
    z = generator.latents(7)
    for _ in range(3):
        generator(z)  # moves the running statistics of batch norm, which must be saved too
    generator.eval()
    generator.save_pretrained(tmp_path / "generator")
    discriminator.save_pretrained(tmp_path / "discriminator")
    x = generator(z).sample((2,))
    again = type(generator).from_pretrained(tmp_path / "generator").eval()
    assert torch.equal(again(z).logits, generator(z).logits)
    assert torch.equal(type(discriminator).from_pretrained(tmp_path / "discriminator")(x), discriminator(x))
    config = json.loads((tmp_path / "generator" / "config.json").read_text())
    assert config["latent_dim"] == LATENT
    assert (tmp_path / "generator" / "model.safetensors").is_file()


@PAIRS
def test_spectral_normalization_holds_every_layer_at_one(kind: str, tmp_path: Path) -> None:
    def largest_singular_values(model: nn.Module) -> list[float]:
        layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
        return [torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2).item() for layer in layers]

    discriminator = discriminator_of(kind, (1, 8, 8), None, spectral_normalization=True)
    x = torch.rand(3, 64)
    for _ in range(200):
        discriminator(x)  # one power iteration each
    num_layers = {"mlp": 3, "conv": 4}[kind]
    # Power iteration has an error of the ratio of the first two singular values, below 0.99 here, to the power 400.
    assert largest_singular_values(discriminator) == pytest.approx([1.0] * num_layers, abs=1e-3)
    plain = discriminator_of(kind, (1, 8, 8), None)
    assert all(abs(value - 1) > 0.01 for value in largest_singular_values(plain))
    discriminator.eval().save_pretrained(tmp_path / "model")
    again = type(discriminator).from_pretrained(tmp_path / "model").eval()
    torch.testing.assert_close(again(x), discriminator(x))

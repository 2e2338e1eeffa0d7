"""Grey pixels made binary."""

import pytest
import torch

from discrete_gan.data import binarize
from discrete_gan.errors import InputError


@pytest.mark.parametrize(("maximum", "highest_zero"), [(1, 0), (16, 8), (255, 127)])
def test_threshold_is_half_of_full_intensity(maximum: int, highest_zero: int) -> None:
    pixels = torch.arange(maximum + 1, dtype=torch.uint8)
    binary = binarize(pixels, "threshold", maximum)
    assert binary.dtype == torch.float32
    assert binary.tolist() == [float(pixel > highest_zero) for pixel in range(maximum + 1)]


def test_stochastic_has_the_mean_of_the_pixel() -> None:
    pixels = torch.tensor([0, 1, 64, 128, 254, 255], dtype=torch.uint8).expand(20_000, 6)
    binary = binarize(pixels, "stochastic", 255, generator=torch.Generator().manual_seed(0))
    assert binary.dtype == torch.float32
    assert binary.shape == pixels.shape
    assert set(binary.unique().tolist()) == {0.0, 1.0}
    expected = pixels[0] / 255
    standard_error = (expected * (1 - expected) / 20_000).sqrt()
    # At 0 and at full intensity the standard error is 0: those pixels are never drawn otherwise.
    assert ((binary.mean(0) - expected).abs() <= 5 * standard_error).all()


def test_stochastic_draws_anew_and_repeats_with_its_generator() -> None:
    pixels = torch.full((100,), 8, dtype=torch.uint8)
    generator = torch.Generator().manual_seed(0)
    first, second = (binarize(pixels, "stochastic", 16, generator=generator) for _ in range(2))
    assert not torch.equal(first, second)
    again = binarize(pixels, "stochastic", 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first, again)


def test_stochastic_with_a_generator_leaves_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    binarize(torch.ones(5, dtype=torch.uint8), "stochastic", 16, generator=torch.Generator())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_cpu_generator_gives_the_same_draws_on_any_device() -> None:
    pixels = torch.arange(256, dtype=torch.uint8)
    here, there = (
        binarize(pixels.to(device), "stochastic", 255, generator=torch.Generator().manual_seed(0))
        for device in ("cpu", "cuda")
    )
    assert there.device.type == "cuda"
    assert torch.equal(here, there.cpu())


@pytest.mark.parametrize("how", ["none", "threshold", "stochastic"])
def test_binary_data_stays_as_it_is(how: str) -> None:
    pixels = torch.tensor([[0, 1], [1, 0]], dtype=torch.uint8)
    binary = binarize(pixels, how, 1)  # pyright: ignore[reportArgumentType]
    assert binary.dtype == torch.float32
    assert torch.equal(binary, pixels.float())


@pytest.mark.parametrize("maximum", [16, 255])
def test_none_is_refused_on_grey_data(maximum: int) -> None:
    with pytest.raises(InputError, match=f"'none' needs 0/1 data, but .* {maximum}: use 'threshold' or 'stochastic'"):
        binarize(torch.zeros(4, dtype=torch.uint8), "none", maximum)


def test_an_unknown_way_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown binarization 'treshold': did you mean 'threshold'"):
        binarize(torch.zeros(4), "treshold", 1)  # pyright: ignore[reportArgumentType]

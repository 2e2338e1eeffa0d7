"""Images in a few colors: learning them, matching pixels, drawing them back."""

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from discrete_gan.data.image_data import ImageData, assemble
from discrete_gan.data.palette import learn_palette, quantized, to_indices, to_pixels
from discrete_gan.errors import InputError

COLORS = np.array([[0, 0, 0], [255, 0, 0], [0, 128, 255], [255, 255, 255]], dtype=np.uint8)


@pytest.fixture
def color() -> ImageData:
    """40 images of 2x3 pixels in four colors."""
    chosen = np.random.default_rng(0).integers(4, size=(40, 2, 3))
    return assemble("color", COLORS[chosen].transpose(0, 3, 1, 2), None, None, None)


@pytest.fixture
def grey() -> ImageData:
    return assemble("grey", np.random.default_rng(0).integers(0, 256, (40, 1, 4, 4)).astype(np.uint8), None, None, None)


def test_as_many_colors_as_there_are_come_back_exactly(color: ImageData) -> None:
    palette = learn_palette(color, 4)
    assert palette.dtype == torch.float32
    assert torch.equal((255 * palette).round().to(torch.uint8), torch.from_numpy(COLORS))  # from dark to bright
    indices, drawn = quantized(color, palette)
    assert (indices.shape, indices.dtype) == ((36, 6), torch.uint8)
    for name in ("train_images", "test_images"):
        assert torch.equal(getattr(drawn, name), getattr(color, name))
    assert (drawn.image_shape, drawn.maximum, drawn.name) == ((3, 2, 3), 255, "color in 4 colors")
    # What a sample becomes is what the data looks like.
    samples = one_hot(indices.long(), 4).float()
    torch.testing.assert_close(to_pixels(samples, palette), drawn.train_images / 255, rtol=0, atol=1e-6)


def test_nearest_color_by_brute_force(grey: ImageData, color: ImageData) -> None:
    torch.manual_seed(0)
    for channels, maximum in ((1, 255), (3, 16)):
        palette = torch.rand(7, channels)
        images = torch.randint(maximum + 1, (5, channels * 6), dtype=torch.uint8)
        pixels = images.view(5, channels, 6).movedim(1, 2) / maximum
        expected = (pixels[..., None, :] - palette).square().sum(-1).argmin(-1)
        assert torch.equal(to_indices(images, palette, maximum).long(), expected)


def test_matching_in_parts_equals_matching_at_once(grey: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    palette = torch.rand(5, 1)
    whole = to_indices(grey.train_images, palette, 255)
    monkeypatch.setattr("discrete_gan.data.palette._CHUNK", 50)  # three images of 16 pixels
    assert torch.equal(to_indices(grey.train_images, palette, 255), whole)


def test_grey_levels_of_evenly_spread_pixels_are_evenly_spread(grey: ImageData) -> None:
    palette = learn_palette(grey, 4)
    assert palette.shape == (4, 1)
    # k-means of a uniform density: the middles of four equal parts, up to the sample of 576 pixels.
    torch.testing.assert_close(palette[:, 0], torch.tensor([0.125, 0.375, 0.625, 0.875]), rtol=0, atol=0.06)


def test_quantization_error_is_below_that_of_equal_spacing() -> None:
    pixels = (np.random.default_rng(0).beta(0.3, 2, (50, 1, 8, 8)) * 255).astype(np.uint8)
    data = assemble("skewed", pixels, None, None, None)
    learnt = learn_palette(data, 6)
    spaced = torch.linspace(0, 1, 6)[:, None]

    def error(palette: torch.Tensor) -> float:
        drawn = quantized(data, palette)[1]
        return float((drawn.train_images.float() - data.train_images.float()).square().mean())

    assert error(learnt) < 0.6 * error(spaced)


def test_depends_on_the_seed_alone(grey: ImageData) -> None:
    torch.manual_seed(1)
    first = learn_palette(grey, 8, seed=3)
    torch.manual_seed(2)
    np.random.seed(2)
    state = torch.get_rng_state()
    assert torch.equal(learn_palette(grey, 8, seed=3), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(learn_palette(grey, 8, seed=4), first)
    assert not torch.equal(learn_palette(grey, 8, seed=-1), learn_palette(grey, 8, seed=2**32))


def test_the_pixels_to_learn_from_are_drawn_by_the_seed(grey: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of three pixels, three colors are the pixels themselves: nothing is left to the seed of k-means.
    monkeypatch.setattr("discrete_gan.data.palette._NUM_PIXELS", 3)
    assert not torch.equal(learn_palette(grey, 3, seed=0), learn_palette(grey, 3, seed=1))


def test_mixtures_of_categories_are_mixtures_of_colors() -> None:
    palette = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.5, 0.25]])
    x = torch.tensor([[[0.0, 1.0], [0.5, 0.5]]])
    # Channel first: both pixels' red, both pixels' green, both pixels' blue.
    assert to_pixels(x, palette).tolist() == [[1.0, 0.5, 0.5, 0.25, 0.25, 0.125]]


@pytest.mark.parametrize(
    ("num_colors", "message"),
    [
        (1, r"^num_colors: expected from 2 to 256, got 1$"),
        (257, r"^num_colors: expected from 2 to 256, got 257$"),
        (5, r"^num_colors 5: color has only 4 colors, expected at most as many$"),
    ],
)
def test_mistakes(color: ImageData, num_colors: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        learn_palette(color, num_colors)

"""DCGAN pair for continuous images of 28, 32 or 64 pixels, with what the stress tests of Softmax GAN take away.

References:
    Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks (Radford et al.,
    2016), https://arxiv.org/abs/1511.06434
    Softmax GAN (Lin, 2017), https://arxiv.org/abs/1704.06191
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Uniform
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from discrete_gan.distributions import PointMass
from discrete_gan.models.base import HubModel, PixelGenerator, squashing

Normalization = Literal["batch", "spectral", "weight", "none"]

_KERNEL = 5
_DEVIATION = 0.02  # of the initial weights, as in the paper


def _halvings(image_shape: tuple[int, int, int]) -> int:
    """How often both sides can be halved without going below 4 pixels."""
    _, height, width = image_shape
    count = 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) >= 8:
        height, width, count = height // 2, width // 2, count + 1
    if count < 2:
        raise ValueError(
            f"image_shape: expected sides from 16 that can be halved twice, as 28, 32 or 64, got {image_shape}"
        )
    return count


def _initialize(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, std=_DEVIATION)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class DCGANGenerator(PixelGenerator):
    """x(z): a linear layer to the coarsest map, then transposed convolutions of stride 2, batch norm and ReLU between.

    Args:
        latent_dim: Size of z, uniform in [-1, 1].
        image_shape: (channels, height, width).
        width: Channels at half resolution, doubled at every halving.
        batch_norm: Normalize between the layers.
        constant_filters: As many channels in every layer.
        pixel_range: (-1, 1), by tanh, or (0, 1), by a sigmoid.
        activation: ``"tanh"`` or ``"sigmoid"``, to have it checked against the range.

    Raises:
        ValueError: If the sides cannot be halved twice, the pixel range is another one, or not the activation's.
    """

    def __init__(
        self,
        latent_dim: int = 100,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        width: int = 64,
        batch_norm: bool = True,
        constant_filters: bool = False,
        pixel_range: tuple[float, float] = (-1, 1),
        activation: str | None = None,
    ) -> None:
        super().__init__()
        count = _halvings(image_shape)
        squash = squashing(pixel_range, activation)
        self.latent_dim = latent_dim
        self.pixel_range = (pixel_range[0], pixel_range[1])
        channels, height, breadth = image_shape
        widths = [width if constant_filters else width * 2**level for level in reversed(range(count))]
        height, breadth = height >> count, breadth >> count
        layers: list[nn.Module] = [
            nn.Linear(latent_dim, widths[0] * height * breadth, bias=not batch_norm),
            nn.Unflatten(1, (widths[0], height, breadth)),
        ]
        for level, width_in in enumerate(widths):
            last = level == count - 1
            layers += [nn.BatchNorm2d(width_in)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            width_out, bias = (channels, True) if last else (widths[level + 1], not batch_norm)
            layers.append(nn.ConvTranspose2d(width_in, width_out, _KERNEL, 2, padding=2, output_padding=1, bias=bias))
        self.layers = nn.Sequential(*layers, squash, nn.Flatten())
        _initialize(self)

    @property
    def prior(self) -> Distribution:
        """Uniform on [-1, 1], event shape (latent_dim,), on the generator's device."""
        ones = torch.ones(self.latent_dim, device=next(self.parameters()).device)
        return Independent(Uniform(-ones, ones, validate_args=False), 1, validate_args=False)

    def forward(self, z: Tensor) -> PointMass:
        """Latents of shape (B, latent_dim) to images as points, batch shape (B,), event (D,)."""
        return PointMass(self.layers(z))


class DCGANDiscriminator(HubModel):
    """Raw output of an image: convolutions of stride 2, a normalization and leaky ReLU between, and a linear layer.

    Batch norm makes the score of an image depend on the others of its batch; real and generated ones are never
    mixed in one.

    Args:
        image_shape: (channels, height, width).
        width: Channels at half resolution, doubled at every halving.
        normalization: ``"batch"`` norm between the layers, not after the first; every weight divided by its largest
            singular value (``"spectral"``) or split into length and direction (``"weight"``); or ``"none"``.
        relu: ReLU in place of leaky ReLU.

    Raises:
        ValueError: If the sides cannot be halved twice or the normalization is unknown.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        width: int = 64,
        normalization: Normalization = "batch",
        relu: bool = False,
    ) -> None:
        super().__init__()
        if normalization not in get_args(Normalization):
            raise ValueError(f"normalization: expected {', '.join(get_args(Normalization))}, got {normalization}")
        self.image_shape = tuple(image_shape)
        count = _halvings(image_shape)
        channels, height, breadth = image_shape
        layers: list[nn.Module] = []
        for level in range(count):
            width_out = width * 2**level
            normed = normalization == "batch" and level > 0
            layers.append(nn.Conv2d(channels, width_out, _KERNEL, stride=2, padding=2, bias=not normed))
            layers += [nn.BatchNorm2d(width_out)] if normed else []
            layers.append(nn.ReLU(inplace=True) if relu else nn.LeakyReLU(0.2, inplace=True))
            channels = width_out
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.output = nn.Linear(channels * (height >> count) * (breadth >> count), 1)
        _initialize(self)
        parametrize = {"spectral": spectral_norm, "weight": weight_norm}.get(normalization, nn.Identity())
        for layer in [*self.layers, self.output]:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                parametrize(layer)

    def features(self, x: Tensor) -> Tensor:
        """Activations before the last layer, shape (..., F), of images (..., D)."""
        features = self.layers(x.reshape(-1, *self.image_shape))
        return features.unflatten(0, x.shape[:-1]) if x.dim() > 1 else features[0]

    def forward(self, x: Tensor) -> Tensor:
        """Raw outputs, shape (...), of images (..., D)."""
        features = self.features(x)
        with torch.autocast(x.device.type, enabled=False):  # losses are exponentials of this output
            return self.output(features.to(next(self.output.parameters()).dtype)).squeeze(-1)

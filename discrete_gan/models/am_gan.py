"""The pair of networks of the paper on AM-GAN, for images of any size.

Reference:
    Activation Maximization Generative Adversarial Nets (Zhou et al., 2018), appendix F,
    https://arxiv.org/abs/1703.02000
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from discrete_gan.distributions import PointMass
from discrete_gan.models.base import HubModel, PixelGenerator, squashing
from discrete_gan.models.labels import append_labels

_SLOPE = 0.2  # of leaky ReLU; not in the paper
_COARSEST = 4  # pixels, the longer side of the coarsest map


def _sizes(image_shape: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Heights and widths of the maps from the image to the coarsest, each half of the one before, rounded up."""
    sizes = [image_shape[1:]]
    while max(sizes[-1]) > _COARSEST:
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


class AMGANGenerator(PixelGenerator):
    """x(z): a linear layer and transposed 3x3 convolutions, weight norm, batch norm and leaky ReLU.

    Args:
        latent_dim: Size of z, standard normal.
        image_shape: (channels, height, width).
        width: Channels at full resolution, doubled at every halving, down to 4 pixels. The paper has 96.
        num_classes: Of the labels that are appended to z, one-hot; 0 for a generator without.
        pixel_range: (-1, 1), by tanh, or (0, 1), by a sigmoid.

    Raises:
        ValueError: If the pixel range is another one.
    """

    def __init__(
        self,
        latent_dim: int = 100,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        width: int = 96,
        num_classes: int = 0,
        pixel_range: tuple[float, float] = (-1, 1),
    ) -> None:
        super().__init__()
        squash = squashing(pixel_range)
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.pixel_range = (pixel_range[0], pixel_range[1])
        sizes = _sizes(image_shape)
        levels = len(sizes) - 1
        coarsest = (width << levels, *sizes[-1])
        layers: list[nn.Module] = [
            weight_norm(nn.Linear(latent_dim + num_classes, math.prod(coarsest))),
            nn.Unflatten(1, coarsest),
        ]
        for level in range(levels, 0, -1):
            odd = (sizes[level - 1][0] % 2, sizes[level - 1][1] % 2)
            padding = {"padding": 1, "output_padding": (1 - odd[0], 1 - odd[1])}
            finer = nn.ConvTranspose2d(width << level, width << (level - 1), 3, 2, **padding)
            layers += [nn.BatchNorm2d(width << level), nn.LeakyReLU(_SLOPE, inplace=True), weight_norm(finer, dim=1)]
        last = weight_norm(nn.ConvTranspose2d(width, image_shape[0], 3, padding=1), dim=1)
        layers += [nn.BatchNorm2d(width), nn.LeakyReLU(_SLOPE, inplace=True), last]
        self.layers = nn.Sequential(*layers, squash, nn.Flatten())

    def forward(self, z: Tensor, labels: Tensor | None = None) -> PointMass:
        """Latents (B, latent_dim), and classes (B,) if any, to images as points, batch (B,), event (D,)."""
        return PointMass(self.layers(append_labels(z, labels, self.num_classes)))


class AMGANDiscriminator(HubModel):
    """Logits of an image: noise, 3x3 convolutions with weight norm, batch norm, leaky ReLU and dropout, and a mean.

    Batch norm makes the logits of an image depend on the others of its batch; real and generated ones are never mixed
    in one.

    Args:
        image_shape: (channels, height, width).
        num_outputs: Logits of an image: K + 1, or 1 for a discriminator of real against generated alone.
        width: Channels at full resolution, doubled at every halving, down to 4 pixels. The paper has 64.
        extra_layer: One more convolution at the coarsest resolution, as the paper has with predefined labels.
        noise: Standard deviation of the normal noise on the image.
        dropout: After every convolution, and on the mean.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        num_outputs: int = 11,
        width: int = 64,
        extra_layer: bool = False,
        noise: float = 0.1,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.noise = noise
        levels = len(_sizes(image_shape)) - 1
        widths = [image_shape[0], *(width << level for level in range(levels + 1))]
        strides = [1, *[2] * levels]
        if extra_layer:
            widths.append(widths[-1])
            strides.append(1)
        layers: list[nn.Module] = []
        for width_in, width_out, stride in zip(widths, widths[1:], strides, strict=False):
            layers += [
                weight_norm(nn.Conv2d(width_in, width_out, 3, stride, padding=1)),
                nn.BatchNorm2d(width_out),
                nn.LeakyReLU(_SLOPE, inplace=True),
                nn.Dropout(dropout),
            ]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout))
        self.num_outputs = num_outputs
        self.output = weight_norm(nn.Linear(widths[-1], num_outputs))

    def features(self, x: Tensor) -> Tensor:
        """Activations before the last layer, shape (..., F), of images (..., D)."""
        x = x + self.noise * torch.randn_like(x) if self.training else x
        features = self.layers(x.reshape(-1, *self.image_shape))
        return features.unflatten(0, x.shape[:-1]) if x.dim() > 1 else features[0]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, shape (..., num_outputs), of images (..., D)."""
        features = self.features(x)
        with torch.autocast(x.device.type, enabled=False):  # losses are exponentials of these logits
            return self.output(features.to(next(self.output.parameters()).dtype))

"""Fully connected generator and discriminator."""

import itertools
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical, PointMass
from discrete_gan.models.base import Generator, HubModel, PixelGenerator, squashing
from discrete_gan.models.labels import ClassProjection, append_labels

_LEAST = 0.01  # of a mean pixel whose log-odds are taken
_SMALLER = 0.3  # what is left of the last layer's weights beside these


class MLPGenerator(Generator):
    """g(x | z): linear layers with batch norm and leaky ReLU, then one logit per position and category.

    Args:
        latent_dim: Size of z.
        num_positions: D.
        num_categories: K for categorical positions, None for binary ones.
        hidden: Widths of the hidden layers.
        num_classes: Of the labels that a conditional generator takes; 0 for one without.
    """

    def __init__(
        self,
        latent_dim: int = 64,
        num_positions: int = 784,
        num_categories: int | None = None,
        hidden: Sequence[int] = (512, 512),
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.num_categories = num_categories
        self.num_classes = num_classes
        self.layers = mlp_layers([latent_dim + num_classes, *hidden], num_positions * (num_categories or 1))

    def start_at(self, mean: Tensor) -> "MLPGenerator":
        """Itself, with the log-odds of the mean pixels of the data as the last layer's bias, beside smaller weights.

        Training then begins at how often each pixel is on, and not at a half.

        Args:
            mean: Of bits, shape (D,).
        """
        start_at_mean(cast(nn.Linear, self.layers[-1]), mean)
        return self

    def forward(self, z: Tensor, labels: Tensor | None = None) -> FactorizedBernoulli | FactorizedCategorical:
        """Latents (B, latent_dim), and classes (B,) if any, to a distribution of batch (B,), event (D,) or (D, K)."""
        logits = self.layers(append_labels(z, labels, self.num_classes))
        if self.num_categories is None:
            return FactorizedBernoulli(logits)
        return FactorizedCategorical(logits.unflatten(-1, (-1, self.num_categories)))


class MLPImageGenerator(PixelGenerator):
    """x(z) of continuous pixels: linear layers with batch norm and leaky ReLU, and a squashing function.

    Args:
        latent_dim: Size of z, standard normal.
        num_positions: D.
        hidden: Widths of the hidden layers.
        pixel_range: (-1, 1), by tanh, or (0, 1), by a sigmoid.
        activation: ``"tanh"`` or ``"sigmoid"``, to have it checked against the range.
        num_classes: Of the labels that a conditional generator takes; 0 for one without.

    Raises:
        ValueError: If the pixel range is another one, or not the activation's.
    """

    def __init__(
        self,
        latent_dim: int = 100,
        num_positions: int = 784,
        hidden: Sequence[int] = (128, 256, 512, 1024),
        pixel_range: tuple[float, float] = (-1, 1),
        activation: str | None = None,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        squash = squashing(pixel_range, activation)
        self.latent_dim = latent_dim
        self.pixel_range = (pixel_range[0], pixel_range[1])
        self.num_classes = num_classes
        self.layers = nn.Sequential(mlp_layers([latent_dim + num_classes, *hidden], num_positions), squash)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> PointMass:
        """Latents (B, latent_dim), and classes (B,) if any, to images as points, batch (B,), event (D,)."""
        return PointMass(self.layers(append_labels(z, labels, self.num_classes)))


def mlp_layers(widths: Sequence[int], num_outputs: int) -> nn.Sequential:
    """Linear layers with batch norm and leaky ReLU between the widths, and a last one to the outputs."""
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(widths):
        layers += [
            nn.Linear(width_in, width_out, bias=False),
            nn.BatchNorm1d(width_out),
            nn.LeakyReLU(0.2, inplace=True),
        ]
    return nn.Sequential(*layers, nn.Linear(widths[-1], num_outputs))


@torch.no_grad()
def start_at_mean(last: nn.Linear, mean: Tensor) -> None:
    """Make a last layer's bias the log-odds of mean bits, and its weights smaller, which would stand beside them."""
    last.bias.copy_(mean.clamp(_LEAST, 1 - _LEAST).logit())
    last.weight.mul_(_SMALLER)


class MLPDiscriminator(HubModel):
    """Log-ratio log p_data / p_g of a sample: linear layers with leaky ReLU and one raw output.

    Args:
        num_positions: D.
        num_categories: K for one-hot positions, None for binary ones.
        hidden: Widths of the hidden layers.
        spectral_normalization: Divide every weight matrix by its largest singular value.
        num_classes: Of the labels that a conditional discriminator takes; 0 for one without.
    """

    def __init__(
        self,
        num_positions: int = 784,
        num_categories: int | None = None,
        hidden: Sequence[int] = (512, 256),
        spectral_normalization: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        self.event_dim = 1 if num_categories is None else 2
        normalize = spectral_norm if spectral_normalization else nn.Identity()
        widths = [num_positions * (num_categories or 1), *hidden]
        layers: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(widths):
            layers += [normalize(nn.Linear(width_in, width_out)), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.output = normalize(nn.Linear(widths[-1], 1))
        self.classes = ClassProjection(num_classes, widths[-1])

    def features(self, x: Tensor) -> Tensor:
        """Activations of the last hidden layer, shape (..., width), of samples (..., D) or (..., D, K)."""
        return self.layers(x.flatten(-self.event_dim) if self.event_dim == 2 else x)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Raw outputs in nats, shape (..., B), of samples (..., B, D) or (..., B, D, K), of classes (B,) if any."""
        features = self.features(x)
        with torch.autocast(x.device.type, enabled=False):  # weights are exponentials of this output
            features = features.to(next(self.output.parameters()).dtype)
            return self.output(features).squeeze(-1) + self.classes(features, labels)

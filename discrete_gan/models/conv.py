"""Convolutional generator and discriminator of the boundary-seeking GAN's image experiments.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
    Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks (Radford et al.,
    2016), https://arxiv.org/abs/1511.06434
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from discrete_gan._precision import matmul
from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from discrete_gan.models.base import Generator, HubModel
from discrete_gan.models.labels import ClassProjection, append_labels


def _quarter(image_shape: tuple[int, int, int]) -> tuple[int, int]:
    _, height, width = image_shape
    if height % 4 or width % 4:
        raise ValueError(f"image_shape: expected height and width divisible by 4, got {height} x {width}")
    return height // 4, width // 4


class ConvGenerator(Generator):
    """g(x | z): two linear layers, then two transposed convolutions of stride 2, batch norm and ReLU between.

    Args:
        latent_dim: Size of z.
        image_shape: (channels, height, width); height and width divisible by 4.
        num_categories: K for categorical pixels, None for binary ones.
        width: Channels at half resolution; twice as many at quarter resolution. The paper has 64.
        hidden: Width of the first linear layer. The paper has 1024.
        num_classes: Of the labels that a conditional generator takes; 0 for one without.

    Raises:
        ValueError: If the image cannot be halved twice.
    """

    def __init__(
        self,
        latent_dim: int = 64,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        num_categories: int | None = None,
        width: int = 64,
        hidden: int = 1024,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        height, breadth = _quarter(image_shape)
        self.latent_dim = latent_dim
        self.num_categories = num_categories
        self.num_classes = num_classes
        self.channels = image_shape[0]
        self.layers = nn.Sequential(
            nn.Linear(latent_dim + num_classes, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, 2 * width * height * breadth, bias=False),
            nn.BatchNorm1d(2 * width * height * breadth),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (2 * width, height, breadth)),
            nn.ConvTranspose2d(2 * width, width, 5, stride=2, padding=2, output_padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, self.channels * (num_categories or 1), 5, stride=2, padding=2, output_padding=1),
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> FactorizedBernoulli | FactorizedCategorical:
        """Latents (B, latent_dim), and classes (B,) if any, to a distribution of batch (B,), event (D,) or (D, K)."""
        logits = self.layers(append_labels(z, labels, self.num_classes))
        if self.num_categories is None:
            return FactorizedBernoulli(logits.flatten(1))
        logits = logits.unflatten(1, (self.channels, self.num_categories)).movedim(2, -1)
        return FactorizedCategorical(logits.flatten(1, 3))


class PaletteGenerator(ConvGenerator):
    """g(x | z) of images in K colors: the convolutional generator with one category per pixel, and the colors.

    Args:
        palette: K colors in [0, 1], shape (K, C).
        latent_dim: Size of z.
        image_shape: (channels, height, width); height and width divisible by 4.
        width: Channels at half resolution; twice as many at quarter resolution. The paper has 64.
        hidden: Width of the first linear layer. The paper has 1024.
        num_classes: Of the labels that a conditional generator takes; 0 for one without.

    Attributes:
        palette: Buffer of shape (K, C), what :meth:`decode` draws samples with.

    Raises:
        ValueError: If the image cannot be halved twice or the colors do not have its channels.
    """

    palette: Tensor

    def __init__(
        self,
        palette: Sequence[Sequence[float]],
        latent_dim: int = 64,
        image_shape: tuple[int, int, int] = (3, 32, 32),
        width: int = 64,
        hidden: int = 1024,
        num_classes: int = 0,
    ) -> None:
        channels, height, breadth = image_shape
        if any(len(color) != channels for color in palette):
            raise ValueError(f"palette: expected {channels} numbers per color, got {[len(color) for color in palette]}")
        super().__init__(latent_dim, (1, height, breadth), len(palette), width, hidden, num_classes)
        self.register_buffer("palette", torch.tensor(palette, dtype=torch.float32), persistent=False)

    def decode(self, x: Tensor) -> Tensor:
        """Categories in their colors; a mixture of categories gets the mixture of colors.

        Args:
            x: One-hot, shape (N, H * W, K).

        Returns:
            Pixels in [0, 1], channel first, shape (N, C * H * W).
        """
        return matmul(x, self.palette).movedim(-1, -2).flatten(-2)


class ConvDiscriminator(HubModel):
    """Log-ratio log p_data / p_g of an image: two strided convolutions, a linear layer and one raw output.

    No batch norm: the score of a sample must not depend on the others.

    Args:
        image_shape: (channels, height, width); height and width divisible by 4.
        num_categories: K for one-hot pixels, None for binary ones.
        width: Channels at half resolution; twice as many at quarter resolution. The paper has 64.
        hidden: Width of the linear layer. The paper has 1024.
        spectral_normalization: Divide every weight by its largest singular value.
        num_classes: Of the labels that a conditional discriminator takes; 0 for one without.

    Raises:
        ValueError: If the image cannot be halved twice.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        num_categories: int | None = None,
        width: int = 64,
        hidden: int = 1024,
        spectral_normalization: bool = False,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        height, breadth = _quarter(image_shape)
        self.image_shape = tuple(image_shape)
        self.num_categories = num_categories
        normalize = spectral_norm if spectral_normalization else nn.Identity()
        self.layers = nn.Sequential(
            normalize(nn.Conv2d(image_shape[0] * (num_categories or 1), width, 5, stride=2, padding=2)),
            nn.LeakyReLU(0.2, inplace=True),
            normalize(nn.Conv2d(width, 2 * width, 5, stride=2, padding=2)),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Flatten(),
            normalize(nn.Linear(2 * width * height * breadth, hidden)),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.output = normalize(nn.Linear(hidden, 1))
        self.classes = ClassProjection(num_classes, hidden)

    def features(self, x: Tensor) -> Tensor:
        """Activations of the last hidden layer, shape (..., hidden), of samples (..., D) or (..., D, K)."""
        event = 1 if self.num_categories is None else 2
        leading = x.shape[: x.dim() - event]
        channels, height, breadth = self.image_shape
        if self.num_categories is None:
            images = x.reshape(-1, channels, height, breadth)
        else:
            images = x.reshape(-1, channels, height, breadth, self.num_categories).movedim(-1, 2).flatten(1, 2)
        return self.layers(images).unflatten(0, leading or (1,)) if leading else self.layers(images)[0]

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Raw outputs in nats, shape (..., B), of samples (..., B, D) or (..., B, D, K), of classes (B,) if any."""
        features = self.features(x)
        with torch.autocast(x.device.type, enabled=False):  # weights are exponentials of this output
            features = features.to(next(self.output.parameters()).dtype)
            return self.output(features).squeeze(-1) + self.classes(features, labels)

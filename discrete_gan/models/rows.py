"""A generator of binary images whose rows depend on each other."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from discrete_gan.distributions.bit_rows import BitRows
from discrete_gan.models.base import Generator
from discrete_gan.models.frames import FrameGenerator, Within
from discrete_gan.models.labels import append_labels


class RowGenerator(Generator):
    """g(x | z): an LSTM over the rows of an image, each drawn given z and those above it.

    The pixels of a row are independent given these (``"factorized"``, H draws of an image), or each given those left of
    it too (``"autoregressive"``, H W draws).

    Args:
        latent_dim: Size of z, standard normal.
        image_shape: (1, H, W).
        hidden: Width of the LSTM.
        num_layers: Of it.
        within: What draws a row.
        width: Of the network that draws it pixel by pixel.
        num_classes: Of the labels that a conditional generator takes; 0 for one without.

    Raises:
        ValueError: If images have more than one channel.

    Reference:
        Pixel Recurrent Neural Networks (van den Oord et al., 2016), https://arxiv.org/abs/1601.06759, for rows
    """

    def __init__(
        self,
        latent_dim: int = 64,
        image_shape: Sequence[int] = (1, 28, 28),
        hidden: int = 256,
        num_layers: int = 1,
        within: Within = "factorized",
        width: int = 32,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        channels, height, breadth = image_shape
        if channels != 1:
            raise ValueError(f"image_shape: expected one channel, as rows of bits have, got {channels}")
        self.latent_dim, self.num_classes = latent_dim, num_classes
        shape: dict[str, Any] = {"hidden": hidden, "num_layers": num_layers, "width": width, "ends": False}
        self.frames = FrameGenerator((2,) * breadth, height, latent_dim + num_classes, within=within, **shape)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> BitRows:
        """Latents (B, latent_dim), and classes (B,) if any, to a distribution of batch (B,), event (H W,)."""
        return BitRows(self.frames(append_labels(z, labels, self.num_classes)))

"""Images in the colors of a palette."""

import functools
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from discrete_gan.data import ImageData
from discrete_gan.data.palette import learn_palette, quantized, to_indices
from discrete_gan.errors import InputError
from discrete_gan.tasks.images import Images
from discrete_gan.tasks.options import ImageOptions


class PaletteImages(Images):
    """Images in K colors, learnt from the training images: every pixel is one category.

    Args:
        options: Names data and reading.
        num_colors: K.
        labels_for: As for :class:`Images`.
    """

    def __init__(self, options: ImageOptions, num_colors: int, *, labels_for: str = "") -> None:
        super().__init__(options, labels_for=labels_for)
        self.num_colors = num_colors
        self._known: Tensor | None = None

    @functools.cached_property
    def _quantized(self) -> tuple[Tensor, Tensor, ImageData]:
        """Colors (K, C), the color of every training pixel (N, H * W), and the data as they look in these colors."""
        data = super().data
        if data.is_mapped:
            raise InputError(
                f"{self.options.data}: over the limit of memory, in which the colors of all images are found"
            )
        palette = learn_palette(data, self.num_colors, seed=self.options.seed) if self._known is None else self._known
        return palette, *quantized(data, palette)

    def recall(self, folder: Path, config: dict[str, Any]) -> None:
        """Know the colors of the run's generator too, whatever data are read."""
        super().recall(folder, config)
        saved = folder / "generator" / "config.json"
        colors = json.loads(saved.read_text()).get("palette") if saved.is_file() else None  # one's own has none
        self._known = None if colors is None else torch.tensor(colors, dtype=torch.float32)

    @property
    def palette(self) -> Tensor:
        """Colors from dark to bright, shape (K, C), in [0, 1]."""
        return self._quantized[0]

    @property
    def data(self) -> ImageData:  # type: ignore[override]
        """The data set in its colors."""
        return self._quantized[2]

    def training_rows(self) -> Tensor:
        """The color of every pixel, uint8, shape (N, H * W)."""
        return self._quantized[1]

    def encode(self, rows: Tensor) -> Tensor:
        """One-hot colors, float32, shape (B, H * W, K)."""
        return one_hot(rows.long(), self.num_colors).float()

    def encode_images(self, images: Tensor, maximum: int) -> Tensor:
        """The nearest colors, one-hot."""
        return self.encode(to_indices(images.cpu(), self.palette, maximum).to(images.device))

    def as_categories(self, images: Tensor) -> Tensor:
        """The colors, as whole numbers."""
        return to_indices((255 * images).round().byte().cpu(), self.palette, 255)

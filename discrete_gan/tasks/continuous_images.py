"""Images as the intensities that they are."""

from torch import Tensor

from discrete_gan.data import to_range
from discrete_gan.tasks.images import Images
from discrete_gan.tasks.options import ImageOptions


class ContinuousImages(Images):
    """Images as intensities.

    Args:
        options: Names data and reading.
        pixel_range: That of the generator.
        labels_for: As for :class:`Images`.
    """

    distance = "Hamming distance (pixels above half)"

    def __init__(
        self, options: ImageOptions, *, pixel_range: tuple[float, float] = (-1, 1), labels_for: str = ""
    ) -> None:
        super().__init__(options, labels_for=labels_for)
        self.pixel_range = pixel_range

    def encode_images(self, images: Tensor, maximum: int) -> Tensor:
        """Pixels in the range, float32, shape (N, D)."""
        return to_range(images, self.pixel_range, maximum)

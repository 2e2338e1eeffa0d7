"""Images as bits."""

import functools

from torch import Tensor

from discrete_gan.data import ImageData
from discrete_gan.errors import InputError
from discrete_gan.tasks.images import Images
from discrete_gan.tasks.options import BinaryImageOptions


class BinaryImages(Images):
    """Images as bits, made of pixels as ``--binarize`` says.

    Args:
        options: Names data and reading.
        classifier_data: Labeled data for the scores' classifier, where the training data has no labels.
        conditional: Whether the networks are given labels.
    """

    def __init__(
        self, options: BinaryImageOptions, classifier_data: str | None = None, *, conditional: bool = False
    ) -> None:
        super().__init__(options, labels_for="--conditional" if conditional else "", pixels=options.binarize)
        self._classifier_data = classifier_data

    @functools.cached_property
    def classifier_data(self) -> ImageData:
        """Those of ``--classifier-data``, where that is given."""
        if self._classifier_data is None:
            return self.data
        found = self._read(self._classifier_data)
        if found.train_labels is None:
            raise InputError(f"--classifier-data {self._classifier_data}: it has no labels, expected labeled images")
        if found.image_shape != self.data.image_shape:
            raise InputError(
                f"--classifier-data {self._classifier_data}: its images are {found.image_shape}, expected "
                f"{self.data.image_shape} as in {self.data.name}"
            )
        # A conditional generator is asked for classes of its own data: the classifier has to mean the same.
        where = f"--classifier-data {self._classifier_data}"
        return found.labeled_as(self.data.named(), where) if self.labels_for else found

    def encode_images(self, images: Tensor, maximum: int) -> Tensor:
        """Bits, drawn anew at every call where they are stochastic, float32, shape (N, D)."""
        return self.prepared(images, maximum)

    def decode(self, x: Tensor) -> Tensor:
        """Bits of shape (N, C, H, W), bool."""
        return super().decode(x) > 0.5

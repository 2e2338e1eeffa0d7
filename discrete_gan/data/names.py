"""Images by a short name such as ``mnist``, downloaded from the Hugging Face Hub.

References:
    https://huggingface.co/datasets/ylecun/mnist
    https://huggingface.co/datasets/zalando-datasets/fashion_mnist
"""

from pathlib import Path

from ..errors import InputError
from .formats import ImageReading
from .hub import load_hub
from .image_data import ImageData

ON_HUB = {"mnist": "ylecun/mnist", "fashion_mnist": "zalando-datasets/fashion_mnist"}
# The datasets library has no script to run any more, and no data set of the Hub is documented to hold this draw.
NOT_ON_HUB = {
    "binarized_mnist": (
        "expected mnist, whose pixels binarize makes 0 or 1 (stochastic or threshold), or a folder with "
        "binarized_mnist_train.amat and binarized_mnist_test.amat, published at "
        "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist"
    )
}
NAMES = (*ON_HUB, *NOT_ON_HUB)


def is_name(spec: str) -> bool:
    """Whether this is a short name, and no file or folder is called so."""
    return spec in NAMES and not Path(spec).exists()


def load_named(name: str, reading: ImageReading) -> ImageData:
    """Downloads the data set at the first time; the library keeps it.

    Raises:
        InputError: As ``load_hub``; or if the Hub is not known to have it.
    """
    if name in NOT_ON_HUB:
        raise InputError(f"{name}: no data set of the Hugging Face Hub is known to hold it: {NOT_ON_HUB[name]}")
    return load_hub(f"hub:{ON_HUB[name]}", reading, name=name, instead="digits, or a folder of idx files")

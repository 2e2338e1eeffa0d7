"""scikit-learn's handwritten digits: real scans that need no network."""

import numpy as np

from .extras import require
from .formats import ImageReading
from .image_data import ImageData, assemble
from .pictures import fit_data

NUM_TEST = 360


def load_digits(_: str, reading: ImageReading) -> ImageData:
    """1,797 digits of 8x8 pixels from 0 to 16; always the same 360, a fifth of each class, for testing."""
    bunch = require("sklearn.datasets", "scikit-learn", "the digits data").load_digits()
    images, labels = bunch.images.astype(np.uint8)[:, None], bunch.target
    # Shuffled, then sorted by class; equally spaced positions take the same share of every class.
    # RandomState: its stream is frozen across NumPy releases.
    order = np.random.RandomState(0).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    test = np.zeros(len(labels), dtype=bool)
    test[order[(2 * np.arange(NUM_TEST) + 1) * len(labels) // (2 * NUM_TEST)]] = True
    data = assemble("digits", images[~test], labels[~test], images[test], labels[test], maximum=16)
    return fit_data(data, reading.image_size, reading.crop)

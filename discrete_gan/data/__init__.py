"""Image data sets as whole tensors: real formats in, uint8 pixels out.

Importing this module needs torch and numpy only; scipy, scikit-learn, Pillow and datasets are imported by the loader
that reads with them.
"""

from .batches import Batches
from .image_data import ImageData
from .images import binarize, load_images, to_range

__all__ = ["Batches", "ImageData", "binarize", "load_images", "to_range"]

"""Data sets as whole tensors: real formats in, uint8 pixels or int64 token indices out.

Importing this module needs torch and numpy only; scipy, scikit-learn, Pillow, datasets and tokenizers are imported by
the loader that reads with them.
"""

from .batches import Batches
from .image_data import ImageData
from .images import IMAGE_FORMATS, binarize, load_images, to_range
from .labeled import labeled_subset
from .text import TextData, load_text
from .text_sources import TEXT_FORMATS
from .vocabulary import Vocabulary

__all__ = [
    "IMAGE_FORMATS",
    "TEXT_FORMATS",
    "Batches",
    "ImageData",
    "TextData",
    "Vocabulary",
    "binarize",
    "labeled_subset",
    "load_images",
    "load_text",
    "to_range",
]

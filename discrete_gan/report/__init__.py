"""Pictures of data and samples."""

from discrete_gan.report.grid import image_grid, save_comparison, save_grid
from discrete_gan.report.images import Binarize, ImageReport, Pixels, prepared, to_unit

__all__ = [
    "Binarize",
    "ImageReport",
    "Pixels",
    "image_grid",
    "prepared",
    "save_comparison",
    "save_grid",
    "to_unit",
]

"""Pictures of data and samples."""

from discrete_gan.report.grid import image_grid, save_comparison, save_grid
from discrete_gan.report.images import Binarize, ImageReport, Pixels, generate_pixels, prepared

__all__ = [
    "Binarize",
    "ImageReport",
    "Pixels",
    "generate_pixels",
    "image_grid",
    "prepared",
    "save_comparison",
    "save_grid",
]

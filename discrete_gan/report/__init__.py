"""Pictures of data and samples."""

from discrete_gan.report.grid import image_grid, save_comparison, save_grid
from discrete_gan.report.images import Binarize, ImageReport

__all__ = ["Binarize", "ImageReport", "image_grid", "save_comparison", "save_grid"]

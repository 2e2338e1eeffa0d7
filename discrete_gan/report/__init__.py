"""Pictures and texts of data and samples, and their scores."""

from discrete_gan.report.grid import image_grid, save_comparison, save_grid
from discrete_gan.report.images import Binarize, ImageReport, Pixels, generate_pixels, prepared
from discrete_gan.report.oracle import OracleReport
from discrete_gan.report.text import TextReport, as_lines, generate_text, held_out_likelihood

__all__ = [
    "Binarize",
    "ImageReport",
    "OracleReport",
    "Pixels",
    "TextReport",
    "as_lines",
    "generate_pixels",
    "generate_text",
    "held_out_likelihood",
    "image_grid",
    "prepared",
    "save_comparison",
    "save_grid",
]

"""Grids of images."""

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from discrete_gan.writing import write_aside

_GAP = 0.5  # grey between the tiles, apart from black and white
_ABREAST = 4  # letters that a name of a column may have beside others; longer ones are turned


def image_grid(images: Tensor, image_shape: tuple[int, int, int], *, columns: int | None = None) -> NDArray[np.float32]:
    """Images as tiles of one picture, one pixel of grey between them.

    Args:
        images: Intensities in [0, 1], shape (N, D); D positions are channels, rows, columns. NaN stays grey.
        image_shape: (channels, height, width).
        columns: Tiles in a row; about the square root of N if not given.

    Returns:
        Intensities of shape (rows of pixels, columns of pixels, 3).
    """
    channels, height, width = image_shape
    tiles = images.detach().float().cpu().reshape(-1, channels, height, width).movedim(1, -1).numpy()
    tiles = np.nan_to_num(tiles, nan=_GAP)
    columns = columns or math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    grid = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, 3), _GAP, dtype=np.float32)
    for index, tile in enumerate(tiles):
        top, left = 1 + index // columns * (height + 1), 1 + index % columns * (width + 1)
        grid[top : top + height, left : left + width] = tile
    return grid


def save_grid(path: Path, images: Tensor, image_shape: tuple[int, int, int], *, columns: int | None = None) -> None:
    """Write :func:`image_grid` as a PNG of at least about 500 pixels, every pixel of the images kept square."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = picture_of(images, image_shape, columns=columns)
    write_aside(path, lambda file: file.write(picture))


def picture_of(images: Tensor, image_shape: tuple[int, int, int], *, columns: int | None = None) -> bytes:
    """The bytes of the PNG that :func:`save_grid` writes."""
    import matplotlib.image

    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, _enlarged(image_grid(images, image_shape, columns=columns)), format="png")
    return buffer.getvalue()


def _enlarged(grid: NDArray[np.float32]) -> NDArray[np.float32]:
    scale = max(1, round(500 / max(grid.shape[:2])))
    return grid.repeat(scale, axis=0).repeat(scale, axis=1)


def save_comparison(
    path: Path,
    panels: dict[str, Tensor],
    image_shape: tuple[int, int, int],
    *,
    title: str,
    columns: int = 10,
    names: Sequence[str] = (),
) -> None:
    """Write grids side by side, each under its name, as a PNG.

    Args:
        path: File to write.
        panels: Images of shape (N, D) in [0, 1] under the captions they get.
        image_shape: (channels, height, width).
        title: Line above all.
        columns: Tiles in a row of each panel.
        names: Of the columns, above them.
    """
    from matplotlib.figure import Figure

    grids = {name: image_grid(images, image_shape, columns=columns) for name, images in panels.items()}
    tallest = max(grid.shape[0] / grid.shape[1] for grid in grids.values())
    figure = Figure(figsize=(5 * len(grids), 5 * tallest + 0.9), dpi=120, layout="constrained")
    figure.suptitle(title, fontsize=11)
    for axes, (name, grid) in zip(figure.subplots(1, len(grids), squeeze=False)[0], grids.items(), strict=True):
        axes.imshow(grid, interpolation="nearest")
        axes.set_title(name, fontsize=10)
        axes.set_frame_on(False)
        axes.yaxis.set_visible(False)
        axes.xaxis.tick_top()
        upright = {"rotation": 90} if max(map(len, names), default=0) > _ABREAST else {}
        centers = (np.arange(len(names)) + 0.5) * (grid.shape[1] - 1) / columns
        axes.set_xticks(centers, names, fontsize=7, parse_math=False, **upright)
        axes.tick_params(length=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # that the font lacks: a box stands for it
        write_aside(path, lambda file: figure.savefig(file, format="png"))

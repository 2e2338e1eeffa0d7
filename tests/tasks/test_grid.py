from pathlib import Path

import matplotlib.image
import numpy as np
import torch

from discrete_gan.tasks.grid import image_grid, picture_of, save_grid


def test_tiles_stand_where_they_belong() -> None:
    images = torch.arange(3 * 4).reshape(3, 4) / 12
    grid = image_grid(images, (1, 2, 2), columns=2)
    assert grid.shape == (7, 7, 3)
    for index, (top, left) in enumerate([(1, 1), (1, 4), (4, 1)]):
        np.testing.assert_array_equal(grid[top : top + 2, left : left + 2, 0], images[index].reshape(2, 2))
    assert (grid[4:6, 4:6] == 0.5).all()  # the place of a fourth image


def test_channels_come_first() -> None:
    pixel = torch.tensor([[0.25, 0.5, 0.75]])
    np.testing.assert_array_equal(image_grid(pixel, (3, 1, 1))[1, 1], pixel[0])


def test_picture_keeps_pixels_square(tmp_path: Path) -> None:
    save_grid(tmp_path / "grid.png", torch.eye(4), (1, 2, 2))
    picture = matplotlib.image.imread(tmp_path / "grid.png")
    scale = picture.shape[0] // 7
    assert picture.shape[:2] == (7 * scale, 7 * scale) and scale > 50
    np.testing.assert_allclose(picture[scale + 1, scale + 1, :3], 1)


def test_picture_is_what_the_file_holds(tmp_path: Path) -> None:
    save_grid(tmp_path / "grid.png", torch.eye(4), (1, 2, 2), columns=3)
    assert picture_of(torch.eye(4), (1, 2, 2), columns=3) == (tmp_path / "grid.png").read_bytes()

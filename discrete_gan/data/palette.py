"""Images in a few colors: each pixel one category, as the discrete CelebA of the boundary-seeking GAN.

References:
    Boundary-Seeking Generative Adversarial Networks (Hjelm et al., 2018), https://arxiv.org/abs/1702.08431
"""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from discrete_gan.seeds import word_seed

from .._precision import matmul
from ..errors import InputError
from .extras import require
from .image_data import ImageData

MOST_COLORS = 256
_NUM_PIXELS = 100_000  # that the colors are learnt from
_CHUNK = 1 << 20  # pixels matched at a time


def learn_palette(data: ImageData, num_colors: int, *, seed: int = 0) -> Tensor:
    """The K colors that come closest to the pixels of the training images, by k-means on a sample of them.

    Args:
        data: Grey or color images.
        num_colors: K, from 2 to 256.
        seed: Of the sample and of k-means. Global random states are neither read nor changed.

    Returns:
        Colors from dark to bright, float32, shape (K, C): whole multiples of 1/255 in [0, 1].

    Raises:
        InputError: If K is out of range or the sample has fewer colors.
    """
    if not 2 <= num_colors <= MOST_COLORS:
        raise InputError(f"num_colors: expected from 2 to {MOST_COLORS}, got {num_colors}")
    channels = data.image_shape[0]
    pixels = data.train_images.cpu().unflatten(1, (channels, -1)).movedim(1, 2).reshape(-1, channels)
    chosen = np.random.default_rng(word_seed(seed)).integers(len(pixels), size=_NUM_PIXELS)
    sample = pixels[torch.from_numpy(chosen)].numpy() / np.float32(data.maximum)
    distinct = len(np.unique(sample, axis=0))
    if distinct < num_colors:
        raise InputError(f"num_colors {num_colors}: {data.name} has only {distinct} colors, expected at most as many")
    k_means = require("sklearn.cluster", "scikit-learn", "learning a palette").KMeans
    centers = k_means(num_colors, random_state=word_seed(seed), n_init=1).fit(sample).cluster_centers_
    centers = centers[np.argsort(centers.sum(axis=1), kind="stable")]
    return torch.from_numpy(centers.clip(0, 1) * 255).round().float() / 255


def to_indices(images: Tensor, palette: Tensor, maximum: int) -> Tensor:
    """The nearest color of each pixel.

    Args:
        images: Pixels from 0 to ``maximum``, shape (N, C * H * W).
        palette: Colors in [0, 1], shape (K, C).
        maximum: The pixel value of full intensity.

    Returns:
        uint8 from 0 to K - 1, shape (N, H * W).
    """
    channels = palette.shape[1]
    positions = images.shape[1] // channels
    half_norms = palette.square().sum(dim=1) / 2
    parts = []
    for part in images.split(max(1, _CHUNK // positions)):
        pixels = part.unflatten(1, (channels, positions)).movedim(1, 2) / maximum
        parts.append((pixels @ palette.T - half_norms).argmax(dim=-1).to(torch.uint8))
    return torch.cat(parts)


def to_pixels(one_hot: Tensor, palette: Tensor) -> Tensor:
    """Draws categories in their colors; a mixture of categories gets the mixture of colors.

    Args:
        one_hot: Shape (N, H * W, K).
        palette: Colors in [0, 1], shape (K, C).

    Returns:
        Pixels in [0, 1], channel first, shape (N, C * H * W).
    """
    return matmul(one_hot, palette).movedim(-1, -2).flatten(-2)


def quantized(data: ImageData, palette: Tensor) -> tuple[Tensor, ImageData]:
    """The training images as categories, and the whole data set as it looks in the colors of the palette.

    Args:
        data: Grey or color images.
        palette: Colors in [0, 1], shape (K, C).

    Returns:
        Indices, uint8, shape (N, H * W), and the data with pixels from 0 to 255.
    """
    colors = (255 * palette).round().to(torch.uint8)
    indices = [to_indices(images, palette, data.maximum) for images in (data.train_images, data.test_images)]
    train, test = (colors[part.long()].movedim(-1, -2).flatten(1) for part in indices)
    name = f"{data.name} in {len(palette)} colors"
    return indices[0], dataclasses.replace(data, name=name, train_images=train, test_images=test, maximum=255)

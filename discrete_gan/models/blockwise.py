"""Generator of images whose pixels are drawn in a few blocks, each given those before it."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from discrete_gan.distributions import Blocks, BlockwiseBernoulli
from discrete_gan.models.base import Generator
from discrete_gan.models.labels import append_labels
from discrete_gan.models.mlp import mlp_layers, start_at_mean

# The order of a 4 x 4 tile: each next pixel is as far from those before it as can be (Bayer, 1973).
_TILE = torch.tensor([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])


class BlockwiseGenerator(Generator):
    r"""g(x | z): pixels in S blocks, lattices that get finer; a pixel depends on z and on those near it drawn before.

    An MLP turns z into log-odds of all pixels, as that of :class:`MLPGenerator` does; to those of a later block come
    the pixels around them, by weights that are shared over the image: one kernel for each block. With S = 2 the second
    block is the other color of a chessboard, and each of its pixels sees its four neighbors; with 4 the first block is
    every second pixel of every second row.

    Args:
        latent_dim: Size of z, standard normal.
        image_shape: (C, H, W); a pixel's channels are of one block.
        num_blocks: S, a power of two up to 16.
        hidden: Widths of the hidden layers.
        kernel_size: Of the neighborhood that a pixel sees, odd.
        num_classes: Of the labels that a conditional generator takes; 0 for one without.

    Raises:
        ValueError: If the number of blocks or the size of the kernel is none of these.

    References:
        Connectionist Learning of Belief Networks (Neal, 1992), https://doi.org/10.1016/0004-3702(92)90065-6
        Parallel Multiscale Autoregressive Density Estimation (Reed et al., 2017), https://arxiv.org/abs/1703.03664
    """

    order: Tensor
    inverse: Tensor
    before: Tensor
    center: Tensor
    places: Tensor
    entries: Tensor

    def __init__(
        self,
        latent_dim: int = 64,
        image_shape: Sequence[int] = (1, 28, 28),
        num_blocks: int = 4,
        hidden: Sequence[int] = (512, 512),
        kernel_size: int = 7,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: expected an odd number, got {kernel_size}")
        self.latent_dim, self.num_classes = latent_dim, num_classes
        block = lattice(image_shape, num_blocks).flatten()
        blocks = Blocks.of(block)
        self.sizes = blocks.sizes
        for name in ("order", "inverse", "before"):
            self.register_buffer(name, getattr(blocks, name), persistent=False)
        self.layers = mlp_layers([latent_dim + num_classes, *hidden], len(block))
        self.register_buffer("center", torch.zeros(len(block)))
        # W is made of the kernels: which of its places, and which entry stands there.
        channel, row, column = torch.cartesian_prod(*map(torch.arange, image_shape)).T
        reach, depth = kernel_size // 2, image_shape[0]
        down, right = row[None, :] - row[:, None] + reach, column[None, :] - column[:, None] + reach
        inside = (down >= 0) & (down < kernel_size) & (right >= 0) & (right < kernel_size) & (blocks.before > 0)
        kernel = (block[:, None] * depth + channel[:, None]) * depth + channel[None, :]
        entry = (kernel * kernel_size + down) * kernel_size + right
        self.register_buffer("places", inside.flatten().nonzero()[:, 0], persistent=False)
        self.register_buffer("entries", entry[inside], persistent=False)
        self.kernels = nn.Parameter(torch.zeros(num_blocks * depth**2 * kernel_size**2))

    def start_at(self, mean: Tensor) -> "BlockwiseGenerator":
        """Itself, begun at the mean pixels of the data, shape (D,), as :meth:`MLPGenerator.start_at` has it.

        What a pixel adds to others is then what it differs from its mean.
        """
        start_at_mean(cast(nn.Linear, self.layers[-1]), mean)
        self.center.copy_(mean)
        return self

    def forward(self, z: Tensor, labels: Tensor | None = None) -> BlockwiseBernoulli:
        """Latents (B, latent_dim), and classes (B,) if any, to a distribution of batch (B,), event (C H W,)."""
        logits, number = self.layers(append_labels(z, labels, self.num_classes)), len(self.center)
        weight = self.kernels.new_zeros(number**2).index_copy(0, self.places, self.kernels[self.entries])
        weight = weight.view(number, number)
        blocks = Blocks(self.order, self.inverse, self.before, self.sizes)
        return BlockwiseBernoulli(logits - weight @ self.center, weight, blocks)


def lattice(image_shape: Sequence[int], num_blocks: int) -> Tensor:
    """The block of each position, int64, shape (C, H, W): of every tile of 4 x 4 pixels as many in each.

    Raises:
        ValueError: If the number of blocks is no power of two up to 16.
    """
    if num_blocks not in (1, 2, 4, 8, 16):
        raise ValueError(f"num_blocks: expected 1, 2, 4, 8 or 16, got {num_blocks}")
    channels, height, width = image_shape
    order = _TILE[torch.arange(height)[:, None] % 4, torch.arange(width) % 4]
    return (order * num_blocks // 16).expand(channels, height, width)

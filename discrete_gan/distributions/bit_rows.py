"""Bits of an image, drawn row by row: each row given those above it."""

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size as Shape

from discrete_gan.distributions.frames import FrameSequence


class BitRows(Distribution):
    r"""H rows of W bits, :math:`g(x \mid z) = \prod_h g(x_h \mid x_{<h}, z)`, as one vector of D = H W numbers, 0 or 1.

    Args:
        frames: Sequences of H frames of W columns of two categories, none of which ends before H.
    """

    arg_constraints = {}  # pyright: ignore
    support = constraints.independent(constraints.boolean, 1)  # pyright: ignore
    has_enumerate_support = True

    def __init__(self, frames: FrameSequence) -> None:
        height, columns = frames.event_shape
        self.frames, self._rows = frames, (height, columns - 1)
        super().__init__(frames.batch_shape, torch.Size([height * (columns - 1)]), validate_args=False)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draws images, a row of all of them at once.

        Args:
            sample_shape: Usually (M,).

        Returns:
            0 and 1 of shape ``sample_shape`` + (B, D), of the type of z. No gradient.
        """
        return self.frames.sample(sample_shape)[..., 1:].flatten(-2).to(self.frames.z.dtype)

    def rsample(self, sample_shape: Shape = (), *, temperature: float = 0.5, hard: bool = False) -> Tensor:
        """Relaxed draws, each row from its Gumbel-softmax distribution given the relaxed rows above.

        Args:
            sample_shape: Usually (M,).
            temperature: Above 0.
            hard: 0 and 1 forward, keep the relaxed gradient backward (straight-through).

        Returns:
            Numbers in [0, 1], shape ``sample_shape`` + (B, D). Gradients reach the network and z.
        """
        relaxed = self.frames.rsample(sample_shape, temperature=temperature, hard=hard)
        return relaxed[..., 3::2].flatten(-2)  # of the end and of each column, its second category

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats.

        Args:
            value: 0 and 1, shape (M, B, D) or any shape that ends in (B, D).

        Returns:
            Shape of ``value`` without D. Gradients reach the network and z.

        Raises:
            ValueError: If ``value`` does not end in (B, D).
        """
        expected = (*self.batch_shape, *self.event_shape)
        if value.shape[-2:] != expected:
            raise ValueError(f"value: expected a shape ending in {expected}, got {tuple(value.shape)}")
        rows = value.long().unflatten(-1, self._rows)
        return self.frames.log_prob(torch.nn.functional.pad(rows, (1, 0)))

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All images, the last bit counting fastest.

        Args:
            expand: Over the batch shape.

        Returns:
            Shape (2^D, B, D), or (2^D, 1, D) without ``expand``, of the type of z.
        """
        number = self.event_shape[0]
        place = 2 ** torch.arange(number - 1, -1, -1, device=self.frames.z.device)
        bits = (torch.arange(2**number, device=place.device)[:, None] & place).ne(0).to(self.frames.z.dtype)
        return bits[:, None].expand(-1, len(self.frames.z), -1) if expand else bits[:, None]

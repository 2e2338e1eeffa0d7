"""Bits drawn in a few blocks, each given those before it."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size as Shape

from discrete_gan._arguments import check_positive, check_support
from discrete_gan.distributions.bernoulli import FactorizedBernoulli


class Blocks(NamedTuple):
    """Which positions are drawn together, and when.

    Attributes:
        order: Positions in the order in which they are drawn, int64, shape (D,).
        inverse: Where each position stands in that order, shape (D,).
        before: Whether the position of a column is drawn before that of a row, zeros and ones, shape (D, D).
        sizes: Positions of each of the S blocks.
    """

    order: Tensor
    inverse: Tensor
    before: Tensor
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, block: Tensor) -> "Blocks":
        """From the number of each position's block, from 0, int64, shape (D,)."""
        order = block.argsort(stable=True)
        before = (block[None, :] < block[:, None]).float()
        return cls(order, order.argsort(), before, tuple(block.bincount().tolist()))


class BlockwiseBernoulli(Distribution):
    r"""D bits in S blocks, a fully visible sigmoid belief network whose positions of one block are independent.

    .. math:: g(x \mid z) = \prod_d \sigma\big(\pm (l_d(z) + \textstyle\sum_{d'} W_{d d'}\, x_{d'})\big),
        \quad W_{d d'} = 0 \text{ unless } d' \text{ is of a block before that of } d

    S products draw all positions and one scores them; positions of different blocks depend on each other given z, which
    those of a :class:`FactorizedBernoulli` cannot.

    Args:
        logits: l, log-odds of a one in nats where everything before is zero, shape (B, D). Carries gradient.
        weight: W, shape (D, D), rows for what depends and columns for what it depends on. Carries gradient. What lies
            outside the blocks is not read.
        blocks: Of the positions, on the device of the logits.
        validate_args: Whether :meth:`log_prob` looks at the values, which reads them back from a device.

    References:
        Connectionist Learning of Belief Networks (Neal, 1992), https://doi.org/10.1016/0004-3702(92)90065-6
    """

    arg_constraints = {}  # pyright: ignore
    support = constraints.independent(constraints.boolean, 1)  # pyright: ignore
    has_enumerate_support = True

    def __init__(self, logits: Tensor, weight: Tensor, blocks: Blocks, validate_args: bool | None = None) -> None:
        number = len(blocks.order)
        if logits.dim() != 2 or logits.shape[1] != number or weight.shape != (number, number):
            expected = f"(B, {number}) and ({number}, {number})"
            raise ValueError(f"logits and weight: expected {expected}, got {(*logits.shape,)} and {(*weight.shape,)}")
        self.logits, self.weight, self.blocks = logits, weight * blocks.before, blocks
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=bool(validate_args))

    def conditionals(self, x: Tensor) -> FactorizedBernoulli:
        """Of every position given the blocks before it in a sample: batch (..., B), event (D,).

        Args:
            x: Zeros and ones, or relaxed ones, shape (..., B, D).

        Returns:
            Gradients reach the logits, the weight and x.
        """
        return FactorizedBernoulli(self.logits + F.linear(x, self.weight))

    @property
    def center(self) -> Tensor:
        """A point near the mean, shape (B, D): each block's mean given the means before it. No gradient."""
        with torch.no_grad():
            return self._drawn(torch.Size(), lambda g, _: g.mean)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """Draws bits, a block of all samples at once.

        Args:
            sample_shape: Usually (M,).

        Returns:
            Floats 0 or 1, shape ``sample_shape`` + (B, D). No gradient.
        """
        with torch.no_grad():
            return self._drawn(sample_shape, lambda g, shape: g.sample(shape))

    def rsample(self, sample_shape: Shape = (), *, temperature: float = 0.5, hard: bool = False) -> Tensor:
        """Relaxed draws, each block from its binary Concrete distribution given the relaxed ones before it.

        Args:
            sample_shape: Usually (M,).
            temperature: Above 0.
            hard: 0 and 1 forward, keep the relaxed gradient backward (straight-through).

        Returns:
            Numbers in [0, 1], shape ``sample_shape`` + (B, D). Gradients reach the logits and the weight.

        Raises:
            ValueError: If the temperature is not above 0.
        """
        check_positive("temperature", temperature)
        return self._drawn(sample_shape, lambda g, shape: g.rsample(shape, temperature=temperature, hard=hard))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability in nats, in one product.

        Args:
            value: Zeros and ones, shape (M, B, D) or any shape that ends in (B, D).

        Returns:
            Shape of ``value`` without D, at least float32. Gradients reach the logits and the weight.

        Raises:
            ValueError: If ``value`` does not end in (B, D), or, with ``validate_args``, lies outside the support.
        """
        if value.shape[-2:] != self.logits.shape:
            raise ValueError(f"value: expected a shape ending in {tuple(self.logits.shape)}, got {tuple(value.shape)}")
        if self._validate_args:
            check_support(value, self.support, "zeros and ones")
        return self.conditionals(value).log_prob(value)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All 2^D values, the last position counting fastest.

        Args:
            expand: Over the batch shape.

        Returns:
            Shape (2^D, B, D), or (2^D, 1, D) without ``expand``.
        """
        return FactorizedBernoulli(self.logits).enumerate_support(expand)

    def _drawn(self, sample_shape: Shape, draw: Callable[[FactorizedBernoulli, Shape], Tensor]) -> Tensor:
        order, sizes = self.blocks.order, self.blocks.sizes
        logits, weight = self.logits[:, order], self.weight[order][:, order]
        x = draw(FactorizedBernoulli(logits[:, : sizes[0]]), torch.Size(sample_shape))
        for size in sizes[1:]:
            start, end = x.shape[-1], x.shape[-1] + size
            block = FactorizedBernoulli(logits[:, start:end] + F.linear(x, weight[start:end, :start]))
            x = torch.cat([x, draw(block, torch.Size())], dim=-1)
        return x[..., self.blocks.inverse]

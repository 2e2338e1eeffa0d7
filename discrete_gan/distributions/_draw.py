"""Drawing categories, one per row, where every row is drawn from once."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from discrete_gan._precision import at_least_float32, widest_float

_FEW = 32  # categories, of which a search costs less than sums over blocks


def draw(logits: Tensor) -> Tensor:
    r"""One category per row, by the inverse distribution function in two levels.

    Categories lie in about :math:`\sqrt K` blocks of as many: a first uniform number picks the block by its mass, a
    second one the category within it. So a draw costs the softmax, sums over blocks and two short cumulative sums,
    instead of K random numbers or a cumulative sum over all K. Those sums run in float64, where the device has it, and
    no category of probability zero is drawn: a uniform number below 1 times the total stays below the total. Of few
    categories one level is enough, and of two one comparison.

    Args:
        logits: Unnormalized log-probabilities in nats, shape (N, K). Minus infinity rules a category out.

    Returns:
        int64 of shape (N,). No gradient.
    """
    num_categories = logits.shape[-1]
    size = math.isqrt(num_categories - 1) + 1
    with torch.no_grad():
        probs = torch.softmax(at_least_float32(logits), dim=-1)
        if num_categories == 2:
            return _uniform(probs[:, 1]).lt_(probs[:, 1]).long()
        if num_categories <= _FEW:
            return _inverse(probs)
        blocks = F.pad(probs, (0, -num_categories % size)).view(len(probs), -1, size)
        block = _inverse(blocks.sum(dim=-1))
        within = blocks.take_along_dim(block[:, None, None], dim=1).squeeze(1)
        # Of logits that are not finite numbers it would lie outside: a loss of NaN says so, an index crashes.
        return (block * size + _inverse(within)).clamp_(max=num_categories - 1)


def _inverse(mass: Tensor) -> Tensor:
    """One index per row, shape (N,), in proportion to its mass (N, C)."""
    cumulative = mass.cumsum(dim=-1, dtype=widest_float(mass.device.type))
    total = cumulative[:, -1:]
    index = torch.searchsorted(cumulative, _uniform(total).mul_(total), right=True)
    return index.clamp_(max=mass.shape[1] - 1).squeeze(1)


def _uniform(like: Tensor) -> Tensor:
    return torch.rand(*like.shape, dtype=widest_float(like.device.type), device=like.device)

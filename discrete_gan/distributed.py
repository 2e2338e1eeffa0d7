"""Reductions over the processes of a run, identities where there is one process.

Every process calls them, in the same order and with tensors of the same shapes: its share of latents and of real
samples is as large as that of any other. Otherwise they wait for ever, or mix up what belongs to whom, without a word.

A loss that couples the samples of a batch takes those of every process, by :func:`whole_batch` or
:func:`mean_over_batch`: the gradient averaged over N processes, as :func:`average_gradients` does, is then that of one
process with the whole batch.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def num_processes() -> int:
    """Number of processes of the run: 1 unless ``torch.distributed`` is initialized."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_rank() -> int:
    """Rank of this process: 0 unless ``torch.distributed`` is initialized."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def mean_over_processes(value: Tensor) -> Tensor:
    """Mean of a detached tensor over the processes."""
    if num_processes() == 1:
        return value.detach()
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / num_processes()


def gather(value: Tensor) -> Tensor:
    """All processes' tensors, concatenated along the last axis in the order of the ranks. No gradient.

    Args:
        value: Shape (..., B), the same shape and type on every process.

    Returns:
        Shape (..., B * number of processes).
    """
    if num_processes() == 1:
        return value.detach()
    value = value.detach().contiguous()
    parts = [torch.empty_like(value) for _ in range(num_processes())]
    dist.all_gather(parts, value)
    return torch.cat(parts, dim=-1)


def whole_batch(value: Tensor) -> Tensor:
    """Values of every process, in the order of the ranks.

    Each process computes the same loss of the result and differentiates its own part of it alone, so the gradient is
    scaled by the number of processes: the mean over processes is then the gradient of one process with the whole batch.

    Args:
        value: One value per sample, shape (B,), equally many on every process.

    Returns:
        Shape (B * number of processes,); ``value`` itself in a single process. Gradients reach ``value``.
    """
    if num_processes() == 1:
        return value
    parts = list(gather(value).split(len(value)))
    parts[process_rank()] = _with_gradient(parts[process_rank()], value, num_processes())
    return torch.cat(parts)


def mean_over_batch(value: Tensor) -> Tensor:
    """Mean over the first axis, of the samples of every process.

    The gradient is that of this process's own mean: its share, one over the number of processes, and the scaling of
    :func:`whole_batch` cancel.

    Args:
        value: Shape (B, ...), equally many samples on every process.

    Returns:
        Shape (...). Gradients reach ``value``.
    """
    own = value.mean(dim=0)
    return own if num_processes() == 1 else _with_gradient(mean_over_processes(own), own, 1)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the processes, in one reduction."""
    if num_processes() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= num_processes()
    for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def _with_gradient(value: Tensor, source: Tensor, factor: int) -> Tensor:
    """The value, whose gradient goes to the source, times a factor. No arithmetic: infinities stay what they are."""
    return _WithGradient.apply(value, source, factor)  # pyright: ignore[reportReturnType]


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, source: Tensor, factor: int) -> Tensor:
        ctx.factor = factor
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        return None, ctx.factor * gradients[0], None

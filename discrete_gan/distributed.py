"""Reductions over the processes of a run, identities where there is one process."""

from collections.abc import Iterable

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
    """All processes' tensors of equal shape (..., B), concatenated along the last axis. No gradient."""
    if num_processes() == 1:
        return value.detach()
    parts = [torch.empty_like(value) for _ in range(num_processes())]
    dist.all_gather(parts, value.detach().contiguous())
    return torch.cat(parts, dim=-1)


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

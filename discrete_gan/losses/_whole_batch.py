"""The whole batch of a distributed run, for losses that couple its samples."""

import torch
from torch import Tensor

from discrete_gan.distributed import gather, mean_over_processes, num_processes, process_rank


def whole_batch(value: Tensor) -> Tensor:
    """Values of every process, in the order of the ranks.

    Each process computes the same loss of the result and differentiates its own part of it alone, so the gradient is
    scaled by the number of processes: the mean over processes is then the gradient of one process with the whole batch.

    Args:
        value: One value a sample, shape (B,), equally many on every process.

    Returns:
        Shape (B * number of processes,); ``value`` itself in a single process. Gradients reach ``value``.
    """
    if num_processes() == 1:
        return value
    start = process_rank() * len(value)
    everyone = gather(value)
    own = value.detach() + num_processes() * (value - value.detach())
    return torch.cat([everyone[:start], own, everyone[start + len(value) :]])


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
    return mean_over_processes(own) + (own - own.detach())

"""Reductions over the processes of a run, identities where there is one process.

Every process calls them, in the same order and with tensors of the same shapes: its share of latents and of real
samples is as large as that of any other. Otherwise they wait for ever, or mix up what belongs to whom, without a word.

A loss that couples the samples of a batch takes those of every process, by :func:`whole_batch` or
:func:`mean_over_batch`: the gradient averaged over N processes, as :func:`average_gradients` does, is then that of one
process with the whole batch.

Whatever one process decides (to stop, as it was sent a signal or failed) it tells the others by :func:`agree`, and
what one does while the others do not, such as scoring, it does :func:`alone`.
"""

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from discrete_gan.errors import InputError

_LONGEST = timedelta(days=7)  # that one process may score while the others wait
_MOMENT = 1.0  # seconds in which a process prints why it fails


class ProcessLostError(InputError):
    """Another process of the run ended while this one waited for it: that one knows why."""


def num_launched() -> int:
    """Number of processes that torchrun started, known before they have met: 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_WORLD_SIZE" in os.environ else 1


def is_first_process() -> bool:
    """Whether this one writes, of those that torchrun started: known before they have met."""
    return num_launched() == 1 or os.environ.get("RANK", "0") == "0"


def tells(error: BaseException) -> bool:
    """Whether this process is the one that says why the run fails: of those that torchrun started the first to fail.

    The others find out here that they are none, and leave that one a moment: torchrun ends all processes once one has
    ended.
    """
    if num_launched() == 1:
        return True
    if isinstance(error, ProcessLostError):
        time.sleep(_MOMENT)
    address, attempt = os.environ.get("MASTER_ADDR", ""), os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    try:
        store = dist.TCPStore(address, int(os.environ["MASTER_PORT"]), is_master=False, timeout=timedelta(seconds=5))
        first = store.add(f"discrete_gan/failed/{attempt}", 1) == 1
    except (RuntimeError, ValueError, KeyError):  # gone with torchrun or with the first process
        return True
    if not first:
        time.sleep(_MOMENT)
    return first


def num_processes() -> int:
    """Number of processes of the run: 1 unless ``torch.distributed`` is initialized."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_rank() -> int:
    """Rank of this process: 0 unless ``torch.distributed`` is initialized."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def agree(value: int = 0) -> int:
    """The largest of the processes' numbers, on every process; each waits here for the others, however long.

    Of the hosts alone: no device is asked or waited for.

    Raises:
        ProcessLostError: If another process has ended.
    """
    if num_processes() == 1:
        return value
    largest = torch.tensor(value, device="cpu")
    meet(dist.all_reduce, largest, dist.ReduceOp.MAX, group=_hosts(dist.group.WORLD))
    return int(largest)


def from_first(value: float) -> float:
    """The first process's number, on every process; each waits here for the others."""
    if num_processes() == 1:
        return value
    sent = torch.tensor(value if process_rank() == 0 else 0.0, dtype=torch.float64, device="cpu")
    meet(dist.all_reduce, sent, group=_hosts(dist.group.WORLD))
    return float(sent)


@functools.lru_cache(maxsize=1)
def _hosts(world: Any) -> Any:
    """A group of all processes whose tensors are the hosts', whatever devices the given one is of."""
    return dist.new_group(backend="gloo", timeout=_LONGEST)


@contextmanager
def alone() -> Iterator[None]:
    """Inside, this process is the only one: nothing that is called waits for others, torchmetrics' metrics neither.

    For what one process does while the others do not: scores, pictures, anything of the user's own among it.
    """
    world = dist.group.WORLD if num_processes() > 1 else None
    if world is None:
        yield
        return
    dist.group.WORLD = None
    try:
        yield
    finally:
        dist.group.WORLD = world


def meet(collective: Callable[..., Any], *args: Any, **options: Any) -> None:
    """Call a function of ``torch.distributed`` that waits for every process.

    Raises:
        ProcessLostError: If it fails, as where another process has ended.
    """
    try:
        collective(*args, **options)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ProcessLostError(f"another process of this run has ended, or does not fit this one ({reason})") from error


def mean_over_processes(value: Tensor) -> Tensor:
    """Mean of a detached tensor over the processes."""
    if num_processes() == 1:
        return value.detach()
    total = value.detach().clone()
    meet(dist.all_reduce, total)
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
    meet(dist.all_gather, parts, value)
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
    meet(dist.all_reduce, flat)
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

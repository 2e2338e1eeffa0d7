"""What every function on log-weights is given: any axis of samples, any batch axes, and which samples are there."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from discrete_gan._arguments import check_axis, check_floats, check_same_shape, check_tensor
from discrete_gan._precision import at_least_float32

# Log-weights in a block of rows: 1 MiB of float32.
_AT_ONCE = 2**17


@dataclass(eq=False)
class Samples:
    """Log-weights that passed the checks.

    Attributes:
        log_w: At least float32, any shape.
        dim: The axis of the M samples, not negative.
        there: Which samples are there, bool of the shape of ``log_w``; None where all are.
    """

    log_w: Tensor
    dim: int
    there: Tensor | None

    @property
    def finite(self) -> Tensor:
        """Infinities as the bounds of their type, inf - inf would be NaN; minus infinity where no sample is.

        Where there is none at all, as if all were there: NaN in values that are then left out would be in gradients.
        """
        bounds = torch.finfo(self.log_w.dtype)
        finite = self.log_w.clamp(bounds.min, bounds.max)
        if self.there is None:
            return finite
        nothing = ~self.there.any(dim=self.dim, keepdim=True)
        return finite.masked_fill(~(self.there | nothing), -torch.inf).masked_fill(nothing, 0.0)

    @property
    def number(self) -> Tensor | int:
        """How many are there, M, or of the type of ``log_w`` and with the axis of samples of size one."""
        if self.there is None:
            return self.log_w.shape[self.dim]
        return self.there.sum(dim=self.dim, keepdim=True).to(self.log_w.dtype)

    def only_there(self, value: Tensor, fill: float = 0.0) -> Tensor:
        """Values of the samples, the shape of ``log_w``, with a number in place of those of samples that are not."""
        return value if self.there is None else value.masked_fill(~self.there, fill)

    def flat(self) -> "Samples":
        """Samples first and all batch axes as one, (M, B)."""

        def flatten(value: Tensor) -> Tensor:
            return value.movedim(self.dim, 0).flatten(1) if value.dim() > 1 else value[:, None]

        return Samples(flatten(self.log_w), 0, None if self.there is None else flatten(self.there))

    def rows(self) -> "Iterator[Samples]":
        """Samples last and all batch axes as one, (B, M), in blocks of rows that a cache holds; views where possible.

        Elsewhere than on a CPU there is one block.
        """

        def last(value: Tensor) -> Tensor:
            return value.movedim(self.dim, -1).reshape(-1, value.shape[self.dim])

        log_w, there = last(self.log_w), None if self.there is None else last(self.there)
        whole = log_w.device.type != "cpu" or torch.compiler.is_compiling()
        size = max(1, len(log_w) if whole else _AT_ONCE // log_w.shape[1])
        for begin in range(0, max(1, len(log_w)), size):
            some = slice(begin, begin + size)
            yield Samples(log_w[some], 1, None if there is None else there[some])

    def turned(self) -> "Samples":
        """Of rows, each in one piece. Columns are copied before they are turned: twice as fast as all in one."""
        return Samples(_turned(self.log_w), self.dim, None if self.there is None else _turned(self.there))

    def together(self, blocks: Iterable[Tensor], dtype: torch.dtype) -> Tensor:
        """Blocks of rows as one, (B, N), in the type that is given; a single one of that type as it is."""
        number, blocks = math.prod(self.batch_shape), iter(blocks)
        whole = next(blocks)
        if whole.requires_grad:
            whole = torch.cat([whole, *blocks])
        elif len(whole) < number:  # all in one place: a list of them would take as much again
            first, begin = whole, len(whole)
            whole = first.new_empty(number, first.shape[1], dtype=dtype)
            whole[:begin] = first
            for block in blocks:
                whole[begin : begin + len(block)] = block
                begin += len(block)
        return whole.to(dtype)

    def shaped(self, rows: Tensor) -> Tensor:
        """Rows (B, N) with the batch axes and the axis of samples as they were."""
        return rows.view(*self.batch_shape, rows.shape[1]).movedim(-1, self.dim)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Of ``log_w`` without the samples."""
        return tuple(self.log_w.shape[: self.dim] + self.log_w.shape[self.dim + 1 :])


def samples(log_w: Tensor, dim: int = 0, where: Tensor | None = None, *, check: bool = False) -> Samples:
    """The arguments that all functions have in common, checked; values are read with ``check`` alone.

    Raises:
        ValueError: Naming the argument, what was expected and what came.
    """
    check_floats("log_w", log_w)
    check_axis("log_w", log_w, dim)
    given = Samples(at_least_float32(log_w), dim % log_w.dim(), _which(where, log_w))
    if check:
        _read(given)
    return given


def log_ratio(log_target: Tensor, log_proposal: Tensor, name: str = "log_target") -> Tensor:
    """Log-weights of samples of a proposal, minus infinity where the target rules a sample out. Carries gradient.

    A model of the proposal may rule such a sample out as well, which would be inf - inf.
    """
    check_floats(name, log_target)
    check_floats("log_proposal", log_proposal)
    check_same_shape("log_proposal", log_proposal, name, log_target)
    log_target, log_proposal = at_least_float32(log_target), at_least_float32(log_proposal)
    return torch.where(log_target.isneginf(), -torch.inf, log_target - log_proposal)


def _turned(rows: Tensor) -> Tensor:
    return rows if rows.is_contiguous() else rows.T.contiguous().T.contiguous()


def _which(where: Tensor | None, log_w: Tensor) -> Tensor | None:
    if where is None:
        return None
    check_tensor("where", where)
    expected = f"where: expected a bool tensor that broadcasts to log_w, {tuple(log_w.shape)}"
    if where.dtype != torch.bool:
        raise ValueError(f"{expected}, got {where.dtype}")
    try:
        return where.expand(log_w.shape)
    except RuntimeError:
        raise ValueError(f"{expected}, got shape {tuple(where.shape)}") from None


def _read(given: Samples) -> None:
    """Raise where there is NaN, or a batch element without any weight."""
    if given.only_there(given.log_w.isnan(), False).any():
        raise ValueError("log_w: expected numbers, got NaN")
    if given.only_there(given.log_w.isneginf(), True).all(dim=given.dim).any():
        raise ValueError(f"log_w: expected a weight above zero along axis {given.dim}, got minus infinity alone")

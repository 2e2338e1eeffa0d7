"""Figures of a run's steps: kept on the device, read back when a line is due."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from discrete_gan.errors import InputError
from discrete_gan.training.directory import RunDirectory


class Log:
    """What waits for the next line of metrics.jsonl, and the step at which a loss or a gradient was first not finite.

    Args:
        directory: Where lines are written.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._row: dict[str, Tensor | float] = {}
        self._bad_step: dict[str, Tensor] = {}
        self._writer: Any = None

    def open_tensorboard(self, step: int) -> None:
        """Write every line for TensorBoard too, from the one after this step on."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._directory.path), purge_step=step + 1)

    def close(self) -> None:
        """Flush what TensorBoard reads."""
        if self._writer is not None:
            self._writer.close()

    def add(self, **values: Tensor | float) -> None:
        """Figures of the step at hand: scalars, which stay where they are."""
        self._row |= {name: value.detach() if isinstance(value, Tensor) else value for name, value in values.items()}

    def watch(self, name: str, loss: Tensor, gradients: Sequence[Tensor], step: int) -> None:
        """Remember on the device whether a loss or one of its gradients is not finite: nothing is read back."""
        bad = self._bad_step.get(name, torch.full((), -1, device=loss.device))
        # A sum is finite where all its terms are, and costs a thirtieth of their largest.
        total = torch.stack([gradient.sum() for gradient in gradients]).sum() if gradients else torch.zeros_like(bad)
        fresh = ~(torch.isfinite(loss.detach()) & torch.isfinite(total)) & (bad < 0)
        self._bad_step[name] = torch.where(fresh, step, bad)

    def check_finite(self) -> None:
        """Read back what :meth:`watch` remembers.

        Raises:
            InputError: If one was not finite: names the network, the step and the last checkpoint.
        """
        for name, bad in self._bad_step.items():
            if (step := int(bad)) >= 0:
                kept = self._directory.last_checkpoint() or "none was written yet"
                raise InputError(
                    f"{name}: its loss or gradient is not finite at step {step}; last good checkpoint: {kept}. "
                    "Try a smaller learning rate or a stronger penalty on the discriminator"
                )

    def write(self, step: int, **cost: float) -> dict[str, float]:
        """Append a line of everything that was added, and begin the next; what it says is returned."""
        row = self.take()
        self._directory.append_metrics({"step": step, **cost, **row})
        if self._writer is not None:
            for name, value in row.items():
                self._writer.add_scalar(name, value, step)
        return row

    def take(self) -> dict[str, float]:
        """What was added, read back, and forget it."""
        row, self._row = self.pending(), {}
        return row

    def pending(self) -> dict[str, float]:
        """What waits for the next line, read back."""
        return {name: float(value) for name, value in self._row.items()}

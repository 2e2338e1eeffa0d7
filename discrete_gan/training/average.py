"""The moving average of a network's weights, which samples are drawn from."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class MovingAverage(AveragedModel):
    """Exponential moving average of a model's weights and buffers, in ``module``: torch's own, without its waits.

    Its count of updates stays on the CPU. torch copies that to the model's device at every update, where this average
    has no use for it, and such a copy waits for all that the device has still to do.

    Args:
        model: Copied, on its device.
        decay: Of an update.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._update = get_ema_multi_avg_fn(decay)
        super().__init__(model, multi_avg_fn=self._update, use_buffers=True)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the model's weights into the average; the first time they are the average."""
        own, new = ([*each.parameters(), *each.buffers()] for each in (self.module, model))
        if self.n_averaged == 0:
            for old, value in zip(own, new, strict=True):
                old.copy_(value)
        else:
            for is_float in (True, False):  # apart, as torch's function takes them
                chosen = [pair for pair in zip(own, new, strict=True) if pair[0].is_floating_point() == is_float]
                if chosen:
                    olds, values = zip(*chosen, strict=True)
                    self._update(olds, values, self.n_averaged)
        self.n_averaged += 1

"""Weights that are kept beside those in training: their moving average, and the best so far by a figure."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class MovingAverage(AveragedModel):
    r"""Exponential moving average of a model's weights and buffers, in ``module``: torch's own, without its waits.

    It warms up: the n-th update after the first decays by :math:`\min(\text{decay}, n / (n + 9))`, so that early
    weights, which a short run would carry to its end, are forgotten: the average is over about a ninth of the updates
    so far.

    Its count of updates stays on the CPU. torch copies that to the model's device at every update, where this average
    has no use for it, and such a copy waits for all that the device has still to do.

    Args:
        model: Copied, on its device.
        decay: Of an update, once warmed up.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        super().__init__(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the model's weights into the average; the first time they are the average."""
        own, new = ([*each.parameters(), *each.buffers()] for each in (self.module, model))
        if self.n_averaged == 0:
            for old, value in zip(own, new, strict=True):
                old.copy_(value)
        else:
            count = int(self.n_averaged)  # it stays on the CPU
            update = get_ema_multi_avg_fn(min(self._decay, count / (count + 9)))
            numbers = [pair for pair in zip(own, new, strict=True) if pair[0].is_floating_point()]
            if numbers:
                olds, values = zip(*numbers, strict=True)
                update(olds, values, self.n_averaged)
            for old, value in zip(own, new, strict=True):
                if not old.is_floating_point():  # a count, an index: a mean of two would be rounded to another
                    old.copy_(value)
        self.n_averaged += 1


class Kept(nn.Module):
    """The weights that a network had when a figure of it was least, in ``module``.

    Args:
        model: Copied, on its device.
    """

    value: Tensor
    since: Tensor
    step: Tensor
    before: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(model)
        self.register_buffer("value", torch.tensor(math.inf, dtype=torch.float64))
        self.register_buffer("since", torch.tensor(0))
        self.register_buffer("step", torch.tensor(0))
        self.register_buffer("before", torch.tensor(math.inf, dtype=torch.float64))

    @property
    def holds(self) -> bool:
        """Whether there was a figure; read back from the device."""
        return bool(self.value < math.inf)

    def forget(self) -> None:
        """Begin anew: the next figure is the best; the last best one stays in ``before``."""
        self.before.copy_(self.value)
        self.value.fill_(math.inf)
        self.since.zero_()

    @torch.no_grad()
    def consider(self, model: nn.Module, value: float, step: int) -> int:
        """Take the model's weights of a step if the figure is less than all before; how many since then were not."""
        self.since += 1
        if value < self.value:
            self.module.load_state_dict(model.state_dict())
            self.value.fill_(value)
            self.step.fill_(step)
            self.since.zero_()
        return int(self.since)

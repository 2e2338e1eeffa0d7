"""A network with what trains it."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from discrete_gan.errors import InputError
from discrete_gan.training.average import Kept, MovingAverage

if TYPE_CHECKING:
    from discrete_gan.training.run import Run

N = TypeVar("N", bound=nn.Module)


class Player(Generic[N]):
    """A network, its optimizer, the schedule of its learning rate, and the moving average of its weights.

    Made by :meth:`Run.player`, whose arguments are these. The average takes the weights in after each update, and at
    the end of a step that had none, as another player may train the network; the schedule goes on by one per step.

    Attributes:
        network: As it is trained.
        optimizer: Adam.
        owns: Whether the network is this player's to save, and not an earlier one's.
    """

    def __init__(
        self,
        run: "Run",
        name: str,
        network: N,
        *,
        lr: float,
        betas: tuple[float, float],
        also: nn.Module | None,
        schedule: Callable[[Optimizer], LRScheduler] | None,
        average: float,
        keep: bool,
        owns: bool,
    ) -> None:
        self._run, self.name, self.network, self._also, self.owns = run, name, network, also, owns
        weights = [*network.parameters(), *(() if also is None else also.parameters())]
        self.optimizer = Adam(weights, lr, betas=betas, fused=True)
        self._schedule = None if schedule is None else schedule(self.optimizer)
        self._average = MovingAverage(network, average) if average else None
        self._kept = Kept(network) if keep else None
        self._is_updated = False

    @property
    def best(self) -> N:
        """What is saved and sampled from: what :meth:`keep` has kept, else what :attr:`current` is."""
        return self.current if self._kept is None or not self._kept.holds else self._kept.module  # type: ignore[return-value]

    @property
    def current(self) -> N:
        """The moving average where there is one, else the network."""
        return self.network if self._average is None else self._average.module  # type: ignore[return-value]

    def keep(self, value: float) -> int:
        """Make what :attr:`current` is now the best, if its figure is less than all before.

        Args:
            value: The figure, the same on all processes.

        Returns:
            How many figures since the best one were not less.
        """
        if self._kept is None:
            raise ValueError(f"{self.name}: expected a player made with keep=True")
        return self._kept.consider(self.current, value, self._run.step)

    @property
    def kept_at(self) -> int | None:
        """The step whose weights are the best; None where none were kept."""
        return int(self._kept.step) if self._kept is not None and self._kept.holds else None

    @property
    def taken_up(self) -> float:
        """The figure of the weights that :meth:`take_up_best` went on from; infinite where there were none."""
        return math.inf if self._kept is None else float(self._kept.before)

    def take_up_best(self) -> float:
        """Go on from the weights that were kept, if any were: from now on what is saved is :attr:`current` again.

        Returns:
            Their figure, as :attr:`taken_up`.
        """
        if self._kept is None or not self._kept.holds:
            return math.inf
        weights = self._kept.module.state_dict()
        self.network.load_state_dict(weights)
        self.current.load_state_dict(weights)
        self._kept.forget()
        return self.taken_up

    def descend(self, loss: Tensor) -> None:
        """One step of the optimizer down a scalar loss, with gradients averaged over processes."""
        self._run.minimize(self.name, loss, self.optimizer)
        self._update_average()

    def frozen(self) -> "_Frozen":
        """Inside, no gradients are computed for the network's weights: while another player learns through it."""
        return _Frozen(self.network)

    def end_step(self) -> None:
        """Move the schedule on, and the average if nothing else has in this step."""
        if not self._is_updated:
            self._update_average()
        self._is_updated = False
        if self._schedule is not None:
            # torch warns of a schedule that moves before the first update: phases of a run make some players wait.
            begun = self._schedule.last_epoch > 0
            with nullcontext() if begun else warnings.catch_warnings(action="ignore", category=UserWarning):
                self._schedule.step()

    def _update_average(self) -> None:
        self._is_updated = True
        if self._average is not None:
            self._average.update_parameters(self.network)

    def check_finite(self, step: int) -> None:
        """Read back whether all weights are finite.

        Raises:
            InputError: If one is not: names it and the step.
        """
        parts = [self.network, self.best, *([] if self._also is None else [self._also])]
        weights = [(name, weight.detach()) for part in parts for name, weight in part.named_parameters()]
        if not weights or torch.stack([weight.isfinite().all() for _, weight in weights]).all():  # read back once
            return
        bad = next(name for name, weight in weights if not weight.isfinite().all())
        raise InputError(
            f"{self.name}: its weights {bad} are not finite after step {step}, which is not saved. "
            "Try a smaller learning rate or a stronger penalty on the discriminator"
        )

    def state_dict(self) -> dict[str, Any]:
        """Of every part."""
        return {name: part.state_dict() for name, part in self._parts()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave.

        Raises:
            KeyError: If it is of other parts.
        """
        parts = dict(self._parts())
        if state.keys() != parts.keys():
            raise KeyError(f"{self.name}: holds {', '.join(state)}, expected {', '.join(parts)}")
        for name, part in parts.items():
            part.load_state_dict(state[name])
        if isinstance(self._schedule, LambdaLR):  # a run that goes on for longer follows its new schedule at once
            rates = zip(self._schedule.base_lrs, self._schedule.lr_lambdas, strict=True)
            for group, (rate, factor) in zip(self.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor(self._schedule.last_epoch)

    def _parts(self) -> Iterator[tuple[str, Any]]:
        parts = {
            "network": self.network if self.owns else None,
            "optimizer": self.optimizer,
            "schedule": self._schedule,
            "average": self._average,
            "kept": self._kept,
            "also": self._also,
        }
        return ((name, part) for name, part in parts.items() if part is not None)


class _Frozen:
    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __enter__(self) -> None:
        self._trained = [parameter for parameter in self._network.parameters() if parameter.requires_grad]
        for parameter in self._trained:
            parameter.requires_grad_(False)

    def __exit__(self, *_: object) -> None:
        for parameter in self._trained:
            parameter.requires_grad_(True)


def linear_decay(steps: int, start: float) -> Callable[[Optimizer], LRScheduler] | None:
    """Learning rates that stay for the part ``start`` of the steps and then fall linearly to zero; None for 1."""
    if start >= 1:
        return None
    return lambda optimizer: LambdaLR(optimizer, lambda step: min(1.0, (1 - step / steps) / (1 - start)))


def phased_decay(steps: int, first: int, start: float) -> Callable[[Optimizer], LRScheduler] | None:
    """:func:`linear_decay` over each of two phases, of which the first ends after so many steps."""
    if start >= 1:
        return None

    def factor(step: int) -> float:
        begin, end = (0, first) if step < first else (first, steps)
        return min(1.0, (end - step) / (end - begin) / (1 - start)) if end > begin else 0.0

    return lambda optimizer: LambdaLR(optimizer, factor)

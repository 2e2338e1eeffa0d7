"""Which items make up the batch of a step: a pure function of the step, so resuming needs no state."""

import hashlib

import torch
from torch import Tensor

from ..distributed import num_processes, process_rank
from ..errors import InputError


class Batches:
    """Random batches without replacement within an epoch, the same on any number of processes.

    Each epoch is a permutation drawn from (seed, epoch) alone. A step takes the next items of it,
    ``batch_size * world_size``, and each rank a contiguous slice of those: N processes together see exactly
    the batches of one process with the whole batch. What is left at the end of an epoch is dropped.

    Args:
        num_items: Size of the data set.
        batch_size: Items per process and step.
        seed: Any whole number. Global random states are neither read nor changed.
        rank: This process, from 0. If not given, its rank in ``torch.distributed`` where that is initialized, else 0.
        world_size: Number of processes. If not given, that of ``torch.distributed`` where initialized, else 1.

    Raises:
        InputError: If one step takes more than the data set holds, or no item.
        ValueError: If the rank is not below the world size.
    """

    def __init__(
        self, num_items: int, batch_size: int, *, seed: int, rank: int | None = None, world_size: int | None = None
    ) -> None:
        rank = process_rank() if rank is None else rank
        world_size = num_processes() if world_size is None else world_size
        if not 0 <= rank < world_size:
            raise ValueError(f"expected rank from 0 to world_size - 1 = {world_size - 1}, got {rank}")
        if batch_size < 1:
            raise InputError(f"expected a batch size of at least 1, got {batch_size}")
        whole = batch_size * world_size
        if whole > num_items:
            raise InputError(
                f"a batch of {batch_size} on each of {world_size} process(es) takes {whole} items per step, "
                f"but the data set holds {num_items}: use a smaller batch_size, at most {num_items // world_size}"
            )
        self.num_items = num_items
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self._items: Tensor | None = None  # those that are left, all if None
        self._epoch = -1
        self._permutations: dict[torch.device, Tensor] = {}  # of that epoch, on every device it was asked for

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return self.num_items // (self.batch_size * self.world_size)

    def set_apart(self, part: float, groups: Tensor | None = None) -> Tensor:
        """Take items, chosen by the seed, out of all batches to come.

        Args:
            part: Of the items, rounded to a number that is at least one.
            groups: Of each item, int64 from 0, shape (num_items,): those of one group go together, and as many groups
                as are needed. Each item is one by itself if not given, or if all are of one.

        Returns:
            Those that are taken out, in their order, int64.

        Raises:
            InputError: If too few are left for one step.
        """
        groups = torch.arange(self.num_items) if groups is None or not groups.any() else groups.cpu()
        sizes = groups.bincount()
        order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(_mix(self.seed, "apart")))
        wanted = max(1, round(part * self.num_items))
        taken = torch.isin(groups, order[: int((sizes[order].cumsum(0) < wanted).sum()) + 1])
        num = int(taken.sum())
        left, whole = self.num_items - num, self.batch_size * self.world_size
        if left < whole:
            raise InputError(
                f"a step takes {whole} items, but of {self.num_items} with {num} set apart {max(left, 0)} are left: "
                "use a smaller batch_size"
            )
        items = torch.arange(self.num_items) if self._items is None else self._items
        self._items, self.num_items, self._epoch = items[~taken], left, -1
        return items[taken]

    def indices(self, step: int, *, device: torch.device | str = "cpu") -> Tensor:
        """Items of one step, int64, shape (batch_size,); steps count from 0 over all epochs.

        Another device is waited for once an epoch, when it is given the permutation.
        """
        if step < 0:
            raise ValueError(f"expected a step from 0, got {step}")
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        start = (step_in_epoch * self.world_size + self.rank) * self.batch_size
        # clone: a caller who writes into the answer would otherwise change the epoch.
        return self._permutation(epoch, torch.device(device))[start : start + self.batch_size].clone()

    def _permutation(self, epoch: int, device: torch.device) -> Tensor:
        if epoch != self._epoch:
            self._epoch, self._permutations = epoch, {}
        if device not in self._permutations:
            generator = torch.Generator().manual_seed(_mix(self.seed, epoch))
            order = torch.randperm(self.num_items, generator=generator)
            self._permutations[device] = (order if self._items is None else self._items[order]).to(device)
        return self._permutations[device]


def _mix(seed: int, epoch: int | str) -> int:
    # A hash, not a sum: epoch 1 of seed 0 is not epoch 0 of seed 1.
    digest = hashlib.sha256(repr(("batches", seed, epoch)).encode()).digest()
    return int.from_bytes(digest[:7], "big")

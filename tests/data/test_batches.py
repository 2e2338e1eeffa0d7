"""Batches: what each step and each rank sees."""

import pytest
import torch

from discrete_gan.data import Batches
from discrete_gan.errors import InputError


def test_an_epoch_is_a_permutation_without_the_remainder() -> None:
    batches = Batches(12, 3, seed=0)
    assert batches.steps_per_epoch == 4
    for epoch in range(3):
        seen = torch.cat([batches.indices(4 * epoch + step) for step in range(4)])
        assert sorted(seen.tolist()) == list(range(12))
    short = Batches(14, 4, seed=0)
    assert short.steps_per_epoch == 3
    seen = torch.cat([short.indices(step) for step in range(3)])
    assert len(set(seen.tolist())) == 12
    # The remainder is dropped, so step 3 starts the next epoch: it alone repeats items.
    assert set(short.indices(3).tolist()) & set(seen.tolist())


def test_batches_are_int64_on_the_device_asked_for() -> None:
    batches = Batches(10, 5, seed=0)
    assert batches.indices(0).dtype == torch.int64
    assert batches.indices(0).shape == (5,)
    assert batches.indices(0, device="meta").device.type == "meta"


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_ranks_together_see_the_batches_of_one_process(world_size: int) -> None:
    whole = Batches(50, 12, seed=3)
    ranks = [Batches(50, 12 // world_size, seed=3, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert {rank.steps_per_epoch for rank in ranks} == {whole.steps_per_epoch}
    for step in range(2 * whole.steps_per_epoch + 1):
        together = torch.cat([rank.indices(step) for rank in ranks])
        assert torch.equal(together, whole.indices(step))


def test_a_step_depends_on_nothing_before_it() -> None:
    unbroken = Batches(20, 4, seed=5)
    steps = [unbroken.indices(step) for step in range(17)]
    for step in (16, 3, 9, 0):
        assert torch.equal(Batches(20, 4, seed=5).indices(step), steps[step])
        assert torch.equal(unbroken.indices(step), steps[step])


def test_writing_into_a_batch_changes_no_other() -> None:
    batches = Batches(8, 4, seed=0)
    expected = batches.indices(0).clone()
    batches.indices(0).zero_()
    assert torch.equal(batches.indices(0), expected)


def test_no_two_seeds_or_epochs_share_a_permutation() -> None:
    # (seed, epoch) and (seed + 1, epoch - 1) would coincide if they were added.
    orders = {tuple(Batches(30, 30, seed=seed).indices(epoch).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_the_global_generator_is_neither_read_nor_moved() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = Batches(30, 10, seed=0).indices(0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(Batches(30, 10, seed=0).indices(0), first)


def test_each_position_is_equally_likely() -> None:
    counts = torch.zeros(6)
    for seed in range(3000):
        counts[Batches(6, 1, seed=seed).indices(0)] += 1
    # A count is binomial with p = 1/6: standard error sqrt(3000 * 5) / 6 = 20.4.
    assert (counts - 500).abs().max() < 5 * 20.4


@pytest.mark.parametrize(("batch_size", "world_size"), [(11, 1), (4, 3)])
def test_a_batch_larger_than_the_data_is_refused(batch_size: int, world_size: int) -> None:
    with pytest.raises(
        InputError, match=rf"takes {batch_size * world_size} items per step, .* holds 10: use a smaller batch_size"
    ):
        Batches(10, batch_size, seed=0, world_size=world_size)
    assert Batches(10, 10, seed=0).steps_per_epoch == 1


def test_rank_and_world_size_are_those_of_torch_distributed(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Batches(50, 4, seed=3)
    assert (alone.rank, alone.world_size) == (0, 1)
    with monkeypatch.context() as patch:
        patch.setattr(torch.distributed, "is_initialized", lambda: True)
        patch.setattr(torch.distributed, "get_rank", lambda: 2)
        patch.setattr(torch.distributed, "get_world_size", lambda: 3)
        third, given = Batches(50, 4, seed=3), Batches(50, 4, seed=3, rank=0, world_size=1)
        with pytest.raises(InputError, match=r"17 on each of 3 process\(es\) takes 51 items"):
            Batches(50, 17, seed=3)
        assert torch.equal(given.indices(7), alone.indices(7))
    # Read once, not at every step.
    expected = Batches(50, 4, seed=3, rank=2, world_size=3)
    assert third.steps_per_epoch == expected.steps_per_epoch
    assert all(torch.equal(third.indices(step), expected.indices(step)) for step in range(9))


def test_the_permutation_is_that_of_every_release() -> None:
    assert Batches(10, 5, seed=0).indices(1).tolist() == [6, 4, 1, 2, 7]


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1, got 0"):
        Batches(10, 0, seed=0)
    for rank in (-1, 2):
        with pytest.raises(ValueError, match=f"expected rank from 0 to world_size - 1 = 1, got {rank}"):
            Batches(10, 2, seed=0, rank=rank, world_size=2)
    with pytest.raises(ValueError, match="expected a step from 0, got -1"):
        Batches(10, 2, seed=0).indices(-1)


def test_what_is_set_apart_is_in_no_later_batch() -> None:
    batches, others = (Batches(20, 3, seed=seed) for seed in (0, 1))
    batches.indices(0)
    apart = batches.set_apart(0.3)
    assert len(apart.unique()) == 6
    assert batches.steps_per_epoch == 4
    for epoch in range(3):
        seen = torch.cat([batches.indices(4 * epoch + step) for step in range(4)])
        assert len(seen.unique()) == 12
        assert not torch.isin(seen, apart).any()
    assert not torch.equal(apart, others.set_apart(0.3))
    again = Batches(20, 3, seed=0)
    assert torch.equal(again.set_apart(0.3), apart)
    assert torch.equal(again.indices(7), batches.indices(7))
    more = batches.set_apart(0.5)
    assert len(torch.cat([apart, more]).unique()) == 13
    with pytest.raises(
        InputError, match=r"takes 3 items, but of 7 with 6 set apart 1 are left: use a smaller batch_si"
    ):
        batches.set_apart(0.9)


def test_groups_are_set_apart_whole() -> None:
    groups = torch.arange(20) // 3
    batches = Batches(20, 3, seed=0)
    apart = batches.set_apart(0.25, groups)
    assert len(apart) == 6 or 19 in apart  # 5 of 20 are asked for: two groups of three, the last of two
    assert len(apart) >= 5
    left = torch.cat([batches.indices(step) for step in range(batches.steps_per_epoch)])
    assert not torch.isin(groups[left], groups[apart]).any()
    assert len(Batches(20, 3, seed=0).set_apart(0.25, torch.zeros(20, dtype=torch.long))) == 5  # one group alone

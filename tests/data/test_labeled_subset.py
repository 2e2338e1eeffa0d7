"""The labeled part of a semi-supervised run: equally many of each class, by the seed alone."""

import pytest
import torch

from discrete_gan.data import labeled_subset
from discrete_gan.errors import InputError

LABELS = torch.arange(60) % 3


def test_equally_many_of_each_class() -> None:
    chosen = labeled_subset(LABELS, 7, 3, seed=0)
    assert chosen.shape == (3, 7)
    for label, row in enumerate(chosen):
        assert (LABELS[row] == label).all()
        assert (row.diff() > 0).all()  # each once, ascending
    assert torch.equal(labeled_subset(LABELS, 20, 3, seed=0).flatten().sort().values, torch.arange(60))


def test_the_seed_alone_chooses() -> None:
    before = torch.get_rng_state()
    chosen = labeled_subset(LABELS, 7, 3, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    assert torch.equal(labeled_subset(LABELS, 7, 3, seed=1), chosen)
    assert not torch.equal(labeled_subset(LABELS, 7, 3, seed=2), chosen)


def test_every_item_may_be_chosen() -> None:
    counts = torch.zeros(60)
    for seed in range(300):
        counts[labeled_subset(LABELS, 5, 3, seed=seed).flatten()] += 1
    assert ((counts - 75).abs() < 5 * (75 * 0.75) ** 0.5).all()  # five standard deviations of 300 draws at 1 in 4


def test_too_few_of_a_class() -> None:
    with pytest.raises(InputError, match=r"^per_class 8: .* class 1 has 7"):
        labeled_subset(torch.tensor([0] * 9 + [1] * 7), 8, 2, seed=0)

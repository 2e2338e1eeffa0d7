"""Annealing of bits: the moves by their whole transition matrix, the weights against the sum over all bits."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from discrete_gan.metrics.annealed import (
    AnnealingPath,
    Flips,
    annealed_log_weights,
    log_mean_weight,
    reverse_log_weights,
    tune_path,
)
from tests.problems import assert_exact, seeded_normal

BITS = 3
H = torch.tensor(list(itertools.product([0.0, 1.0], repeat=BITS)), dtype=torch.float64)
BASE = seeded_normal(BITS, seed=1)
FLIPS = Flips(BASE)
WEIGHT, PAIRS = seeded_normal(BITS, seed=2), seeded_normal(BITS, BITS, seed=3)


def log_weight(h: Tensor) -> Tensor:
    """A smooth function of three bits that is not affine."""
    return 1.5 * (h @ WEIGHT) + 2 * torch.einsum("...i,ij,...j->...", h, PAIRS, h).sin()


def log_base() -> Tensor:
    return -F.binary_cross_entropy_with_logits(BASE.expand(8, -1), H, reduction="none").sum(dim=1)


def exact() -> float:
    return (log_base() + log_weight(H)).logsumexp(dim=0).item()


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("step", [0.05, 0.7])
def test_a_move_is_reversible(beta: float, step: float) -> None:
    size = torch.tensor(step, dtype=torch.float64)
    state = FLIPS.start(log_weight, H[:, None])  # eight chains of one datum
    matrix = torch.zeros(8, 8, dtype=torch.float64)
    odds = FLIPS.log_odds(state, beta, size)[:, 0]
    for target in range(8):
        new = FLIPS.start(log_weight, H[target].expand(8, 1, BITS))
        flipped = (H[target] != H).double()
        proposed = (flipped * odds.sigmoid() + (1 - flipped) * (-odds).sigmoid()).prod(dim=1)
        matrix[:, target] = proposed * FLIPS.log_acceptance(state, new, beta, size)[:, 0].exp()
    matrix = matrix - torch.diag(matrix.sum(dim=1) - 1)  # what is refused stays
    pi = (log_base() + beta * log_weight(H)).softmax(dim=0)
    assert (matrix >= 0).all()
    flow = pi[:, None] * matrix
    assert_exact(flow, flow.T)


def test_small_steps_along_the_slope_are_accepted() -> None:
    """Flips with odds of the root of the ratio are balanced where the slope is right, as of an affine weight."""

    def affine(h: Tensor) -> Tensor:
        return 3 * (h @ WEIGHT)

    size = torch.tensor(0.01, dtype=torch.float64)
    state = FLIPS.start(affine, H[:, None])
    for bit in range(BITS):
        other = H.clone()
        other[:, bit] = 1 - other[:, bit]
        accepted = FLIPS.log_acceptance(state, FLIPS.start(affine, other[:, None]), 1.0, size).exp()
        assert accepted.min() > 0.95


def test_moves_leave_the_distribution_as_it_is() -> None:
    torch.manual_seed(0)
    pi = (log_base() + 0.6 * log_weight(H)).softmax(dim=0)
    start = H[torch.multinomial(pi, 20_000, replacement=True)][None]
    state, probability = FLIPS.move(log_weight, FLIPS.start(log_weight, start), 0.6, torch.tensor(0.5), 3)
    index = (state.z[0] * torch.tensor([4.0, 2.0, 1.0])).sum(dim=1).long()
    counts = torch.bincount(index, minlength=8) / 20_000
    assert ((counts - pi).abs() < 5 * (pi * (1 - pi) / 20_000).sqrt()).all()
    assert (state.z != start).any(dim=-1).double().mean() > 0.3
    assert 0 < probability.min() <= probability.max() <= 1 + 1e-12


def test_mean_weight_is_the_sum_forwards_and_backwards() -> None:
    torch.manual_seed(1)
    path = AnnealingPath(torch.tensor([0, 0.1, 0.4, 1.0], dtype=torch.float64), torch.full((3,), 0.4), 2)
    begin = (torch.rand(20_000, 1, BITS) < torch.sigmoid(BASE)).double()
    forward = annealed_log_weights(log_weight, begin, path, moves=FLIPS)[:, 0]
    pi = (log_base() + log_weight(H)).softmax(dim=0)
    end = H[torch.multinomial(pi, 20_000, replacement=True)][:, None]
    backward = reverse_log_weights(log_weight, end, path, moves=FLIPS)[:, 0]
    for relative in ((forward - exact()).exp(), (exact() - backward).exp()):
        assert abs(relative.mean() - 1) < 5 * relative.std() / math.sqrt(20_000)
    assert forward.mean() < exact() < backward.mean()


def test_a_tuned_path_closes_the_gap() -> None:
    torch.manual_seed(2)
    begin = (torch.rand(50, 20, BITS) < torch.sigmoid(BASE)).double()
    path = tune_path(log_weight, begin, num_steps=200, num_leapfrog=1, moves=FLIPS)
    found = log_mean_weight(annealed_log_weights(log_weight, begin, path, moves=FLIPS))
    assert found.mean().item() == pytest.approx(exact(), abs=0.02)

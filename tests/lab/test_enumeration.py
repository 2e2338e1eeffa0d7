"""Tuples, multisets and the outcomes of one draw."""

import itertools
import math
from collections import Counter

import pytest
import torch

from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.lab.enumeration import Replay, all_tuples, alphabet, in_chunks, num_tuples
from tests.problems import assert_exact, seeded_normal

SIZES = pytest.mark.parametrize(("size", "num_draws"), [(1, 3), (2, 1), (2, 5), (3, 3), (5, 2), (4, 4)])


@SIZES
def test_multisets_and_their_orderings(size: int, num_draws: int) -> None:
    tuples = all_tuples(size, num_draws, exchangeable=True)
    rows = [tuple(row) for row in tuples.draws.T.tolist()]
    assert rows == list(itertools.combinations_with_replacement(range(size), num_draws))
    assert len(rows) == num_tuples(size, num_draws, exchangeable=True)
    for row, log_count in zip(rows, tuples.log_count.tolist(), strict=True):
        orderings = math.factorial(num_draws) / math.prod(math.factorial(n) for n in Counter(row).values())
        assert math.exp(log_count) == pytest.approx(orderings, rel=1e-12)


@SIZES
def test_ordered_tuples(size: int, num_draws: int) -> None:
    tuples = all_tuples(size, num_draws, exchangeable=False)
    assert [tuple(row) for row in tuples.draws.T.tolist()] == list(itertools.product(range(size), repeat=num_draws))
    assert tuples.draws.shape[1] == num_tuples(size, num_draws, exchangeable=False)
    assert not tuples.log_count.any()


def test_chunks_lose_nothing() -> None:
    tuples = all_tuples(5, 3, exchangeable=True)
    parts = list(in_chunks(tuples, 8))
    assert max(part.draws.shape[1] for part in parts) == 8
    assert torch.equal(torch.cat([part.draws for part in parts], dim=1), tuples.draws)
    assert torch.equal(torch.cat([part.log_count for part in parts]), tuples.log_count)


def test_antithetic_pairs_have_the_probabilities_of_one_uniform_number() -> None:
    logits = seeded_normal(4, scale=2)
    letters = alphabet(logits, "antithetic_sample")
    probability = letters.log_prob.exp()
    first, second = letters.values
    p = logits.sigmoid()
    assert_exact(probability.sum(), torch.tensor(1.0).double())
    assert_exact(probability @ first, p)
    assert_exact(probability @ second, p)
    # u > 1 - p and u < p together: of probability 2 p - 1 where that is above zero
    assert_exact(probability @ (first * second), (2 * p - 1).clamp(min=0))
    # positions are independent
    assert_exact(probability @ (first[:, 0] * second[:, 1]), p[0] * p[1])


def test_single_samples_have_the_probabilities_of_the_distribution() -> None:
    for logits in (seeded_normal(3), seeded_normal(2, 3)):
        letters = alphabet(logits, "sample")
        mean = logits.sigmoid() if logits.dim() == 1 else logits.softmax(dim=-1)
        assert_exact(torch.einsum("a,a...->...", letters.log_prob.exp(), letters.values[0]), mean)


def test_replay_hands_out_draws_in_order_and_no_more() -> None:
    draws = torch.arange(24).double().view(4, 2, 3)
    replay = Replay(seeded_normal(2, 3), "sample", (draws,))
    g = replay(torch.zeros(2))
    assert isinstance(g, FactorizedBernoulli)
    assert torch.equal(g.sample((1,)), draws[:1])
    assert torch.equal(g.sample(), draws[1])
    assert torch.equal(g.sample((2,)), draws[2:])
    assert replay.num_drawn == 4
    with pytest.raises(RuntimeError, match="5 draws wanted, 4 given"):
        g.sample()

"""Counting, against counts by hand, and as a distribution that sums to one."""

import itertools
import math

import pytest
import torch

from discrete_gan.metrics.markov import markov_ladder

END = 2


def rows(*texts: str) -> torch.Tensor:
    """Of a and b, ended by a point: D = 4."""
    return torch.tensor([["ab.".index(token) for token in text.ljust(4, ".")] for text in texts])


def test_by_hand() -> None:
    train, held_out = rows("ab", "aab"), rows("aa")
    # Unigrams: a 3, b 2, end 2 of 7 tokens, 3 kinds; uniform is 1/3 each.
    unigram = {"a": (3 + 3 / 3) / 10, "b": (2 + 1) / 10, ".": (2 + 1) / 10}
    # Before the first token: a twice. After a: a, b twice. After b: the end twice.
    start = (2 + 1 * unigram["a"]) / 3
    a_then_a = (1 + 2 * unigram["a"]) / 5
    a_then_end = (0 + 2 * unigram["."]) / 5
    expected = [
        math.log(3),
        -sum(map(math.log, (unigram["a"], unigram["a"], unigram["."]))) / 3,
        -sum(map(math.log, (start, a_then_a, a_then_end))) / 3,
    ]
    # Order 2: the start twice a; after (start, a): a, b; after (a, a): b.
    two = ((2 + start) / 3, (1 + 2 * a_then_a) / 4, (0 + 1 * a_then_end) / 2)
    expected.append(-sum(map(math.log, two)) / 3)
    found = markov_ladder(train, held_out, 3, end=END, order=2)
    assert found.tolist() == pytest.approx(expected, rel=1e-14)  # the rounding of float64


def test_every_rung_is_a_distribution() -> None:
    """The probabilities of all sequences, ended or cut at D, sum to one."""
    train = rows("ab", "aab", "", "b", "bbbb", "aaaa", "ba")
    texts = ["".join(each) for number in range(4) for each in itertools.product("ab", repeat=number)]
    texts += ["".join(each) for each in itertools.product("ab", repeat=4)]
    total = torch.zeros(6)
    for text in texts:
        tokens = len(text) + (len(text) < 4)  # with the end
        total += (-tokens * markov_ladder(train, rows(text), 3, end=END, order=4)).exp()
    assert total.tolist() == pytest.approx([1.0] * 6, rel=1e-6)  # of float32 sums


def test_it_finds_the_order_of_a_chain() -> None:
    """Tokens that the two before them decide: orders below know less, those above no more, but for what they forget."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, 5, (2000, 12), generator=generator)
    for t in range(2, 12):
        tokens[:, t] = (tokens[:, t - 1] + 2 * tokens[:, t - 2]) % 5
    ladder = markov_ladder(tokens[:1500], tokens[1500:], 5, end=None)
    assert ladder[0] == pytest.approx(math.log(5))
    assert ladder[:3].tolist() == pytest.approx([math.log(5)] * 3, rel=0.01)
    exact = 2 * math.log(5) / 12  # the first two are free
    assert ladder[3].item() == pytest.approx(exact, rel=0.02)
    assert (ladder[3:] < exact * 1.1).all()

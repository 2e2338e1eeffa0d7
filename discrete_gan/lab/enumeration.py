"""Every outcome of an estimator's draws, each handed out in place of random ones."""

import itertools
import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical

Kind = Literal["sample", "antithetic_sample"]


class Alphabet(NamedTuple):
    """What one draw of a latent's distribution can be.

    Attributes:
        values: All A values, for each tensor that the draw returns: one of shape (A, *event) for a sample, two for
            an antithetic pair.
        log_prob: Of each value in nats, shape (A,).
    """

    values: tuple[Tensor, ...]
    log_prob: Tensor


def alphabet_size(logits: Tensor, kind: Kind) -> int:
    """A, without making them: K^D samples, or 3^D antithetic pairs, of logits (D,) or (D, K)."""
    return (2 if logits.dim() == 1 else logits.shape[1]) ** len(logits) if kind == "sample" else 3 ** len(logits)


def alphabet(logits: Tensor, kind: Kind) -> Alphabet:
    """All single samples of one latent, of logits (D,) or (D, K), or all antithetic pairs of binary ones."""
    if kind == "sample":
        g = FactorizedBernoulli(logits) if logits.dim() == 1 else FactorizedCategorical(logits)
        return Alphabet((g.enumerate_support(),), g.log_prob(g.enumerate_support()))
    # A position of a pair is (1, 0) or (0, 1), with probability min(p, 1 - p) each, or twice the likelier value:
    # three outcomes, enumerated as those of a categorical position.
    p = logits.sigmoid()
    rarer = torch.minimum(p, 1 - p)
    outcomes = FactorizedCategorical(torch.stack([rarer, rarer, 1 - 2 * rarer], dim=-1).log())
    one_hot = outcomes.enumerate_support()  # (3^D, D, 3)
    likelier = (p > 0.5).to(p.dtype)
    first = one_hot @ p.new_tensor([1, 0, 0]) + one_hot[..., 2] * likelier
    second = one_hot @ p.new_tensor([0, 1, 0]) + one_hot[..., 2] * likelier
    return Alphabet((first, second), outcomes.log_prob(one_hot))


class OutOfDrawsError(RuntimeError):
    """More draws were wanted than there are to hand out."""


class Replay(nn.Module):
    """A generator with free logits for each row, whose distributions hand out given draws.

    Args:
        logits: Shape (R, *event). A leaf, for its gradient.
        kind: The method that is replaced.
        draws: What it returns, in order: shape (N, R, *event) for each tensor it returns.
    """

    def __init__(self, logits: Tensor, kind: Kind, draws: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)
        self.kind = kind
        self.draws = draws
        self.num_drawn = 0

    def forward(self, z: Tensor) -> Distribution:
        """The rows' distributions, whatever ``z`` is."""
        kind = FactorizedBernoulli if self.logits.dim() == 2 else FactorizedCategorical
        g = kind(self.logits)
        vars(g)[self.kind] = self._hand_out
        return g

    def _hand_out(self, sample_shape: tuple[int, ...] = ()) -> Tensor | tuple[Tensor, ...]:
        num, start = math.prod(sample_shape), self.num_drawn
        self.num_drawn += num
        if self.num_drawn > len(self.draws[0]):
            raise OutOfDrawsError(f"replay: {self.num_drawn} draws wanted, {len(self.draws[0])} given")
        parts = tuple(draws[start : start + num].reshape(*sample_shape, *draws.shape[1:]) for draws in self.draws)
        return parts if self.kind == "antithetic_sample" else parts[0]


class Multisets(NamedTuple):
    """Tuples of M draws.

    Attributes:
        draws: Positions in the alphabet, shape (M, T).
        log_count: Log of the number of orderings that each stands for, shape (T,).
    """

    draws: Tensor
    log_count: Tensor


def num_tuples(size: int, num_draws: int, *, exchangeable: bool) -> int:
    """Number of tuples of draws, or of multisets where their order does not matter."""
    return math.comb(size + num_draws - 1, num_draws) if exchangeable else size**num_draws


def all_tuples(size: int, num_draws: int, *, exchangeable: bool) -> Multisets:
    """Every tuple of draws from an alphabet, or every multiset with the number of its orderings."""
    if not exchangeable:
        place = size ** torch.arange(num_draws - 1, -1, -1)
        index = torch.arange(size**num_draws) // place[:, None] % size
        return Multisets(index, torch.zeros(index.shape[1], dtype=torch.float64))
    # Nondecreasing tuples, one draw longer each time.
    index = torch.arange(size)[None]
    for _ in range(num_draws - 1):
        choices = size - index[-1]
        first = choices.cumsum(0) - choices
        last = torch.arange(int(choices.sum())) - (first - index[-1]).repeat_interleave(choices)
        index = torch.cat([index.repeat_interleave(choices, dim=1), last[None]])
    run = torch.ones(index.shape[1], dtype=torch.float64)  # equal draws so far: their product is that of factorials
    log_count = torch.full_like(run, math.lgamma(num_draws + 1))
    for before, after in itertools.pairwise(index):
        run = torch.where(before == after, run + 1, 1)
        log_count -= run.log()
    return Multisets(index, log_count)


def in_chunks(tuples: Multisets, size: int) -> Iterator[Multisets]:
    """The same, at most so many at a time."""
    for draws, log_count in zip(tuples.draws.split(size, dim=1), tuples.log_count.split(size), strict=True):
        yield Multisets(draws, log_count)

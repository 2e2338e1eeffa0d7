"""Sequences under small laws that are computed by hand, for the tests of text and of the oracle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from discrete_gan.distributions import Autoregressive
from discrete_gan.tasks import TextOptions
from tests.problems import seeded_normal

D, K, END = 4, 3, 2
EXACT = 1e-12  # relative, the rounding of float64


@dataclass(frozen=True, kw_only=True)
class Options(TextOptions):
    """What a recipe adds that a task on text asks for."""

    batch_size: int = 8
    num_scored: int | None = None


class Bigrams(nn.Module):
    """Sequences whose logits stand in a table (D, K + 1, K), by position and token before; z moves them on a slope.

    Args:
        table: The last row of each position stands before the first token.
        end: Ends a sequence.
        slope: What z, one number, is multiplied with; None for no latents.
        nodes: Latents to hand out, in place of random ones.
    """

    def __init__(
        self, table: Tensor, *, end: int | None, slope: Tensor | None = None, nodes: Tensor | None = None
    ) -> None:
        super().__init__()
        self.table, self.end, self.nodes = table, end, nodes
        self.slope = torch.zeros_like(table) if slope is None else slope
        self.num_positions, _, self.num_categories = table.shape
        self.latent_dim = 0 if slope is None else 1
        self.asked: list[int] = []
        self.modes: set[tuple[bool, bool]] = set()

    def latents(self, num: int) -> Tensor:
        self.asked.append(num)
        return torch.randn(num, self.latent_dim, dtype=torch.float64) if self.nodes is None else self.nodes

    def decode(self, x: Tensor) -> Tensor:
        return x

    def forward(self, z: Tensor) -> Autoregressive:
        self.modes.add((self.training, torch.is_grad_enabled()))
        return Autoregressive(self, z)

    def initial_state(self, z: Tensor) -> tuple[Tensor, ...]:
        return (torch.zeros(1, len(z), 1, dtype=torch.long),)  # the position

    def step(self, x: Tensor, z: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        position = state[0][0, :, 0]
        return self.table[position, x] + z.sum(dim=-1, keepdim=True) * self.slope[position, x], (state[0] + 1,)

    def hidden(self, tokens: Tensor, z: Tensor) -> Tensor:
        position = torch.arange(tokens.shape[1])
        return self.table[position, tokens] + z.sum(dim=-1)[:, None, None] * self.slope[position, tokens]

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden


def random_bigrams(*, seed: int = 0, end: int | None = END, num_positions: int = D, num_categories: int = K) -> Bigrams:
    return Bigrams(seeded_normal(num_positions, num_categories + 1, num_categories, seed=seed), end=end)


def with_latent(nodes: Tensor | None = None) -> Bigrams:
    shape = (D, K + 1, K)
    return Bigrams(seeded_normal(*shape), end=END, slope=seeded_normal(*shape, seed=1, scale=0.5), nodes=nodes)


def by_hand(
    generator: Bigrams, sequence: Sequence[int], *, temperature: float = 1.0, z: float = 0.0
) -> tuple[float, int]:
    """Log-probability of one sequence, token by token up to its end, and the number of these tokens."""
    log_prob, previous = 0.0, generator.num_categories
    for position, token in enumerate(sequence):
        row = generator.table[position, previous] + z * generator.slope[position, previous]
        logits = [logit / temperature for logit in row.tolist()]
        log_prob += logits[token] - math.log(sum(map(math.exp, logits)))
        previous = token
        if token == generator.end:
            return log_prob, position + 1
    return log_prob, len(sequence)


def nll_by_hand(generator: Bigrams, tokens: Tensor, *, temperature: float = 1.0) -> dict[str, float]:
    """What the likelihood of sequences (N, D) is without latents."""
    terms = [by_hand(generator, sequence, temperature=temperature) for sequence in tokens.tolist()]
    total, num_tokens = -sum(log_prob for log_prob, _ in terms), sum(num for _, num in terms)
    per_token = total / num_tokens
    return {"nll_token": per_token, "nll_sequence": total / len(terms), "perplexity": math.exp(per_token)}


def random_tokens(number: int, *, end: int | None = END, seed: int = 0) -> Tensor:
    """Sequences (N, D) of any length, padded with the end."""
    tokens = torch.randint(K, (number, D), generator=torch.Generator().manual_seed(seed))
    if end is None:
        return tokens
    return torch.where((tokens == end).cumsum(dim=1) > 0, end, tokens)

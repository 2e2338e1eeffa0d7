"""Problems small enough to enumerate: p_data and p_g are known for every x, so every expectation is a sum.

All in float64.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from discrete_gan.errors import unknown_name


class ProductMixture(nn.Module):
    """A generator with one free table of logits: L equally likely latents, a factorized g(x | z) for each.

    Args:
        logits: Shape (L, D) for bits, (L, D, K) for categories. Copied.
    """

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits.detach().clone())

    def latents(self, num: int) -> Tensor:
        """Random z: one-hot rows, shape (num, L)."""
        return self.all_latents()[torch.randint(len(self.logits), (num,))]

    def all_latents(self) -> Tensor:
        """Every z once, shape (L, L)."""
        return torch.eye(len(self.logits), dtype=self.logits.dtype)

    def forward(self, z: Tensor) -> FactorizedBernoulli | FactorizedCategorical:
        """One-hot latents of shape (B, L) to a distribution of batch shape (B,)."""
        logits = torch.einsum("bl,l...->b...", z, self.logits)
        return FactorizedBernoulli(logits) if logits.dim() == 2 else FactorizedCategorical(logits)

    def log_p_g(self, states: Tensor) -> Tensor:
        """Exact log p_g(x) in nats of values (S, *event), shape (S,). Carries gradient."""
        g = self(self.all_latents())
        log_prob = g.log_prob(states[:, None].expand(-1, len(self.logits), *states.shape[1:]))
        return log_prob.logsumexp(dim=1) - math.log(len(self.logits))


class Divergences(NamedTuple):
    """Exact distances between p_data and p_g in nats; total variation is in [0, 1]."""

    kl: Tensor
    reverse_kl: Tensor
    js: Tensor
    total_variation: Tensor


@dataclass(frozen=True)
class Problem:
    """A known p_data over all values of x, and where the generator starts.

    Attributes:
        name: As in :data:`PROBLEMS`.
        log_p: log p_data of each of S values in nats, finite, shape (S,), in the order of ``states``.
        logits: The generator's logits at the start, shape (L, D) or (L, D, K), for L latents.
        modes: Number of the mode that each value belongs to, -1 for none, int64 of shape (S,).
        mode_names: One for each mode.
    """

    name: str
    log_p: Tensor
    logits: Tensor
    modes: Tensor
    mode_names: tuple[str, ...]

    @property
    def event_shape(self) -> torch.Size:
        """(D,) or (D, K)."""
        return self.logits.shape[1:]

    @cached_property
    def states(self) -> Tensor:
        """All values of x, shape (S, *event), the last position counting fastest."""
        kind = FactorizedBernoulli if self.logits.dim() == 2 else FactorizedCategorical
        return kind(self.logits[0]).enumerate_support()

    def generator(self) -> ProductMixture:
        """A fresh generator at the start."""
        return ProductMixture(self.logits)

    def index(self, x: Tensor) -> Tensor:
        """Positions in ``states`` of hard samples (..., *event), shape (...)."""
        num_positions, base = self.event_shape[0], 2 if len(self.event_shape) == 1 else self.event_shape[1]
        value = base ** torch.arange(num_positions - 1, -1, -1, dtype=torch.float64)
        if len(self.event_shape) == 2:
            value = (value[:, None] * torch.arange(base)).flatten()
        return (x.double().flatten(x.dim() - len(self.event_shape)) @ value).to(torch.int64)

    def divergences(self, log_p_g: Tensor) -> Divergences:
        """Exact divergences from log p_g of every state, shape (S,). Carry gradient."""
        log_p, p, p_g = self.log_p, self.log_p.exp(), log_p_g.exp()
        log_mean = torch.logaddexp(log_p, log_p_g) - math.log(2)
        return Divergences(
            kl=(p * (log_p - log_p_g)).sum(),
            reverse_kl=(p_g * (log_p_g - log_p)).sum(),
            js=(p * (log_p - log_mean) + p_g * (log_p_g - log_mean)).sum() / 2,
            total_variation=(p - p_g).abs().sum() / 2,
        )

    def mode_mass(self, log_p_g: Tensor) -> Tensor:
        """Probability of each mode under p_g, shape (number of modes,)."""
        mass = torch.zeros(len(self.mode_names) + 1, dtype=log_p_g.dtype)
        return mass.index_add(0, self.modes % len(mass), log_p_g.exp())[:-1]


def _normal(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _problem(name: str, scores: Tensor, logits: Tensor, modes: Tensor | None = None, names: tuple = ()) -> Problem:
    """A problem from unnormalized log-probabilities."""
    no_modes = torch.full(scores.shape, -1)
    return Problem(name, scores.log_softmax(dim=0), logits, no_modes if modes is None else modes, tuple(names))


def _states(num_positions: int, num_categories: int | None = None) -> Tensor:
    if num_categories is None:
        return FactorizedBernoulli(torch.zeros(num_positions).double()).enumerate_support()
    return FactorizedCategorical(torch.zeros(num_positions, num_categories).double()).enumerate_support()


def table(seed: int = 0) -> Problem:
    """Four bits whose 16 log-probabilities are random; one latent, so that g(x | z) is p_g."""
    return _problem("table", _normal(16, seed=seed), _normal(1, 4, seed=seed + 1))


def table3(seed: int = 0) -> Problem:
    """Three bits, few enough that 16 samples are enumerated too."""
    return _problem("table3", _normal(8, seed=seed), _normal(1, 3, seed=seed + 1))


def categories(seed: int = 0) -> Problem:
    """Three positions of four categories, a random table of 64 states; two latents."""
    return _problem("categories", _normal(64, seed=seed), _normal(2, 3, 4, seed=seed + 1))


def _ising(name: str, side: int, seed: int, num_latents: int, coupling: float = 0.4) -> Problem:
    spins = 2 * _states(side * side).view(-1, side, side) - 1
    bonds = (spins[:, 1:] * spins[:, :-1]).sum(dim=(1, 2)) + (spins[:, :, 1:] * spins[:, :, :-1]).sum(dim=(1, 2))
    field = (spins.flatten(1) * _normal(side * side, seed=seed, scale=0.1)).sum(dim=1)
    up = spins.flatten(1).sum(dim=1)
    modes = torch.where(up > side, 0, torch.where(up < -side, 1, -1))
    logits = _normal(num_latents, side * side, seed=seed + 1, scale=0.5)
    return _problem(name, coupling * bonds + field, logits, modes, ("mostly up", "mostly down"))


def ising(seed: int = 0) -> Problem:
    """A 3x3 grid of spins that like their neighbors (512 states); four latents."""
    return _ising("ising", 3, seed, 4)


def ising4(seed: int = 0) -> Problem:
    """A 4x4 grid of spins that like their neighbors (65,536 states); four latents."""
    return _ising("ising4", 4, seed, 4)


def parity(seed: int = 0) -> Problem:
    """Six bits, an even number of ones nine times as likely as an odd one: no bit says anything without the others."""
    states = _states(6)
    even = states.sum(dim=1) % 2 == 0
    scores = even.double() * math.log(9)
    logits = _normal(2, 6, seed=seed + 1, scale=0.5)
    return _problem("parity", scores, logits, torch.where(even, 0, 1), ("even", "odd"))


def missing_modes(seed: int = 0) -> Problem:
    """Eight bits around four patterns, of which the generator's eight latents start at two."""
    patterns = torch.tensor([[0] * 8, [1] * 8, [0, 1] * 4, [1, 1, 1, 1, 0, 0, 0, 0]]).double()
    flips = (_states(8)[:, None] - patterns).abs().sum(dim=-1)  # (S, 4)
    flip = 0.03
    scores = (flips * math.log(flip) + (8 - flips) * math.log(1 - flip)).logsumexp(dim=1)
    nearest = flips.min(dim=1)
    modes = torch.where(nearest.values <= 1, nearest.indices, -1)
    centers = (patterns[:2] * 2 - 1).repeat(4, 1)
    logits = 2 * centers + _normal(8, 8, seed=seed + 1, scale=0.5)
    names = ("zeros", "ones", "alternating", "halves")
    return _problem("missing-modes", scores, logits, modes, names)


def equations(seed: int = 0) -> Problem:
    """Strings of five characters of 0123+= that are a true sum such as 1+2=3 (10 of 7,776), or 5 % of anything."""
    letters = "0123+="
    states = _states(5, len(letters))
    modes = torch.full((len(states),), -1)
    place = len(letters) ** torch.arange(4, -1, -1)
    names = []
    for a in range(4):
        for b in range(4 - a):
            names.append(f"{a}+{b}={a + b}")
            digits = torch.tensor([letters.index(letter) for letter in names[-1]])
            modes[(digits * place).sum()] = len(names) - 1
    valid = modes >= 0
    p = torch.where(valid, 0.95 / valid.sum().double(), 0) + 0.05 / len(states)
    logits = _normal(16, 5, len(letters), seed=seed + 1, scale=0.5)
    return _problem("equations", p.log(), logits, modes, tuple(names))


PROBLEMS: dict[str, Callable[[int], Problem]] = {
    "table": table,
    "table3": table3,
    "categories": categories,
    "ising": ising,
    "ising4": ising4,
    "parity": parity,
    "missing-modes": missing_modes,
    "equations": equations,
}


def named_problem(problem: Problem | str) -> Problem:
    """A problem as it is, or the one of that name with seed 0.

    Raises:
        InputError: If there is none of that name.
    """
    if isinstance(problem, Problem):
        return problem
    if problem not in PROBLEMS:
        raise unknown_name("problem", problem, PROBLEMS)
    return PROBLEMS[problem](0)

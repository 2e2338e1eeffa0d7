"""Problems small enough to enumerate, in float64: every expectation is a finite sum over all states."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from discrete_gan.estimators import Estimator


def seeded_normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    """Standard normal float64 times ``scale``, the same for the same seed."""
    return scale * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def assert_exact(actual: object, expected: object, *, rtol: float = 1e-12, atol: float = 1e-13) -> None:
    """Equal but for the rounding of float64 in another order of operations."""
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol)


class TableGenerator(nn.Module):
    """g(x | z) with free logits (B, D) or (B, D, K) for each latent; z holds their indices."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, z: Tensor) -> Distribution:
        logits = self.logits[z]
        return FactorizedBernoulli(logits) if logits.dim() == 2 else FactorizedCategorical(logits)


class OwnBits(Independent):
    """Independent bits by a class that the package does not know."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__(Bernoulli(logits=logits), 1)


class TableDiscriminator(nn.Module):
    """A free log-ratio for every state. Samples must be hard."""

    def __init__(self, log_w: Tensor, event_shape: torch.Size) -> None:
        super().__init__()
        self.log_w = nn.Parameter(log_w)
        self.event_shape = event_shape

    def forward(self, x: Tensor) -> Tensor:
        # States are numbered as itertools.product yields them: the first position is the highest digit.
        digits, base = (x.long(), 2) if len(self.event_shape) == 1 else (x.argmax(dim=-1), self.event_shape[-1])
        place = base ** torch.arange(self.event_shape[0] - 1, -1, -1)
        return self.log_w[(digits * place).sum(dim=-1)]


class SmoothDiscriminator(nn.Module):
    """A smooth function of hard and relaxed samples alike, or an affine one with ``hidden=0``."""

    def __init__(self, event_shape: torch.Size, *, hidden: int = 5, seed: int = 0) -> None:
        super().__init__()
        self.event_dim = len(event_shape)
        width = hidden or 1
        self.weight = nn.Parameter(seeded_normal(event_shape.numel(), width, seed=seed))
        self.output = nn.Parameter(seeded_normal(width, seed=seed + 1))
        self.affine = hidden == 0

    def forward(self, x: Tensor) -> Tensor:
        hidden = x.flatten(-self.event_dim) @ self.weight
        return (hidden if self.affine else hidden.tanh()) @ self.output


class Replay(nn.Module):
    """A generator whose distribution hands out given samples (M, B, *event), in order, in place of random ones."""

    def __init__(self, generator: Callable[[Tensor], Distribution], samples: Tensor) -> None:
        super().__init__()
        self.generator = generator
        self.samples = samples

    def forward(self, z: Tensor) -> Distribution:
        g = self.generator(z)
        rows = iter(self.samples)
        vars(g)["sample"] = lambda shape: torch.stack([next(rows) for _ in range(shape[0])])
        return g


class TupleGradients(NamedTuple):
    """What :meth:`Problem.all_tuples` returns: T = S^M tuples of samples.

    Attributes:
        probability: Of each tuple, shape (T,).
        gradients: With respect to the logits, shape (T, *event).
    """

    probability: Tensor
    gradients: Tensor

    @property
    def mean(self) -> Tensor:
        return torch.einsum("t,t...->...", self.probability, self.gradients)

    @property
    def variance(self) -> Tensor:
        """Summed over the logits, shape ()."""
        return torch.einsum("t,t...->...", self.probability, (self.gradients - self.mean).square()).sum()


@dataclass(frozen=True)
class Problem:
    """One latent's logits, a log-ratio for each of S states, and what follows from them exactly.

    Attributes:
        logits: Of g, shape (D,) or (D, K).
        states: All values, shape (S, *event).
        log_w: Log-ratio of each, shape (S,).
    """

    logits: Tensor
    states: Tensor
    log_w: Tensor

    @property
    def log_g(self) -> Tensor:
        """Exact log-probability of each state by torch's own distributions, shape (S,)."""
        base = Bernoulli(logits=self.logits) if self.logits.dim() == 1 else OneHotCategorical(logits=self.logits)
        return Independent(base, 1).log_prob(self.states)

    @property
    def score(self) -> Tensor:
        """Gradient of log g with respect to the logits, x minus its mean, shape (S, *event)."""
        mean = torch.sigmoid(self.logits) if self.logits.dim() == 1 else torch.softmax(self.logits, dim=-1)
        return self.states - mean

    def mean_score(self, weight: Tensor) -> Tensor:
        """Sum over states of a weight (S,) times the score, shape (*event)."""
        return torch.einsum("s,s...->...", weight, self.score)

    def forward_kl_gradient(self) -> Tensor:
        """Exact gradient of KL(p~ || g) with p~ proportional to g w held fixed: minus the mean score under p~."""
        return -self.mean_score(torch.softmax(self.log_g + self.log_w, dim=0))

    def reverse_kl_gradient(self) -> Tensor:
        """Exact gradient of -E_g[log w] with log w held fixed."""
        return -self.mean_score(self.log_g.exp() * self.log_w)

    def discriminator(self) -> TableDiscriminator:
        return TableDiscriminator(self.log_w.clone(), self.logits.shape)

    def tuple_indices(self, num_samples: int) -> Tensor:
        """States of every tuple of M samples, shape (M, T)."""
        return torch.cartesian_prod(*[torch.arange(len(self.states))] * num_samples).view(-1, num_samples).T

    def all_tuples(self, estimator: Estimator, num_samples: int) -> TupleGradients:
        """The estimator's gradient on every tuple of M samples, each as a latent of its own."""
        index = self.tuple_indices(num_samples)
        generator = TableGenerator(self.logits.expand(index.shape[1], *self.logits.shape).clone())
        replay = Replay(generator, self.states[index])
        loss = estimator(replay, self.discriminator(), torch.arange(index.shape[1]))
        (gradients,) = torch.autograd.grad(loss.sum(), generator.logits)
        return TupleGradients(self.log_g[index].sum(dim=0).exp(), gradients)


def binary_problem(num_positions: int, *, seed: int = 0) -> Problem:
    """Random logits and log-ratios on 2^D states."""
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=num_positions)), dtype=torch.float64)
    return Problem(seeded_normal(num_positions, seed=seed), states, seeded_normal(len(states), seed=seed + 1))


def categorical_problem(num_positions: int, num_categories: int, *, seed: int = 0) -> Problem:
    """Random logits and log-ratios on K^D states."""
    digits = torch.tensor(list(itertools.product(range(num_categories), repeat=num_positions)))
    states = nn.functional.one_hot(digits, num_categories).double()
    logits = seeded_normal(num_positions, num_categories, seed=seed)
    return Problem(logits, states, seeded_normal(len(states), seed=seed + 1))


PROBLEMS = {
    "binary D=2": binary_problem(2),
    "binary D=4": binary_problem(4, seed=2),
    "categorical D=1 K=5": categorical_problem(1, 5, seed=4),
    "categorical D=3 K=2": categorical_problem(3, 2, seed=6),
}


@dataclass(frozen=True)
class SmoothProblem(Problem):
    """A problem whose log-ratios a smooth discriminator gives, also between the states.

    Attributes:
        smooth: The discriminator; ``log_w`` is what it answers at the states.
    """

    smooth: nn.Module

    def all_tuples(self, estimator: Estimator, num_samples: int) -> TupleGradients:
        """As of :class:`Problem`, with the smooth discriminator in place of the table."""
        return super().all_tuples(lambda generator, _, z: estimator(generator, self.smooth, z), num_samples)


def smoothed(problem: Problem, discriminator: nn.Module) -> SmoothProblem:
    """The problem with the log-ratios of a discriminator that takes relaxed samples as well."""
    with torch.no_grad():
        return SmoothProblem(problem.logits, problem.states, discriminator(problem.states), discriminator)


def sample_gradient(problem: Problem, objective: str) -> Tensor:
    """Exact gradient of E_g[-log w] or E_g[log(1 + 1/w)] with log w held fixed, shape (*event)."""
    if objective == "log-ratio":
        return problem.reverse_kl_gradient()
    return problem.mean_score(problem.log_g.exp() * torch.log1p((-problem.log_w).exp()))


class ColumnGenerator(TableGenerator):
    """A :class:`TableGenerator` whose latents are vectors of one number, the index: z of shape (B, 1)."""

    def forward(self, z: Tensor) -> Distribution:
        return super().forward(z.flatten())


def row_gradients(estimator: Estimator, problem: SmoothProblem, num_rows: int) -> Tensor:
    """Independent estimates for one latent's logits, shape (num_rows, *event)."""
    generator = ColumnGenerator(problem.logits.expand(num_rows, *problem.logits.shape).clone())
    loss = estimator(generator, problem.smooth, torch.arange(num_rows)[:, None])
    (gradients,) = torch.autograd.grad(loss.sum(), generator.logits)
    return gradients


def assert_mean(draws: Tensor, expected: Tensor) -> None:
    """The mean over the first axis lies within five standard errors of what is expected, in every component."""
    error = draws.std(dim=0) / len(draws) ** 0.5
    assert bool(((draws.mean(dim=0) - expected).abs() < 5 * error).all()), (draws.mean(dim=0) - expected) / error


class Pairs(NamedTuple):
    """Every outcome of a pair of antithetic samples: P = 4^D.

    Attributes:
        x: The samples, shape (P, D).
        antithetic: The antithetic samples, shape (P, D).
        probability: Of each pair, shape (P,).
    """

    x: Tensor
    antithetic: Tensor
    probability: Tensor


def antithetic_pairs(logits: Tensor) -> Pairs:
    """Outcomes of (1[u > 1 - p], 1[u < p]) with one uniform u for each position, p of logits (D,)."""
    outcomes = torch.tensor([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    p = torch.sigmoid(logits)
    # Both are one where 1 - p < u < p, both zero where p < u < 1 - p; what is left is halved by symmetry.
    one, zero = (2 * p - 1).clamp(min=0), (1 - 2 * p).clamp(min=0)
    each = torch.stack([one, zero, torch.minimum(p, 1 - p), torch.minimum(p, 1 - p)], dim=1)  # (D, 4)
    index = torch.cartesian_prod(*[torch.arange(4)] * len(logits)).view(-1, len(logits))
    x, antithetic = outcomes[index].unbind(dim=-1)
    return Pairs(x, antithetic, each[torch.arange(len(logits)), index].prod(dim=1))

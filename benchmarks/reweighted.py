"""What the diagnosis of a reweighted model says, beside how far its samples are from what they should be, exactly.

On problems whose every sample is known, the law of what each method puts out is computed for finitely many candidates;
that of the particle filter alone is counted. The table of docs/results/reweighted_diagnosis.md (about a minute on one
core)::

    python benchmarks/reweighted.py
"""

import argparse
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from discrete_gan.distributions import Prefixes
from discrete_gan.lab import PROBLEMS, Problem, ProductMixture
from discrete_gan.lab.discriminators import Oracle
from discrete_gan.models import RecurrentGenerator
from discrete_gan.reweighted import Method, Reweighted
from discrete_gan.reweighted.choice import log_acceptance
from discrete_gan.reweighted.gibbs import moves_along
from discrete_gan.reweighted.particles import filtered

CANDIDATES = (2, 5, 20)
NAMES = ("table", "categories", "ising", "ising, half", "missing-modes")
NUM_DRAWS, NUM_GROUPS = 1000, 40_000
K, D = 3, 4  # of the sequences
DISCRIMINATORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "exact": lambda log_w, noise: log_w,
    "times 0.1": lambda log_w, noise: 0.1 * log_w,
    "plus noise of 1 nat": lambda log_w, noise: log_w + noise,
    "times 5": lambda log_w, noise: 5 * log_w,
}


class Mixture(ProductMixture):
    """A generator of the lab as one that samples are drawn from."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__(logits)
        self.latent_dim = len(logits)

    def decode(self, x: Tensor) -> Tensor:
        """As they are."""
        return x


class Case(NamedTuple):
    """A generator and a discriminator, all of which is known of S states.

    Attributes:
        model: Draws by resampling five candidates.
        given: g(x | z) of the states, one row for each of L equally likely latents, shape (L, S).
        log_w: Of the states, shape (S,).
        data: Probability of the states, shape (S,).
        laws: Of each method, from N to its law, shape (S,).
    """

    model: Reweighted
    given: Tensor
    log_w: Tensor
    data: Tensor
    laws: dict[Method, Callable[[int], Tensor]]

    @property
    def target(self) -> Tensor:
        """The reweighted model."""
        return reweighted(self.given.mean(0), self.log_w)

    @property
    def of_latents(self) -> Tensor:
        """What choosing for each latent comes to with many candidates."""
        return torch.stack([reweighted(row, self.log_w) for row in self.given]).mean(0)


def reweighted(p: Tensor, log_w: Tensor) -> Tensor:
    return (p.log() + log_w).softmax(0)


def distance(p: Tensor, q: Tensor) -> float:
    """Total variation."""
    return float((p - q).abs().sum() / 2)


def resampled(p: Tensor, log_w: Tensor, group: int) -> Tensor:
    r"""Law of sampling-importance-resampling, exact.

    With W the weight of a draw and 1 / s the integral of exp(-t s),
    P(x) = N p(x) E[w(x) / (w(x) + W_2 + ... + W_N)] = N p(x) w(x) \int exp(-t w(x)) E[exp(-t W)]^{N - 1} dt,

    by the trapezoid rule in log t, which is exact to rounding for such functions.
    """
    w = (log_w - log_w.max()).exp()
    u = torch.linspace(-60, 10 - float(w.min().clamp(min=1e-30).log()), 6000, dtype=torch.float64)
    decay = torch.exp(-u.exp()[:, None] * w)  # (T, S)
    mean = (decay * p).sum(dim=1, keepdim=True)
    value = group * p * w * ((u.exp()[:, None] * decay) * mean ** (group - 1)).sum(dim=0) * (u[1] - u[0])
    return value / value.sum()


def rejected(p: Tensor, log_w: Tensor, group: int) -> Tensor:
    """Law of rejection with the largest weight as the bound."""
    accept = (log_w - log_w.max()).exp()
    total, rest = (p * accept).sum(), p * (1 - accept)
    left = (1 - total) ** group
    certain = accept == 1
    others = resampled((rest / rest.sum())[~certain], (log_w - (-accept).log1p())[~certain], group)
    return (1 - left) * reweighted(p, log_w) + torch.zeros_like(p).masked_scatter(~certain, left * others)


def chained(p: Tensor, log_w: Tensor, group: int) -> Tensor:
    """Independence Metropolis from a draw of p, by its transition matrix."""
    moved = p * log_acceptance(log_w[:, None], log_w).exp()
    matrix = moved + torch.diag(1 - moved.sum(1))
    return p @ torch.linalg.matrix_power(matrix, group - 1)


def moved(model: Reweighted, given: Tensor, states: Tensor, group: int) -> Tensor:
    """Informed moves from a draw of g(x | z), by the transition matrix of each latent."""
    model(model.latents(1)).sample()  # finds the step size
    assert model.step_size is not None
    size, flat, generator = torch.tensor(model.step_size).double(), states.flatten(1), model.generator
    laws = []
    for z, start in zip(generator.all_latents(), given, strict=True):  # type: ignore[attr-defined]
        moves = moves_along(generator(z[None]))
        every = moves.start(lambda x: model.log_ratio(x.unflatten(-1, states.shape[1:])), flat[None])
        matrix = torch.zeros(len(flat), len(flat), dtype=torch.float64)
        for target in range(len(flat)):
            new = type(every)(*(each[:, target : target + 1] for each in every))
            log_probability = moves.log_proposal(every, new.z, 1.0, size) + moves.log_acceptance(every, new, 1.0, size)
            matrix[:, target] = log_probability[0].exp()
        matrix += torch.diag(1 - matrix.sum(1))
        laws.append(start @ torch.linalg.matrix_power(matrix, group))
    return torch.stack(laws).mean(0)


def check() -> None:
    """The integral against the sum over all pairs of candidates."""
    p, log_w = torch.rand(6).double().softmax(0), torch.randn(6).double() * 2
    w = log_w.exp()
    pairs = p[:, None] * p * w[:, None] / (w[:, None] + w)
    assert torch.allclose(resampled(p, log_w, 2), 2 * pairs.sum(1), atol=1e-12)


def noise(size: int) -> Tensor:
    return torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def problem_of(name: str) -> Problem:
    """One of the lab; of a half, the data are half of them the generator's own."""
    name, _, half = name.partition(", ")
    problem = PROBLEMS[name](0)
    if not half:
        return problem
    log_p_g = problem.generator().log_p_g(problem.states).detach()
    return dataclasses.replace(problem, log_p=torch.logaddexp(problem.log_p, log_p_g) - math.log(2))


def factorized(problem: Problem, change: Callable[[Tensor, Tensor], Tensor]) -> Case:
    """A problem with a log-ratio that is changed."""
    generator = Mixture(problem.logits).requires_grad_(False)
    oracle = Oracle(problem, generator)
    oracle.log_w = log_w = change(oracle.log_w, noise(len(oracle.log_w)))
    states = problem.states
    log_given = generator(generator.all_latents()).log_prob(
        states[:, None].expand(-1, generator.latent_dim, *states.shape[1:])
    )
    given, moving = log_given.T.exp(), Reweighted(generator, oracle, method="gibbs")
    p = given.mean(0)
    laws: dict[Method, Callable[[int], Tensor]] = {
        "resample": lambda group: resampled(p, log_w, group),
        "independence-mh": lambda group: chained(p, log_w, group),
        "rejection": lambda group: rejected(p, log_w, group),
        "per-latent": lambda group: torch.stack([resampled(row, log_w, group) for row in given]).mean(0),
        "gibbs": lambda group: moved(moving, given, states, group),
    }
    return Case(Reweighted(generator, oracle), given, log_w, problem.log_p.exp(), laws)


class PrefixTables(nn.Module):
    """A log-ratio for every prefix of sequences."""

    def __init__(self, tables: list[Tensor]) -> None:
        super().__init__()
        self.tables = tables

    def forward(self, x: Tensor) -> Tensor:
        """Of sequences."""
        return self.steps(x)[..., -1]

    def steps(self, x: Tensor) -> Tensor:
        """Of all prefixes."""
        place = K ** torch.arange(D - 1, -1, -1)
        index = [(x[..., : t + 1] * place[D - 1 - t :]).sum(-1) for t in range(x.shape[-1])]
        return torch.stack([table[each] for table, each in zip(self.tables, index, strict=False)], dim=-1)


def sequences(change: Callable[[Tensor, Tensor], Tensor]) -> Case:
    """Four tokens of three, by a recurrent network without latents; the data are a table."""
    torch.manual_seed(0)
    generator = RecurrentGenerator(K, D, end=None, hidden=8).double().requires_grad_(False)
    g = generator(generator.latents(1))
    p = g.log_prob(g.enumerate_support())[:, 0].exp()
    data = (1.2 * noise(K**D)).softmax(0)
    tables = []
    for t in range(D):
        log_ratio = (data.view(K ** (t + 1), -1).sum(1) / p.view(K ** (t + 1), -1).sum(1)).log()
        tables.append(change(log_ratio, noise(len(log_ratio))))
    discriminator, log_w = PrefixTables(tables), tables[-1]
    place = K ** torch.arange(D - 1, -1, -1)

    def particles(group: int) -> Tensor:
        """Mean over many groups of the probability of being chosen."""
        with torch.no_grad():
            prefixes = Prefixes(generator(generator.latents(group * NUM_GROUPS)), 1)
            found = filtered(prefixes, group, discriminator.steps, discriminator)
        index, weights = (found.tokens * place).sum(-1).flatten(), found.log_w.softmax(0).flatten() / NUM_GROUPS
        return torch.zeros_like(p).index_add(0, index, weights)

    laws: dict[Method, Callable[[int], Tensor]] = {
        "resample": lambda group: resampled(p, log_w, group),
        "independence-mh": lambda group: chained(p, log_w, group),
        "rejection": lambda group: rejected(p, log_w, group),
        "smc": particles,
    }
    return Case(Reweighted(generator, discriminator), p[None], log_w, data, laws)


def cases() -> Iterator[tuple[str, str, Case]]:
    for name in (*NAMES, "sequences"):
        for kind, change in DISCRIMINATORS.items():
            yield name, kind, sequences(change) if name == "sequences" else factorized(problem_of(name), change)


def row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def header(*cells: str) -> str:
    return f"{row(*cells)}\n|{'---|' * len(cells)}"


def told(case: Case) -> list[object]:
    """Distances that nobody knows in practice, and what the diagnosis of 1,000 samples says without them."""
    found = case.model.sample(NUM_DRAWS).diagnosis
    p = case.given.mean(0)
    log_z = float((p.log() + case.log_w).logsumexp(0))
    warnings = "; ".join(warning.partition(" (")[0] for warning in found.warnings) or "nothing"
    return [
        f"{distance(p, case.data):.3f}",
        f"{distance(case.target, case.data):.3f}",
        f"{distance(case.of_latents, case.data):.3f}",
        f"{distance(resampled(p, case.log_w, 5), case.target):.3f}",
        f"{found.spread:.2f}",
        f"{100 * found.effective:.0f} %",
        f"{found.tail_index:.2f}",
        f"{found.log_partition:.3f} ± {found.log_partition_error:.3f} ({log_z:.3f})",
        warnings,
    ]


def distances(case: Case) -> tuple[dict[str, str], dict[str, str]]:
    """To the reweighted model and to the data, for each number of candidates."""
    found: list[dict[str, str]] = []
    laws = {method: [law(group) for group in CANDIDATES] for method, law in case.laws.items()}
    for goal in (case.target, case.data):
        found.append({key: " ".join(f"{distance(p, goal):.3f}" for p in each) for key, each in laws.items()})
    return found[0], found[1]


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    check()
    methods: tuple[Any, ...] = ("resample", "independence-mh", "rejection", "smc", "per-latent", "gibbs")
    tables: list[list[str]] = [[], [], []]
    for name, kind, case in cases():
        tables[0].append(row(name, kind, *told(case)))
        for table, found in zip(tables[1:], distances(case), strict=True):
            table.append(row(name, kind, *(found.get(method, "") for method in methods)))
    heads = [
        header(
            *(
                "problem",
                "log-ratio",
                "generator to data",
                "model to data",
                "per latent, to data",
                "5 candidates to model",
            ),
            *("spread", "effective", "tail index", "log Z (exact)", "warnings"),
        ),
        *[header("problem", "log-ratio", *methods)] * 2,
    ]
    titles = ["Diagnosis against truth", "Total variation to the reweighted model", "Total variation to the data"]
    for title, head, table in zip(titles, heads, tables, strict=True):
        print(f"\n## {title}\n\n{head}", *table, sep="\n")
    print(f"\nCounted laws of the particle filter: of {NUM_GROUPS:,} groups, an error of up to {error():.3f}.")


def error() -> float:
    """Total variation of as many independent draws of equally likely sequences."""
    return math.sqrt(K**D / (2 * math.pi * NUM_GROUPS))


if __name__ == "__main__":
    main()

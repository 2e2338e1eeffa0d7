"""ARM, DisARM and ARMS: exact means and variances by enumeration of antithetic pairs."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.estimators import Arm, Arms, DisArm, Objective, arm_gradient, arms_gradient, disarm_gradient
from discrete_gan.lab import DISCRIMINATORS
from discrete_gan.lab import PROBLEMS as LAB_PROBLEMS
from tests.problems import (
    PROBLEMS,
    Pairs,
    Problem,
    SmoothDiscriminator,
    TableGenerator,
    TupleGradients,
    antithetic_pairs,
    assert_exact,
    assert_mean,
    binary_problem,
    row_gradients,
    sample_gradient,
    seeded_normal,
    smoothed,
)

BINARY = {
    "binary D=1": binary_problem(1, seed=8),
    "binary D=2": PROBLEMS["binary D=2"],
    "binary D=3": binary_problem(3, seed=12),
    "binary D=4": PROBLEMS["binary D=4"],
}
ALL = pytest.mark.parametrize("problem", BINARY.values(), ids=BINARY.keys())
OBJECTIVES = pytest.mark.parametrize("objective", ["log-ratio", "non-saturating"])


class ReplayPairs(nn.Module):
    """A generator whose distribution hands out given antithetic samples, each of shape (M, B, D)."""

    def __init__(self, generator: Callable[[Tensor], Distribution], x: Tensor, antithetic: Tensor) -> None:
        super().__init__()
        self.generator, self.x, self.antithetic = generator, x, antithetic

    def forward(self, z: Tensor) -> Distribution:
        g = self.generator(z)

        def sample(shape: tuple) -> tuple[Tensor, Tensor]:
            assert shape == (len(self.x),)
            return self.x, self.antithetic

        vars(g)["antithetic_sample"] = sample
        return g


def disarm_on_all_pairs(problem: Problem, objective: Objective, num_samples: int) -> TupleGradients:
    pairs = antithetic_pairs(problem.logits)
    index = torch.cartesian_prod(*[torch.arange(len(pairs.x))] * num_samples).view(-1, num_samples).T
    generator = TableGenerator(problem.logits.expand(index.shape[1], -1).clone())
    replay = ReplayPairs(generator, pairs.x[index], pairs.antithetic[index])
    loss = DisArm(num_samples, objective)(replay, problem.discriminator(), torch.arange(index.shape[1]))
    (gradients,) = torch.autograd.grad(loss.sum(), generator.logits)
    return TupleGradients(pairs.probability[index].prod(dim=0), gradients)


def loss_difference(problem: Problem, pairs: Pairs, objective: str) -> Tensor:
    """f(x) - f(x~) of every pair, shape (P,)."""
    log_w = problem.log_w
    losses = -log_w if objective == "log-ratio" else torch.log1p((-log_w).exp())
    place = 2 ** torch.arange(len(problem.logits) - 1, -1, -1)
    first, second = ((each.long() * place).sum(dim=1) for each in (pairs.x, pairs.antithetic))
    return losses[first] - losses[second]


def arm_moments(problem: Problem, objective: str) -> tuple[Tensor, Tensor]:
    """Mean and variance of one component each, shapes (D,), in closed form.

    Given the outcome of a position, its u - 1/2 is uniform on an interval: on (c, 1/2), with c = |p - 1/2|, where
    the pair is (1, 0), on its mirror image where it is (0, 1), and on (-c, c) where the two agree.
    """
    pairs = antithetic_pairs(problem.logits)
    c = (torch.sigmoid(problem.logits) - 0.5).abs()
    disagree = pairs.x - pairs.antithetic  # (P, D): 1, -1 or 0
    mean = disagree * (c + 0.5) / 2
    second = torch.where(disagree == 0, c**2 / 3, (c**2 + c / 2 + 0.25) / 3)
    difference = loss_difference(problem, pairs, objective)[:, None]
    weight = pairs.probability[:, None]
    first_moment = (weight * difference * mean).sum(dim=0)
    return first_moment, (weight * difference**2 * second).sum(dim=0) - first_moment**2


@ALL
@OBJECTIVES
def test_disarm_is_unbiased(problem: Problem, objective: Objective) -> None:
    tuples = disarm_on_all_pairs(problem, objective, 1)
    assert_exact(tuples.probability.sum(), torch.tensor(1.0).double())
    assert_exact(tuples.mean, sample_gradient(problem, objective))


def test_more_pairs_are_averaged() -> None:
    problem = BINARY["binary D=2"]
    one, two = (disarm_on_all_pairs(problem, "log-ratio", m) for m in (1, 2))
    assert_exact(two.mean, one.mean)
    assert_exact(two.variance, one.variance / 2)


@ALL
@OBJECTIVES
def test_closed_form_of_arm_is_unbiased(problem: Problem, objective: str) -> None:
    assert_exact(arm_moments(problem, objective)[0], sample_gradient(problem, objective))


@ALL
@OBJECTIVES
def test_disarm_never_varies_more_than_arm(problem: Problem, objective: Objective) -> None:
    tuples = disarm_on_all_pairs(problem, objective, 1)
    variance = torch.einsum("t,td->d", tuples.probability, (tuples.gradients - tuples.mean).square())
    assert bool((variance < arm_moments(problem, objective)[1]).all())


@pytest.mark.parametrize(
    "name",
    ["table", "table3", "parity", *(pytest.param(name, marks=pytest.mark.slow) for name in ("missing-modes", "ising"))],
)
def test_nor_on_any_problem_of_the_lab(name: str) -> None:
    # ising4 has 3^16 pairs
    lab = LAB_PROBLEMS[name](0)
    for mode in ("oracle", "network", "wrong"):
        discriminator = DISCRIMINATORS[mode](lab, lab.generator())
        log_w = discriminator(lab.states).detach()
        for logits in lab.logits:
            problem = Problem(logits, lab.states, log_w)
            tuples = disarm_on_all_pairs(problem, "log-ratio", 1)
            variance = torch.einsum("t,td->d", tuples.probability, (tuples.gradients - tuples.mean).square())
            assert bool((variance < arm_moments(problem, "log-ratio")[1]).all())


@ALL
@OBJECTIVES
def test_arm_has_its_closed_form_moments(problem: Problem, objective: Objective) -> None:
    discriminator = SmoothDiscriminator(problem.logits.shape)
    problem = smoothed(problem, discriminator)
    mean, variance = arm_moments(problem, objective)
    torch.manual_seed(0)
    draws = row_gradients(Arm(1, objective), problem, 200_000)
    assert_mean(draws, mean)
    assert_mean((draws - mean).square(), variance)


@pytest.mark.parametrize("estimator", [Arm, DisArm])
def test_drawn_estimates_are_unbiased_and_average_their_samples(estimator: type[Arm | DisArm]) -> None:
    problem = smoothed(BINARY["binary D=3"], SmoothDiscriminator(torch.Size((3,))))
    variance = arm_moments(problem, "log-ratio")[1].sum().item()
    torch.manual_seed(0)
    draws = row_gradients(estimator(3), problem, 100_000)
    assert_mean(draws, problem.reverse_kl_gradient())
    if estimator is Arm:
        # The empirical variance of 3e5 samples is right to about a percent.
        assert draws.var(dim=0).sum().item() == pytest.approx(variance / 3, rel=0.03)


def test_gradients_by_their_formulas() -> None:
    loss, antithetic_loss = seeded_normal(4, 3), seeded_normal(4, 3, seed=1)
    uniform, logits = torch.sigmoid(seeded_normal(4, 3, 5, seed=2)), seeded_normal(3, 5, seed=3)
    x, antithetic = (uniform > 1 - logits.sigmoid()).double(), (uniform < logits.sigmoid()).double()
    for m, b, d in ((0, 0, 0), (1, 2, 4), (3, 1, 2)):
        difference = (loss[m, b] - antithetic_loss[m, b]).item()
        expected = difference * (uniform[m, b, d].item() - 0.5)
        assert arm_gradient(loss, antithetic_loss, uniform)[m, b, d].item() == pytest.approx(expected, rel=1e-12)
        sign = (x[m, b, d] - antithetic[m, b, d]).item()
        expected = difference / 2 * sign / (1 + math.exp(-abs(logits[b, d].item())))
        found = disarm_gradient(loss, antithetic_loss, x, antithetic, logits)[m, b, d].item()
        assert found == pytest.approx(expected, rel=1e-12)


def pattern_probabilities(logit: Tensor, num_samples: int) -> Tensor:
    """Of every pattern of one position over M samples, first sample counting most, shape (2^M,), in closed form.

    k given samples all have the rarer value with probability max(0, 1 - k (1 - root))^(M - 1), as k shares of a uniform
    point of the simplex all exceed 1 - root; that the others have not follows by inclusion and exclusion.
    """
    rest, rarer = num_samples - 1, torch.sigmoid(-logit.abs())
    root = rarer ** (1 / rest)
    all_of = [(1 - k * (1 - root)).clamp(min=0) ** rest for k in range(num_samples + 1)]
    found = torch.empty(2**num_samples, dtype=logit.dtype)
    for pattern in range(2**num_samples):
        ones = pattern.bit_count()
        rare = ones if logit <= 0 else num_samples - ones
        others = num_samples - rare
        found[pattern] = sum((-1) ** j * math.comb(others, j) * all_of[rare + j] for j in range(others + 1))
    return found


class ReplayJoint(nn.Module):
    """A generator whose distribution hands out given samples as those that are antithetic to each other."""

    def __init__(self, generator: Callable[[Tensor], Distribution], x: Tensor) -> None:
        super().__init__()
        self.generator, self.x = generator, x

    def forward(self, z: Tensor) -> Distribution:
        g = self.generator(z)
        _, agreement = g.jointly_antithetic_sample(len(self.x))  # type: ignore[attr-defined]
        vars(g)["jointly_antithetic_sample"] = lambda num_samples: (self.x, agreement)
        return g


@pytest.mark.parametrize(
    ("name", "num_samples"), [(f"binary D={d}", m) for d in (1, 2, 3) for m in (2, 3, 4) if d * m < 12]
)
@OBJECTIVES
def test_arms_is_unbiased(name: str, num_samples: int, objective: Objective) -> None:
    """Its mean over all patterns of all positions, each as likely as the copula has it."""
    problem = BINARY[name]
    patterns = torch.cartesian_prod(*[torch.arange(2**num_samples)] * len(problem.logits))
    patterns = patterns.view(-1, len(problem.logits))  # (T, D)
    probability = torch.stack([pattern_probabilities(logit, num_samples) for logit in problem.logits])
    probability = probability.gather(1, patterns.T).prod(dim=0)
    x = torch.stack([patterns >> (num_samples - 1 - m) & 1 for m in range(num_samples)]).double()
    generator = TableGenerator(problem.logits.expand(len(patterns), -1).clone())
    loss = Arms(num_samples, objective)(ReplayJoint(generator, x), problem.discriminator(), torch.arange(len(patterns)))
    (gradients,) = torch.autograd.grad(loss.sum(), generator.logits)
    assert_exact(probability.sum(), torch.tensor(1.0).double())
    assert_exact((probability[:, None] * gradients).sum(dim=0), sample_gradient(problem, objective))


@pytest.mark.parametrize("num_samples", [2, 3, 4])
def test_samples_follow_the_copula(num_samples: int) -> None:
    torch.manual_seed(0)
    logits = torch.tensor([-2.0, -0.3, 0.0, 0.8, 3.0]).double()
    x, agreement = FactorizedBernoulli(logits.expand(100_000, -1)).jointly_antithetic_sample(num_samples)
    place = 2 ** torch.arange(num_samples - 1, -1, -1)
    for d, logit in enumerate(logits):
        index = (x[..., d].long() * place[:, None]).sum(dim=0)
        expected = pattern_probabilities(logit, num_samples).clamp(min=0)  # of rounding
        found = index.bincount(minlength=2**num_samples) / len(index)
        # five standard deviations of a frequency
        assert bool(((found - expected).abs() <= 5 * (expected / len(index)).sqrt() + 1e-12).all())
        both = expected.view(2, 2, -1)[1, 1].sum()
        p = torch.sigmoid(logit)
        assert_exact(agreement[0, d], (both - p**2) / (p * (1 - p)))


def test_a_pair_of_arms_is_disarm() -> None:
    problem = BINARY["binary D=4"]
    pairs = antithetic_pairs(problem.logits)
    both = torch.stack([pairs.x, pairs.antithetic])
    loss = seeded_normal(*both.shape[:2])
    logits = problem.logits.expand(both.shape[1:])
    _, agreement = FactorizedBernoulli(problem.logits).jointly_antithetic_sample(2)
    found = arms_gradient(loss, both, agreement).mean(dim=0)
    first, second, x, antithetic = loss[0, None], loss[1, None], both[0, None], both[1, None]
    assert_exact(found, disarm_gradient(first, second, x, antithetic, logits)[0])


def test_bits_that_are_decided_get_no_gradient_and_no_nan() -> None:
    logits = torch.tensor([[math.inf, -math.inf, 800.0, -800.0, 0.0]]).double()
    x, agreement = FactorizedBernoulli(logits).jointly_antithetic_sample(5)
    assert_exact(x[:, 0, :4], torch.tensor([1.0, 0, 1, 0]).double().expand(5, -1))
    found = arms_gradient(seeded_normal(5, 1), x, agreement)
    assert bool(found.isfinite().all()) and found[..., :4].abs().sum() == 0

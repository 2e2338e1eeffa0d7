"""Boundary-seeking gradients, enumerated over every tuple of samples."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators import (
    BoundarySeeking,
    ControlledBoundarySeeking,
    Reinforce,
    boundary_seeking_loss,
    maligan,
)
from discrete_gan.weights import Over, normalized_weights
from tests.problems import (
    PROBLEMS,
    OwnBits,
    Problem,
    Replay,
    SmoothDiscriminator,
    TableGenerator,
    assert_exact,
    binary_problem,
    seeded_normal,
)

OVER: list[Over] = ["samples", "batch"]
ALL = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


def without_check(num_samples: int, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
    """The estimator for any M, also 1, from the weights alone."""
    g = generator(z)
    x = g.sample((num_samples,))
    return -(normalized_weights(discriminator(x).detach()) * g.log_prob(x)).sum(dim=0)


def expected_by_hand(problem: Problem, num_samples: int) -> Tensor:
    """-E sum_m w_m s_m / sum_m w_m over every tuple; by symmetry M times the term of the first sample."""
    index = problem.tuple_indices(num_samples)
    g, w = problem.log_g.exp(), problem.log_w.exp()
    share = g[index].prod(dim=0) * num_samples * w[index[0]] / w[index].sum(dim=0)
    return -problem.mean_score(torch.zeros(len(g)).double().index_add_(0, index[0], share))


@ALL
@pytest.mark.parametrize("num_samples", [2, 3])
@pytest.mark.parametrize("zero_sum", [False, True])
def test_expected_gradient(problem: Problem, num_samples: int, zero_sum: bool) -> None:
    tuples = problem.all_tuples(BoundarySeeking(num_samples, zero_sum=zero_sum), num_samples)
    assert_exact(tuples.probability.sum(), torch.tensor(1.0).double())
    assert_exact(tuples.mean, expected_by_hand(problem, num_samples))


@ALL
def test_zero_sum_keeps_the_expectation_and_lowers_the_variance(problem: Problem) -> None:
    for num_samples in (2, 3):
        plain = problem.all_tuples(BoundarySeeking(num_samples, zero_sum=False), num_samples)
        zero_sum = problem.all_tuples(BoundarySeeking(num_samples), num_samples)
        torch.testing.assert_close(zero_sum.mean, plain.mean, rtol=0, atol=1e-12)
        # Measured: 3.4 to 32 times lower.
        assert zero_sum.variance < 0.4 * plain.variance


def relative_bias(problem: Problem, num_samples: int) -> float:
    exact = problem.forward_kl_gradient()
    return ((expected_by_hand(problem, num_samples) - exact).norm() / exact.norm()).item()


@ALL
def test_one_sample_carries_no_signal(problem: Problem) -> None:
    tuples = problem.all_tuples(partial(without_check, 1), 1)
    assert tuples.mean.abs().max() < 1e-15
    assert tuples.variance > 0.1
    assert relative_bias(problem, 1) == pytest.approx(1, abs=1e-12)


def test_bias_falls_as_one_over_the_number_of_samples() -> None:
    problem = binary_problem(2)
    bias = {num_samples: relative_bias(problem, num_samples) for num_samples in (4, 8)}
    slope = math.log(bias[8] / bias[4]) / math.log(2)
    # The next term, of order 1/M^2, still bends the line: measured -1.04.
    assert slope == pytest.approx(-1, abs=0.08)


def test_surrogate_equals_the_formula() -> None:
    log_w, log_prob = seeded_normal(4, 3), seeded_normal(4, 3, seed=1).requires_grad_()
    w = log_w.exp() / log_w.exp().sum(dim=0)
    for zero_sum, mean_weight in ((True, 1 / 4), (False, 0.0)):
        loss = boundary_seeking_loss(log_w, log_prob, zero_sum=zero_sum)
        assert_exact(loss, -((w - mean_weight) * log_prob).sum(dim=0))
        (gradient,) = torch.autograd.grad(loss.sum(), log_prob)
        assert_exact(gradient, mean_weight - w)


@pytest.mark.parametrize("zero_sum", [False, True])
def test_mean_over_the_batch_is_the_marginal_sum_of_the_paper(zero_sum: bool) -> None:
    log_w, log_prob = seeded_normal(4, 3), seeded_normal(4, 3, seed=1)
    w = log_w.exp() / log_w.exp().sum() - zero_sum / 12
    loss = boundary_seeking_loss(log_w, log_prob, over="batch", zero_sum=zero_sum)
    assert loss.shape == (3,)
    assert_exact(loss.mean(), -(w * log_prob).sum())
    assert_exact(loss, -3 * (w * log_prob).sum(dim=0))


@pytest.mark.parametrize("over", OVER)
def test_gradients_reach_the_log_probability_only(over: Over) -> None:
    log_w, log_prob = seeded_normal(4, 3).requires_grad_(), seeded_normal(4, 3, seed=1).requires_grad_()
    boundary_seeking_loss(log_w, log_prob, over=over).sum().backward()
    assert log_w.grad is None
    assert log_prob.grad is not None


def log_ratios_with_infinities(num_samples: int) -> Tensor:
    log_w = seeded_normal(num_samples, 5, scale=3)
    log_w[:, 1] = -math.inf  # nothing to prefer
    log_w[: num_samples // 2, 2] = -math.inf  # the first chunks without any weight
    log_w[-2:, 3] = -math.inf  # the last
    log_w[3, 4] = math.inf
    return log_w


class GivenLogRatios(nn.Module):
    """A discriminator that answers with given rows, in order."""

    def __init__(self, log_w: Tensor) -> None:
        super().__init__()
        self.rows = iter(log_w)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([next(self.rows) for _ in range(len(x))])


@pytest.mark.parametrize("chunk_size", [None, 1, 2, 3, 7, 10])
@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("zero_sum", [False, True])
@pytest.mark.parametrize("event", [(4,), (2, 3)], ids=["binary", "one-hot"])
@pytest.mark.parametrize("log_ratios", ["infinite", "finite", "all minus infinity"])
def test_mean_samples_in_any_chunks_give_the_loss_of_all_samples(
    chunk_size: int | None, over: Over, zero_sum: bool, event: tuple, log_ratios: str
) -> None:
    # Seven samples: the chunk sizes divide it, leave a rest, or exceed it.
    log_w = {
        "infinite": log_ratios_with_infinities(7),
        "finite": 1000 * seeded_normal(7, 5),
        "all minus infinity": torch.full((7, 5), -math.inf).double(),
    }[log_ratios]
    generator = TableGenerator(seeded_normal(5, *event))
    g = generator(torch.arange(5))
    x = g.sample((7,))
    estimator = BoundarySeeking(7, over=over, zero_sum=zero_sum, chunk_size=chunk_size)
    loss = estimator(Replay(generator, x), GivenLogRatios(log_w), torch.arange(5))
    expected = boundary_seeking_loss(log_w, g.log_prob(x), over=over, zero_sum=zero_sum)
    assert_exact(loss, expected)
    gradient, expected_gradient = (torch.autograd.grad(each.mean(), generator.logits) for each in (loss, expected))
    assert_exact(gradient, expected_gradient)


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("zero_sum", [False, True])
def test_any_other_distribution_gives_the_same(over: Over, zero_sum: bool) -> None:
    # The same law as a FactorizedBernoulli, by torch's own class.
    generator, log_w = TableGenerator(seeded_normal(5, 4)), seeded_normal(7, 5)
    x = generator(torch.arange(5)).sample((7,))
    estimator = BoundarySeeking(7, over=over, zero_sum=zero_sum)
    results = []
    for make in (generator, lambda z: OwnBits(generator.logits[z])):
        loss = estimator(Replay(make, x), GivenLogRatios(log_w), torch.arange(5))
        results.append((loss, *torch.autograd.grad(loss.mean(), generator.logits)))
    assert_exact(results[1], results[0])


def test_any_other_distribution_keeps_no_graph_of_the_discriminator() -> None:
    kept = []
    discriminator = SmoothDiscriminator(torch.Size((4,)))
    discriminator.register_forward_hook(lambda module, args, raw: kept.append(raw.requires_grad))
    generator = TableGenerator(seeded_normal(5, 4))
    BoundarySeeking(3)(lambda z: OwnBits(generator.logits[z]), discriminator, torch.arange(5))  # type: ignore[arg-type]
    assert kept == [False]


@pytest.mark.parametrize("chunk_size", [None, 8])
def test_half_precision_log_ratios_are_weighed_in_float32(chunk_size: int | None) -> None:
    # Under autocast a discriminator may answer in bfloat16, whose sums over samples would be off by 1e-2.
    generator = TableGenerator(seeded_normal(5, 4).float())
    log_w, g = seeded_normal(50, 5).bfloat16(), generator(torch.arange(5))
    x = g.sample((50,))
    with torch.autocast("cpu", torch.bfloat16):
        loss = BoundarySeeking(50, chunk_size=chunk_size)(Replay(generator, x), GivenLogRatios(log_w), torch.arange(5))
    expected = boundary_seeking_loss(log_w.double(), g.log_prob(x).double())
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("over", OVER)
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_weights_are_of_the_type_of_the_samples(over: Over, chunk_size: int | None) -> None:
    generator = TableGenerator(seeded_normal(5, 4))
    log_w, g = seeded_normal(7, 5).float(), generator(torch.arange(5))
    x = g.sample((7,))
    estimator = BoundarySeeking(7, over, chunk_size=chunk_size)
    loss = estimator(Replay(generator, x), GivenLogRatios(log_w), torch.arange(5))
    assert_exact(loss, boundary_seeking_loss(log_w.double(), g.log_prob(x), over=over))
    generator = TableGenerator(seeded_normal(5, 4).float())
    networks = Replay(generator, x.float()), GivenLogRatios(log_w.double())
    assert estimator(*networks, torch.arange(5)).dtype == torch.float32


@pytest.mark.parametrize("chunk_size", [None, 9])
def test_bits_that_are_decided_add_nothing_whatever_the_rounding(chunk_size: int | None) -> None:
    # Weights that sum to one but for a rounding, times an infinite logit.
    generator = TableGenerator(math.inf * seeded_normal(200, 4).float().sign())
    log_w = seeded_normal(50, 200, seed=1, scale=3).float()
    estimator = BoundarySeeking(50, chunk_size=chunk_size)
    assert bool((estimator(generator, GivenLogRatios(log_w), torch.arange(200)) == 0).all())


def test_chunks_draw_no_more_than_their_size_and_no_more_than_asked() -> None:
    sizes = []
    generator = TableGenerator(seeded_normal(2, 4))

    def discriminator(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x.sum(dim=-1)

    BoundarySeeking(7, chunk_size=3)(generator, discriminator, torch.arange(2))  # type: ignore[arg-type]
    assert sizes == [3, 3, 1]


def test_chunks_need_a_factorized_distribution() -> None:
    def generator(z: Tensor) -> Distribution:
        return OwnBits(z)

    with pytest.raises(TypeError, match=r"^chunk_size: expected a FactorizedBernoulli .* got OwnBits"):
        BoundarySeeking(4, chunk_size=2)(generator, torch.nn.Linear(3, 1), torch.zeros(2, 3))  # type: ignore[arg-type]


@pytest.mark.parametrize("num_samples", [1, 3])
def test_maligan_weighs_the_whole_batch_even_with_one_sample_a_latent(num_samples: int) -> None:
    generator, log_w = TableGenerator(seeded_normal(5, 4)), seeded_normal(num_samples, 5)
    g = generator(torch.arange(5))
    x = g.sample((num_samples,))
    share = log_w.exp() / log_w.exp().sum()
    expected = -5 * ((share - 1 / (5 * num_samples)) * g.log_prob(x)).sum(dim=0)
    loss = maligan(num_samples)(Replay(generator, x), GivenLogRatios(log_w), torch.arange(5))
    assert_exact(loss, expected)
    assert_exact(boundary_seeking_loss(log_w, g.log_prob(x), over="batch"), expected)
    assert maligan(num_samples) == BoundarySeeking(num_samples, over="batch", zero_sum=True)


def test_errors_name_the_argument_and_the_reason() -> None:
    with pytest.raises(ValueError, match=r"M: expected at least 2, got 1: a single normalized weight is always 1"):
        boundary_seeking_loss(torch.zeros(1, 3), torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"^log_prob: expected the shape of log_w, \(4, 3\), got \(4, 1\)"):
        boundary_seeking_loss(torch.zeros(4, 3), torch.zeros(4, 1))
    with pytest.raises(ValueError, match=r"^log_w: expected at least one axis, of samples, got shape \(\)$"):
        boundary_seeking_loss(torch.zeros(()), torch.zeros(()))
    with pytest.raises(ValueError, match=r"^over: expected one of samples, batch, got 'rows'"):
        boundary_seeking_loss(torch.zeros(4, 3), torch.zeros(4, 3), over="rows")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^num_samples: expected at least 2, got 1: a single normalized weight"):
        BoundarySeeking(1)
    with pytest.raises(ValueError, match=r"^num_samples: expected at least 1, got 0"):
        BoundarySeeking(0, over="batch")
    with pytest.raises(ValueError, match=r"^over: expected one of samples, batch, got 'rows'"):
        BoundarySeeking(over="rows")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^chunk_size: expected at least 1, got 0"):
        BoundarySeeking(chunk_size=0)


@pytest.mark.parametrize(
    ("positions", "layer", "sizes"),
    [
        (4, nn.Identity(), [20]),
        (2**14, nn.Identity(), [5, 5, 5, 5]),  # of 2**17 bytes each, six would fit
        (2**20, nn.Identity(), [1] * 20),
        (2**20, nn.BatchNorm1d(2), [20]),
        (2**20, nn.BatchNorm1d(2).eval(), [1] * 20),
    ],
)
@pytest.mark.parametrize(
    "estimator", [BoundarySeeking(), ControlledBoundarySeeking(20), Reinforce(20)], ids=lambda e: type(e).__name__
)
def test_samples_are_scored_as_many_at_a_time_as_a_cache_holds(
    estimator: Callable[..., Tensor], positions: int, layer: nn.Module, sizes: list[int]
) -> None:
    seen = []

    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            if not torch.is_grad_enabled():
                seen.append(len(x))
            return x.mean(dim=-1)

    generator = TableGenerator(torch.zeros(2, positions))
    estimator(generator, Mean(), torch.arange(2))
    assert seen == sizes

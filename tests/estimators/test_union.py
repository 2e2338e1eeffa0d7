"""Boundary-seeking with the softmax over real and generated samples, enumerated over every tuple of samples."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.errors import InputError
from discrete_gan.estimators import (
    Claims,
    UnionBoundarySeeking,
    boundary_seeking_loss,
    parse_estimator,
    softmax_boundary_seeking_loss,
)
from discrete_gan.weights import normalized_weights, union_weights
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

ALL = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


def estimator(problem: Problem, num_samples: int, *, zero_sum: bool = True) -> partial:
    """With the first three states, one of them twice, as the real samples."""
    real = problem.states[[0, 1, 1, 2]]
    return partial(UnionBoundarySeeking(num_samples, zero_sum=zero_sum), real=real)


def expected_by_hand(problem: Problem, num_samples: int, real_log_w: Tensor) -> Tensor:
    """-E sum_m w_m s_m / (sum_m w_m + sum_r w_r) over every tuple; M times the term of the first sample."""
    index = problem.tuple_indices(num_samples)
    g, w = problem.log_g.exp(), problem.log_w.exp()
    share = g[index].prod(dim=0) * num_samples * w[index[0]] / (w[index].sum(dim=0) + real_log_w.exp().sum())
    return -problem.mean_score(torch.zeros(len(g)).double().index_add_(0, index[0], share))


@ALL
@pytest.mark.parametrize("num_samples", [1, 2, 3])
@pytest.mark.parametrize("zero_sum", [False, True])
def test_expected_gradient(problem: Problem, num_samples: int, zero_sum: bool) -> None:
    tuples = problem.all_tuples(estimator(problem, num_samples, zero_sum=zero_sum), num_samples)
    expected = expected_by_hand(problem, num_samples, problem.log_w[[0, 1, 1, 2]])
    assert_exact(tuples.mean, expected)
    assert expected.abs().max() > 0.01


@ALL
def test_zero_sum_lowers_the_variance(problem: Problem) -> None:
    for num_samples in (2, 3):
        plain = problem.all_tuples(estimator(problem, num_samples, zero_sum=False), num_samples)
        zero_sum = problem.all_tuples(estimator(problem, num_samples), num_samples)
        # Measured: 2.6 to 31 times lower.
        assert zero_sum.variance < 0.4 * plain.variance


@ALL
def test_one_sample_is_reinforce_with_a_bounded_reward(problem: Problem) -> None:
    tuples = problem.all_tuples(estimator(problem, 1), 1)
    log_real = problem.log_w[[0, 1, 1, 2]].logsumexp(dim=0)
    assert_exact(tuples.mean, -problem.mean_score(problem.log_g.exp() * torch.sigmoid(problem.log_w - log_real)))


def limit(problem: Problem, real_log_w: Tensor, per_sample: float) -> Tensor:
    """lambda_z times the gradient of KL(p~_z || g), with ``per_sample`` real samples for each generated one."""
    partition = (problem.log_g + problem.log_w).exp().sum()
    share = partition / (partition + per_sample * real_log_w.exp().mean())
    return share * problem.forward_kl_gradient()


def test_descends_the_reweighted_kl_times_the_latents_share() -> None:
    problem = binary_problem(2)
    real_log_w = problem.log_w[[0, 3]]  # two real samples for each generated one
    exact = limit(problem, real_log_w, per_sample=2)
    bias = {}
    for num_samples in (2, 4, 8):
        found = expected_by_hand(problem, num_samples, real_log_w.repeat(num_samples))
        bias[num_samples] = ((found - exact).norm() / exact.norm()).item()
    assert bias[8] < 0.05
    # 1/M but for the next order: measured -0.96 and -0.98.
    assert math.log2(bias[4] / bias[2]) == pytest.approx(-1, abs=0.1)
    assert math.log2(bias[8] / bias[4]) == pytest.approx(-1, abs=0.05)


def test_latents_count_by_their_share_of_the_softmax() -> None:
    """Latents whose samples score lower by a constant: the same direction, shorter."""
    log_w, log_prob = seeded_normal(4, 1).expand(4, 3) - torch.tensor([0.0, 5.0, 50.0]), seeded_normal(4, 3, seed=1)
    log_prob.requires_grad_()
    real = seeded_normal(6, seed=2)
    loss = softmax_boundary_seeking_loss(log_w, log_prob, real, zero_sum=False)
    (gradient,) = torch.autograd.grad(loss.sum(), log_prob)
    total = log_w.exp().sum(dim=0)
    assert_exact(gradient, -normalized_weights(log_w) * total / (total + real.exp().sum()), atol=0)


def test_without_real_mass_it_is_boundary_seeking() -> None:
    log_w, log_prob = seeded_normal(4, 3), seeded_normal(4, 3, seed=1)
    no_mass = torch.full((2,), -math.inf).double()
    found = softmax_boundary_seeking_loss(log_w, log_prob, no_mass, zero_sum=False)
    assert_exact(found, boundary_seeking_loss(log_w, log_prob, zero_sum=False))
    with_none = softmax_boundary_seeking_loss(log_w, log_prob, no_mass[:0])
    assert_exact(with_none, boundary_seeking_loss(log_w, log_prob))


def test_surrogate_equals_the_formula() -> None:
    log_w, log_prob = seeded_normal(4, 3).requires_grad_(), seeded_normal(4, 3, seed=1).requires_grad_()
    real = seeded_normal(5, seed=2).requires_grad_()
    w = (log_w.exp() / (log_w.exp().sum(dim=0) + real.exp().sum())).detach()
    for zero_sum, target in ((True, 1 / 9), (False, 0.0)):
        loss = softmax_boundary_seeking_loss(log_w, log_prob, real, zero_sum=zero_sum)
        assert_exact(loss.detach(), -((w - target) * log_prob.detach()).sum(dim=0))
        loss.sum().backward()
        assert (log_w.grad, real.grad) == (None, None)
        assert log_prob.grad is not None
        assert_exact(log_prob.grad, target - w)
        log_prob.grad = None


def test_gradient_reaches_the_generator_only() -> None:
    problem = PROBLEMS["categorical D=3 K=2"]
    generator, discriminator = TableGenerator(problem.logits.expand(4, 3, 2).clone()), problem.discriminator()
    torch.manual_seed(0)
    loss = estimator(problem, 5)(generator, discriminator, torch.arange(4))
    assert loss.shape == (4,)
    loss.sum().backward()
    assert discriminator.log_w.grad is None
    assert generator.logits.grad is not None
    assert bool((generator.logits.grad != 0).any())


def test_weights_of_the_union_sum_to_one() -> None:
    log_w, real = seeded_normal(4, 3, scale=3), seeded_normal(5, seed=2)
    weights = union_weights(log_w, real)
    of_real = real.exp()[:, None] / (log_w.exp().sum(dim=0) + real.exp().sum())
    assert_exact(weights.sum(dim=0) + of_real.sum(dim=0), torch.ones(3).double())
    assert_exact(union_weights(log_w + 7, real + 7), weights)
    assert_exact(union_weights(log_w, real, zero_sum=True), weights - 1 / 9)
    assert bool((weights < normalized_weights(log_w)).all())


def test_weights_are_differentiable() -> None:
    log_w, real = seeded_normal(4, 3).requires_grad_(), seeded_normal(5, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(union_weights, (log_w, real))


@pytest.mark.parametrize("scale", [1e4, 3e38])
def test_weights_at_large_scores(scale: float) -> None:
    log_w = scale * torch.tensor([[1.0, 0.0, -1.0], [1.0, -1.0, -1.0]])
    weights = union_weights(log_w, scale * torch.tensor([0.0, -1.0]))
    assert weights.tolist() == [[0.5, 0.5, 0.0], [0.5, 0.0, 0.0]]


def test_half_precision_weights_are_float32() -> None:
    weights = union_weights(torch.zeros(2, 3).half(), torch.zeros(4).half())
    assert weights.dtype == torch.float32
    assert weights.tolist() == [[pytest.approx(1 / 6)] * 3] * 2


def test_infinite_scores() -> None:
    log_w = torch.tensor([[-math.inf, 0.0, math.inf], [0.0, 0.0, 0.0]])
    assert union_weights(log_w, torch.tensor([-math.inf, 0.0])).tolist() == [
        [0, pytest.approx(1 / 3), 1],
        [0.5, pytest.approx(1 / 3), 0],
    ]


class Scripted(nn.Module):
    """A discriminator that answers with given rows, in order, and at real samples (R, D) with given scores."""

    def __init__(self, log_w: Tensor, real_log_w: Tensor) -> None:
        super().__init__()
        self.rows, self.real_log_w = iter(log_w), real_log_w

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            return self.real_log_w
        return torch.stack([next(self.rows) for _ in range(len(x))])


REAL = torch.zeros(3, 4)


@pytest.mark.parametrize("zero_sum", [False, True])
@pytest.mark.parametrize(("num_samples", "chunk_size"), [(7, None), (7, 3), (7, 1), (1, None)])
@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
@pytest.mark.parametrize("lead", [-40.0, 0.0, 40.0])
def test_sums_over_chunks_equal_the_loss(
    zero_sum: bool, num_samples: int, chunk_size: int | None, shape: tuple, lead: float
) -> None:
    generator = TableGenerator(seeded_normal(*shape))
    log_w = seeded_normal(num_samples, 5, seed=1, scale=3) + lead * torch.tensor([0, 0.02, -0.1, 1, -1])
    log_w[: num_samples // 2, 1] = -math.inf
    real_log_w = seeded_normal(3, seed=2) + lead
    g = generator(torch.arange(5))
    x = g.sample((num_samples,))
    estimator = UnionBoundarySeeking(num_samples, zero_sum, chunk_size)
    loss = estimator(Replay(generator, x), Scripted(log_w, real_log_w), torch.arange(5), real=REAL)
    expected = softmax_boundary_seeking_loss(log_w, g.log_prob(x), real_log_w, zero_sum=zero_sum)
    assert_exact(loss, expected)
    gradient, expected_gradient = (torch.autograd.grad(each.sum(), generator.logits) for each in (loss, expected))
    assert_exact(gradient, expected_gradient)


@pytest.mark.parametrize("zero_sum", [False, True])
def test_any_other_distribution_gives_the_same(zero_sum: bool) -> None:
    # The same law as a FactorizedBernoulli, by torch's own class.
    generator, log_w, real_log_w = TableGenerator(seeded_normal(5, 4)), seeded_normal(7, 5), seeded_normal(3, seed=2)
    x = generator(torch.arange(5)).sample((7,))
    results = []
    for make in (generator, lambda z: OwnBits(generator.logits[z])):
        networks = Replay(make, x), Scripted(log_w, real_log_w), torch.arange(5)
        loss = UnionBoundarySeeking(7, zero_sum=zero_sum)(*networks, real=REAL)
        results.append((loss, *torch.autograd.grad(loss.sum(), generator.logits)))
    assert_exact(results[1], results[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e4, 1e30, math.inf])
@pytest.mark.parametrize("chunk_size", [None, 1])
def test_large_scores(dtype: torch.dtype, scale: float, chunk_size: int | None) -> None:
    signs = torch.tensor([[1.0, 1, -1, -1, 1], [1, -1, -1, -1, -1]]).to(dtype)
    generator = TableGenerator(seeded_normal(5, 4).to(dtype))
    g = generator(torch.arange(5))
    x = g.sample((2,))
    shares = {
        (1, -1, -1): [[1 / 3, 1 / 2, 0, 0, 1 / 2], [1 / 3, 0, 0, 0, 0]],
        (-1, -1, -1): [[1 / 2, 1, 1 / 5, 1 / 5, 1], [1 / 2, 0, 1 / 5, 1 / 5, 0]],
    }
    for real, share in shares.items():
        networks = Replay(generator, x), Scripted(scale * signs, scale * torch.tensor(real, dtype=dtype))
        estimator = UnionBoundarySeeking(2, zero_sum=False, chunk_size=chunk_size)
        loss = estimator(*networks, torch.arange(5), real=REAL)
        expected = -(torch.tensor(share, dtype=dtype) * g.log_prob(x)).sum(dim=0)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
        assert loss.dtype == dtype


def test_half_precision_scores_are_weighed_in_float32() -> None:
    # Under autocast a discriminator may answer in bfloat16, whose sums over real samples would be off by 1e-2.
    generator = TableGenerator(seeded_normal(5, 4).float())
    log_w, real_log_w = seeded_normal(50, 5).bfloat16(), seeded_normal(70, seed=2).bfloat16()
    g = generator(torch.arange(5))
    x = g.sample((50,))
    expected = softmax_boundary_seeking_loss(log_w.double(), g.log_prob(x).double(), real_log_w.double())
    for make in (generator, lambda z: OwnBits(generator.logits[z])):
        with torch.autocast("cpu", torch.bfloat16):
            networks = Replay(make, x), Scripted(log_w, real_log_w), torch.arange(5)
            loss = UnionBoundarySeeking(50)(*networks, real=torch.zeros(70, 4))
        torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_cost_is_one_evaluation_a_real_sample_more_and_keeps_no_graph(chunk_size: int | None) -> None:
    calls = []
    discriminator = SmoothDiscriminator(torch.Size((4,)))
    discriminator.register_forward_hook(lambda module, args, raw: calls.append((raw.numel(), raw.requires_grad)))
    generator = TableGenerator(seeded_normal(3, 4))
    real = torch.ones(6, 4).double().requires_grad_()
    estimator = UnionBoundarySeeking(5, chunk_size=chunk_size)
    estimator(generator, discriminator, torch.arange(3), real=real).sum().backward()
    claimed = estimator.claims.evaluations
    assert claimed == 5
    assert sum(number for number, _ in calls) == 3 * claimed + 6
    assert not any(kept for _, kept in calls)
    assert real.grad is None


def test_claims() -> None:
    bias = "O(1/M), and latents weigh as their shares of the softmax"
    claims = UnionBoundarySeeking(3).claims
    assert claims == Claims("reweighted", bias, 3, "Lin 2017, arXiv 1704.06191")


def test_it_is_no_choice_of_boundary_seeking_any_more() -> None:
    assert parse_estimator("boundary-seeking-union:num_samples=3,zero_sum=false") == UnionBoundarySeeking(3, False)
    with pytest.raises(InputError, match=r"^estimator boundary-seeking: over: .* is boundary-seeking-union now$"):
        parse_estimator("boundary-seeking:num_samples=3,over=union")


def test_errors() -> None:
    good = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"^log_w: expected shape \(M, B\)"):
        softmax_boundary_seeking_loss(torch.zeros(2), good, torch.zeros(2))
    with pytest.raises(ValueError, match=r"^log_prob: expected the shape of log_w, \(2, 3\), got \(2, 1\)"):
        softmax_boundary_seeking_loss(good, torch.zeros(2, 1), torch.zeros(2))
    with pytest.raises(ValueError, match=r"^real_log_w: expected shape \(R,\), got \(2, 3\)"):
        softmax_boundary_seeking_loss(good, good, good)
    with pytest.raises(ValueError, match=r"^num_samples: expected at least 1, got 0"):
        UnionBoundarySeeking(0)
    assert UnionBoundarySeeking(1).num_samples == 1
    networks = TableGenerator(seeded_normal(3, 4)), SmoothDiscriminator(torch.Size((4,))), torch.arange(3)
    estimator = UnionBoundarySeeking()
    with pytest.raises(ValueError, match=r"^real: expected real samples \(.*the lab has none\), got None$"):
        estimator(*networks)
    with pytest.raises(ValueError, match=r"^chunk_size: expected at least 1, got 0$"):
        UnionBoundarySeeking(chunk_size=0)
    other = lambda z: OwnBits(seeded_normal(3, 4))  # noqa: E731
    with pytest.raises(TypeError, match=r"^chunk_size: expected a FactorizedBernoulli .* got OwnBits$"):
        UnionBoundarySeeking(chunk_size=2)(Replay(other, REAL), *networks[1:], real=REAL.double())
    with pytest.raises(
        ValueError, match=r"^discriminator: expected one raw output per sample, shape \(2,\), got \(2, 3\)$"
    ):
        estimator(*networks, real=torch.zeros(2, 3, 4).double())
    for shape in ((4,), (0, 4)):
        real = torch.zeros(shape).double()
        with pytest.raises(ValueError, match=rf"^real: expected shape \(R, \*event\), got \({str(shape)[1:-1]}\)$"):
            estimator(*networks, real=real)

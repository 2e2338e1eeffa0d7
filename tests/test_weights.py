"""Importance weights against explicit formulas, laws and limits."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from discrete_gan.estimators import boundary_seeking_loss
from discrete_gan.weights import (
    Over,
    StreamingMean,
    diagnose,
    effective_sample_size,
    importance_loss,
    log_partition,
    normalized_weights,
    pareto_tail_index,
    tail_index_threshold,
    union_weights,
)
from tests.problems import assert_exact, seeded_normal

FUNCTIONS: list[Callable[..., Tensor]] = [
    normalized_weights,
    log_partition,
    effective_sample_size,
    pareto_tail_index,
]
OVER: list[Over] = ["samples", "batch"]


@pytest.fixture
def log_w() -> Tensor:
    return seeded_normal(5, 3, scale=2)


def test_weights_equal_the_formula(log_w: Tensor) -> None:
    w = log_w.exp()
    assert_exact(normalized_weights(log_w), w / w.sum(dim=0))
    assert_exact(normalized_weights(log_w, over="batch"), w / w.sum())
    assert_exact(normalized_weights(log_w, zero_sum=True), w / w.sum(dim=0) - 1 / 5)
    assert_exact(normalized_weights(log_w, over="batch", zero_sum=True), w / w.sum() - 1 / 15)


def test_weights_sum_to_one_or_zero(log_w: Tensor) -> None:
    assert_exact(normalized_weights(log_w).sum(dim=0), torch.ones(3).double())
    assert_exact(normalized_weights(log_w, over="batch").sum(), torch.tensor(1.0).double())
    assert_exact(normalized_weights(log_w, zero_sum=True).sum(dim=0), torch.zeros(3).double())


def test_log_partition_equals_the_formula(log_w: Tensor) -> None:
    w = log_w.exp()
    assert_exact(log_partition(log_w), w.mean(dim=0).log())
    assert_exact(log_partition(log_w, over="batch"), w.mean().log())


def test_effective_sample_size_equals_the_formula(log_w: Tensor) -> None:
    w = log_w.exp()
    size = effective_sample_size(log_w)
    assert_exact(size, w.sum(dim=0).square() / w.square().sum(dim=0))
    assert bool(((size >= 1) & (size <= 5)).all())


def test_effective_sample_size_at_its_bounds() -> None:
    torch.testing.assert_close(effective_sample_size(torch.full((7, 2), 3.0)), torch.full((2,), 7.0))
    assert effective_sample_size(torch.tensor([[500.0], [0.0], [0.0]])).item() == 1


@pytest.mark.parametrize("over", OVER)
def test_shift_changes_the_partition_only(log_w: Tensor, over: Over) -> None:
    shift = 17.0 if over == "batch" else torch.tensor([17.0, -3.0, 100.0])
    # adding 100 nats rounds two digits away
    assert_exact(normalized_weights(log_w + shift, over=over), normalized_weights(log_w, over=over), rtol=1e-11)
    assert_exact(log_partition(log_w + shift, over=over), log_partition(log_w, over=over) + shift, rtol=1e-11)


@pytest.mark.parametrize("over", OVER)
def test_permuting_samples_and_latents_permutes_weights(log_w: Tensor, over: Over) -> None:
    rows, columns = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([2, 0, 1])
    permuted = normalized_weights(log_w[rows][:, columns], over=over)
    assert_exact(permuted, normalized_weights(log_w, over=over)[rows][:, columns])


def test_functions_of_a_latent_ignore_the_others() -> None:
    log_w = seeded_normal(30, 4)
    for function in FUNCTIONS:
        assert_exact(function(log_w)[..., 2:3], function(log_w[:, 2:3]))


def test_one_sample_has_weight_one() -> None:
    log_w = torch.tensor([[-1e4, 0.0, 3.0]])
    assert normalized_weights(log_w).tolist() == [[1, 1, 1]]
    assert normalized_weights(log_w, zero_sum=True).tolist() == [[0, 0, 0]]
    assert log_partition(log_w).tolist() == log_w[0].tolist()
    assert effective_sample_size(log_w).tolist() == [1, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_huge_log_ratios(dtype: torch.dtype) -> None:
    # Spacing of bfloat16 at 1e4 is 64: a difference of 64 is exact in all three types and exp(-64) is 0 beside 1.
    log_w = torch.tensor([[9984.0, -9984.0], [9984.0 - 64, -9984.0], [-9984.0, -9984.0 - 64]], dtype=dtype)
    expected = torch.tensor([[1, 0.5], [math.exp(-64), 0.5], [0, math.exp(-64) / 2]], dtype=torch.float64)
    torch.testing.assert_close(normalized_weights(log_w).double(), expected, rtol=1e-5, atol=1e-30)
    partition = [9984 - math.log(3), -9984 + math.log(2 / 3)]
    torch.testing.assert_close(log_partition(log_w).double(), torch.tensor(partition).double(), rtol=1e-6, atol=0)
    torch.testing.assert_close(effective_sample_size(log_w).double(), torch.tensor([1.0, 2.0]).double())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    log_w = seeded_normal(50, 4, scale=4).to(dtype)
    for function in FUNCTIONS:
        result = function(log_w)
        assert result.dtype == torch.float32
        # float32 rounding (6e-8) through sums of 50 terms; half precision itself would be off by 1e-3 or more
        torch.testing.assert_close(result.double(), function(log_w.double()), rtol=2e-5, atol=1e-6)


def test_minus_infinity_is_weight_zero() -> None:
    inf = math.inf
    log_w = torch.tensor([[-inf, -inf], [0.0, -inf], [0.0, -inf], [-inf, -inf]], requires_grad=True)
    weights = normalized_weights(log_w)
    assert weights.tolist() == [[0, 0.25], [0.5, 0.25], [0.5, 0.25], [0, 0.25]]
    assert normalized_weights(log_w, over="batch").tolist() == [[0, 0], [0.5, 0], [0.5, 0], [0, 0]]
    assert log_partition(log_w).tolist() == [pytest.approx(math.log(0.5)), -inf]
    assert effective_sample_size(log_w).tolist() == [2, 4]
    (gradient,) = torch.autograd.grad(weights[1].sum(), log_w)
    assert gradient.tolist() == [[0, 0], [0.25, 0], [-0.25, 0], [0, 0]]


def test_plus_infinity_takes_all_the_weight() -> None:
    log_w = torch.tensor([[math.inf, math.inf], [1e4, math.inf], [-math.inf, 0.0]])
    assert normalized_weights(log_w).tolist() == [[1, 0.5], [0, 0.5], [0, 0]]
    assert effective_sample_size(log_w).tolist() == [1, 2]


def test_nan_stays_in_its_latent() -> None:
    log_w = seeded_normal(30, 2)
    log_w[4, 1] = math.nan
    for function in FUNCTIONS:
        assert function(log_w).isnan().tolist() in ([False, True], [[False, True]] * 30), function.__name__
    assert normalized_weights(log_w, over="batch").isnan().all()


def test_gradients_by_finite_differences(log_w: Tensor) -> None:
    log_w = log_w.requires_grad_()
    for over in OVER:
        assert torch.autograd.gradcheck(partial(normalized_weights, over=over, zero_sum=True), log_w)
        assert torch.autograd.gradcheck(partial(log_partition, over=over), log_w)
    assert torch.autograd.gradcheck(effective_sample_size, log_w)


def psis_tail_index(log_w: np.ndarray) -> float:
    """k of one latent as in the PSIS paper: section 2 (Zhang and Stephens) and appendix C (prior)."""
    w = np.sort(np.exp(log_w))
    n = math.ceil(min(len(w) / 5, 3 * math.sqrt(len(w))))
    x = w[-n:] - w[-n - 1]
    m = 30 + math.floor(math.sqrt(n))
    star = x[math.floor(n / 4 + 0.5) - 1]
    theta = np.array([1 / x[-1] + (1 - math.sqrt(m / (j - 0.5))) / (3 * star) for j in range(1, m + 1)])

    def shape(t: float) -> float:
        return float(np.mean(np.log(1 - t * x)))

    profile = np.array([n * (math.log(-t / shape(t)) - shape(t) - 1) for t in theta])
    posterior = np.array([1 / np.sum(np.exp(profile - each)) for each in profile])
    return (n * shape(float(np.sum(posterior * theta))) + 10 * 0.5) / (n + 10)


@pytest.mark.parametrize("num_samples", [21, 25, 100, 1000])
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_tail_index_equals_the_paper(num_samples: int, scale: float) -> None:
    log_w = seeded_normal(num_samples, 4, seed=num_samples, scale=scale)
    expected = torch.tensor([psis_tail_index(column) for column in log_w.T.numpy()], dtype=torch.float64)
    torch.testing.assert_close(pareto_tail_index(log_w), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("index", [0.3, 0.7, 1.0])
def test_tail_index_recovers_that_of_pareto_weights(index: float) -> None:
    num_samples, num_latents = 10_000, 200
    uniform = torch.rand(num_samples, num_latents, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    log_w = torch.log((uniform.pow(-index) - 1) / index)
    num_tail = 300  # 3 sqrt(M)
    shrunk = (num_tail * index + 5) / (num_tail + 10)
    # Variance of the maximum-likelihood k is (1 + k)^2 / n, its bias of order 1/n.
    bound = 5 * (1 + index) / math.sqrt(num_tail * num_latents) + 2 / num_tail
    assert abs(pareto_tail_index(log_w).mean().item() - shrunk) < bound


def test_tail_index_where_there_is_no_tail() -> None:
    assert pareto_tail_index(seeded_normal(20, 2)).tolist() == [math.inf, math.inf]
    assert pareto_tail_index(seeded_normal(21, 2)).isfinite().all()
    assert pareto_tail_index(torch.zeros(100, 1)).tolist() == [-math.inf]
    assert pareto_tail_index(torch.full((100, 1), -math.inf)).tolist() == [-math.inf]


# k of arviz 0.23.4, psislw(log_w)[1], of the first four of 20 columns of log_w = N(0, sd), and its mean over all 20.
ARVIZ = {
    (100, 3): (0.83339200, 0.95356777, 0.92476905, 0.90257943, 0.99382542),
    (100, 5): (1.28145209, 1.21105263, 1.92458795, 0.93002285, 1.52790759),
    (100, 10): (3.18163198, 2.14235901, 3.27919174, 2.08655784, 2.72965502),
    (100, 15): (4.12516746, 3.56413441, 4.29571307, 4.03127353, 4.05588174),
    (100, 20): (5.91491446, 6.09864197, 5.23545884, 4.95843884, 5.47778399),
    (100, 30): (8.45894460, 9.27317818, 6.92243759, 6.96753240, 7.61546116),
    (300, 3): (0.96621627, 1.19923401, 1.14073150, 1.15730140, 1.11325494),
    (300, 5): (1.67620858, 1.40186824, 2.43220151, 2.49453664, 2.09361699),
    (300, 10): (3.46482694, 3.33960145, 3.64480528, 4.88718106, 3.98604547),
    (300, 15): (5.23087362, 5.10043748, 5.60142884, 5.74086466, 5.41927692),
    (300, 20): (5.57113634, 5.51966286, 7.50067572, 7.92089287, 7.27319196),
    (300, 30): (11.64248048, 11.05192610, 8.51711195, 7.87831464, 10.09560519),
    (1000, 3): (0.98049277, 1.04327861, 1.06030813, 1.06099502, 1.02359745),
    (1000, 5): (1.93093868, 2.00187454, 1.86763118, 1.90202254, 1.84795836),
    (1000, 10): (3.44919469, 3.50969494, 3.28291984, 3.84037023, 3.88998115),
    (1000, 15): (5.67584913, 5.43871991, 5.95090765, 5.54502358, 5.51781108),
    (1000, 20): (7.40397903, 7.33811717, 6.08541203, 6.68557211, 6.94236288),
    (1000, 30): (10.39094727, 10.09106530, 10.58224356, 10.97736787, 9.98237680),
    (10000, 3): (1.05251711, 0.81274894, 1.05009307, 0.90367177, 0.97616999),
    (10000, 5): (1.75234867, 1.81157146, 1.58351774, 1.99151913, 1.68873818),
    (10000, 10): (3.51744402, 3.12442430, 3.44839937, 3.62456414, 3.47621438),
    (10000, 15): (5.34326110, 5.16460163, 4.90579655, 5.01734973, 5.12617058),
    (10000, 20): (6.63684513, 6.26573731, 6.05115570, 6.47789004, 6.45769696),
    (10000, 30): (9.15237663, 8.92281728, 8.66359213, 8.26270017, 8.96425545),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("num_samples", "sd"), ARVIZ)
def test_tail_index_equals_arviz(num_samples: int, sd: int, dtype: torch.dtype) -> None:
    log_w = torch.from_numpy(np.random.RandomState(num_samples + sd).normal(0, sd, (num_samples, 20))).to(dtype)
    k = pareto_tail_index(log_w)
    found = [*k[:4].tolist(), k.mean().item()]
    # float32 rounds the largest of 10,000 log-ratios, 120 nats, by 4e-6.
    assert found == pytest.approx(ARVIZ[num_samples, sd], rel=1e-7 if dtype == torch.float64 else 1e-4)
    log_w = log_w.requires_grad_()
    (gradient,) = torch.autograd.grad(pareto_tail_index(log_w).sum(), log_w)
    assert gradient.isfinite().all()
    assert bool((k > tail_index_threshold(num_samples)).all())


def two_values(num_low: int, num_high: int) -> Tensor:
    return torch.tensor([0.0, 1.0]).double().repeat_interleave(torch.tensor([num_low, num_high]))


TIES: dict[str, tuple[Tensor, float]] = {
    "five of 100": (two_values(95, 5), -1.6363520074574287),
    "three values": (
        torch.tensor([0.0, 1.0, 2.0]).double().repeat_interleave(torch.tensor([900, 60, 40])),
        -4.746353615774588,
    ),
    "whole numbers": (torch.from_numpy(np.round(np.random.RandomState(2).normal(0, 3, 500))), 1.2191581078952105),
    "three quarters minus infinity": (
        torch.cat([torch.full((300,), -math.inf), torch.from_numpy(np.random.RandomState(1).normal(0, 1, 100))]),
        0.2575486707664297,
    ),
    "underflow": (torch.linspace(-800, 0, 400, dtype=torch.float64), 30.33848412195666),
    "too few above the others": (two_values(96, 4), math.inf),
    "one above the others": (torch.tensor([1e4, *[0.0] * 99]).double(), math.inf),
}


@pytest.mark.parametrize("name", TIES)
def test_tail_index_with_ties_and_underflow_equals_arviz(name: str) -> None:
    log_w, expected = TIES[name]
    log_w = log_w[:, None].requires_grad_()
    k = pareto_tail_index(log_w)
    assert k.item() == pytest.approx(expected, rel=1e-9)
    (gradient,) = torch.autograd.grad(k, log_w)
    assert gradient.isfinite().all()
    # Beside other columns a short tail is the same.
    both = pareto_tail_index(torch.cat([log_w, torch.randn(len(log_w), 1).double()], dim=1))
    assert both[0].item() == pytest.approx(expected, rel=1e-9)


def test_tail_index_where_the_fit_is_exponential() -> None:
    # 120 equal exceedances put a point of the grid at zero, where the profile is 0 / 0; without it k is continuous.
    log_w = two_values(3000, 120)[:, None]
    moved = log_w + torch.cat([torch.zeros(3000), torch.linspace(0, 1e-7, 120)]).double()[:, None]
    assert pareto_tail_index(log_w).item() == pytest.approx(pareto_tail_index(moved).item(), abs=1e-4)


def test_gradient_of_the_tail_index_by_finite_differences() -> None:
    assert torch.autograd.gradcheck(pareto_tail_index, seeded_normal(60, 2).requires_grad_())
    for equal in (torch.zeros(100, 2), torch.full((100, 2), -math.inf)):
        (gradient,) = torch.autograd.grad(pareto_tail_index(equal.requires_grad_()).sum(), equal)
        assert torch.equal(gradient, torch.zeros(100, 2))


def test_threshold_of_the_tail_index_depends_on_the_number_of_samples() -> None:
    assert tail_index_threshold(100) == pytest.approx(0.5)
    assert tail_index_threshold(1000) == pytest.approx(2 / 3)
    assert [tail_index_threshold(number) for number in (2155, 10_000)] == [0.7, 0.7]
    assert tail_index_threshold(2154) < 0.7
    with pytest.raises(ValueError, match=r"^num_samples: expected at least 2, got 1$"):
        tail_index_threshold(1)


@pytest.mark.parametrize("level", [0.0, 1e4, -1e4, 1e6])
def test_gradient_of_the_partition_sums_to_one(level: float) -> None:
    log_w = (level + torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))).requires_grad_()
    for over, total in (("samples", 3.0), ("batch", 1.0)):
        (gradient,) = torch.autograd.grad(log_partition(log_w, over=over).sum(), log_w)  # type: ignore[arg-type]
        # A sum of 1,000 numbers in float32.
        assert gradient.sum().item() == pytest.approx(total, rel=1e-6)


def test_partition_of_nothing_has_no_gradient() -> None:
    log_w = torch.tensor([[-math.inf, 0.0], [-math.inf, -math.inf]], requires_grad=True)
    (gradient,) = torch.autograd.grad(log_partition(log_w).sum(), log_w)
    assert gradient.tolist() == [[0, 1], [0, 0]]


def test_diagnose_holds_what_the_functions_give() -> None:
    log_w = seeded_normal(40, 3)
    result = diagnose(log_w)
    assert_exact(result.normalized_weights, normalized_weights(log_w))
    assert_exact(result.log_partition, log_partition(log_w))
    assert_exact(result.effective_sample_size, effective_sample_size(log_w))
    assert_exact(result.pareto_tail_index, pareto_tail_index(log_w))
    assert_exact(result.largest_weight, normalized_weights(log_w).max(dim=0).values)


CHUNKS = [(7,), (3, 4), (1, 5, 1), (1,) * 7]


def streamed(log_w: Tensor, x: Tensor, sizes: tuple[int, ...]) -> StreamingMean:
    mean = StreamingMean()
    for chunk in zip(log_w.split(sizes), x.split(sizes), strict=True):
        mean.update(*chunk)
    return mean


def uneven_log_ratios() -> Tensor:
    """Of seven samples, infinite ones in every place of a chunk, and levels that would overflow or underflow."""
    log_w = seeded_normal(7, 8, scale=3) + torch.tensor([0, 0, 0, 0, 0, 0, 1e4, -1e4]).double()
    log_w[:, 1] = -math.inf  # nothing to prefer
    log_w[:3, 2] = -math.inf  # the first chunks without any weight
    log_w[-2:, 3] = -math.inf  # the last
    log_w[3, 4] = math.inf
    log_w[[0, 6], 5] = math.inf  # two that share all weight
    log_w[:, 6] = torch.tensor([-1e4, 1e4, 0.0, -1e4, 1e4, 9998.0, 1e4 - 1]).double()
    return log_w


@pytest.mark.parametrize("sizes", CHUNKS)
@pytest.mark.parametrize("event", [(), (4,), (2, 3)])
def test_streaming_mean_is_that_of_all_samples_at_once(sizes: tuple[int, ...], event: tuple[int, ...]) -> None:
    log_w, x = uneven_log_ratios(), seeded_normal(7, 8, *event, seed=1)
    mean = streamed(log_w, x, sizes)
    assert_exact(mean.weighted, torch.einsum("mb,mb...->b...", normalized_weights(log_w), x))
    assert_exact(mean.plain, x.mean(dim=0))
    assert mean.count == 7
    bounds = torch.finfo(torch.float64)
    assert_exact(mean.log_total, log_w.clamp(bounds.min, bounds.max).logsumexp(dim=0))
    finite = log_w.isfinite().any(dim=0) & ~log_w.isposinf().any(dim=0)
    assert_exact((mean.log_total - math.log(7))[finite], log_partition(log_w)[finite])


@pytest.mark.parametrize("sizes", CHUNKS)
@pytest.mark.parametrize("level", [-math.inf, -1e4, 0.0, 1e4, math.inf])
def test_share_of_a_stream_is_the_sum_of_the_weights_of_the_union(sizes: tuple[int, ...], level: float) -> None:
    log_w, others = uneven_log_ratios(), seeded_normal(5, seed=2)
    others[0] = level
    share = streamed(log_w, seeded_normal(7, 8, seed=1), sizes).share_beside(others)
    assert_exact(share, union_weights(log_w, others).sum(dim=0))
    assert bool(((share >= 0) & (share <= 1)).all())
    assert_exact(streamed(log_w, log_w, sizes).share_beside(others[:0]), torch.ones(8).double())


def test_streaming_mean_is_of_means_as_often_as_asked() -> None:
    log_w, x = seeded_normal(7, 3), seeded_normal(7, 3, 2, seed=1)
    mean = StreamingMean()
    for end in range(1, 8):
        mean.update(log_w[end - 1 : end], x[end - 1 : end])
        weights = normalized_weights(log_w[:end])
        for _ in range(2):
            assert_exact(mean.weighted, torch.einsum("mb,mbd->bd", weights, x[:end]))
            assert_exact(mean.plain, x[:end].mean(dim=0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_streaming_mean_of_half_precision_is_float32(dtype: torch.dtype) -> None:
    log_w, x = seeded_normal(50, 4, scale=4).to(dtype), (1 + seeded_normal(50, 4, 3, seed=1)).to(dtype)
    found, exact = streamed(log_w, x, (30, 20)), streamed(log_w.double(), x.double(), (50,))
    others = seeded_normal(6, seed=2).to(dtype)
    for value, expected in (
        (found.weighted, exact.weighted),
        (found.plain, exact.plain),
        (found.log_total, exact.log_total),
        (found.share_beside(others), exact.share_beside(others.double())),
    ):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), expected, rtol=2e-5, atol=1e-6)


def test_streaming_mean_of_whole_numbers() -> None:
    tokens = torch.arange(12).view(6, 2)
    mean = streamed(torch.zeros(6, 2), tokens, (4, 2))
    assert mean.plain.tolist() == mean.weighted.tolist() == [5, 6]


def test_streaming_mean_carries_no_gradient() -> None:
    log_w, x, others = (seeded_normal(*shape).requires_grad_() for shape in ((7, 3), (7, 3, 2), (4,)))
    mean = streamed(log_w, x, (3, 4))
    for value in (mean.weighted, mean.plain, mean.log_total, mean.share_beside(others)):
        assert not value.requires_grad


def test_nan_stays_in_its_latent_of_a_streaming_mean() -> None:
    log_w, x = seeded_normal(7, 2), seeded_normal(7, 2, seed=1)
    log_w[2, 1] = math.nan
    mean = streamed(log_w, x, (3, 4))
    for value in (mean.weighted, mean.log_total, mean.share_beside(x[0])):
        assert value.isnan().tolist() == [False, True]
    assert_exact(mean.plain, x.mean(dim=0))


def test_errors_of_a_streaming_mean() -> None:
    mean, log_w, x = StreamingMean(), torch.zeros(2, 3), torch.zeros(2, 3, 4)
    for read in (lambda: mean.weighted, lambda: mean.plain, lambda: mean.log_total, lambda: mean.share_beside(x)):
        with pytest.raises(ValueError, match=r"^StreamingMean: expected at least one chunk of samples .* got none$"):
            read()
    with pytest.raises(ValueError, match=r"^log_w: expected shape \(M, B\), samples first, got \(2,\)$"):
        mean.update(log_w[:, 0], x)
    with pytest.raises(ValueError, match=r"^x: expected shape \(m, B, \*event\), of log_w \(2, 3\), got \(2, 1, 4\)$"):
        mean.update(log_w, x[:, :1])
    assert mean.count == 0
    mean.update(log_w, x)
    for log_w_next, x_next, got in ((log_w, x[..., :1], r"\(3, 1\)"), (log_w[:, :1], x[:, :1], r"\(1, 4\)")):
        with pytest.raises(ValueError, match=rf"^x: expected .* \(B, \*event\) of \(3, 4\) as before, got {got}$"):
            mean.update(log_w_next, x_next)
    assert mean.count == 2
    with pytest.raises(ValueError, match=r"^log_w: expected shape \(R,\), got \(2, 3\)$"):
        mean.share_beside(log_w)


@pytest.mark.parametrize("num_samples", [10, 40, 160])
def test_importance_loss_is_right_for_any_proposal(num_samples: int) -> None:
    # One bit: p, its target and q. The sample is how many ones q drew of M, so the expectation is a binomial sum.
    logit = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    target, proposal = 0.7, 0.2
    ones = torch.arange(num_samples + 1)
    x = (torch.arange(num_samples)[:, None] < ones).double()  # (M, M + 1)
    log_w = torch.where(x == 1, math.log(target / proposal), math.log((1 - target) / (1 - proposal)))
    log_prob = torch.where(x == 1, logit, -logit).double().sigmoid().log()
    chance = torch.distributions.Binomial(num_samples, torch.tensor(proposal).double()).log_prob(ones.double()).exp()
    log_w = log_w.requires_grad_()
    exact = torch.sigmoid(logit).item() - target  # gradient of KL(target || p) in the logit
    errors = {}
    for name, loss in (("importance", importance_loss), ("zero-sum", boundary_seeking_loss)):
        expected = (chance * loss(log_w, log_prob)).sum()
        gradient, of_weights = torch.autograd.grad(expected, (logit, log_w), retain_graph=True, allow_unused=True)
        assert of_weights is None
        errors[name] = abs(gradient.item() - exact)
    assert errors["importance"] < 1.5 / num_samples
    # What 1/M subtracts is the mean score of p under q, which is not zero.
    assert errors["zero-sum"] == pytest.approx(torch.sigmoid(logit).item() - proposal, abs=1.5 / num_samples)
    assert importance_loss(log_w, log_prob).shape == (num_samples + 1,)


def test_samples_that_are_ruled_out_do_not_count() -> None:
    log_prob = torch.tensor([[-math.inf], [-1.0], [-3.0]], requires_grad=True)
    loss = importance_loss(torch.tensor([[-math.inf], [0.0], [0.0]]), log_prob)
    (gradient,) = torch.autograd.grad(loss.sum(), log_prob)
    assert loss.tolist() == [2]
    assert gradient.flatten().tolist() == [0, -0.5, -0.5]


def test_tail_index_is_a_number_where_weights_nearly_underflow() -> None:
    near = torch.cat(
        [torch.zeros(1), -87.3 + 1e-4 * torch.randn(14), torch.full((5,), -87.33), torch.full((80,), -200.0)]
    )
    torch.manual_seed(0)
    random = torch.randn(100, 2000) * torch.linspace(5, 120, 2000)
    log_w = torch.cat([near[:, None], random], dim=1).requires_grad_()
    k = pareto_tail_index(log_w)
    assert not k.isnan().any()
    (gradient,) = torch.autograd.grad(k[k.isfinite()].sum(), log_w)
    assert gradient.isfinite().all()


def test_importance_loss_names_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^log_prob: expected the shape of log_w, \(4, 3\), got \(4, 1\)"):
        importance_loss(torch.zeros(4, 3), torch.zeros(4, 1))
    with pytest.raises(ValueError, match=r"^log_w: expected shape \(M, B\)"):
        importance_loss(torch.zeros(4), torch.zeros(4))


def test_compiles_without_a_graph_break() -> None:
    log_w = seeded_normal(40, 3)
    # fullgraph fails at the first value read back from the device
    compiled = torch.compile(lambda x: (diagnose(x), log_partition(x, over="batch")), fullgraph=True, backend="eager")
    result, batch = compiled(log_w)
    for got, expected in zip(result, diagnose(log_w), strict=True):
        assert_exact(got, expected)
    assert_exact(batch, log_partition(log_w, over="batch"))


def test_streaming_mean_compiles_without_a_graph_break() -> None:
    log_w, x = uneven_log_ratios(), seeded_normal(7, 8, 2, seed=1)

    def means(log_w: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        mean = streamed(log_w, x, (3, 4))
        return mean.weighted, mean.plain, mean.log_total, mean.share_beside(log_w[:, 0])

    compiled = torch.compile(means, fullgraph=True, backend="eager")
    assert_exact(compiled(log_w, x), means(log_w, x))


@pytest.mark.parametrize("function", [*FUNCTIONS, diagnose])
@pytest.mark.parametrize("log_w", [torch.zeros(3), torch.zeros(2, 3, 4), torch.zeros(0, 3), torch.zeros(2, 3).long()])
def test_errors_name_the_argument(function: Callable[[Tensor], object], log_w: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^log_w: expected"):
        function(log_w)


def test_unknown_over_is_an_error() -> None:
    for function in (normalized_weights, log_partition):
        with pytest.raises(ValueError, match=r"^over: expected one of samples, batch, got 'rows'"):
            function(torch.zeros(2, 3), over="rows")  # type: ignore[arg-type]

"""Importance weights against explicit formulas, laws and limits."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from discrete_gan.weights import (
    Over,
    diagnose,
    effective_sample_size,
    log_partition,
    normalized_weights,
    pareto_tail_index,
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


def test_tail_index_with_ties_and_underflow_is_finite() -> None:
    one_dominates = torch.zeros(100)
    one_dominates[7] = 1e4
    two_values = torch.tensor([0.0, 1.0]).repeat_interleave(torch.tensor([95, 5]))
    k = pareto_tail_index(torch.stack([one_dominates, two_values], dim=1))
    assert k.isfinite().all()


def test_diagnose_holds_what_the_functions_give() -> None:
    log_w = seeded_normal(40, 3)
    result = diagnose(log_w)
    assert_exact(result.normalized_weights, normalized_weights(log_w))
    assert_exact(result.log_partition, log_partition(log_w))
    assert_exact(result.effective_sample_size, effective_sample_size(log_w))
    assert_exact(result.pareto_tail_index, pareto_tail_index(log_w))
    assert_exact(result.largest_weight, normalized_weights(log_w).max(dim=0).values)


def test_compiles_without_a_graph_break() -> None:
    log_w = seeded_normal(40, 3)
    # fullgraph fails at the first value read back from the device
    compiled = torch.compile(lambda x: (diagnose(x), log_partition(x, over="batch")), fullgraph=True, backend="eager")
    result, batch = compiled(log_w)
    for got, expected in zip(result, diagnose(log_w), strict=True):
        assert_exact(got, expected)
    assert_exact(batch, log_partition(log_w, over="batch"))


@pytest.mark.parametrize("function", [*FUNCTIONS, diagnose])
@pytest.mark.parametrize("log_w", [torch.zeros(3), torch.zeros(2, 3, 4), torch.zeros(0, 3), torch.zeros(2, 3).long()])
def test_errors_name_the_argument(function: Callable[[Tensor], object], log_w: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^log_w: expected"):
        function(log_w)


def test_unknown_over_is_an_error() -> None:
    for function in (normalized_weights, log_partition):
        with pytest.raises(ValueError, match=r"^over: expected one of samples, batch, got 'rows'"):
            function(torch.zeros(2, 3), over="rows")  # type: ignore[arg-type]

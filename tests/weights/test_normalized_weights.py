"""Normalized weights and their mean against explicit formulas, laws and limits."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from discrete_gan.weights import (
    Over,
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


def test_unknown_over_is_an_error() -> None:
    for function in (normalized_weights, log_partition):
        with pytest.raises(ValueError, match=r"^over: expected one of samples, batch, got 'rows'"):
            function(torch.zeros(2, 3), over="rows")  # type: ignore[arg-type]

"""Weighted estimates and their standard errors, against formulas, deletion and spread."""

import math

import pytest
import torch
from torch import Tensor

from discrete_gan.weights import (
    Accumulator,
    effective_sample_size,
    expectation,
    leave_one_out,
    log_normalized_weights,
    log_partition,
    log_partition_error,
    normalized_weights,
)
from tests.problems import assert_exact, seeded_normal


@pytest.fixture
def log_w() -> Tensor:
    return seeded_normal(8, 3, scale=2)


@pytest.mark.parametrize("event", [(), (2,), (2, 3)])
def test_expectation_equals_the_formula(log_w: Tensor, event: tuple[int, ...]) -> None:
    f = seeded_normal(8, 3, *event, seed=1)
    found = expectation(f, log_w + 1e3)
    w = normalized_weights(log_w)
    mean = torch.einsum("mb,mb...->b...", w, f)
    assert_exact(found.mean, mean, rtol=1e-10)
    squares = torch.einsum("mb,mb...->b...", w.square(), (f - mean).square())
    assert_exact(found.standard_error, squares.sqrt(), rtol=1e-10)


def spread(columns: Tensor) -> Tensor:
    return columns.std(dim=0)


def test_standard_errors_are_the_spread_of_the_estimates() -> None:
    # 1,000 estimates from 300 samples each: their spread is known to one part in 45, twice that is the bound.
    log_w = seeded_normal(300, 1000, scale=0.7)
    f = (seeded_normal(300, 1000, seed=1) + log_w)[..., None]
    found = expectation(f, log_w)
    assert found.standard_error.mean().item() == pytest.approx(found.mean.std().item(), rel=0.1)
    error = log_partition_error(log_w)
    assert error.mean().item() == pytest.approx(log_partition(log_w).std().item(), rel=0.1)


def test_error_of_the_partition_equals_the_formula(log_w: Tensor) -> None:
    w = log_w.exp()
    expected = w.std(dim=0) / math.sqrt(8) / w.mean(dim=0)
    assert_exact(log_partition_error(log_w), expected)
    assert_exact(log_partition_error(log_w), ((8 / effective_sample_size(log_w) - 1) / 7).sqrt())
    assert_exact(log_partition_error(log_w + 1e4), expected, rtol=1e-10)


def test_errors_of_equal_samples_are_zero_and_have_no_gradient() -> None:
    log_w, f = torch.zeros(5, 2, requires_grad=True), torch.ones(5, 2, requires_grad=True)
    found = expectation(f, log_w).standard_error, log_partition_error(log_w)
    assert all(bool((each == 0).all()) for each in found)
    for gradient in torch.autograd.grad(found[0].sum() + found[1].sum(), (log_w, f)):
        assert torch.equal(gradient, torch.zeros(5, 2))


def test_errors_are_unknown_where_there_is_nothing_to_tell_them_by() -> None:
    log_w, f = seeded_normal(4, 3), seeded_normal(4, 3, 2, seed=1)
    one = expectation(f[:1], log_w[:1])
    assert torch.equal(one.mean, f[0]) and one.standard_error.isnan().all()
    number = torch.tensor([0, 1, 2])
    found = expectation(f, log_w, where=torch.arange(4)[:, None] < number)
    assert found.mean.isnan().any(dim=1).tolist() == [True, False, False]
    assert found.standard_error.isnan().all(dim=1).tolist() == [True, True, False]
    streamed = Accumulator(errors=True)
    streamed.update(log_w, f, where=torch.arange(4)[:, None] < number)
    torch.testing.assert_close(streamed.standard_error, found.standard_error, equal_nan=True)
    # A mean weight of zero has a logarithm of minus infinity, and no error that could be added to it.
    log_w[:, 1] = -math.inf
    log_w[:3, 2] = -math.inf
    log_w.requires_grad_()
    error = log_partition_error(log_w)
    assert error.isnan().tolist() == [False, True, False]
    assert error[2].item() == pytest.approx(1)  # all of the weight is one sample's
    (gradient,) = torch.autograd.grad(error[[0, 2]].sum(), log_w)
    assert gradient.isfinite().all()


def test_samples_without_weight_do_not_count() -> None:
    log_w = torch.tensor([[-math.inf], [0.0], [0.0]]).requires_grad_()
    f = torch.tensor([[math.nan], [1.0], [3.0]]).requires_grad_()
    found = expectation(f, log_w)
    assert found.mean.item() == 2
    assert found.standard_error.item() == pytest.approx(math.sqrt(0.5))
    for gradient in torch.autograd.grad(found.mean.sum() + found.standard_error.sum(), (log_w, f)):
        assert gradient.isfinite().all()
    assert leave_one_out(log_w, f).mean.flatten().tolist() == [2, 3, 1]  # type: ignore[union-attr]


def test_expectation_of_whole_numbers() -> None:
    assert expectation(torch.arange(6).view(3, 2), torch.zeros(3, 2)).mean.tolist() == [2, 3]


@pytest.mark.parametrize("event", [(), (2,)])
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_leave_one_out_is_what_the_others_say(event: tuple[int, ...], spread: float) -> None:
    log_w, f = seeded_normal(8, 5, scale=spread), seeded_normal(8, 5, *event, seed=1)
    log_w[2, 1] = 1e4
    log_w[:, 2] = 1e4 + log_w[:, 2]
    log_w[3:5, 3] = -math.inf
    found = leave_one_out(log_w, f)
    assert found.mean is not None
    for m in range(8):
        others = [other for other in range(8) if other != m]
        assert_exact(found.log_partition[m], log_partition(log_w[others]), rtol=1e-11)
        assert_exact(found.mean[m], expectation(f[others], log_w[others]).mean, rtol=1e-10, atol=1e-11)
    assert_exact(found.log_weights, log_w - found.log_partition)
    assert leave_one_out(log_w).mean is None
    # A sample that has all the weight leaves no logarithm of zero behind.
    log_w = log_w[:, :3].requires_grad_()
    found = leave_one_out(log_w, f[:, :3])
    (gradient,) = torch.autograd.grad(found.log_partition.sum() + found.mean.sum(), log_w)  # type: ignore[union-attr]
    assert gradient.isfinite().all()


def test_leave_one_out_with_equal_weights_is_the_plain_mean_of_the_others() -> None:
    f = seeded_normal(5, 3)
    assert_exact(leave_one_out(torch.zeros_like(f), f).mean, (f.sum(dim=0) - f) / 4)


@pytest.mark.parametrize("over", ["samples", "batch"])
def test_logarithms_of_weights(over: str) -> None:
    log_w = seeded_normal(6, 4, scale=300)
    log_w[2, 1], log_w[:, 2], log_w[3, 3] = -math.inf, -math.inf, math.inf
    found = log_normalized_weights(log_w, over=over)  # type: ignore[arg-type]
    assert_exact(found.exp(), normalized_weights(log_w, over=over))  # type: ignore[arg-type]
    if over == "samples":
        assert_exact(found[:, 0], log_w[:, 0].log_softmax(dim=0))
        assert found[:, 0].min() < -400
        assert found[2, 1] == -math.inf
        assert_exact(found[:, 2].exp(), torch.full((6,), 1 / 6, dtype=torch.float64))
        assert found[:, 3].tolist() == [-math.inf] * 3 + [0.0] + [-math.inf] * 2


def test_weights_from_densities() -> None:
    target, proposal = seeded_normal(6, 4), seeded_normal(6, 4, seed=1)
    expected = normalized_weights(target - proposal)
    assert_exact(normalized_weights(log_target=target, log_proposal=proposal), expected)
    assert_exact(log_normalized_weights(log_target=target, log_proposal=proposal), expected.log())
    # A sample that neither density allows has no weight; bfloat16 would lose what the densities differ in.
    target[1, 2] = proposal[1, 2] = -math.inf
    assert normalized_weights(log_target=target, log_proposal=proposal)[1, 2] == 0
    large = (1000 + target.nan_to_num(neginf=0)).bfloat16()
    found = normalized_weights(log_target=large, log_proposal=large - 0.3 * large)
    assert found.dtype == torch.float32
    for given in ({}, {"log_target": target}, {"log_w": target, "log_target": target, "log_proposal": proposal}):
        with pytest.raises(ValueError, match=r"^log_w: expected log_w, or log_target and log_proposal, got "):
            normalized_weights(**given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^log_proposal: expected the shape of log_target, \(6, 4\), got \(6, 1\)$"):
        normalized_weights(log_target=target, log_proposal=proposal[:, :1])


def test_effective_sample_size_by_the_largest(log_w: Tensor) -> None:
    w = log_w.exp()
    found = effective_sample_size(log_w, by="largest")
    assert_exact(found, w.sum(dim=0) / w.amax(dim=0))
    assert bool((found <= effective_sample_size(log_w)).all())
    with pytest.raises(ValueError, match=r"^by: expected one of kish, largest, got 'entropy'$"):
        effective_sample_size(log_w, by="entropy")  # type: ignore[arg-type]


def test_errors(log_w: Tensor) -> None:
    with pytest.raises(ValueError, match=r"^f: expected a shape beginning with that of log_w, \(8, 3\), got \(8, 1\)$"):
        expectation(torch.zeros(8, 1), log_w)
    with pytest.raises(ValueError, match=r"^f: expected a tensor, got a NumPy array: pass torch\.from_numpy\(f\)$"):
        expectation(log_w.numpy(), log_w)  # type: ignore[arg-type]
    for function in (leave_one_out, log_partition_error):
        with pytest.raises(ValueError, match=r"^log_w: number of samples along axis 0: expected at least 2, got 1$"):
            function(log_w[:1])

"""VIMCO against the gradient of its multi-sample bound, both enumerated over every tuple of samples."""

import math

import pytest
import torch
from torch import Tensor

from discrete_gan.estimators import Vimco, vimco_loss
from tests.problems import PROBLEMS, Problem, assert_exact, seeded_normal

ALL = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


def bound_gradient(problem: Problem, num_samples: int) -> Tensor:
    """Gradient of -E[log of the mean weight] by automatic differentiation of the sum over all tuples."""
    logits = problem.logits.clone().requires_grad_()
    log_g = Problem(logits, problem.states, problem.log_w).log_g
    index = problem.tuple_indices(num_samples)
    bound = problem.log_w.exp()[index].mean(dim=0).log()
    (gradient,) = torch.autograd.grad(-(log_g[index].sum(dim=0).exp() * bound).sum(), logits)
    return gradient


@ALL
@pytest.mark.parametrize("num_samples", [2, 3])
def test_unbiased_for_its_bound(problem: Problem, num_samples: int) -> None:
    tuples = problem.all_tuples(Vimco(num_samples), num_samples)
    assert_exact(tuples.mean, bound_gradient(problem, num_samples))


@ALL
def test_bound_goes_from_the_reverse_kl_to_the_reweighted_one(problem: Problem) -> None:
    ends = problem.reverse_kl_gradient(), problem.forward_kl_gradient()
    assert_exact(bound_gradient(problem, 1), ends[0])
    near, far = ((bound_gradient(problem, m) - ends[1]).norm() for m in (3, 1))
    assert near < far


def test_signal_of_each_sample_by_its_definition() -> None:
    log_w, log_prob = seeded_normal(4, 3), seeded_normal(4, 3, seed=1).requires_grad_()
    (gradient,) = torch.autograd.grad(vimco_loss(log_w, log_prob).sum(), log_prob)
    w = log_w.exp()
    for m in range(4):
        others = torch.cat([w[:m], w[m + 1 :]])
        geometric = others.prod(dim=0) ** (1 / 3)
        assert_exact(-gradient[m], (w.mean(dim=0) / ((others.sum(dim=0) + geometric) / 4)).log())


def test_a_common_factor_of_the_weights_changes_nothing() -> None:
    log_w, log_prob = seeded_normal(4, 3), seeded_normal(4, 3, seed=1)
    # log-ratios near 1000 are rounded at 1e-13
    assert_exact(vimco_loss(log_w + 1000, log_prob), vimco_loss(log_w, log_prob), rtol=1e-10, atol=1e-11)


def test_signal_where_one_weight_has_nearly_all_or_some_have_none() -> None:
    log_w = torch.tensor(
        [[60.0, 0, -math.inf, 0], [0, -1e5, 0, 0], [1, 0, 1, -math.inf], [-2, 0, 2, -math.inf]]
    ).double()
    log_prob = torch.zeros_like(log_w).requires_grad_()
    (gradient,) = torch.autograd.grad(vimco_loss(log_w, log_prob).sum(), log_prob)
    for m in range(4):
        others = torch.cat([log_w[:m], log_w[m + 1 :]])
        replaced = torch.cat([others, others.mean(dim=0, keepdim=True)])
        assert_exact(-gradient[m], log_w.logsumexp(dim=0) - replaced.logsumexp(dim=0), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("column", [[0.0, -800.0], [0.0, -800.0, -900.0], [-1e4, 0.0], [1e4, -1e4, 0.0, 1e4]])
def test_signal_of_a_sample_that_leads_by_far_is_finite(column: list[float], dtype: torch.dtype) -> None:
    log_w = torch.tensor(column, dtype=dtype)[:, None]
    log_prob = torch.zeros_like(log_w).requires_grad_()
    (gradient,) = torch.autograd.grad(vimco_loss(log_w, log_prob).sum(), log_prob)
    for m in range(len(column)):
        others = torch.cat([log_w[:m], log_w[m + 1 :]]).double()
        replaced = torch.cat([others, others.mean(dim=0, keepdim=True)])
        exact = log_w.double().logsumexp(dim=0) - replaced.logsumexp(dim=0)
        torch.testing.assert_close(-gradient[m].double(), exact, rtol=1e-6, atol=1e-12)


def test_no_weight_at_all_gives_no_signal() -> None:
    log_prob = torch.ones(3, 2).requires_grad_()
    loss = vimco_loss(torch.tensor([[-math.inf, 0.0]] * 3), log_prob)
    (gradient,) = torch.autograd.grad(loss.sum(), log_prob)
    assert loss.tolist() == [0, 0]
    assert not gradient.any()


def test_gradients_reach_the_log_probability_only() -> None:
    log_w, log_prob = seeded_normal(4, 3).requires_grad_(), seeded_normal(4, 3, seed=1).requires_grad_()
    vimco_loss(log_w, log_prob).sum().backward()
    assert log_w.grad is None
    assert log_prob.grad is not None


def test_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"^log_prob: expected the shape of log_w, \(4, 3\), got \(4, 1\)"):
        vimco_loss(torch.zeros(4, 3), torch.zeros(4, 1))
    with pytest.raises(ValueError, match=r"^log_w: expected shape \(M, B\)"):
        vimco_loss(torch.zeros(4), torch.zeros(4))
    reason = "the signal of a sample is what it adds to the others"
    with pytest.raises(ValueError, match=rf"^log_w: number of samples M: expected at least 2, got 1: {reason}"):
        vimco_loss(torch.zeros(1, 3), torch.zeros(1, 3))
    with pytest.raises(ValueError, match=rf"^num_samples: expected at least 2, got 1: {reason}"):
        Vimco(1)

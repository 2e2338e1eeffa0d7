"""Losses from log-weights, against enumeration."""

import math

import pytest
import torch

from discrete_gan.estimators import boundary_seeking_loss
from discrete_gan.weights import (
    importance_loss,
)


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


def test_importance_loss_names_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^log_prob: expected the shape of log_w, \(4, 3\), got \(4, 1\)"):
        importance_loss(torch.zeros(4, 3), torch.zeros(4, 1))
    with pytest.raises(ValueError, match=r"^log_w: expected shape \(M, B\)"):
        importance_loss(torch.zeros(4), torch.zeros(4))

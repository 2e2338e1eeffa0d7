"""Losses from log-weights, against enumeration."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from discrete_gan.estimators import boundary_seeking_loss
from discrete_gan.weights import (
    dreg_loss,
    importance_loss,
    iwae_loss,
    normalized_weights,
    wake_phi_loss,
    wake_theta_loss,
)
from tests.problems import assert_exact, seeded_normal


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


def log_density(x: Tensor, probability: float) -> Tensor:
    """Of bits (M, N) that are one with a probability, in float64."""
    return x * math.log(probability) + (1 - x) * math.log(1 - probability)


class OneBit(NamedTuple):
    """Every outcome of M samples of one bit from q, of which only the number of ones counts: M + 1 columns.

    Attributes:
        logit: Of the model p, carries gradient.
        x: The samples, shape (M, M + 1).
        log_prob: Under p, shape (M, M + 1).
        log_proposal: Under q, shape (M, M + 1).
        chance: Of each column, shape (M + 1,).
    """

    logit: Tensor
    x: Tensor
    log_prob: Tensor
    log_proposal: Tensor
    chance: Tensor

    def log_density(self, probability: float) -> Tensor:
        return log_density(self.x, probability)

    def moments(self, loss: Tensor) -> tuple[float, float]:
        """Mean and variance of the gradient in the logit."""
        gradients = torch.stack([torch.autograd.grad(each, self.logit, retain_graph=True)[0] for each in loss])
        mean = self.chance @ gradients
        return mean.item(), (self.chance @ (gradients - mean).square()).item()


def one_bit(model: float, proposal: float, num_samples: int) -> OneBit:
    logit = torch.tensor(model, dtype=torch.float64).logit().requires_grad_()
    ones = torch.arange(num_samples + 1)
    x = (torch.arange(num_samples)[:, None] < ones).double()
    log_prob = torch.where(x == 1, logit, -logit).sigmoid().log()
    log_proposal = log_density(x, proposal)
    q = torch.tensor(proposal, dtype=torch.float64)
    chance = torch.distributions.Binomial(num_samples, q).log_prob(ones.double()).exp()
    return OneBit(logit, x, log_prob, log_proposal, chance)


@pytest.mark.parametrize("num_samples", [10, 40])
@pytest.mark.parametrize("target", [0.6, 0.8])
def test_samples_of_a_proposal_need_its_density(num_samples: int, target: float) -> None:
    model, proposal = 0.6, 0.305
    bit = one_bit(model, proposal, num_samples)
    log_w = bit.log_density(target) - bit.log_density(model)  # what a discriminator of p learns
    exact = model - target  # of KL(target || p) in the logit
    # Weighed as if they were the model's own: off by the mean score under q, -0.295.
    wrong, _ = bit.moments(boundary_seeking_loss(log_w + bit.log_prob.detach() - bit.log_proposal, bit.log_prob))
    assert wrong - exact == pytest.approx(-0.295, abs=1.5 / num_samples)
    found, variance = bit.moments(boundary_seeking_loss(log_w, bit.log_prob, bit.log_proposal))
    assert found == pytest.approx(exact, abs=1.5 / num_samples)
    ratio = bit.log_density(target) - bit.log_proposal
    assert_exact((found, variance), bit.moments(importance_loss(ratio, bit.log_prob)))
    corrected, _ = bit.moments(boundary_seeking_loss(log_w, bit.log_prob, bit.log_proposal, zero_sum=True))
    assert corrected == pytest.approx(found, abs=1e-12)  # what is subtracted changes no expectation


def test_correction_is_the_mean_weight_on_policy_and_lowers_the_variance_near_it() -> None:
    bit = one_bit(0.6, 0.6, 10)
    log_w = bit.log_density(0.8) - bit.log_density(0.6)
    on_policy = boundary_seeking_loss(log_w, bit.log_prob)
    corrected = boundary_seeking_loss(log_w, bit.log_prob, bit.log_density(0.6), zero_sum=True)
    assert_exact(corrected, on_policy)
    near = one_bit(0.6, 0.5, 10)
    log_w = near.log_density(0.8) - near.log_density(0.6)
    plain, zero_sum = (
        near.moments(boundary_seeking_loss(log_w, near.log_prob, near.log_proposal, zero_sum=each))[1]
        for each in (False, True)
    )
    assert zero_sum < 0.5 * plain


def test_correction_over_the_batch_and_where_the_model_cannot_follow() -> None:
    log_w, log_prob, log_proposal = (seeded_normal(6, 4, seed=seed) for seed in range(3))
    log_prob[1, 2] = -math.inf  # drawn by q, impossible under p
    log_prob = log_prob.requires_grad_()
    for over in ("samples", "batch"):
        plain, corrected = (
            boundary_seeking_loss(log_w, log_prob, log_proposal, over=over, zero_sum=each)  # type: ignore[arg-type]
            for each in (False, True)
        )
        possible = torch.where(log_prob.isinf(), 0.0, log_prob)
        assert_exact(corrected - plain, ((log_prob - log_proposal).exp() / 6 * possible).sum(dim=0))
        (gradient,) = torch.autograd.grad(corrected.sum(), log_prob)
        assert gradient.isfinite().all()
        assert gradient[1, 2] == 0


def test_boundary_seeking_loss_gives_gradient_to_the_model_alone() -> None:
    log_w, log_prob, log_proposal = (seeded_normal(6, 4, seed=seed).requires_grad_() for seed in range(3))
    loss = boundary_seeking_loss(log_w, log_prob, log_proposal, zero_sum=True).sum()
    of_w, of_proposal = torch.autograd.grad(loss, (log_w, log_proposal), allow_unused=True)
    assert of_w is None
    assert of_proposal is None
    with pytest.raises(ValueError, match=r"^log_proposal: expected the shape of log_w, \(6, 4\), got \(6, 1\)$"):
        boundary_seeking_loss(log_w, log_prob, log_proposal[:, :1])
    with pytest.raises(ValueError, match=r"^where: expected over='samples' beside it, got over='batch'$"):
        boundary_seeking_loss(log_w, log_prob, over="batch", where=log_w > 0)


def test_wake_updates_are_weighted_likelihoods() -> None:
    log_joint, log_proposal = (seeded_normal(6, 4, seed=seed).requires_grad_() for seed in range(2))
    w = normalized_weights((log_joint - log_proposal).detach())
    for loss, trained, other in (
        (wake_theta_loss, log_joint, log_proposal),
        (wake_phi_loss, log_proposal, log_joint),
    ):
        value = loss(log_joint, log_proposal)
        assert_exact(value, -(w * trained).sum(dim=0))
        of_trained, of_other = torch.autograd.grad(value.sum(), (trained, other), allow_unused=True)
        assert_exact(of_trained, -w)
        assert of_other is None
    bound = iwae_loss(log_joint - log_proposal)
    assert_exact(bound, -(log_joint - log_proposal).exp().mean(dim=0).log())
    (of_joint,) = torch.autograd.grad(bound.sum(), log_joint)
    assert_exact(of_joint, -w)


@pytest.mark.parametrize("loss", [wake_theta_loss, wake_phi_loss])
def test_wake_updates_name_what_does_not_fit(loss: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=r"^log_proposal: expected the shape of log_joint, \(4, 3\), got \(4, 1\)$"):
        loss(torch.zeros(4, 3), torch.zeros(4, 1))
    with pytest.raises(ValueError, match=r"^log_joint: expected a tensor, got a NumPy array: pass torch\.from_numpy"):
        loss(torch.zeros(4, 3).numpy(), torch.zeros(4, 3))


def test_doubly_reparameterized_gradient_is_that_of_the_bound() -> None:
    # h ~ N(0, 1), x ~ N(h, 1), q = N(mu, 1/2), M = 2, integrated by Gauss-Hermite quadrature over both samples.
    nodes, mass = (torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(40))
    mass = mass / mass.sum()
    noise = torch.cartesian_prod(nodes, nodes).T  # (M, 1600)
    chance = torch.cartesian_prod(mass, mass).prod(dim=1)
    mu, x, scale = torch.tensor(0.4, dtype=torch.float64, requires_grad=True), 1.7, 0.5**0.5
    h = mu + scale * noise

    def log_weights(mean: Tensor) -> Tensor:
        return Normal(0.0, 1.0).log_prob(h) + Normal(h, 1.0).log_prob(torch.tensor(x)) - Normal(mean, scale).log_prob(h)

    gradients = [
        torch.autograd.grad((chance * each).sum(), mu, retain_graph=True)[0].item()
        for each in (iwae_loss(log_weights(mu)), dreg_loss(log_weights(mu.detach())))
    ]
    assert abs(gradients[0]) > 0.1
    assert gradients[1] == pytest.approx(gradients[0], rel=1e-9)


def test_importance_loss_names_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^log_prob: expected the shape of log_w, \(4, 3\), got \(4, 1\)"):
        importance_loss(torch.zeros(4, 3), torch.zeros(4, 1))

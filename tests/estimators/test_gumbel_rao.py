"""Gumbel-Rao: straight-through Gumbel-softmax averaged over the noise that gives the same sample."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from discrete_gan.estimators import GumbelRao, Objective, st_gumbel_softmax
from tests.problems import (
    PROBLEMS,
    Problem,
    SmoothDiscriminator,
    TableGenerator,
    assert_exact,
    row_gradients,
    seeded_normal,
    smoothed,
)

B, M, NOISES = 3, 4, 5
NUM = 30_000


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
@pytest.mark.parametrize("objective", ["log-ratio", "non-saturating"])
@pytest.mark.parametrize("num_gumbels", [1, 10])
def test_same_expectation_as_straight_through_gumbel_softmax(
    problem: Problem, objective: Objective, num_gumbels: int
) -> None:
    problem = smoothed(problem, SmoothDiscriminator(problem.logits.shape))
    torch.manual_seed(0)
    rao = row_gradients(GumbelRao(0.6, num_gumbels, objective=objective), problem, NUM)
    straight = row_gradients(st_gumbel_softmax(0.6, objective=objective), problem, NUM)
    error = ((rao.var(dim=0) + straight.var(dim=0)) / NUM).sqrt()
    assert bool(((rao.mean(dim=0) - straight.mean(dim=0)).abs() < 5 * error).all())
    ratio = (rao.var(dim=0).sum() / straight.var(dim=0).sum()).item()
    if num_gumbels == 1:
        # The same law, not only the same mean; variances of 30,000 draws agree to about 2 percent.
        assert ratio == pytest.approx(1, abs=0.1)
    else:
        # Measured with 20 noises: 0.21 to 0.62.
        assert ratio < 0.75


class ReplayNoise(nn.Module):
    """A generator whose distribution hands out given samples, and given perturbed logits for them."""

    def __init__(self, generator: Callable[[Tensor], Distribution], x: Tensor, perturbed: Tensor) -> None:
        super().__init__()
        self.generator, self.x, self.perturbed = generator, x, perturbed

    def forward(self, z: Tensor) -> Distribution:
        g = self.generator(z)
        assert isinstance(g, FactorizedBernoulli | FactorizedCategorical)

        def perturbed_given(x: Tensor) -> Tensor:
            assert torch.equal(x, self.x.expand_as(self.perturbed))
            return self.perturbed + 0 * g.logits  # carries gradient, as the real one does

        vars(g).update(sample=lambda shape: self.x, perturbed_logits_given=perturbed_given)
        return g


@pytest.mark.parametrize("event", [(5,), (2, 4)], ids=["binary", "one-hot"])
@pytest.mark.parametrize("objective", ["log-ratio", "non-saturating"])
@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_jacobians_are_averaged(event: tuple, objective: Objective, temperature: float) -> None:
    generator, discriminator = TableGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    g = generator(torch.arange(B))
    x = g.sample((M,))
    perturbed = seeded_normal(NOISES, M, B, *event, seed=3)
    replay = ReplayNoise(generator, x, perturbed)
    estimator = GumbelRao(temperature, NOISES, M, objective)
    loss = estimator(replay, discriminator, torch.arange(B))
    (gradient,) = torch.autograd.grad(loss.sum(), generator.logits)

    x = x.requires_grad_()
    raw = discriminator(x)
    losses = -raw if objective == "log-ratio" else torch.log1p((-raw).exp())
    assert_exact(loss, losses.mean(dim=0))
    (slope,) = torch.autograd.grad(losses.mean(dim=0).sum(), x)
    if len(event) == 1:
        p = torch.sigmoid(perturbed / temperature)
        pulled = p * (1 - p) * slope
    else:
        p = torch.softmax(perturbed / temperature, dim=-1)
        pulled = p * (slope - (p * slope).sum(dim=-1, keepdim=True))
    assert_exact(gradient, pulled.mean(dim=0).sum(dim=0) / temperature)

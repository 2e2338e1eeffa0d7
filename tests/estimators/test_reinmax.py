"""ReinMax: exact to second order at temperature 1, and its formula at any other."""

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.estimators import ReinMax, StraightThrough
from tests.problems import (
    PROBLEMS,
    ColumnGenerator,
    Problem,
    Replay,
    SmoothDiscriminator,
    assert_exact,
    seeded_normal,
    smoothed,
)

ALL = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


class Quadratic(nn.Module):
    """Any quadratic function of the sample, with interactions within positions and between them."""

    def __init__(self, event_shape: torch.Size) -> None:
        super().__init__()
        self.event_dim = len(event_shape)
        self.matrix = nn.Parameter(seeded_normal(event_shape.numel(), event_shape.numel()))
        self.vector = nn.Parameter(seeded_normal(event_shape.numel(), seed=1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(-self.event_dim)
        return ((x @ self.matrix) * x).sum(dim=-1) + x @ self.vector


def jacobian(probs: Tensor, binary: bool) -> Tensor:
    """Of one position's probabilities (K,) in its logits, or of every bit's on the diagonal."""
    return torch.diag(probs * (1 - probs)) if binary else torch.diag(probs) - torch.outer(probs, probs)


@ALL
@pytest.mark.parametrize("num_samples", [1, 2])
def test_unbiased_where_the_log_ratio_is_quadratic_in_a_position(problem: Problem, num_samples: int) -> None:
    problem = smoothed(problem, Quadratic(problem.logits.shape))
    tuples = problem.all_tuples(ReinMax(num_samples=num_samples, objective="log-ratio"), num_samples)
    assert_exact(tuples.mean, problem.reverse_kl_gradient(), atol=1e-12)
    biased = problem.all_tuples(StraightThrough(num_samples, objective="log-ratio"), num_samples).mean
    assert (biased - problem.reverse_kl_gradient()).norm() > 0.1 * problem.reverse_kl_gradient().norm()


@ALL
@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("objective", ["log-ratio", "non-saturating"])
def test_formula_by_hand(problem: Problem, temperature: float, objective: str) -> None:
    discriminator = SmoothDiscriminator(problem.logits.shape)
    binary = problem.logits.dim() == 1
    rows = problem.logits[None] if binary else problem.logits
    squash = torch.sigmoid if binary else lambda logits: torch.softmax(logits, dim=-1)
    samples = problem.states[:3]
    expected = torch.zeros_like(rows)
    for x in samples:
        x = x.clone().requires_grad_()
        raw = discriminator(x)
        loss = -raw if objective == "log-ratio" else torch.log1p((-raw).exp())
        (slope,) = torch.autograd.grad(loss, x)
        for d, row in enumerate(rows):
            value, s = (x[None], slope[None]) if binary else (x, slope)
            middle = (squash(row / temperature) + value[d].detach()) / 2
            change = 2 * jacobian(middle, binary) - jacobian(squash(row), binary) / 2
            expected[d] += change @ s[d] / len(samples)
    generator = ColumnGenerator(problem.logits[None].clone())
    estimator = ReinMax(temperature, len(samples), objective)  # type: ignore[arg-type]
    loss = estimator(Replay(generator, samples[:, None]), discriminator, torch.zeros(1, 1).long())
    (gradient,) = torch.autograd.grad(loss.sum(), generator.logits)
    assert_exact(gradient[0], expected.view(problem.logits.shape))

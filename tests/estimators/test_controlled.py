"""Boundary-seeking with control variates: what each leaves as it was, and where it leaves no error at all."""

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.distributions import Blocks, BlockwiseBernoulli, FactorizedBernoulli
from discrete_gan.estimators import BoundarySeeking, ControlledBoundarySeeking
from discrete_gan.estimators.controlled import Control
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

CONTROLS: list[Control] = ["tilted", "linear"]
ALL = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


def with_beta(beta: float, num_samples: int, control: Control, **options: float) -> ControlledBoundarySeeking:
    estimator = ControlledBoundarySeeking(num_samples, control, **options).double()
    estimator.beta.fill_(beta)
    return estimator


@ALL
@pytest.mark.parametrize("num_samples", [2, 3])
@pytest.mark.parametrize("beta", [1.0, 0.6])
def test_linear_control_keeps_the_expectation_bias_included(problem: Problem, num_samples: int, beta: float) -> None:
    problem = smoothed(problem, SmoothDiscriminator(problem.logits.shape))
    plain = problem.all_tuples(BoundarySeeking(num_samples), num_samples)
    controlled = problem.all_tuples(with_beta(beta, num_samples, "linear"), num_samples)
    assert_exact(controlled.mean, plain.mean)
    # the test says something only where there is a bias to keep
    assert (plain.mean - problem.forward_kl_gradient()).norm() > 0.1 * problem.forward_kl_gradient().norm()


@ALL
@pytest.mark.parametrize("num_samples", [2, 3])
def test_tilted_control_has_no_error_where_the_log_ratio_is_affine(problem: Problem, num_samples: int) -> None:
    problem = smoothed(problem, SmoothDiscriminator(problem.logits.shape, hidden=0))
    estimator = ControlledBoundarySeeking(num_samples).double()
    for _ in range(2):  # nor after the slope was measured, which is one
        gradients = problem.all_tuples(estimator, num_samples).gradients
        assert_exact(gradients, problem.forward_kl_gradient().expand_as(gradients))
        assert_exact(estimator.beta, torch.tensor(1.0).double())


@ALL
@pytest.mark.parametrize("control", CONTROLS)
def test_variance_falls_where_the_log_ratio_is_nearly_affine(problem: Problem, control: Control) -> None:
    discriminator = SmoothDiscriminator(problem.logits.shape)
    discriminator.weight.data *= 0.2  # where tanh is nearly straight
    problem = smoothed(problem, discriminator)
    plain = problem.all_tuples(BoundarySeeking(3), 3)
    controlled = problem.all_tuples(ControlledBoundarySeeking(3, control).double(), 3)
    # Measured: 44 to 16,000 times lower.
    assert controlled.variance < plain.variance / 20


@ALL
@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("num_samples", [2, 4])
@pytest.mark.parametrize("beta", [1.0, 0.6, -0.3])
def test_estimate_by_hand(problem: Problem, control: Control, num_samples: int, beta: float) -> None:
    discriminator = SmoothDiscriminator(problem.logits.shape)
    problem = smoothed(problem, discriminator)
    g = problem.log_g.exp()
    mean = torch.einsum("s,s...->...", g, problem.states).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(mean), mean)
    height = beta * ((problem.states - mean.detach()) * slope).flatten(1).sum(dim=1)  # of every state
    index = torch.arange(num_samples)
    w, u = problem.log_w[index].exp(), height[index].exp()
    if control == "tilted":
        weights = w / w.sum() - u / u.sum()
        tilted = g * height.exp()
        known = problem.mean_score(tilted / tilted.sum())
    else:
        weights = w / w.sum() - 1 / num_samples - (height[index] - height[index].mean()) / num_samples
        known = problem.mean_score(g * height) * (num_samples - 1) / num_samples
    expected = -torch.einsum("m,m...->...", weights, problem.score[index]) - known

    generator = ColumnGenerator(problem.logits[None].clone())
    replay = Replay(generator, problem.states[index][:, None])
    loss = with_beta(beta, num_samples, control)(replay, discriminator, torch.zeros(1, 1).long())
    (gradient,) = torch.autograd.grad(loss.sum(), generator.logits)
    assert_exact(gradient[0], expected)


@pytest.mark.parametrize("control", CONTROLS)
def test_slope_is_measured_after_it_was_used(control: Control) -> None:
    torch.manual_seed(0)
    decay, z = 0.7, torch.arange(3)[:, None]
    estimator = ControlledBoundarySeeking(5, control, decay).double()
    generator, discriminator = ColumnGenerator(seeded_normal(3, 4)), SmoothDiscriminator(torch.Size((4,)))
    mean = generator(z).mean.detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(mean).sum(), mean)
    beta = 1.0
    for _ in range(3):
        x = generator(z).sample((5,))
        # Least squares of log w on the tangent, with an intercept for each latent.
        tangent = ((x - mean.detach()) * slope).sum(dim=-1)
        log_w = discriminator(x).detach()
        dummies = torch.eye(3).double().repeat(5, 1)
        design = torch.cat([tangent.view(-1, 1), dummies], dim=1)
        fitted = torch.linalg.lstsq(design, log_w.view(-1, 1)).solution[0].item()
        losses = [each(Replay(generator, x), discriminator, z) for each in (with_beta(beta, 5, control), estimator)]
        assert_exact(losses[1], losses[0])
        beta = decay * beta + (1 - decay) * fitted
        assert estimator.beta.item() == pytest.approx(beta, rel=1e-11)


def test_slope_stays_where_there_is_nothing_to_measure_or_no_wish_to() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 0 * x.sum(dim=-1)

    generator, z = ColumnGenerator(seeded_normal(3, 4)), torch.arange(3)[:, None]
    nothing, kept = with_beta(0.6, 4, "tilted"), with_beta(0.6, 4, "tilted", decay=1.0)
    nothing(generator, Constant(), z)
    kept(generator, SmoothDiscriminator(torch.Size((4,))), z)
    assert nothing.beta.item() == kept.beta.item() == 0.6


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("beta", [1.0, 0.6])
def test_in_blocks_the_expectation_is_kept_and_the_variance_falls(control: Control, beta: float) -> None:
    """Over all tuples of three samples, with respect to the logits of a latent and to the weights between blocks."""
    logits, weight, blocks = seeded_normal(3), seeded_normal(3, 3, seed=1, scale=2), Blocks.of(torch.tensor([1, 0, 1]))
    states = BlockwiseBernoulli(logits[None], weight, blocks).enumerate_support()[:, 0]
    index = torch.cartesian_prod(*[torch.arange(8)] * 3).T  # (M, T)

    class InBlocks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(logits.expand(index.shape[1], -1).clone())
            self.weight = nn.Parameter(weight.expand(index.shape[1], -1, -1).clone())

        def forward(self, z: Tensor) -> BlockwiseBernoulli:
            g = BlockwiseBernoulli(self.logits, weight, blocks)
            each = self.weight * blocks.before  # of a tuple its own, for gradients of its own
            g.conditionals = lambda x: FactorizedBernoulli(self.logits + (x[..., None, :] * each).sum(-1))  # type: ignore
            return g

    def moments(estimator: nn.Module | BoundarySeeking) -> tuple[Tensor, Tensor]:
        generator = InBlocks()
        loss = estimator(Replay(generator, states[index]), discriminator, torch.arange(index.shape[1]))
        found = torch.autograd.grad(loss.sum(), [generator.logits, generator.weight])
        gradients = torch.cat([each.flatten(1) for each in found], dim=1)
        one = BlockwiseBernoulli(logits[None], weight, blocks)
        probability = one.log_prob(states[:, None])[:, 0].exp()[index].prod(dim=0)
        mean = probability @ gradients
        return mean, probability @ (gradients - mean).square().sum(dim=1)

    discriminator = SmoothDiscriminator(torch.Size((3,)))
    discriminator.weight.data *= 0.3
    (plain, noise), (mean, left) = moments(BoundarySeeking(3)), moments(with_beta(beta, 3, control))
    assert_exact(mean, plain)
    assert left < 0.5 * noise

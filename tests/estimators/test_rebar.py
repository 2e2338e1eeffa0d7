"""REBAR and RELAX: unbiased whatever their control variate, which descends the squared length of the estimate."""

import pytest
import torch
from torch import Tensor

from discrete_gan.estimators import Objective, Rebar, Reinforce, Relax
from tests.problems import (
    PROBLEMS,
    Problem,
    SmoothDiscriminator,
    TableGenerator,
    assert_exact,
    assert_mean,
    row_gradients,
    sample_gradient,
    seeded_normal,
    smoothed,
)

B, M = 2, 3
ALL = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
EVENTS = pytest.mark.parametrize("event", [(4,), (2, 3)], ids=["binary", "one-hot"])
OBJECTIVES = pytest.mark.parametrize("objective", ["log-ratio", "non-saturating"])
KINDS = pytest.mark.parametrize("kind", [Rebar, Relax])


def unusual(kind: type[Rebar], event: tuple, num_samples: int = 1, objective: Objective = "log-ratio") -> Rebar:
    """With a scale other than one and, for RELAX, a network that says something."""
    estimator = kind(num_samples, temperature=0.7, scale=1.6, objective=objective).double()
    if isinstance(estimator, Relax):
        estimator.surrogate(torch.zeros(1, torch.Size(event).numel()).double())
        for seed, parameter in enumerate(estimator.surrogate.parameters()):
            parameter.data = seeded_normal(*parameter.shape, seed=seed, scale=0.3)
    return estimator


@ALL
@KINDS
@OBJECTIVES
def test_unbiased_whatever_the_control_variate(problem: Problem, kind: type[Rebar], objective: Objective) -> None:
    event = problem.logits.shape
    problem = smoothed(problem, SmoothDiscriminator(event))
    torch.manual_seed(0)
    draws = row_gradients(unusual(kind, event, objective=objective), problem, 200_000)
    assert_mean(draws, sample_gradient(problem, objective))


def estimate(estimator: Rebar, event: tuple) -> tuple[Tensor, Tensor]:
    """Loss and gradient in the logits from the draws of one seed."""
    generator, discriminator = TableGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    torch.manual_seed(0)
    loss = estimator(generator, discriminator, torch.arange(B))
    (gradient,) = torch.autograd.grad(loss.sum(), generator.logits, retain_graph=True)
    return loss, gradient


@EVENTS
@KINDS
@OBJECTIVES
def test_formula_by_hand(event: tuple, kind: type[Rebar], objective: Objective) -> None:
    estimator = unusual(kind, event, M, objective)
    generator, discriminator = TableGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    binary = len(event) == 1

    def loss(x: Tensor) -> Tensor:
        return -discriminator(x) if objective == "log-ratio" else torch.log1p((-discriminator(x)).exp())

    def control(perturbed: Tensor) -> Tensor:
        relaxed = torch.sigmoid(perturbed / 0.7) if binary else torch.softmax(perturbed / 0.7, dim=-1)
        network = estimator.surrogate(perturbed.flatten(2)).squeeze(-1) if isinstance(estimator, Relax) else 0.0
        return 1.6 * loss(relaxed) + network

    torch.manual_seed(0)
    g = generator(torch.arange(B))
    perturbed = g.perturbed_logits((M,))
    x = g.discretize(perturbed).detach()
    given = g.perturbed_logits_given(x)
    # log g times what the control variate leaves, and the control variate through its noise
    surrogate = (loss(x) - control(given)).detach() * g.log_prob(x) + control(perturbed) - control(given)
    (expected,) = torch.autograd.grad(surrogate.mean(dim=0).sum(), generator.logits)
    value, gradient = estimate(estimator, event)
    # log(0.7) as a float32 parameter is right to 1e-8
    assert_exact(gradient, expected, rtol=1e-6, atol=1e-7)
    # The loss holds the estimate against the logits; the criterion adds nothing to it.
    assert_exact(value, (gradient * generator.logits).flatten(1).sum(dim=1))


@EVENTS
@KINDS
@OBJECTIVES
def test_criterion_is_the_squared_length_of_the_estimate(event: tuple, kind: type[Rebar], objective: Objective) -> None:
    estimator = unusual(kind, event, M, objective)
    own = list(estimator.parameters())
    gradients = torch.autograd.grad(estimate(estimator, event)[0].sum(), own)
    step = 1e-5
    for parameter, gradient in zip(own, gradients, strict=True):
        for entry in range(0, parameter.numel(), 17):
            ends = []
            for sign in (1, -1):
                parameter.data.view(-1)[entry] += sign * step
                ends.append(estimate(estimator, event)[1].square().sum().item())
                parameter.data.view(-1)[entry] -= sign * step
            # central differences with steps of 1e-5 are right to about 1e-9
            expected = (ends[0] - ends[1]) / (2 * step)
            assert gradient.reshape(-1)[entry].item() == pytest.approx(expected, rel=1e-6, abs=1e-7)


@EVENTS
def test_learning_leaves_loss_and_gradient_as_they_are(event: tuple) -> None:
    learning, fixed = (Rebar(M, learn=learn).double() for learn in (True, False))
    for a, b in zip(estimate(learning, event), estimate(fixed, event), strict=True):
        assert_exact(a.detach(), b.detach())
    assert not any(parameter.requires_grad for parameter in fixed.parameters())


@EVENTS
def test_relax_starts_as_rebar(event: tuple) -> None:
    rebar, relax = Rebar(M, scale=0.8).double(), Relax(M, scale=0.8).double()
    estimate(relax, event)  # gives the lazy layer its size, with random numbers of its own
    assert_exact(estimate(relax, event)[1], estimate(rebar, event)[1])


def test_without_control_it_is_reinforce_on_the_same_samples() -> None:
    # Scale 0 leaves f(x) times the score.
    problem = smoothed(PROBLEMS["binary D=4"], SmoothDiscriminator(torch.Size((4,))))
    rows, generator = 5, TableGenerator(problem.logits.expand(5, 4).clone())
    torch.manual_seed(0)
    g = generator(torch.arange(rows))
    x = g.discretize(g.perturbed_logits((1,)))
    (expected,) = torch.autograd.grad((-problem.smooth(x).detach() * g.log_prob(x)).sum(), generator.logits)
    torch.manual_seed(0)
    assert_exact(row_gradients(Rebar(scale=0.0).double(), problem, rows), expected)


@ALL
def test_control_lowers_the_variance_of_reinforce(problem: Problem) -> None:
    problem = smoothed(problem, SmoothDiscriminator(problem.logits.shape))
    torch.manual_seed(0)
    plain, rebar = (
        row_gradients(each, problem, 20_000).var(dim=0).sum()
        for each in (Reinforce(1, baseline="none"), Rebar(learn=False).double())
    )
    # Measured: 0.25 to 0.84, which 20,000 draws give to about 2 percent.
    assert rebar < 0.92 * plain

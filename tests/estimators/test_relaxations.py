"""Gumbel-softmax and straight-through against hand-written Jacobians with the same noise or samples."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from discrete_gan.distributions import FactorizedCategorical, RaggedCategorical
from discrete_gan.estimators import (
    GumbelSoftmax,
    Objective,
    SlopeAnnealedStraightThrough,
    StraightThrough,
    straight_through,
)
from tests.problems import (
    PROBLEMS,
    Estimator,
    Problem,
    SmoothDiscriminator,
    TableGenerator,
    assert_exact,
    seeded_normal,
)

B, M = 3, 4
EVENTS = pytest.mark.parametrize("event", [(5,), (2, 4)], ids=["binary", "one-hot"])
OBJECTIVES = pytest.mark.parametrize("objective", ["non-saturating", "log-ratio"])


def pulled_back(at: Tensor, vector: Tensor) -> Tensor:
    """A vector times the Jacobian of a sigmoid or softmax whose value is ``at``: p(1 - p), or diag(p) - pp'."""
    return at * (1 - at) * vector if at.shape[-1] == 5 else at * (vector - (at * vector).sum(dim=-1, keepdim=True))


def loss_slopes(discriminator: nn.Module, x: Tensor, objective: str) -> tuple[Tensor, Tensor]:
    """Loss of each latent and its derivative in every sample; derivatives of -log sigmoid and -F by hand."""
    x = x.detach().requires_grad_()
    raw = discriminator(x)
    (slope,) = torch.autograd.grad(raw.sum(), x)
    raw = raw.detach()
    if objective == "log-ratio":
        return -raw.mean(dim=0), -slope / M
    wrong = torch.sigmoid(-raw).view(M, B, *[1] * (x.dim() - 2))
    return torch.log1p((-raw).exp()).mean(dim=0), -wrong * slope / M


@EVENTS
@OBJECTIVES
@pytest.mark.parametrize("temperature", [0.3, 2.0])
@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax(event: tuple, objective: str, temperature: float, hard: bool) -> None:
    generator, discriminator = TableGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    estimator = GumbelSoftmax(temperature, hard=hard, num_samples=M, objective=objective)  # type: ignore[arg-type]
    torch.manual_seed(0)
    loss = estimator(generator, discriminator, torch.arange(B))
    (gradient,) = torch.autograd.grad(loss.sum(), generator.logits)

    torch.manual_seed(0)
    logits = generator.logits.detach()
    if len(event) == 1:
        u = torch.rand(M, B, *event, dtype=torch.float64)
        relaxed = torch.sigmoid((logits + u.log() - (1 - u).log()) / temperature)
        x = relaxed.round() if hard else relaxed
    else:
        gumbel = -torch.empty(M, B, *event, dtype=torch.float64).exponential_().log()
        relaxed = torch.softmax((logits + gumbel) / temperature, dim=-1)
        x = nn.functional.one_hot(relaxed.argmax(dim=-1), event[-1]).double() if hard else relaxed
    value, slope = loss_slopes(discriminator, x, objective)
    assert_exact(loss.detach(), value)
    assert_exact(gradient, (pulled_back(relaxed, slope) / temperature).sum(dim=0))


@EVENTS
@OBJECTIVES
def test_straight_through(event: tuple, objective: str) -> None:
    generator, discriminator = TableGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    estimator = StraightThrough(num_samples=M, objective=objective)  # type: ignore[arg-type]
    torch.manual_seed(0)
    loss = estimator(generator, discriminator, torch.arange(B))
    (gradient,) = torch.autograd.grad(loss.sum(), generator.logits)

    torch.manual_seed(0)
    g = generator(torch.arange(B))
    x, mean = g.sample((M,)), g.mean.detach()
    value, slope = loss_slopes(discriminator, x, objective)
    assert_exact(loss.detach(), value)
    assert_exact(gradient, pulled_back(mean.expand_as(slope), slope).sum(dim=0))


def replayed(estimator: Estimator, event: tuple) -> tuple[Tensor, Tensor, Tensor, nn.Module]:
    """Loss and gradient with samples that the same seed draws again, and the discriminator that judged them."""
    generator, discriminator = TableGenerator(seeded_normal(B, *event)), SmoothDiscriminator(torch.Size(event))
    torch.manual_seed(0)
    loss = estimator(generator, discriminator, torch.arange(B))
    torch.manual_seed(0)
    x = generator(torch.arange(B)).sample((M,))
    (gradient,) = torch.autograd.grad(loss.sum(), generator.logits)
    return loss.detach(), gradient, x, discriminator


@EVENTS
@OBJECTIVES
def test_identity_hands_on_the_slope(event: tuple, objective: Objective) -> None:
    estimator = StraightThrough(M, objective, jacobian="identity")
    loss, gradient, x, discriminator = replayed(estimator, event)
    value, slope = loss_slopes(discriminator, x, objective)
    assert_exact(loss, value)
    expected = slope.sum(dim=0)
    if len(event) == 2:
        # The logits are the normalized ones: a constant added to all of a position changes nothing.
        probs = torch.softmax(seeded_normal(B, *event), dim=-1)
        expected = expected - probs * expected.sum(dim=-1, keepdim=True)
    assert_exact(gradient, expected)


@EVENTS
@OBJECTIVES
@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.0])
@pytest.mark.parametrize("kind", [SlopeAnnealedStraightThrough, StraightThrough])
def test_slope_is_that_of_the_colder_probabilities(
    event: tuple, objective: Objective, temperature: float, kind: type
) -> None:
    options = {"min_temperature": 0.1} if kind is SlopeAnnealedStraightThrough else {}
    estimator = kind(num_samples=M, objective=objective, temperature=temperature, **options)
    loss, gradient, x, discriminator = replayed(estimator, event)
    value, slope = loss_slopes(discriminator, x, objective)
    assert_exact(loss, value)
    logits = seeded_normal(B, *event) / temperature
    cold = torch.sigmoid(logits) if len(event) == 1 else torch.softmax(logits, dim=-1)
    assert_exact(gradient, (pulled_back(cold.expand_as(slope), slope) / temperature).sum(dim=0))


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_straight_through_is_exact_for_an_affine_discriminator(problem: Problem) -> None:
    discriminator = SmoothDiscriminator(problem.logits.shape, hidden=0)
    generator = TableGenerator(problem.logits[None].clone())
    loss = StraightThrough(num_samples=2, objective="log-ratio")(generator, discriminator, torch.zeros(1).long())
    (gradient,) = torch.autograd.grad(loss.sum(), generator.logits)
    # the exact gradient of -E_g[F], a sum over all states
    exact = -problem.mean_score(problem.log_g.exp() * discriminator(problem.states).detach())
    assert_exact(gradient[0], exact)


def test_straight_through_returns_the_samples_themselves() -> None:
    mean = torch.rand(1, 1000, generator=torch.Generator().manual_seed(0)).requires_grad_()
    x = torch.tensor([0.0, 1.0]).view(2, 1, 1).repeat(1, 1, 1000).requires_grad_()
    result = straight_through(x, mean)
    assert torch.equal(result, x)
    result.sum().backward()
    assert x.grad is None
    assert mean.grad is not None
    assert torch.equal(mean.grad, torch.full((1, 1000), 2.0))


def test_errors_name_the_argument() -> None:
    for estimator in (GumbelSoftmax, StraightThrough):
        with pytest.raises(ValueError, match=r"^num_samples: expected at least 1, got 0"):
            estimator(num_samples=0)
        with pytest.raises(ValueError, match=r"^objective: expected one of non-saturating, log-ratio, got 'kl'"):
            estimator(objective="kl")  # type: ignore[arg-type]
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"^temperature: expected a number above 0"):
            GumbelSoftmax(temperature)


@pytest.mark.parametrize("temperature", [0.4, 2.0])
def test_slope_of_columns_is_that_of_each_column(temperature: float) -> None:
    """Columns of one size as categories side by side: the same gradient."""
    logits = seeded_normal(B, 2, 4)
    slope = seeded_normal(1, 2, 4, seed=1)

    def gradient(g: Callable[[Tensor], Distribution], affine: Callable[[Tensor], Tensor]) -> Tensor:
        leaf = logits.clone().requires_grad_()
        discriminator = nn.Module()
        discriminator.forward = affine  # type: ignore[method-assign]
        estimator, generator = StraightThrough(2, "log-ratio", temperature=temperature), nn.Module()
        generator.forward = lambda z: g(leaf)  # type: ignore[method-assign]
        loss = estimator(generator, discriminator, torch.arange(B))
        return torch.autograd.grad(loss.sum(), leaf)[0]

    columns = gradient(lambda leaf: RaggedCategorical(leaf.flatten(1), (4, 4)), lambda x: (x * slope.flatten()).sum(-1))
    together = gradient(FactorizedCategorical, lambda x: (x * slope).sum((-1, -2)))
    assert_exact(columns, together)


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"temperature": 2.0, "jacobian": "identity"}])
def test_temperatures_of_straight_through_that_mean_nothing(options: dict) -> None:
    with pytest.raises(ValueError, match="temperature"):
        StraightThrough(**options)

"""Taylor control variates and NVIL's baselines, enumerated over every tuple of samples: unbiased to rounding."""

import pytest
import torch
from torch import Tensor

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators import DoubleCV, Estimator, MuProp, Nvil, Objective, Reinforce, reinforce_loss
from tests.problems import (
    PROBLEMS,
    ColumnGenerator,
    Problem,
    Replay,
    SmoothDiscriminator,
    assert_exact,
    sample_gradient,
    seeded_normal,
    smoothed,
)

ALL = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())
OBJECTIVES = pytest.mark.parametrize("objective", ["log-ratio", "non-saturating"])


def of_one_latent(nvil: Nvil) -> Estimator:
    """Every row is the same latent (1, 2): its prediction must not tell the samples of one row from another's."""

    def estimate(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        latent = torch.tensor([1.0, 2.0]).double().expand(len(z), 2)
        return nvil(lambda _: generator(z), discriminator, latent)

    return estimate


def nvil_with_baselines(num_samples: int, **options: object) -> Nvil:
    """Whose network and average are far from zero."""
    nvil = Nvil(num_samples, hidden=4, **options).double()  # type: ignore[arg-type]
    nvil.baseline(torch.zeros(1, 2).double())
    for seed, parameter in enumerate(nvil.parameters()):
        parameter.data = seeded_normal(*parameter.shape, seed=seed)
    nvil.average.fill_(-0.7)
    return nvil


@ALL
@OBJECTIVES
@pytest.mark.parametrize("num_samples", [1, 2])
def test_nvil_is_unbiased_with_any_baselines(problem: Problem, objective: Objective, num_samples: int) -> None:
    nvil = nvil_with_baselines(num_samples, objective=objective)
    tuples = problem.all_tuples(of_one_latent(nvil), num_samples)
    assert_exact(tuples.mean, sample_gradient(problem, objective))


@pytest.mark.parametrize(("variance", "factor"), [(0.3, 1), (1.0, 1), (4.0, 2), (9.0, 3)])
def test_normalized_nvil_divides_by_a_standard_deviation_above_one(variance: float, factor: float) -> None:
    problem, nvil = PROBLEMS["binary D=2"], nvil_with_baselines(2, normalize=True)
    nvil.variance.fill_(variance)
    tuples = problem.all_tuples(of_one_latent(nvil), 2)
    assert_exact(tuples.mean, problem.reverse_kl_gradient() / factor)


@pytest.mark.parametrize("normalize", [False, True])
def test_nvil_step_by_step(normalize: bool) -> None:
    torch.manual_seed(0)
    decay, num_samples, z = 0.6, 4, torch.arange(3)[:, None]
    nvil = nvil_with_baselines(num_samples, normalize=normalize, decay=decay)
    nvil.baseline[0] = torch.nn.Linear(1, 4).double()
    generator, discriminator = ColumnGenerator(seeded_normal(3, 4)), SmoothDiscriminator(torch.Size((4,)))
    discriminator.output.data *= 10  # rewards whose standard deviation is above one
    average, variance = -0.7, 0.0
    factors = set()
    for _ in range(4):
        g = generator(z)
        x = g.sample((num_samples,))
        reward = discriminator(x).detach()
        predicted = nvil.baseline(z.double())[:, 0]
        factor = max(1.0, variance**0.5) if normalize else 1.0
        factors.add(factor)
        centered = reward - predicted.detach() - average
        expected = -(centered / factor * g.log_prob(x)).mean(dim=0)
        loss = nvil(Replay(generator, x), discriminator, z)
        assert_exact(loss, expected)
        average = decay * average + (1 - decay) * (reward - predicted.detach()).mean().item()
        variance = decay * variance + (1 - decay) * centered.square().mean().item()
        assert nvil.average.item() == pytest.approx(average, rel=1e-12)
        assert nvil.variance.item() == pytest.approx(variance, rel=1e-12)
        # The network descends the squared error of its prediction of what the average leaves of the mean reward.
        error = (reward.mean(dim=0) - average - predicted).square().sum()
        parameters = list(nvil.baseline.parameters())
        gradients = torch.autograd.grad(loss.sum(), [generator.logits, *parameters])
        assert_exact(gradients[0], *torch.autograd.grad(expected.sum(), generator.logits))
        assert_exact(gradients[1:], torch.autograd.grad(error, parameters))
    assert (max(factors) > 1) == normalize


def test_nvil_without_memory_or_network_is_reinforce() -> None:
    nvil, generator = Nvil(4, decay=0.0).double(), ColumnGenerator(seeded_normal(3, 4))
    discriminator, z = SmoothDiscriminator(torch.Size((4,))), torch.arange(3)[:, None]
    nvil.baseline(z.double())
    for parameter in nvil.parameters():
        parameter.data.zero_()
    x = generator(z).sample((4,))
    for previous in (0.0, discriminator(x).mean().item()):
        loss = nvil(Replay(generator, x), discriminator, z)
        expected = reinforce_loss(discriminator(x), generator(z).log_prob(x), baseline=previous)
        assert_exact(loss, expected)


@ALL
@OBJECTIVES
@pytest.mark.parametrize(
    ("estimator", "num_samples"), [(MuProp, 1), (MuProp, 2), (MuProp, 3), (DoubleCV, 2), (DoubleCV, 3)]
)
def test_taylor_control_variates_are_unbiased(
    problem: Problem, objective: Objective, estimator: type[MuProp | DoubleCV], num_samples: int
) -> None:
    problem = smoothed(problem, SmoothDiscriminator(problem.logits.shape))
    tuples = problem.all_tuples(estimator(num_samples, objective), num_samples)
    assert_exact(tuples.mean, sample_gradient(problem, objective))


@ALL
@pytest.mark.parametrize("estimator", [MuProp(1), MuProp(2), DoubleCV(2), DoubleCV(3)], ids=repr)
def test_taylor_control_variates_have_no_error_where_the_loss_is_affine(
    problem: Problem, estimator: MuProp | DoubleCV
) -> None:
    problem = smoothed(problem, SmoothDiscriminator(problem.logits.shape, hidden=0))
    gradients = problem.all_tuples(estimator, estimator.num_samples).gradients
    assert_exact(gradients, problem.reverse_kl_gradient().expand_as(gradients))


@ALL
def test_taylor_control_variates_lower_the_variance_of_a_nearly_affine_loss(problem: Problem) -> None:
    discriminator = SmoothDiscriminator(problem.logits.shape)
    discriminator.weight.data *= 0.2  # where tanh is nearly straight
    problem = smoothed(problem, discriminator)
    plain = problem.all_tuples(Reinforce(2), 2).variance
    for estimator in (MuProp(2), DoubleCV(2)):
        # Measured: 13 to 16,000 times lower.
        assert problem.all_tuples(estimator, 2).variance < plain / 8


@ALL
@OBJECTIVES
def test_taylor_gradients_by_their_formulas(problem: Problem, objective: Objective) -> None:
    """Each sample's terms one at a time, with slopes by finite differences of the loss."""
    discriminator = SmoothDiscriminator(problem.logits.shape)
    problem = smoothed(problem, discriminator)
    mean = torch.einsum("s,s...->...", problem.log_g.exp(), problem.states)

    def loss(x: Tensor) -> Tensor:
        raw = discriminator(x).detach()
        return -raw if objective == "log-ratio" else torch.log1p((-raw).exp())

    def slope(x: Tensor) -> Tensor:
        step = 1e-5 * torch.eye(x.numel()).double().view(-1, *x.shape)
        return ((loss(x + step) - loss(x - step)) / 2e-5).view(x.shape)

    def through_mean(vector: Tensor) -> Tensor:
        return problem.mean_score(problem.log_g.exp() * (problem.states * vector).flatten(1).sum(dim=1))

    samples = problem.states[:3]
    muprop, double = torch.zeros_like(mean), torch.zeros_like(mean)
    for m, x in enumerate(samples):
        others = [j for j in range(3) if j != m]
        score = x - mean
        muprop += (loss(x) - loss(mean) - (slope(mean) * score).sum()) * score / 3
        near = torch.stack([slope(samples[j]) for j in others]).mean(dim=0)
        baseline = sum(loss(samples[j]) - (slope(samples[j]) * (samples[j] - mean)).sum() for j in others) / 2
        double += ((loss(x) - (near * score).sum() - baseline) * score + through_mean(near)) / 3
    muprop += through_mean(slope(mean))
    generator = ColumnGenerator(problem.logits[None].clone())
    for estimator, expected in ((MuProp(3, objective), muprop), (DoubleCV(3, objective), double)):
        value = estimator(Replay(generator, samples[:, None]), discriminator, torch.zeros(1, 1).long())
        (gradient,) = torch.autograd.grad(value.sum(), generator.logits)
        # central differences with steps of 1e-5 are right to about 1e-10
        assert_exact(gradient[0], expected, rtol=1e-8, atol=1e-8)

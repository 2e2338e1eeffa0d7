"""Annealed importance sampling against closed forms: a linear Gaussian model and a two-dimensional one on a grid."""

import math

import pytest
import torch
from torch import Tensor
from torch import distributions as td

from discrete_gan.metrics import annealed
from discrete_gan.metrics.annealed import (
    AnnealingPath,
    LogLikelihood,
    annealed_log_weights,
    from_standard_normal,
    log_mean_weight,
    reverse_log_weights,
    tune_path,
)

NOISE = 0.5
W = torch.tensor([[1.0, 0.5], [-0.5, 2.0], [0.3, -0.7]])  # x = W z + noise, x of 3, z of 2 numbers


def linear_gaussian(x: Tensor) -> LogLikelihood:
    """Of x, shape (N, 3)."""

    def log_likelihood(z: Tensor) -> Tensor:
        return torch.distributions.Normal(z @ W.T, NOISE).log_prob(x).sum(-1)

    return log_likelihood


def exact(x: Tensor) -> Tensor:
    return torch.distributions.MultivariateNormal(torch.zeros(3), W @ W.T + NOISE**2 * torch.eye(3)).log_prob(x)


def posterior(x: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the annealed posterior of one x."""
    precision = torch.eye(2) + beta / NOISE**2 * W.T @ W
    covariance = precision.inverse()
    return covariance @ (beta / NOISE**2 * W.T @ x), covariance


def standard_errors(values: Tensor, expected: float) -> float:
    return abs(float(values.mean()) - expected) / (float(values.std()) / math.sqrt(len(values)))


@pytest.fixture
def x() -> Tensor:
    return torch.tensor([[0.8, 0.4, -0.2]])


SHORT = AnnealingPath(torch.tensor([0, 0.05, 0.2, 0.5, 1.0], dtype=torch.float64), torch.full((4,), 0.6), 3)


def test_mean_weight_is_the_likelihood(x: Tensor) -> None:
    torch.manual_seed(0)
    log_w = annealed_log_weights(linear_gaussian(x), torch.randn(20_000, 1, 2), SHORT)[:, 0]
    relative = (log_w - float(exact(x))).exp()
    assert relative.std() > 0.1  # or the path is too easy to tell anything
    assert standard_errors(relative, 1) < 4  # a false alarm in 16,000


def test_mean_inverse_weight_of_the_reversed_chain_is_the_inverse_likelihood(x: Tensor) -> None:
    torch.manual_seed(0)
    mean, covariance = posterior(x[0], 1)
    z = torch.distributions.MultivariateNormal(mean, covariance).sample((20_000, 1))
    log_w = reverse_log_weights(linear_gaussian(x), z, SHORT)[:, 0]
    relative = (float(exact(x)) - log_w).exp()
    assert relative.std() > 0.1
    assert standard_errors(relative, 1) < 4


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_a_move_leaves_its_distribution_invariant(x: Tensor, beta: float) -> None:
    torch.manual_seed(0)
    mean, covariance = posterior(x[0], beta)
    z = torch.distributions.MultivariateNormal(mean, covariance).sample((50_000, 1))
    log_likelihood = linear_gaussian(x)
    state = annealed._start(log_likelihood, z)
    # A step so long that many moves are refused, or the refusal would not be tested.
    moved, accepted = annealed._move(log_likelihood, state, beta, torch.tensor(0.42), 3)
    if beta == 1:
        assert 0.2 < accepted.mean() < 0.9
    assert (moved.z != z).any(-1).float().mean() == pytest.approx(float(accepted.mean()), abs=0.01)
    centered = moved.z[:, 0] - mean
    for row in range(2):
        assert standard_errors(centered[:, row], 0) < 4
        for column in range(2):
            products = centered[:, row] * centered[:, column]
            assert standard_errors(products, float(covariance[row, column])) < 4
            # The momentum stays standard normal and independent of where the latents are.
            of_momentum = moved.momentum[:, 0, row] * moved.momentum[:, 0, column]
            assert standard_errors(of_momentum, float(row == column)) < 4
            assert standard_errors(moved.momentum[:, 0, row] * centered[:, column], 0) < 4
    fresh = annealed._start(log_likelihood, moved.z)
    torch.testing.assert_close(moved.log_likelihood, fresh.log_likelihood)
    torch.testing.assert_close(moved.gradient, fresh.gradient)


def test_short_steps_are_all_accepted(x: Tensor) -> None:
    """The energy that a leapfrog trajectory loses falls with the square of its steps."""
    torch.manual_seed(0)
    mean, covariance = posterior(x[0], 1)
    z = torch.distributions.MultivariateNormal(mean, covariance).sample((5000, 1))
    state, refused = annealed._start(linear_gaussian(x), z), []
    for step in (0.1, 0.05):
        _, accepted = annealed._move(linear_gaussian(x), state, 1.0, torch.tensor(step), round(1 / step))
        refused.append(1 - float(accepted.mean()))
    assert refused[0] < 0.05 and refused[1] == pytest.approx(refused[0] / 4, rel=0.2)  # 0.2: terms of fourth order


def test_bounds_lie_on_either_side_and_close_in(x: Tensor) -> None:
    torch.manual_seed(0)
    z = torch.randn(1, 100, 2)
    data = torch.distributions.Normal(z[0] @ W.T, NOISE).sample()
    log_likelihood, gaps = linear_gaussian(data), []
    for num_steps in (50, 400):
        path = tune_path(log_likelihood, torch.randn(1, 100, 2), num_steps=num_steps, num_leapfrog=5)
        lower = annealed_log_weights(log_likelihood, torch.randn(1, 100, 2), path)[0]
        upper = reverse_log_weights(log_likelihood, z, path)[0]
        below, above = exact(data) - lower, upper - exact(data)
        gaps.append(float((below + above).mean()))
        for side in (below, above):
            assert float(side.mean()) > -4 * float(side.std()) / 10
    # The gap falls as 1 / T where the moves mix.
    assert 0 < gaps[1] < gaps[0] / 4


def test_tuned_path() -> None:
    torch.manual_seed(0)
    data = torch.randn(20, 3)
    path = tune_path(linear_gaussian(data), torch.randn(1, 20, 2), num_steps=400, num_leapfrog=4)
    assert path.betas.shape == (401,) and path.step_sizes.shape == (400,) and path.num_leapfrog == 4
    assert path.betas[0] == 0 and path.betas[-1] == 1 and (path.betas.diff() > 0).all()
    # Fine where the likelihood varies most, near the prior; steps shrink as the posterior does.
    assert path.betas[200] < 0.25
    assert path.step_sizes[-1] < 0.7 * path.step_sizes[100]
    with pytest.raises(ValueError, match="num_steps: expected at least 10, got 9"):
        tune_path(linear_gaussian(data), torch.randn(1, 20, 2), num_steps=9)
    with pytest.raises(ValueError, match="num_leapfrog"):
        tune_path(linear_gaussian(data), torch.randn(1, 20, 2), num_steps=20, num_leapfrog=0)


def test_tuned_steps_are_accepted_nine_times_in_ten() -> None:
    torch.manual_seed(0)
    data = torch.distributions.Normal(torch.randn(200, 2) @ W.T, NOISE).sample()
    log_likelihood = linear_gaussian(data)
    path = tune_path(log_likelihood, torch.randn(1, 200, 2), num_steps=800)
    state, rates = annealed._start(log_likelihood, torch.randn(1, 200, 2)), []
    for beta, step in zip(path.betas[1:].tolist(), path.step_sizes, strict=True):
        state, accepted = annealed._move(log_likelihood, state, beta, step, path.num_leapfrog)
        rates.append(float(accepted.mean()))
    assert 0.9 < sum(rates[200:]) / 600 < 0.96  # steered to 0.9, with steps a tenth shorter than found


def test_mean_over_chains() -> None:
    log_w = torch.tensor([[0.0, -1000.0], [math.log(3), -1000.0]], dtype=torch.float64)
    torch.testing.assert_close(log_mean_weight(log_w), torch.tensor([math.log(2), -1000.0], dtype=torch.float64))


def test_ticks_gradients_and_shapes(x: Tensor) -> None:
    ticks = []
    z = torch.randn(3, 1, 2, requires_grad=True)
    log_w = annealed_log_weights(linear_gaussian(x), z, SHORT, tick=lambda: ticks.append(0))
    assert log_w.shape == (3, 1) and log_w.dtype == torch.float64 and not log_w.requires_grad
    assert len(ticks) == 4
    with pytest.raises(ValueError, match=r"log_likelihood: expected shape \(3, 1\), got \(3,\)"):
        annealed_log_weights(lambda z: linear_gaussian(x)(z)[:, 0], z, SHORT)


def test_a_step_into_the_infinite_is_refused(x: Tensor) -> None:
    """Where the likelihood is not finite a chain stays where it is."""

    def walled(z: Tensor) -> Tensor:
        inside = linear_gaussian(x)(z)
        return torch.where(z[..., 0] > 0, inside, torch.full_like(inside, math.nan))

    torch.manual_seed(0)
    state = annealed._start(walled, torch.randn(500, 1, 2).abs())
    moved, accepted = annealed._move(walled, state, 0.1, torch.tensor(0.5), 3)
    assert (moved.z[..., 0] > 0).all() and moved.log_likelihood.isfinite().all()
    assert 0.05 < float((accepted == 0).float().mean()) < 0.95


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def over_vectors(prior: td.Distribution) -> td.Distribution:
    return td.Independent(prior, 1)


NORMAL = td.Normal(double(0.7, -2), double(0.5, 3))
PRIORS = {
    "standard normal": over_vectors(td.Normal(double(0, 0), double(1, 1))),
    "normal": over_vectors(NORMAL),
    "side by side": NORMAL,
    "correlated": td.MultivariateNormal(double(1, -1), torch.tensor([[2.0, -0.9], [-0.9, 0.5]], dtype=torch.float64)),
    "uniform": over_vectors(td.Uniform(double(-1, 0.5), double(1, 4))),
    "Laplace": over_vectors(td.Laplace(double(0, 3), double(1, 0.2))),
    "exponential": over_vectors(td.Exponential(double(1, 0.3))),
    "log-normal": over_vectors(td.LogNormal(double(0, 1), double(0.5, 0.2))),
    "logistic": td.TransformedDistribution(
        over_vectors(td.Uniform(double(0, 0), double(1, 1))),
        [td.SigmoidTransform().inv, td.AffineTransform(double(1, 2), double(0.5, -3))],
    ),
}


@pytest.mark.parametrize("name", PRIORS)
def test_map_carries_the_normal_density_to_the_prior(name: str) -> None:
    """Change of variables: log p(T(u)) + log |det dT/du| = log N(u), which only a map onto the prior has everywhere."""
    prior, axis = PRIORS[name], torch.linspace(-5, 5, 12, dtype=torch.float64)  # not 0, where Laplace has its corner
    u = torch.cartesian_prod(axis, axis)
    carry = from_standard_normal(prior)
    log_prob = prior.log_prob(carry(u)).view(len(u), -1).sum(dim=1)
    slopes = torch.stack([torch.autograd.functional.jacobian(carry, each) for each in u])  # type: ignore[arg-type]
    expected = td.Normal(0.0, 1.0).log_prob(u).sum(dim=1)
    # Of a probability near 1 float64 leaves 1e-16 / Phi(-5) = 4e-10, which a density at the far end feels.
    torch.testing.assert_close(log_prob + torch.linalg.slogdet(slopes).logabsdet, expected, rtol=0, atol=1e-8)


def test_map_of_far_tails_and_single_precision() -> None:
    uniform = over_vectors(td.Uniform(torch.zeros(4), torch.ones(4)))
    u = torch.tensor([[-9.0, -8.0, 7.0, 40.0]])
    z = from_standard_normal(uniform)(u)
    assert z.dtype == torch.float32 and z.shape == u.shape
    assert float(z[0, 1]) == pytest.approx(
        6.220960574271785e-16, rel=1e-6, abs=0
    )  # Phi(-8), where 1 + erf has no digit left
    assert 0 < z[0, 0] < z[0, 1]
    exponential = from_standard_normal(over_vectors(td.Exponential(torch.ones(4))))
    assert float(exponential(u)[0, 2]) == pytest.approx(
        27.38426, abs=1e-3
    )  # -log Phi(-7), and 1 - Phi(-7) is no float32
    laplace = from_standard_normal(over_vectors(td.Laplace(double(0), double(1))))
    assert laplace(double(-40, -9, 9, 40)[:, None]).isfinite().all()
    standard = from_standard_normal(over_vectors(td.Normal(torch.zeros(4), torch.ones(4))))
    assert torch.equal(standard(u), u)


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        (over_vectors(td.Gamma(double(1, 2), double(1, 1))), "got Gamma$"),
        (td.MixtureSameFamily(td.Categorical(double(0.5, 0.5)), NORMAL), "got MixtureSameFamily$"),
        (td.LogisticNormal(double(0, 0), double(1, 1)), "got LogisticNormal$"),  # of two numbers, over three
        (td.Dirichlet(double(1, 2)), "got Dirichlet$"),
        (td.Normal(0.0, 1.0), r"^prior: expected event shape \(latent_dim,\), got Normal over \(\)$"),
        (td.Normal(torch.zeros(3, 2), 1.0), r"^prior: .*, got Normal over \(3, 2\)$"),
        (torch.zeros(2), "^prior: expected a torch Distribution that is normal, .*, got Tensor$"),
    ],
)
def test_prior_that_no_map_leads_to_is_refused(prior: td.Distribution, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        from_standard_normal(prior)


def logits_of_bits(z: Tensor) -> Tensor:
    """Of two bits, bent by two latents."""
    return torch.stack([2 * z[..., 0] - z[..., 1] ** 2, 3 * z[..., 1] * z[..., 0].sin() + 1], dim=-1)


BOXES = {"uniform": ((-1, 1), (0.5, 4)), "normal": ((-3.3, 4.7), (-26, 22)), "correlated": ((-10.5, 12.5), (-7, 5))}


@pytest.mark.parametrize("name", BOXES)
def test_both_weights_are_of_the_prior_that_u_is_carried_to(name: str) -> None:
    """Forwards and backwards against the midpoint rule over a grid of z, which knows nothing of u."""
    torch.manual_seed(0)
    prior, num, x = PRIORS[name], 20_000, double(0, 0)
    edges = [torch.linspace(low, high, 1201, dtype=torch.float64) for low, high in BOXES[name]]
    z = torch.cartesian_prod(*((each[1:] + each[:-1]) / 2 for each in edges))
    cell = math.prod(float(each[1] - each[0]) for each in edges)
    log_prior = prior.log_prob(z) + math.log(cell)
    assert float(log_prior.exp().sum()) == pytest.approx(1, abs=1e-9)
    exact = (log_prior + td.Bernoulli(logits=logits_of_bits(z)).log_prob(x).sum(-1)).logsumexp(0)

    carry = from_standard_normal(prior)

    def log_likelihood(u: Tensor) -> Tensor:
        return td.Bernoulli(logits=logits_of_bits(carry(u))).log_prob(x).sum(-1)

    log_w = annealed_log_weights(log_likelihood, torch.randn(num, 1, 2).double(), SHORT)[:, 0]
    assert log_w.std() > 0.1
    assert standard_errors((log_w - exact).exp(), 1) < 5
    # Exact draws from the posterior of u: those that happened to give this x.
    u = torch.randn(num, 1, 2).double()
    u = u[(td.Bernoulli(logits=logits_of_bits(carry(u))).sample() == x).all(-1)[:, 0]]
    log_w = reverse_log_weights(log_likelihood, u, SHORT)[:, 0]
    assert len(u) > 500 and log_w.std() > 0.1
    assert standard_errors((exact - log_w).exp(), 1) < 5

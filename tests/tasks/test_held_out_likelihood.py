"""Held-out likelihood: enumeration, a grid over two latents, generators that have none; nothing is left changed."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Gamma, Independent, Normal, Uniform

from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.errors import InputError
from discrete_gan.metrics.likelihood import importance_weighted_bound
from discrete_gan.models import MLPGenerator, MLPImageGenerator, RecurrentGenerator
from discrete_gan.tasks.likelihood import LikelihoodOptions, check_annealing, held_out_log_likelihood, likelihood_of
from tests.models.test_belief import X, log_joint, pair

ROUNDING = 1e-5  # of float32 sums over a few positions
BITS = 6


class Mixture(nn.Module):
    """Bernoulli pixels, linear in z, one of five points with probabilities of a discretized normal distribution."""

    latent_dim = 2

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(2, BITS)
        self.points = torch.randn(5, 2)
        self.log_prior = (-self.points.square().sum(1) / 2).log_softmax(0)

    def latents(self, num: int) -> Tensor:
        return self.points[torch.multinomial(self.log_prior.exp(), num, replacement=True)]

    def enumerate_latents(self) -> tuple[Tensor, Tensor]:
        return self.points, self.log_prior

    def decode(self, x: Tensor) -> Tensor:
        return x

    def forward(self, z: Tensor) -> FactorizedBernoulli:
        return FactorizedBernoulli(self.layer(z))


def all_bits() -> Tensor:
    return (torch.arange(2**BITS)[:, None] >> torch.arange(BITS) & 1).float()


@pytest.fixture(scope="module")
def small() -> MLPGenerator:
    """Two latents, so that the integral over them is a sum over a grid; far from linear."""
    torch.manual_seed(1)
    generator = MLPGenerator(2, BITS, hidden=(8, 8))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.copy_(1.5 * torch.randn_like(parameter))
    return generator.eval()


def on_grid(generator: nn.Module, x: Tensor, labels: Tensor | None = None) -> Tensor:
    """Log p(x) by the rectangle rule in steps of 0.05, whose error is far below that of any chain."""
    axis = torch.linspace(-6, 6, 241)
    z = torch.cartesian_prod(axis, axis)
    log_prior = -z.double().square().sum(1) / 2 - math.log(2 * math.pi)
    values = []
    with torch.no_grad():
        for index, row in enumerate(x):
            label = None if labels is None else labels[index].expand(len(z))
            g = generator(z) if label is None else generator(z, label)
            log_prob = g.log_prob(row[None, None].expand(1, len(z), -1))[0].double()
            values.append((log_prior + log_prob).logsumexp(0) + 2 * math.log(float(axis[1] - axis[0])))
    return torch.stack(values)


def test_enumeration_is_exact() -> None:
    generator, x = Mixture(), all_bits()
    found = held_out_log_likelihood(generator, x)
    assert found is not None and found.gap is None and found.signature == "exact|latents:5|n:64"
    probs = torch.sigmoid(generator.layer(generator.points)).double()[:, None]
    joint = torch.where(x.bool(), probs, 1 - probs).prod(-1) * generator.log_prior.double().exp()[:, None]
    torch.testing.assert_close(found.log_likelihood, joint.sum(0).log(), rtol=0, atol=ROUNDING)
    assert float(found.log_likelihood.exp().sum()) == pytest.approx(1, abs=ROUNDING)
    assert found.mean.value == pytest.approx(float(found.log_likelihood.mean()))


def test_annealing_agrees_with_a_grid_within_its_gap(small: MLPGenerator) -> None:
    assert float(on_grid(small, all_bits()).exp().sum()) == pytest.approx(1, abs=1e-4)
    with torch.no_grad():
        torch.manual_seed(0)
        x = small(small.latents(60)).sample()
    exact = on_grid(small, x)
    assert exact.std() > 0.5  # a generator that is not the same everywhere
    options = LikelihoodOptions(num_steps=300, num_chains=2, num_simulated=200)
    found = held_out_log_likelihood(small, x, options=options)
    assert found is not None and found.gap is not None
    lacking = exact - found.log_likelihood
    error = float(lacking.std()) / math.sqrt(len(lacking))
    assert -3 * error < float(lacking.mean()) < found.gap.high + 3 * error
    assert 0 < found.gap.value < 0.2
    assert found.signature == "ais|n:60|steps:300|leapfrog:2|chains:2|simulated:200|seed:0"


def test_a_short_path_has_a_gap_and_says_so(small: MLPGenerator) -> None:
    with torch.no_grad():
        torch.manual_seed(0)
        x = small(small.latents(100)).sample()
    options = LikelihoodOptions(num_steps=10, num_leapfrog=1, num_simulated=300)
    found = held_out_log_likelihood(small, x, options=options)
    assert found is not None and found.gap is not None
    lacking = on_grid(small, x) - found.log_likelihood
    # The data are the model's own here, so the measured gap holds what the lower bound lacks, and the upper one's part.
    assert 0.1 < float(lacking.mean()) < found.gap.high


def test_classes_are_given(small: MLPGenerator) -> None:
    torch.manual_seed(2)
    generator = MLPGenerator(2, BITS, hidden=(8,), num_classes=3).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.copy_(2 * torch.randn_like(parameter))
    labels = torch.arange(30) % 3
    with torch.no_grad():
        x = generator(generator.latents(30), labels).sample()
    options = LikelihoodOptions(num_steps=100, num_chains=10, num_simulated=2)
    found = held_out_log_likelihood(generator, x, labels, options=options)
    assert found is not None
    lacking = on_grid(generator, x, labels) - found.log_likelihood
    of_others = on_grid(generator, x, (labels + 1) % 3) - found.log_likelihood
    assert float(lacking.abs().mean()) < 0.2 < float(of_others.abs().mean())


def test_importance_weighted_bound(small: MLPGenerator) -> None:
    x = all_bits()[:10]
    found = held_out_log_likelihood(small, x, options=LikelihoodOptions("bound", num_latents=4000))
    assert found is not None and found.gap is not None and found.signature == "bound|n:10|latents:4000|seed:0"
    exact = on_grid(small, x)
    assert float((exact - found.log_likelihood).abs().max()) < 0.5
    few = held_out_log_likelihood(small, x, options=LikelihoodOptions("bound", num_latents=3))
    assert few is not None and few.gap is not None and few.gap.value > found.gap.value
    assert few.mean.value < found.mean.value
    z = torch.randn(7, 10, 2)
    rows = likelihood_of(small, x)(z)
    assert rows.shape == (7, 10)
    torch.testing.assert_close(rows[3], small(z[3]).log_prob(x[None])[0])
    assert importance_weighted_bound(rows).bound.shape == (10,)


def test_without_latents_it_is_one_pass() -> None:
    torch.manual_seed(0)
    generator = RecurrentGenerator(5, 4, end=0, latent_dim=0, hidden=8, embedding_dim=4)
    tokens = torch.randint(1, 5, (50, 4))
    found = held_out_log_likelihood(generator, tokens)
    assert found is not None and found.gap is None and found.signature.startswith("exact")
    with torch.no_grad():
        expected = generator(generator.latents(1)).log_prob(tokens[:, None])[:, 0].double()
    torch.testing.assert_close(found.log_likelihood, expected, rtol=0, atol=ROUNDING)


def test_points_have_none(small: MLPGenerator) -> None:
    assert held_out_log_likelihood(MLPImageGenerator(3, 4, hidden=(5,)), torch.zeros(2, 4)) is None
    assert held_out_log_likelihood(small, all_bits(), options=LikelihoodOptions("none")) is None


def test_nothing_is_left_changed(small: MLPGenerator) -> None:
    generator = MLPGenerator(2, BITS, hidden=(8, 8)).train()
    generator.layers[0].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    options = LikelihoodOptions(num_steps=10, num_simulated=2)
    first = held_out_log_likelihood(generator, all_bits()[:4], options=options)
    assert torch.equal(torch.get_rng_state(), state) and generator.training
    wanted = [parameter.requires_grad for parameter in generator.parameters()]
    assert not wanted[0] and all(wanted[1:])
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    assert all(parameter.grad is None for parameter in generator.parameters())
    again = held_out_log_likelihood(generator, all_bits()[:4], options=options)
    other = held_out_log_likelihood(generator, all_bits()[:4], options=options._replace(seed=1))
    assert first is not None and again is not None and other is not None
    assert torch.equal(first.log_likelihood, again.log_likelihood)
    assert not torch.equal(first.log_likelihood, other.log_likelihood)


class Drawn(nn.Module):
    """Three bits whose logits bend with one latent, of any prior; float64. It draws latents and states nothing."""

    latent_dim = 1

    def __init__(self, prior: Distribution) -> None:
        super().__init__()
        self.drawn_from = prior
        self.slopes = nn.Parameter(torch.tensor([4.0, -6.0, 3.0], dtype=torch.float64))

    def latents(self, num: int) -> Tensor:
        return self.drawn_from.sample((num,))

    def decode(self, x: Tensor) -> Tensor:
        return x

    def forward(self, z: Tensor) -> FactorizedBernoulli:
        return FactorizedBernoulli(self.slopes * z + torch.stack([z**2, z, -(z**2)], dim=-1)[..., 0, :])


class Stated(Drawn):
    """The same with its prior."""

    @property
    def prior(self) -> Distribution:
        return self.drawn_from


def factorized(prior: Distribution) -> Independent:
    return Independent(prior, 1)


PRIORS = {
    "uniform": factorized(Uniform(-torch.ones(1).double(), torch.ones(1).double())),
    "uniform, off center": factorized(Uniform(torch.zeros(1).double(), 3 * torch.ones(1).double())),
    "normal": factorized(Normal(torch.full((1,), -0.7).double(), torch.full((1,), 0.3).double())),
}
THREE_BITS = (torch.arange(8)[:, None] >> torch.arange(3) & 1).double()


def integrated(generator: Drawn) -> Tensor:
    """Log p(x) of the eight x, by the midpoint rule on 20,000 cells from -4 to 4."""
    edges = torch.linspace(-4, 4, 20_001, dtype=torch.float64)
    z = ((edges[1:] + edges[:-1]) / 2)[:, None]
    prior = generator.drawn_from
    inside = prior.support.check(z)  # type: ignore[attr-defined]
    log_prior = torch.where(inside, prior.log_prob(torch.where(inside[:, None], z, generator.latents(1))), -math.inf)
    with torch.no_grad():
        log_prob = torch.stack([generator(z).log_prob(x.expand(1, len(z), 3))[0] for x in THREE_BITS])
    return (log_prob + log_prior + math.log(8 / 20_000)).logsumexp(dim=1)


@pytest.mark.parametrize("name", PRIORS)
def test_annealing_is_of_the_prior_that_the_generator_states(name: str) -> None:
    generator, repeats = Stated(PRIORS[name]), 400
    exact = integrated(generator)
    assert float(exact.exp().sum()) == pytest.approx(1, abs=1e-6)
    assert exact.std() > 0.4
    options = LikelihoodOptions("ais", num_steps=20, num_simulated=4000)
    found = held_out_log_likelihood(generator, THREE_BITS.repeat_interleave(repeats, 0), options=options)
    assert found is not None and found.gap is not None and found.signature.startswith("ais|n:3200|steps:20|")
    # A chain for each repetition, the mean weight of which is p(x) however short the path.
    relative = (found.log_likelihood.view(8, repeats) - exact[:, None]).exp()
    error = relative.std(dim=1) / math.sqrt(repeats)
    assert ((relative.mean(dim=1) - 1).abs() < 5 * error).all(), (relative.mean(dim=1).log(), error)
    assert float(error.max()) < 0.05  # nats, or five of them would hide another prior
    # The gap holds what the lower bound lacks on such samples, and to first order the upper one is as far off.
    lacking = float((exact.exp() * (exact - found.log_likelihood.view(8, repeats).mean(dim=1))).sum())
    five_errors = 5 * (found.gap.high - found.gap.low) / 4
    assert lacking - five_errors < found.gap.value < 2 * lacking + five_errors


@pytest.mark.parametrize("name", PRIORS)
def test_bound_takes_the_latents_as_they_are_drawn(name: str) -> None:
    generator, repeats = Drawn(PRIORS[name]), 40
    options = LikelihoodOptions("bound", num_latents=2000)  # as many as make a part of its own of each x
    found = held_out_log_likelihood(generator, THREE_BITS.repeat_interleave(repeats, 0), options=options)
    assert found is not None
    relative = (found.log_likelihood.view(8, repeats) - integrated(generator)[:, None]).exp()
    error = relative.std(dim=1) / math.sqrt(repeats)
    assert ((relative.mean(dim=1) - 1).abs() < 5 * error).all() and float(error.max()) < 0.05


class Shifted(MLPGenerator):
    """Latents that are not those of the prior that its base class states."""

    def latents(self, num: int) -> Tensor:
        return super().latents(num) + 1


class Uniformly(MLPGenerator):
    """Another prior, from which the base class draws."""

    @property
    def prior(self) -> Distribution:
        return factorized(Uniform(-torch.ones(2), torch.ones(2)))


UNIFORM = PRIORS["uniform"]


def with_attribute(kind: type[Drawn], name: str, value: object) -> Drawn:
    """A generator with an attribute of its own."""
    generator = kind(UNIFORM)
    setattr(generator, name, value)
    return generator


WITHOUT = {
    "none stated": (lambda: Drawn(UNIFORM), "expected a generator that states its prior, a torch Distribution, Drawn"),
    "latents overridden": (
        lambda: Shifted(2, 3, hidden=(4,)),
        "expected a generator whose prior is that of its latents, Shifted overrides latents alone",
    ),
    "latents replaced": (
        lambda: with_attribute(Stated, "latents", lambda num: torch.ones(num, 1).double()),
        "expected a generator whose prior is that of its latents, Stated overrides latents alone",
    ),
    "no map": (lambda: Stated(factorized(Gamma(torch.ones(1).double(), 2.0))), "prior: expected .*, got Gamma"),
    "no distribution": (lambda: with_attribute(Drawn, "prior", torch.ones(1)), "prior: expected .*, got Tensor"),
    "another width": (
        lambda: with_attribute(Drawn, "prior", factorized(Normal(torch.zeros(2).double(), 1.0))),
        r"prior of Drawn: expected event shape \(1,\), as latents have, got \(2,\)",
    ),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_without_a_prior_of_its_latents_there_is_the_bound_alone(name: str) -> None:
    build, reason = WITHOUT[name]
    generator, x = build(), THREE_BITS[:4]
    x = x.to(next(generator.parameters()).dtype)
    options = LikelihoodOptions("ais", num_steps=10, num_simulated=2, num_latents=50)
    with pytest.raises(InputError, match=f"^--likelihood ais: {reason}.*; --likelihood bound needs no prior$"):
        held_out_log_likelihood(generator, x, options=options)
    found = held_out_log_likelihood(generator, x, options=options._replace(method="auto"))
    bound = held_out_log_likelihood(generator, x, options=options._replace(method="bound"))
    assert found is not None and bound is not None
    assert torch.equal(found.log_likelihood, bound.log_likelihood)
    signature, _, told = found.signature.partition("|no ais, ")
    assert signature == bound.signature == "bound|n:4|latents:50|seed:0"
    assert re.match(reason, told) and "|" not in told and "\n" not in told


@pytest.mark.parametrize(
    "build", [lambda: Uniformly(2, 3, hidden=(4,)), lambda: with_attribute(Drawn, "prior", UNIFORM)]
)
def test_prior_below_the_latents_or_on_the_generator_is_a_statement(build: Callable[[], MLPGenerator | Drawn]) -> None:
    generator = build()
    x = THREE_BITS[:2].to(next(generator.parameters()).dtype)
    found = held_out_log_likelihood(generator, x, options=LikelihoodOptions(num_steps=10, num_simulated=2))
    assert found is not None and found.signature.startswith("ais|")


def test_the_bound_with_the_encoders_draws_is_that_of_the_model() -> None:
    both = pair()
    decoder, x = both[1].decoder.double(), X.expand(3, -1)
    exact = log_joint(decoder).logsumexp(dim=0).item()
    options = LikelihoodOptions(method="bound", num_latents=4000)
    found = held_out_log_likelihood(decoder, x, options=options, encoder=both[0].encoder)
    assert found is not None
    assert found.log_likelihood.tolist() == pytest.approx([exact] * 3, abs=0.1)
    assert all(weight.requires_grad for weight in decoder.parameters())


@pytest.mark.parametrize("with_encoder", [False, True])
def test_annealing_of_bits_is_that_of_the_model(with_encoder: bool) -> None:
    both = pair()
    decoder, x = both[1].decoder, X.expand(6, -1)
    exact = log_joint(decoder).logsumexp(dim=0).item()
    options = LikelihoodOptions(method="ais", num_steps=100, num_leapfrog=1, num_chains=50, num_simulated=20)
    check_annealing(decoder)
    found = held_out_log_likelihood(decoder, x, options=options, encoder=both[0].encoder if with_encoder else None)
    assert found is not None
    assert found.gap is not None
    assert found.log_likelihood.tolist() == pytest.approx([exact] * 6, abs=0.05)
    assert abs(found.gap.value) < 0.1
    assert found.signature.endswith("|flips|encoder" if with_encoder else "|flips")

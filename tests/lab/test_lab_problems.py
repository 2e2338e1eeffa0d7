"""Enumerable problems: probabilities that sum to one, and what each is named for."""

import itertools
import math

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Independent, OneHotCategorical, kl_divergence

from discrete_gan.lab import DISCRIMINATORS, PROBLEMS, Oracle, Problem, ProductMixture, TrainedNetwork, Wrong
from discrete_gan.lab.discriminators import NetworkDiscriminator, Tabulated
from tests.problems import assert_exact, seeded_normal

MADE = {name: make(0) for name, make in PROBLEMS.items()}
FEW_STATES = {name: problem for name, problem in MADE.items() if len(problem.log_p) <= 512}
ALL = pytest.mark.parametrize("problem", MADE.values(), ids=MADE.keys())
SMALL = pytest.mark.parametrize("problem", FEW_STATES.values(), ids=FEW_STATES.keys())


@ALL
def test_probabilities_sum_to_one_and_states_are_in_order(problem: Problem) -> None:
    one = torch.tensor(1.0).double()
    assert_exact(problem.log_p.exp().sum(), one, rtol=1e-11)
    assert_exact(problem.generator().log_p_g(problem.states).exp().sum(), one, rtol=1e-11)
    assert torch.equal(problem.index(problem.states), torch.arange(len(problem.log_p)))
    assert problem.log_p.isfinite().all()
    assert len(problem.modes) == len(problem.log_p)
    assert int(problem.modes.max()) == len(problem.mode_names) - 1


@SMALL
def test_states_are_the_product_of_the_positions(problem: Problem) -> None:
    num_positions, *categories = problem.event_shape
    digits = problem.states if not categories else problem.states.argmax(dim=-1)
    expected = list(itertools.product(range(*categories or [2]), repeat=num_positions))
    assert [tuple(row) for row in digits.long().tolist()] == expected


@pytest.mark.parametrize("event", [(3,), (2, 3)])
def test_generator_is_the_mean_of_its_latents(event: tuple) -> None:
    logits = seeded_normal(4, *event)
    base = Bernoulli(logits=logits) if len(event) == 1 else OneHotCategorical(logits=logits)
    problem = Problem("", torch.zeros(8 if len(event) == 1 else 9).double(), logits, torch.zeros(0), ())
    log_prob = Independent(base, 1).log_prob(problem.states[:, None])
    assert_exact(ProductMixture(logits).log_p_g(problem.states), log_prob.exp().mean(dim=1).log())


def test_one_hot_latents_choose_their_row() -> None:
    generator = ProductMixture(seeded_normal(3, 5))
    assert torch.equal(generator(generator.all_latents()[[2, 0]]).logits, generator.logits[[2, 0]])
    z = generator.latents(100)
    assert z.shape == (100, 3)
    assert torch.equal(z.sum(dim=1), torch.ones(100).double())
    assert bool((z.sum(dim=0) > 0).all())


@SMALL
def test_divergences(problem: Problem) -> None:
    log_q = seeded_normal(len(problem.log_p), seed=9).log_softmax(dim=0)
    p, q = Categorical(logits=problem.log_p), Categorical(logits=log_q)
    middle = Categorical(probs=(p.probs + q.probs) / 2)
    found = problem.divergences(log_q)
    assert_exact(found.kl, kl_divergence(p, q), rtol=1e-9)
    assert_exact(found.reverse_kl, kl_divergence(q, p), rtol=1e-9)
    assert_exact(found.js, (kl_divergence(p, middle) + kl_divergence(q, middle)) / 2, rtol=1e-9)
    assert_exact(found.total_variation, (p.probs - q.probs).clamp(min=0).sum(), rtol=1e-9)
    for value in problem.divergences(problem.log_p):
        assert abs(float(value)) < 1e-12


@ALL
def test_mode_mass_adds_up_the_states_of_each_mode(problem: Problem) -> None:
    mass = problem.mode_mass(problem.log_p)
    assert len(mass) == len(problem.mode_names)
    for number, value in enumerate(mass):
        assert_exact(value, problem.log_p.exp()[problem.modes == number].sum(), rtol=1e-9)


def test_parity_says_nothing_to_first_or_second_order() -> None:
    problem = MADE["parity"]
    p, states = problem.log_p.exp(), problem.states
    mean = p @ states
    covariance = torch.einsum("s,si,sj->ij", p, states - mean, states - mean)
    assert_exact(mean, torch.full((6,), 0.5).double())
    assert_exact(covariance, torch.eye(6).double() / 4)
    assert_exact(problem.mode_mass(problem.log_p), torch.tensor([0.9, 0.1], dtype=torch.float64))


def test_ising_neighbors_prefer_to_agree() -> None:
    # Flipping the corner against both of its neighbors costs 2 * 2 * 0.4 nats and twice its field.
    problem = MADE["ising"]
    up = torch.ones(9).double()
    corner, its_neighbor = up.clone(), up.clone()
    corner[0] = 0
    its_neighbor[1] = 0
    at = lambda x: problem.log_p[problem.index(x)]  # noqa: E731
    fields = seeded_normal(9, scale=0.1)
    assert_exact(at(up) - at(corner), 4 * 0.4 + 2 * fields[0], rtol=1e-9)
    assert_exact(at(up) - at(its_neighbor), 6 * 0.4 + 2 * fields[1], rtol=1e-9)


def test_ising_modes_are_clear_majorities() -> None:
    problem = MADE["ising"]
    up = problem.states.sum(dim=1)
    assert torch.equal(problem.modes, torch.where(up >= 7, 0, torch.where(up <= 2, 1, -1)))


@pytest.mark.parametrize("name", FEW_STATES)
def test_seed_is_that_of_the_table_and_of_the_start(name: str) -> None:
    again, other = PROBLEMS[name](0), PROBLEMS[name](1)
    assert torch.equal(again.log_p, MADE[name].log_p)
    assert torch.equal(again.logits, MADE[name].logits)
    assert torch.equal(other.log_p, again.log_p) == (name in ("parity", "missing-modes"))
    assert not torch.equal(other.logits, again.logits)


def test_generator_starts_without_half_of_the_modes() -> None:
    problem = MADE["missing-modes"]
    start = problem.mode_mass(problem.generator().log_p_g(problem.states))
    assert bool((start[:2] > 0.3).all())
    assert bool((start[2:] < 0.02).all())
    assert bool((problem.mode_mass(problem.log_p) > 0.24).all())


def test_equations_are_true_and_all_there() -> None:
    problem = MADE["equations"]
    assert len(problem.mode_names) == 10
    for number, name in enumerate(problem.mode_names):
        left, right = name.split("=")
        assert eval(left) == int(right)
        (state,) = torch.nonzero(problem.modes == number).flatten().tolist()
        letters = "".join("0123+="[digit] for digit in problem.states[state].argmax(dim=-1))
        assert letters == name
    mass = problem.mode_mass(problem.log_p)
    assert_exact(mass, torch.full((10,), 0.095 + 0.05 / 6**5, dtype=torch.float64), rtol=1e-9)


@SMALL
def test_oracle_is_the_log_ratio_and_linear_in_each_position_between(problem: Problem) -> None:
    generator = problem.generator()
    oracle = Oracle(problem, generator)
    exact = (problem.log_p - generator.log_p_g(problem.states)).detach()
    assert_exact(oracle(problem.states), exact)
    assert_exact(Tabulated(oracle, problem)(problem.states), exact)
    # The interpolation is the mean over independent positions of those probabilities.
    g = generator(generator.all_latents()[:1])
    relaxed = g.mean.detach()[0]
    log_prob = g.log_prob(problem.states[:, None])[:, 0]
    assert_exact(oracle(relaxed), (log_prob.exp() * exact).sum(), rtol=1e-9)
    with torch.no_grad():
        generator.logits.add_(1)
    oracle.update(generator)
    assert_exact(oracle(problem.states), (problem.log_p - generator.log_p_g(problem.states)).detach())
    assert not oracle(problem.states).requires_grad


def test_trained_network_nears_the_oracle() -> None:
    problem = MADE["table"]
    generator = problem.generator()
    oracle, network = Oracle(problem, generator), TrainedNetwork(problem, generator)
    torch.testing.assert_close(network(problem.states), oracle.log_w, rtol=0, atol=2e-3)
    with torch.no_grad():
        generator.logits.add_(0.3)
    oracle.update(generator)
    before = (network(problem.states) - oracle.log_w).abs().max()
    network.update(generator)
    assert (network(problem.states) - oracle.log_w).abs().max() < before / 3


@pytest.mark.parametrize("name", ["network", "wrong"])
def test_networks_are_drawn_from_their_seed_alone(name: str) -> None:
    problem = MADE["table"]
    torch.manual_seed(3)
    state = torch.get_rng_state()
    networks = [DISCRIMINATORS[name](problem, problem.generator(), seed=seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    first, again, other = (network(problem.states) for network in networks)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert all(parameter.grad is None for network in networks for parameter in network.parameters())


def test_wrong_network_is_ten_times_as_steep_and_never_learns() -> None:
    problem = MADE["table"]
    plain, wrong = NetworkDiscriminator(problem.event_shape, seed=1), Wrong(problem, problem.generator(), seed=1)
    for _ in range(2):
        assert_exact(wrong(problem.states).diff(), 10 * plain(problem.states).diff())
        wrong.update(problem.generator())


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_table_of_a_discriminator_gives_gradients_where_asked(name: str) -> None:
    problem = MADE["categories"]
    discriminator = DISCRIMINATORS[name](problem, problem.generator(), seed=1)
    tabulated = Tabulated(discriminator, problem)
    x = problem.states[:5].view(5, 1, 3, 4)
    assert_exact(tabulated(x), discriminator(x).detach())
    for asked in ((0.8 * x + 0.05).requires_grad_(), x.clone().requires_grad_()):  # also at the states
        (gradient,) = torch.autograd.grad(tabulated(asked).sum(), asked)
        (expected,) = torch.autograd.grad(discriminator(asked).sum(), asked)
        assert_exact(gradient, expected)
        assert_exact(tabulated(asked.detach()), discriminator(asked.detach()))
        assert math.isfinite(float(gradient.norm()))
        assert bool((gradient != 0).any())

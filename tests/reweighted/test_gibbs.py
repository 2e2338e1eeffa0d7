"""Moves along g(x | z) w(x) by their whole transition matrix, of bits and of categories."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from discrete_gan.lab.problems import ProductMixture
from discrete_gan.metrics.annealed import Flips
from discrete_gan.reweighted import Reweighted
from discrete_gan.reweighted.gibbs import Changes, moves_along
from tests.problems import SmoothDiscriminator, assert_exact, seeded_normal

CASES = {"bits": seeded_normal(2, 3), "categories": seeded_normal(2, 2, 3)}


class Mixture(ProductMixture):
    latent_dim = 2

    def decode(self, x: Tensor) -> Tensor:
        return x


def prepared(name: str) -> tuple[Mixture, SmoothDiscriminator, Tensor, Tensor]:
    """A generator of two latents, a smooth log-ratio, all states (S, *event), and g(x | z) w(x) / Z(z), (2, S)."""
    generator = Mixture(CASES[name])
    g = generator(generator.all_latents())
    states = g.enumerate_support()[:, 0]
    discriminator = SmoothDiscriminator(states.shape[1:])
    log_given = g.log_prob(states[:, None].expand(-1, 2, *states.shape[1:])).T
    return generator, discriminator, states, (log_given + discriminator(states)).softmax(1).detach()


def transition(moves: Flips, log_w: Any, states: Tensor, step: float) -> Tensor:
    """Probability of going from each state to each, (S, S), of what the moves propose and accept."""
    size, flat = torch.tensor(step, dtype=torch.float64), states.flatten(1)
    old = moves.start(log_w, flat[None])
    matrix = torch.zeros(len(flat), len(flat), dtype=torch.float64)
    for target, state in enumerate(flat):
        new = moves.start(log_w, state.expand_as(flat)[None])
        log_probability = moves.log_proposal(old, new.z, 1.0, size) + moves.log_acceptance(old, new, 1.0, size)
        matrix[:, target] = log_probability[0].exp()
    return matrix - torch.diag(matrix.sum(dim=1) - 1)  # what is refused stays


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("step", [0.2, 1.5])
def test_moves_are_reversible_and_leave_the_reweighted_law_as_it_is(name: str, step: float) -> None:
    generator, discriminator, states, target = prepared(name)

    def log_w(flat: Tensor) -> Tensor:
        return discriminator(flat.unflatten(-1, states.shape[1:]))

    for latent in range(2):
        moves = moves_along(generator(generator.all_latents()[latent : latent + 1]))
        matrix = transition(moves, log_w, states, step)
        assert matrix.min() > 0
        assert_exact(target[latent] @ matrix, target[latent], atol=1e-10)
        flow = target[latent, :, None] * matrix
        assert_exact(flow, flow.T, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_outputs_have_the_law_of_finitely_many_moves(name: str) -> None:
    generator, discriminator, states, target = prepared(name)
    num = 30_000
    torch.manual_seed(0)
    model = Reweighted(generator, discriminator, method="gibbs", candidates=2)
    drawn = model(generator.all_latents()).sample((num,))
    step = model.step_size
    assert step is not None and 0.01 < float(step) < 2
    flat = states.flatten(1)
    for latent in range(2):
        g = generator(generator.all_latents()[latent : latent + 1])
        start = g.log_prob(states[:, None])[:, 0].exp()
        matrix = transition(
            moves_along(g), lambda z: discriminator(z.unflatten(-1, states.shape[1:])), states, float(step)
        )
        expected = (start @ matrix @ matrix).detach()
        index = (drawn[:, latent].flatten(1)[:, None] == flat).all(-1).float().argmax(1)
        frequencies = torch.bincount(index, minlength=len(flat)) / num
        assert ((frequencies - expected).abs() < 5 * (expected * (1 - expected) / num).sqrt()).all()
        assert (expected - start).abs().sum() > 4 * (expected - target[latent]).abs().sum() > 0
    found = model.diagnosis()
    assert 0.2 < found.acceptance < 1 and found.outputs == found.looked_at == 2 * num
    assert found.lines()[0].startswith("gibbs: 60,000 samples, each of 2 moves")


def test_changes_between_two_categories_are_flips() -> None:
    logits = seeded_normal(1, 4)
    pairs = torch.stack([-logits / 2, logits / 2], dim=-1)
    bits = FactorizedBernoulli(logits).sample((2, 5))[..., 0, :].double()
    size = torch.tensor(0.7, dtype=torch.float64)

    def log_w(x: Tensor) -> Tensor:
        return (x @ seeded_normal(4, seed=1)).sin()

    def one_hot(x: Tensor) -> Tensor:
        return torch.stack([1 - x, x], dim=-1).flatten(-2)

    flips, changes = Flips(logits), Changes(pairs)
    ends = []
    for moves, x, function in ((flips, bits, log_w), (changes, one_hot(bits), lambda z: log_w(z[..., 1::2]))):
        old, new = moves.start(function, x[:1]), moves.start(function, x[1:])
        ends.append((moves.log_proposal(old, new.z, 1.0, size), moves.log_acceptance(old, new, 1.0, size)))
    # A discriminator of the ones alone has a slope of zero in the zeros, which changes nothing.
    assert_exact(ends[0], ends[1])


def test_what_is_ruled_out_never_comes() -> None:
    logits = torch.tensor([[[0.0, -math.inf, 1.0], [0.5, 0.0, -math.inf]]])
    x = FactorizedCategorical(logits).sample((500,)).flatten(2).movedim(0, 1)
    moves = moves_along(FactorizedCategorical(logits))
    state = moves.start(lambda z: 20 * z[..., 1] + 20 * z[..., 5], x)
    state, accepted = moves.move(lambda z: 20 * z[..., 1] + 20 * z[..., 5], state, 1.0, torch.tensor(1.0), 5)
    assert state.z[..., [1, 5]].sum() == 0 and state.z.sum() == 2 * 500 and accepted.min() > 0.05

"""Sigmoid belief network: every gradient of both networks against the sum over all bits, in float64."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from discrete_gan.cli.recipes import recipe_module
from discrete_gan.distributions import FactorizedBernoulli
from discrete_gan.estimators import Rebar, Reinforce, Relax, Vimco, parse_estimator
from discrete_gan.estimators.reinforce import Baseline
from discrete_gan.models import BeliefDecoder, BeliefEncoder, LogWeight, Posterior
from discrete_gan.weights import wake_phi_loss, wake_theta_loss
from tests.estimators.test_antithetic import ReplayPairs
from tests.problems import Replay, antithetic_pairs, assert_exact, assert_mean, seeded_normal

BITS, PIXELS = 3, 4
H = torch.tensor(list(itertools.product([0.0, 1.0], repeat=BITS)), dtype=torch.float64)
X = torch.tensor([1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
losses = recipe_module("wake_sleep").losses
Pair = tuple[Posterior, LogWeight]


def pair(*, flat: bool = False) -> Pair:
    """Both networks with random weights; flat ones have a p(x | h) that does not depend on h."""
    decoder, encoder = BeliefDecoder(BITS, PIXELS, (5,)).double(), BeliefEncoder(BITS, PIXELS, (5,)).double()
    with torch.no_grad():
        for seed, weight in enumerate([*decoder.parameters(), *encoder.parameters()]):
            weight.copy_(seeded_normal(*weight.shape, seed=seed))
        encoder.center.copy_(seeded_normal(PIXELS, seed=99))
        if flat:
            next(decoder.layers.parameters()).zero_()
    posterior = Posterior(encoder)
    return posterior, LogWeight(decoder, posterior)


def log_joint(decoder: BeliefDecoder) -> Tensor:
    """log p(x, h) of all h by torch's own binary cross-entropy, shape (8,)."""
    h, prior, logits = H, decoder.prior_logits.expand(8, -1), decoder.layers(H)
    of_prior = F.binary_cross_entropy_with_logits(prior, h, reduction="none").sum(dim=1)
    return -of_prior - F.binary_cross_entropy_with_logits(logits, X.expand(8, -1), reduction="none").sum(dim=1)


def log_posterior(encoder: BeliefEncoder) -> Tensor:
    """log q(h | x) of all h, shape (8,)."""
    logits = encoder.layers(X - encoder.center).expand(8, -1)
    return -F.binary_cross_entropy_with_logits(logits, H, reduction="none").sum(dim=1)


def bound(both: Pair, num: int) -> Tensor:
    """E_q[log of the mean of so many weights], a sum over all tuples. Carries gradient to both networks."""
    posterior, log_weight = both
    index = torch.cartesian_prod(*[torch.arange(8)] * num).view(-1, num)
    log_q = log_posterior(posterior.encoder)
    log_w = log_joint(log_weight.decoder) - log_q
    return (log_q[index].sum(dim=1).exp() * log_w[index].logsumexp(dim=1)).sum() - math.log(num)


def gradients(value: Tensor, network: nn.Module) -> Tensor:
    return torch.cat(
        [each.flatten() for each in torch.autograd.grad(value, list(network.parameters()), retain_graph=True)]
    )


def on_tuples(both: Pair, num: int, loss: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
    """Mean of a loss over all tuples of samples of q, each of probability that is held fixed."""
    index = torch.cartesian_prod(*[torch.arange(8)] * num).view(-1, num).T
    probability = log_posterior(both[0].encoder).detach()[index].sum(dim=0).exp()
    return (probability * loss(Replay(both[0], H[index]), X.expand(index.shape[1], -1))).sum()


def test_log_weight_is_that_of_the_model() -> None:
    posterior, log_weight = pair()
    posterior(X.expand(2, -1))
    expected = log_joint(log_weight.decoder) - log_posterior(posterior.encoder)
    assert_exact(log_weight(H[:, None].expand(-1, 2, -1)), expected[:, None].expand(-1, 2))


def test_nothing_of_the_encoder_is_a_weight_of_the_discriminator() -> None:
    posterior, log_weight = pair()
    assert {id(each) for each in log_weight.parameters()} == {id(each) for each in log_weight.decoder.parameters()}
    assert not {id(each) for each in posterior.parameters()} & {id(each) for each in log_weight.parameters()}


@pytest.mark.parametrize(("num", "baseline"), [(2, "leave-one-out"), (1, "none")])
def test_score_functions_ascend_the_bound_of_one_sample(num: int, baseline: Baseline) -> None:
    both = pair()
    estimate = Reinforce(num, baseline)
    found = on_tuples(both, num, lambda replay, x: estimate(replay, both[1], x))
    encoder = both[0].encoder
    assert_exact(gradients(found, encoder), gradients(-bound(both, 1), encoder), rtol=1e-10, atol=1e-10)


def test_disarm_ascends_the_bound_of_one_sample() -> None:
    both = pair()
    encoder, log_weight = both[0].encoder, both[1]
    outcomes = antithetic_pairs(encoder(X).detach())
    replay = ReplayPairs(both[0], outcomes.x[None], outcomes.antithetic[None])
    loss = parse_estimator("disarm:num_samples=1")(replay, log_weight, X.expand(len(outcomes.x), -1))
    found = gradients((outcomes.probability * loss).sum(), encoder)
    assert_exact(found, gradients(-bound(both, 1), encoder), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("num", [2, 3])
def test_vimco_with_the_weights_own_part_ascends_the_bound_of_several(num: int) -> None:
    both = pair()

    def loss(replay: nn.Module, x: Tensor) -> Tensor:
        return losses("multi-sample", Vimco(num), replay, both[1], x, num)[0]

    encoder = both[0].encoder
    found = gradients(on_tuples(both, num, loss), encoder)
    assert_exact(found, gradients(-bound(both, num), encoder), rtol=1e-10, atol=1e-10)


def test_boundary_seeking_is_wake_phi() -> None:
    both = pair()
    encoder = both[0].encoder
    log_q, log_p = log_posterior(encoder), log_joint(both[1].decoder)
    index = torch.cartesian_prod(*[torch.arange(8)] * 2).T
    probability = log_q.detach()[index].sum(dim=0).exp()
    expected = gradients((probability * wake_phi_loss(log_p[index], log_q[index])).sum(), encoder)
    estimate = parse_estimator("boundary-seeking:num_samples=2")
    found = gradients(
        on_tuples(both, 2, lambda replay, x: losses("reweighted", estimate, replay, both[1], x, 2)[0]), encoder
    )
    assert_exact(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("target", "num"), [("log-ratio", 1), ("reweighted", 2), ("multi-sample", 2)])
def test_the_decoder_ascends_the_bound(target: str, num: int) -> None:
    both = pair()
    estimate = parse_estimator("vimco:num_samples=2" if num == 2 else "reinforce:num_samples=1,baseline=none")
    decoder = both[1].decoder
    value = on_tuples(both, num, lambda replay, x: losses(target, estimate, replay, both[1], x, num)[1])
    exact = -bound(both, num)
    assert_exact(value, exact, rtol=1e-10)
    assert_exact(gradients(value, decoder), gradients(exact, decoder), rtol=1e-10, atol=1e-10)


def test_the_decoders_gradient_with_several_weights_is_wake_theta() -> None:
    both = pair()
    decoder = both[1].decoder
    log_q, log_p = log_posterior(both[0].encoder), log_joint(decoder)
    index = torch.cartesian_prod(*[torch.arange(8)] * 2).T
    probability = log_q.detach()[index].sum(dim=0).exp()
    expected = gradients((probability * wake_theta_loss(log_p[index], log_q[index])).sum(), decoder)
    estimate = parse_estimator("boundary-seeking:num_samples=2")
    value = on_tuples(both, 2, lambda replay, x: losses("reweighted", estimate, replay, both[1], x, 2)[1])
    assert_exact(gradients(value, decoder), expected, rtol=1e-10, atol=1e-10)


class Rows(nn.Module):
    """An encoder of free logits, for each row its own."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def posterior(self, x: Tensor) -> FactorizedBernoulli:
        return FactorizedBernoulli(self.logits)


@pytest.mark.parametrize("estimate", [Rebar(), Relax(), Rebar(temperature=2, scale=0.5)], ids=repr)
def test_coupled_relaxations_are_unbiased(estimate: Rebar) -> None:
    posterior, log_weight = pair()
    logits = posterior.encoder(X).detach()
    torch.manual_seed(0)
    free_rows = Rows(logits.expand(20000, -1).clone())
    rows = Posterior(free_rows)  # type: ignore[arg-type]
    of_rows = LogWeight(log_weight.decoder, rows)
    (found,) = torch.autograd.grad(estimate.double()(rows, of_rows, X.expand(20000, -1)).sum(), free_rows.logits)
    free = logits.requires_grad_()
    log_q = FactorizedBernoulli(free).log_prob(H)
    exact = -(log_q.exp() * (log_joint(log_weight.decoder) - log_q)).sum()
    assert_mean(found, torch.autograd.grad(exact, free)[0])


@pytest.mark.parametrize("name", ["straight-through", "reinmax"])
def test_slopes_of_log_q_reach_the_encoder(name: str) -> None:
    """With a p(x | h) that is the same for all h, log w is affine in h, and both are exact; without log q, wrong."""
    both = pair(flat=True)
    estimate = parse_estimator(f"{name}:objective=log-ratio")
    encoder = both[0].encoder
    found = gradients(on_tuples(both, 1, lambda replay, x: estimate(replay, both[1], x)), encoder)
    assert_exact(found, gradients(-bound(both, 1), encoder), rtol=1e-10, atol=1e-10)


def test_straight_through_is_off_by_the_difference_of_slope_and_step() -> None:
    both = pair()
    encoder, decoder = both[0].encoder, both[1].decoder
    estimate = parse_estimator("straight-through:objective=log-ratio")
    found = gradients(on_tuples(both, 1, lambda replay, x: estimate(replay, both[1], x)), encoder)
    # The mean slope of log w in h under q, times that of the probabilities in the logits.
    logits = encoder(X)
    at, log_q = H.clone().requires_grad_(), log_posterior(encoder).detach()
    log_p = -F.binary_cross_entropy_with_logits(decoder.layers(at), X.expand(8, -1), reduction="none").sum(dim=1)
    slopes = torch.autograd.grad(log_p.sum(), at)[0] + decoder.prior_logits.detach() - logits.detach()
    mean = (log_q.exp()[:, None] * slopes).sum(dim=0)
    expected = gradients(-(mean * torch.sigmoid(logits)).sum(), encoder)
    assert_exact(found, expected, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(found, gradients(-bound(both, 1), encoder), rtol=1e-3)


def test_gumbel_softmax_descends_log_w_of_relaxed_bits_with_q_held_fixed() -> None:
    both = pair()
    encoder, decoder, x = both[0].encoder, both[1].decoder, X.expand(5, -1)
    estimate = parse_estimator("gumbel-softmax:objective=log-ratio,temperature=0.7,num_samples=2")
    torch.manual_seed(3)
    found = gradients(estimate(*both, x).sum(), encoder)
    torch.manual_seed(3)
    relaxed = both[0](x).rsample((2,), temperature=0.7)
    prior, held, logits = decoder.prior_logits, encoder(x).detach(), decoder.layers(relaxed)
    log_w = (relaxed * (prior - held)).sum(dim=-1) + (x * logits - F.softplus(logits)).sum(dim=-1)
    assert_exact(found, gradients(-log_w.mean(dim=0).sum(), encoder), rtol=1e-10, atol=1e-10)

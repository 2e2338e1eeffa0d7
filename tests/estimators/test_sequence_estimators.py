"""Estimators of sequences, enumerated over every tuple of sequences of a network small enough."""

import copy
import itertools
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from discrete_gan.distributions import Autoregressive
from discrete_gan.errors import InputError
from discrete_gan.estimators import (
    SEQUENCE_ESTIMATORS,
    BoundarySeeking,
    GumbelSoftmax,
    MaximumLikelihood,
    MixedMaliGAN,
    Reinforce,
    SeqGAN,
    StepwiseBoundarySeeking,
    StepwiseReinforce,
    adapted,
    boundary_seeking_loss,
    discounted_returns,
    mixed_maligan,
    parse_estimator,
    stepwise_boundary_seeking_loss,
    stepwise_reinforce_loss,
)
from discrete_gan.estimators.reinforce import Baseline
from discrete_gan.estimators.stepwise_reinforce import Reward
from discrete_gan.models import RecurrentDiscriminator, RecurrentGenerator, TextCNN
from tests.problems import Estimator, Replay, TableGenerator, TupleGradients, assert_exact, seeded_normal

B, D, K, END = 2, 3, 3, 2
REAL = torch.tensor([[0, 1, 1], [1, END, END]])
REWARDS: list[Reward] = ["probability", "log-ratio"]


def set_normal_parameters(model: nn.Module, seed: int) -> None:
    with torch.no_grad():
        for index, parameter in enumerate(model.double().parameters()):
            parameter.copy_(seeded_normal(*parameter.shape, seed=seed + index))


GENERATOR = RecurrentGenerator(K, D, end=END, latent_dim=1, embedding_dim=2, hidden=3)
DISCRIMINATOR = RecurrentDiscriminator(K, D, end=END, embedding_dim=2, hidden=3)
set_normal_parameters(GENERATOR, 0)
set_normal_parameters(DISCRIMINATOR, 50)
Z = seeded_normal(B, 1, seed=99)
G: Autoregressive = GENERATOR(Z)
STATES = G.enumerate_support(expand=False)[:, 0]  # (S, D)
EVERY = STATES[:, None].expand(-1, B, -1)
PROBS = G.log_prob(EVERY).exp().detach()  # (S, B)
LOG_W = DISCRIMINATOR.steps(STATES).detach()  # (S, D)


def flat_gradient(loss: Tensor, *, retain_graph: bool = False) -> Tensor:
    return parameters_to_vector(torch.autograd.grad(loss, list(GENERATOR.parameters()), retain_graph=retain_graph))


def scores() -> Tensor:
    """Gradient of log g(x_t | x_<t, z) of every state, latent and position in all parameters, (S, B, D, P)."""
    terms = G.step_log_prob(EVERY)
    return torch.stack([flat_gradient(each, retain_graph=True) for each in terms.flatten()]).view(*terms.shape, -1)


SCORES = scores()


def mean_score(weight: Tensor) -> Tensor:
    """Sum of weights times scores; weights of shape (S, B, D), or one for all positions, (S, B, 1)."""
    return (weight[..., None] * SCORES).sum(dim=(0, 1, 2))


def tuples(num_samples: int) -> Tensor:
    """Indices of the states of every tuple, (M, T)."""
    return torch.cartesian_prod(*[torch.arange(len(STATES))] * num_samples).view(-1, num_samples).T


def losses(estimator: Estimator, index: Tensor, discriminator: nn.Module = DISCRIMINATOR) -> tuple[Tensor, Tensor]:
    """The estimator's loss on every tuple, each as a latent of its own, and its probability; both (T, B)."""
    count = index.shape[1]
    replay = Replay(GENERATOR, STATES[index].repeat_interleave(B, dim=1))
    loss = estimator(replay, discriminator, Z.repeat(count, 1))
    return loss.view(count, B), PROBS[index].prod(dim=0)


def expectation(estimator: Estimator, num_samples: int, discriminator: nn.Module = DISCRIMINATOR) -> Tensor:
    """Expected gradient in all parameters, summed over latents, shape (P,)."""
    loss, probability = losses(estimator, tuples(num_samples), discriminator)
    return flat_gradient((probability * loss).sum())


def pair_gradients(loss: Callable[[Tensor, Tensor], Tensor], log_w: Tensor) -> TupleGradients:
    """Of the first latent on every pair of samples, from a loss of log-ratios and terms of log g, both (M, T, D)."""
    index = tuples(2)
    terms = torch.zeros(*index.shape, D).double().requires_grad_()  # the loss is linear in them
    (slope,) = torch.autograd.grad(loss(log_w[index], terms).sum(), terms)
    gradients = torch.einsum("mtd,mtdp->tp", slope, SCORES[index, 0])
    return TupleGradients(PROBS[index, 0].prod(dim=0), gradients)


def expected_weights(w: Tensor, probs: Tensor, num_samples: int) -> Tensor:
    """E sum_m 1[x_m = s] w_m / sum_m w_m, shape (S,): by symmetry M times the term of the first sample."""
    index = tuples(num_samples)
    share = probs[index].prod(dim=0) * num_samples * w[index[0]] / w[index].sum(dim=0)
    return torch.zeros(len(w)).double().index_add(0, index[0], share)


def reweighted(log_w: Tensor, num_samples: int) -> Tensor:
    """Expected gradient of self-normalized weights, one for each prefix, from log-ratios (S, D)."""
    weights = [
        torch.stack([expected_weights(log_w[:, t].exp(), PROBS[:, b], num_samples) for t in range(D)], dim=1)
        for b in range(B)
    ]
    return -mean_score(torch.stack(weights, dim=1))


def reverse_kl_gradient(reward: Tensor) -> Tensor:
    """Exact gradient of -E_g[reward] from rewards (S,) of whole sequences."""
    return -mean_score((PROBS * reward[:, None])[..., None])


# Whole sequences


@pytest.mark.parametrize("zero_sum", [False, True])
def test_boundary_seeking(zero_sum: bool) -> None:
    expected = reweighted(LOG_W[:, -1:].expand(-1, D), 2)
    assert_exact(expectation(BoundarySeeking(2, zero_sum=zero_sum), 2), expected, rtol=1e-10)


@pytest.mark.parametrize(("baseline", "num_samples"), [("none", 1), ("none", 2), ("leave-one-out", 2)])
def test_reinforce_is_unbiased(baseline: Baseline, num_samples: int) -> None:
    found = expectation(Reinforce(num_samples, baseline=baseline), num_samples)
    assert_exact(found, reverse_kl_gradient(LOG_W[:, -1]), rtol=1e-10)


# A weight for every prefix


@pytest.mark.parametrize("zero_sum", [False, True])
@pytest.mark.parametrize("num_samples", [2, 3])
def test_stepwise_boundary_seeking(num_samples: int, zero_sum: bool) -> None:
    found = expectation(StepwiseBoundarySeeking(num_samples, zero_sum=zero_sum), num_samples)
    assert_exact(found, reweighted(LOG_W, num_samples), rtol=1e-10)


def prefix_probs(probs: Tensor) -> Tensor:
    """Probability of the first t tokens of every state, (S, D), from that of the states (S,)."""
    same = (STATES[:, None] == STATES).cumprod(dim=-1)  # (S, S, D)
    return torch.einsum("sut,u->st", same.double(), probs)


class ExactLogRatio(nn.Module):
    """Log-ratio of a known law of the data to g of the first latent, for every prefix."""

    def __init__(self) -> None:
        super().__init__()
        self.data = torch.softmax(seeded_normal(len(STATES), seed=5), dim=0)
        self.table = (prefix_probs(self.data) / prefix_probs(PROBS[:, 0])).log()

    def steps(self, x: Tensor) -> Tensor:
        return self.table[(x[..., None, :] == STATES).all(dim=-1).long().argmax(dim=-1)]

    def forward(self, x: Tensor) -> Tensor:
        return self.steps(x)[..., -1]


EXACT = ExactLogRatio()


def test_weights_of_prefixes_and_of_sequences_have_the_same_expectation() -> None:
    # Also position by position; both are the gradient of KL(p_data || g), as the mean weight is one.
    terms = G.step_log_prob(EVERY)[:, 0]
    for t in range(D):
        exact = flat_gradient(-(EXACT.data * terms[:, t]).sum(), retain_graph=True)
        for log_w in (EXACT.table[:, t], EXACT.table[:, -1]):
            weight = PROBS[:, 0] * log_w.exp()
            assert_exact(weight.sum(), torch.tensor(1.0).double())
            assert_exact(flat_gradient(-(weight * terms[:, t]).sum(), retain_graph=True), exact, rtol=1e-10)


def test_with_latents_weights_of_prefixes_and_of_sequences_have_different_expectations() -> None:
    # g(x) is the mean over three latents, and w of a prefix is the same for all of them.
    g = GENERATOR(seeded_normal(3, 1, seed=91))
    every = STATES[:, None].expand(-1, 3, -1)
    probs, terms = g.log_prob(every).exp().detach(), g.step_log_prob(every)
    marginal = probs.mean(dim=1)
    sequences = (EXACT.data / marginal)[:, None].expand(-1, D)
    prefixes = prefix_probs(EXACT.data) / prefix_probs(marginal)
    whole, stepwise = (
        flat_gradient(-(probs[..., None] * w[:, None] * terms).sum(), retain_graph=True) for w in (sequences, prefixes)
    )
    assert 0.05 < (stepwise - whole).norm() / whole.norm() < 0.2


def test_seqgan_may_have_more_variance_than_reinforce() -> None:
    # Two fair bits of one logit, rewarded if they differ. The scores of both then cancel.
    bits = torch.tensor([0.0, 1.0]).double()
    first, second = torch.meshgrid(bits, bits, indexing="ij")
    reward = (first != second).double()
    expected_reward = reward.mean(dim=1, keepdim=True)  # of the first bit
    reinforce = reward * (first - 0.5 + second - 0.5)
    seqgan = expected_reward * (first - 0.5) + reward * (second - 0.5)
    assert_exact(reinforce.mean(), seqgan.mean())
    assert reinforce.var(correction=0) == 0
    assert seqgan.var(correction=0) == 1 / 16


def test_bias_of_stepwise_weights_falls_with_the_number_of_samples() -> None:
    exact = flat_gradient(-(EXACT.data * G.log_prob(EVERY)[:, 0]).sum())
    bias = []
    for num_samples in (2, 3):
        loss, probability = losses(StepwiseBoundarySeeking(num_samples), tuples(num_samples), EXACT)
        bias.append((flat_gradient((probability * loss)[:, 0].sum()) - exact).norm() / exact.norm())
    assert 1 > bias[0] > 1.1 * bias[1] > 0.1


def test_zero_sum_and_weights_of_prefixes_lower_the_variance() -> None:
    plain = pair_gradients(partial(stepwise_boundary_seeking_loss, zero_sum=False), EXACT.table)
    zero_sum = pair_gradients(stepwise_boundary_seeking_loss, EXACT.table)
    sequences = pair_gradients(lambda w, terms: boundary_seeking_loss(w[..., -1], terms.sum(dim=-1)), EXACT.table)
    assert_exact(zero_sum.mean, plain.mean, rtol=1e-10, atol=1e-12)
    # Measured: 4.9 times lower, and by 8 %.
    assert zero_sum.variance < 0.4 * plain.variance
    assert zero_sum.variance < 0.95 * sequences.variance


def test_stepwise_boundary_seeking_loss_by_hand() -> None:
    log_w, terms = seeded_normal(4, B, D).requires_grad_(), seeded_normal(4, B, D, seed=1).requires_grad_()
    for zero_sum, mean_weight in ((True, 1 / 4), (False, 0.0)):
        loss = stepwise_boundary_seeking_loss(log_w, terms, zero_sum=zero_sum)
        w = log_w.detach().exp()
        w = w / w.sum(dim=0) - mean_weight
        assert_exact(loss, -torch.einsum("mbd,mbd->b", w, terms))
        loss.sum().backward()
        assert log_w.grad is None
    with pytest.raises(ValueError, match=r"^log_w and step_log_prob: .*\(M, B, D\), got \(4, 2, 3\) and \(4, 2, 1\)"):
        stepwise_boundary_seeking_loss(log_w, terms[..., :1])
    with pytest.raises(ValueError, match=r"^log_w: number of samples M: expected at least 2, got 1"):
        stepwise_boundary_seeking_loss(log_w[:1], terms[:1])


# A reward for every token


@pytest.mark.parametrize(
    ("baseline", "num_samples"), [("none", 1), ("none", 2), ("leave-one-out", 2), ("moving-average", 2)]
)
def test_stepwise_reinforce_of_log_ratios_is_unbiased(baseline: Baseline, num_samples: int) -> None:
    estimator = StepwiseReinforce(num_samples, baseline=baseline).double()
    estimator.average.fill_(0.7)
    assert_exact(expectation(estimator, num_samples), reverse_kl_gradient(LOG_W[:, -1]), rtol=1e-10)


def returns_by_hand(reward: str, discount: float) -> Tensor:
    """Discounted sum of the rewards of each token and those behind it, up to the end, of every state, (S, D)."""
    returns = torch.zeros(len(STATES), D).double()
    for state, log_w, row in zip(STATES.tolist(), LOG_W, returns, strict=True):
        length = state.index(END) + 1 if END in state else D
        for t, s in itertools.combinations_with_replacement(range(length), 2):
            before = log_w[s - 1] if s else 0.0
            added = 2 / (1 + (-log_w[s]).exp()) - 1 if reward == "probability" else log_w[s] - before
            row[t] += discount ** (s - t) * added
    return returns


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("discount", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("baseline", "num_samples"), [("none", 1), ("leave-one-out", 2)])
def test_stepwise_reinforce_by_hand(reward: Reward, discount: float, baseline: Baseline, num_samples: int) -> None:
    expected = -mean_score(PROBS[..., None] * returns_by_hand(reward, discount)[:, None])
    found = expectation(StepwiseReinforce(num_samples, reward, discount, baseline), num_samples)
    assert_exact(found, expected, rtol=1e-10)


def test_leave_one_out_of_stepwise_reinforce_by_hand() -> None:
    index, returns, terms = torch.tensor([[3], [14], [5]]), returns_by_hand("log-ratio", 0.3), G.step_log_prob(EVERY)
    expected = torch.zeros(B).double()
    for m in range(3):
        others = sum(returns[index[n, 0]] for n in range(3) if n != m) / 2
        expected = expected - ((returns[index[m, 0]] - others) * terms[index[m, 0]]).sum(dim=-1) / 3
    loss, _ = losses(StepwiseReinforce(3, discount=0.3), index)
    assert_exact(loss[0], expected)


@pytest.mark.parametrize("discount", [0.0, 0.3, 1.0])
def test_discounted_returns(discount: float) -> None:
    rewards = seeded_normal(2, 3, 5)
    expected = torch.zeros_like(rewards)
    for t in range(5):
        for s in range(t, 5):
            expected[..., t] += discount ** (s - t) * rewards[..., s]
    assert_exact(discounted_returns(rewards, discount), expected)
    assert discounted_returns(rewards.float(), discount).dtype == torch.float32


def test_stepwise_reinforce_loss_by_hand() -> None:
    returns, terms = seeded_normal(4, B, D).requires_grad_(), seeded_normal(4, B, D, seed=1).requires_grad_()
    baseline = seeded_normal(D, seed=2).requires_grad_()
    loss = stepwise_reinforce_loss(returns, terms, baseline=baseline)
    assert_exact(loss, -torch.einsum("mbd,mbd->b", returns - baseline, terms) / 4)
    loss.sum().backward()
    assert returns.grad is None
    assert baseline.grad is None
    with pytest.raises(
        ValueError, match=r"^step_log_prob: expected the shape of returns, \(4, 2, 3\), got \(4, 2, 1\)"
    ):
        stepwise_reinforce_loss(returns, terms[..., :1])


def test_moving_average_is_used_as_it_was_and_updated_after() -> None:
    estimator = StepwiseReinforce(4, discount=0.3, baseline="moving-average", decay=0.8).double()
    returns, average = returns_by_hand("log-ratio", 0.3), 0.0
    for seed in range(3):
        index = torch.randint(len(STATES), (4, 1), generator=torch.Generator().manual_seed(seed))
        terms, own = G.step_log_prob(EVERY)[index[:, 0]], returns[index[:, 0]]
        loss, _ = losses(estimator, index)
        assert_exact(loss[0], -((own[:, None] - average) * terms).sum(dim=-1).mean(dim=0))
        lengths = (STATES[index[:, 0]] != END).sum(dim=1).add(1).clamp(max=D)
        average = 0.8 * average + 0.2 * own.sum().item() / lengths.sum().item()
        assert estimator.average.item() == pytest.approx(average, rel=1e-12)
    again = StepwiseReinforce().double()
    again.load_state_dict(estimator.state_dict())
    assert again.average == estimator.average


# Rollouts


class ReplayRollouts(Replay):
    """Also hands out given rollouts (D - 1, R, M, B, D)."""

    def __init__(self, generator: nn.Module, samples: Tensor, rollouts: Tensor) -> None:
        super().__init__(generator, samples)
        self.rollouts = rollouts

    def forward(self, z: Tensor) -> Autoregressive:
        g = super().forward(z)
        vars(g)["rollouts"] = lambda value, num_rollouts: self.rollouts
        assert isinstance(g, Autoregressive)
        return g


@pytest.mark.parametrize(
    ("reward", "baseline", "num_samples"),
    [("probability", "none", 1), ("log-ratio", "none", 1), ("log-ratio", "leave-one-out", 2)],
)
def test_seqgan_has_the_expectation_of_reinforce(reward: Reward, baseline: Baseline, num_samples: int) -> None:
    # A sample and one completion of each of its prefixes: every outcome of the first latent, with its probability.
    begins = [(STATES[:, None, :t] == STATES[:, :t]).all(dim=-1) for t in range(1, D)]
    outcomes, probability = [], []
    for x in range(len(STATES)):
        for y in itertools.product(*(same[x].nonzero()[:, 0].tolist() for same in begins)):
            conditional = [PROBS[s, 0] / PROBS[same[x], 0].sum() for s, same in zip(y, begins, strict=True)]
            outcomes.append((x, *y))
            probability.append(PROBS[x, 0] * torch.stack(conditional).prod())
    probs = torch.stack(probability)
    assert_exact(probs.sum(), torch.tensor(1.0).double())
    index = torch.combinations(torch.arange(len(outcomes)), num_samples, with_replacement=True).T  # (M, T)
    orders = 1 + (index[0] != index[-1])  # pairs in either order
    sequences = STATES[torch.tensor(outcomes)[index]]  # (M, T, D, D), the sample and its completions
    rollouts = sequences[..., 1:, :].movedim(-2, 0)[:, None]  # (D - 1, R, M, T, D)
    replay = ReplayRollouts(GENERATOR, sequences[..., 0, :], rollouts)
    estimator = parse_estimator(f"seqgan:num_samples={num_samples},num_rollouts=1,reward={reward},baseline={baseline}")
    loss = estimator(replay, DISCRIMINATOR, Z[:1].expand(index.shape[1], -1))
    found = flat_gradient((orders * probs[index].prod(dim=0) * loss).sum())
    f = torch.sigmoid(LOG_W[:, -1]) if reward == "probability" else LOG_W[:, -1]
    assert_exact(found, -torch.einsum("s,sdp->p", PROBS[:, 0] * f, SCORES[:, 0]), rtol=1e-10)


@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("baseline", ["none", "leave-one-out"])
def test_seqgan_by_hand_with_the_same_rollouts(reward: Reward, baseline: str) -> None:
    num_samples, num_rollouts = 3, 4
    torch.manual_seed(0)
    loss = SeqGAN(num_samples, num_rollouts, reward, baseline)(GENERATOR, DISCRIMINATOR, Z)  # type: ignore[arg-type]
    torch.manual_seed(0)
    x = G.sample((num_samples,))
    rollouts = G.rollouts(x, num_rollouts)

    def value(sequence: Tensor) -> Tensor:
        raw = DISCRIMINATOR(sequence).detach()
        return 1 / (1 + (-raw).exp()) if reward == "probability" else raw

    q = [torch.stack([value(rollouts[t, r]) for r in range(num_rollouts)]).mean(dim=0) for t in range(D - 1)]
    q.append(value(x))
    terms, expected = G.step_log_prob(x), torch.zeros(B).double()
    for m, t in itertools.product(range(num_samples), range(D)):
        others = sum(q[t][n] for n in range(num_samples) if n != m) / (num_samples - 1)
        advantage = q[t][m] - (others if baseline == "leave-one-out" else 0)
        expected = expected - advantage * terms[m, :, t] / num_samples
    assert_exact(loss, expected)


def test_seqgan_of_single_tokens_is_reinforce() -> None:
    generator = RecurrentGenerator(K, 1, end=END, latent_dim=1, embedding_dim=2, hidden=3)
    discriminator = RecurrentDiscriminator(K, 1, end=END, embedding_dim=2, hidden=3)
    set_normal_parameters(generator, 0)
    set_normal_parameters(discriminator, 50)

    def asked(x: Tensor) -> Tensor:
        assert x.numel()  # not every network takes a batch of none
        return discriminator(x)

    torch.manual_seed(0)
    loss = SeqGAN(3, 4)(generator, asked, Z)  # type: ignore[arg-type]
    torch.manual_seed(0)
    g = generator(Z)
    x = g.sample((3,))
    assert_exact(loss, -(torch.sigmoid(discriminator(x)) * g.log_prob(x)).mean(dim=0))
    assert g.rollouts(x, 4).shape == (0, 4, 3, B, 1)


# Likelihood and mixed


def test_maximum_likelihood() -> None:
    loss = MaximumLikelihood()(GENERATOR, DISCRIMINATOR, Z, real=REAL)
    assert_exact(loss, -G.log_prob(REAL))
    chosen = [STATES.tolist().index(row) for row in REAL.tolist()]
    assert_exact(flat_gradient(loss.sum()), -sum(SCORES[s, b].sum(dim=0) for b, s in enumerate(chosen)))
    for real, got in ((None, "none"), (REAL[:1], "1")):
        with pytest.raises(ValueError, match=rf"^real: expected one real sample for each of 2 latents, got {got}"):
            MaximumLikelihood()(GENERATOR, DISCRIMINATOR, Z, real=real)


@pytest.mark.parametrize("length", range(D + 1))
def test_mixed_maligan_by_hand(length: int) -> None:
    num_samples = 4
    estimator = MixedMaliGAN(num_samples, decrement_every=1)
    estimator.calls = D - length
    torch.manual_seed(0)
    loss = estimator(GENERATOR, DISCRIMINATOR, Z, real=REAL)
    torch.manual_seed(0)
    if length == D:
        expected = MaximumLikelihood()(GENERATOR, DISCRIMINATOR, Z, real=REAL)
    elif length == 0:
        expected = BoundarySeeking(num_samples)(GENERATOR, DISCRIMINATOR, Z)
    else:
        x = G.sample((num_samples,), prefix=REAL[:, :length])
        assert torch.equal(x[..., :length], REAL[:, :length].expand(num_samples, -1, -1))
        w = DISCRIMINATOR(x).detach().exp()
        terms, expected = G.step_log_prob(x), -G.step_log_prob(REAL)[:, :length].sum(dim=1)
        for m in range(num_samples):
            expected = expected - (w[m] / w.sum(dim=0) - 1 / num_samples) * terms[m, :, length:].sum(dim=1)
    assert_exact(loss, expected)
    assert_exact(flat_gradient(loss.sum()), flat_gradient(expected.sum()))


@pytest.mark.parametrize(("prefix", "lengths"), [(0, [3, 3, 2, 2, 1, 1, 0, 0, 0]), (2, [2, 2, 1, 1, 0, 0, 0, 0, 0])])
def test_schedule_of_mixed_maligan(prefix: int, lengths: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(mixed_maligan, "mixed_loss", lambda g, discriminator, real, length, m: seen.append(length))
    estimator = MixedMaliGAN(2, decrement_every=2, prefix=prefix)
    for _ in range(4):
        estimator(GENERATOR, DISCRIMINATOR, Z, real=REAL)
    again = MixedMaliGAN(2, decrement_every=2, prefix=prefix)
    again.load_state_dict(copy.deepcopy(estimator.state_dict()))
    for _ in range(5):
        again(GENERATOR, DISCRIMINATOR, Z, real=REAL)
    assert seen == lengths


def test_real_sequences_of_mixed_maligan() -> None:
    for real, got in ((None, "none"), (REAL[:1], r"\(1, 3\)"), (REAL[:, :2], r"\(2, 2\)")):
        with pytest.raises(ValueError, match=rf"^real: expected real sequences of shape \(2, 3\), got {got}"):
            MixedMaliGAN()(GENERATOR, DISCRIMINATOR, Z, real=real)
    with pytest.raises(ValueError, match=r"^prefix: expected at most 3 tokens, got 4"):
        MixedMaliGAN(prefix=4)(GENERATOR, DISCRIMINATOR, Z, real=REAL)


# Relaxed sequences


@pytest.mark.parametrize("objective", ["non-saturating", "log-ratio"])
def test_gumbel_softmax_equals_finite_differences(objective: str) -> None:
    generator = copy.deepcopy(GENERATOR)
    estimator = GumbelSoftmax(0.8, num_samples=5, objective=objective)  # type: ignore[arg-type]
    theta = parameters_to_vector(generator.parameters()).detach()

    def loss_at(step: Tensor) -> Tensor:
        vector_to_parameters(theta + step, generator.parameters())
        torch.manual_seed(0)
        return estimator(generator, DISCRIMINATOR, Z).sum()

    gradient = parameters_to_vector(torch.autograd.grad(loss_at(0 * theta), list(generator.parameters())))
    for seed in range(3):
        direction = 1e-5 * seeded_normal(len(theta), seed=seed)
        difference = loss_at(direction) - loss_at(-direction)
        torch.testing.assert_close(difference, 2 * gradient @ direction, rtol=1e-6, atol=1e-12)
    torch.manual_seed(0)
    vector_to_parameters(theta, generator.parameters())
    raw = DISCRIMINATOR(generator(Z).rsample((5,), temperature=0.8))
    value = -raw if objective == "log-ratio" else torch.log1p((-raw).exp())
    assert_exact(loss_at(0 * theta), value.mean(dim=0).sum())


# All of them

ALL: dict[str, Callable[..., Tensor]] = {
    **{name: make() for name, make in SEQUENCE_ESTIMATORS.items()},
    "maligan-mixed": MixedMaliGAN(prefix=1),
    "boundary-seeking": BoundarySeeking(),
    "reinforce": Reinforce(),
    "gumbel-softmax": GumbelSoftmax(),
}


@pytest.mark.parametrize("name", ALL)
def test_one_loss_a_latent_and_gradients_to_the_generator_only(name: str) -> None:
    generator, discriminator = copy.deepcopy(GENERATOR), copy.deepcopy(DISCRIMINATOR)
    kept = []
    discriminator.rnn.register_forward_hook(lambda module, args, output: kept.append(output[0].requires_grad))
    torch.manual_seed(0)
    loss = adapted(copy.deepcopy(ALL[name]))(generator, discriminator, Z, real=REAL)
    assert loss.shape == (B,)
    loss.sum().backward()
    assert all(each.grad is not None and each.grad.abs().max() > 0 for each in generator.parameters())
    assert all(each.grad is None and each.requires_grad for each in discriminator.parameters())
    # Only the relaxation goes back through the discriminator; of the others none keeps its graph.
    assert any(kept) == (name == "gumbel-softmax")


@pytest.mark.parametrize("name", ["boundary-seeking-steps", "reinforce-steps", "scratchgan", "seqgan", "maligan-mixed"])
def test_other_models_are_a_type_error(name: str) -> None:
    estimator = adapted(SEQUENCE_ESTIMATORS[name]())
    factorized = TableGenerator(torch.zeros(B, D, K).double())
    with pytest.raises(TypeError, match="expected a generator that returns Autoregressive, got FactorizedCategorical"):
        estimator(factorized, DISCRIMINATOR, torch.arange(B), real=REAL)
    cnn = TextCNN(K, D, end=END)
    if "steps" in name or name == "scratchgan":
        with pytest.raises(TypeError, match="a raw output per step, such as RecurrentDiscriminator, got TextCNN"):
            estimator(GENERATOR, cnn, Z)
    else:
        assert estimator(GENERATOR, cnn, Z, real=REAL).shape == (B,)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("mle", "MaximumLikelihood()"),
        ("boundary-seeking-steps", "StepwiseBoundarySeeking(num_samples=20, zero_sum=True)"),
        (
            "boundary-seeking-steps:num_samples=3,zero_sum=false",
            "StepwiseBoundarySeeking(num_samples=3, zero_sum=False)",
        ),
        (
            "reinforce-steps:discount=0.5,reward=probability",
            "StepwiseReinforce(num_samples=20, reward='probability', discount=0.5, "
            "baseline='leave-one-out', decay=0.95)",
        ),
        (
            "scratchgan:decay=0.8",
            "StepwiseReinforce(num_samples=1, reward='probability', discount=0.23, "
            "baseline='moving-average', decay=0.8)",
        ),
        (
            "seqgan:num-rollouts=4,reward=log-ratio",
            "SeqGAN(num_samples=1, num_rollouts=4, reward='log-ratio', baseline='none')",
        ),
        ("maligan-mixed:prefix=5", "MixedMaliGAN(num_samples=20, decrement_every=50, prefix=5)"),
    ],
)
def test_names_and_options(spec: str, expected: str) -> None:
    assert repr(parse_estimator(spec)) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mle:num_samples=2", "mle: expected no options, got 'num_samples=2'"),
        ("boundary-seeking-steps:num_samples=1", "steps: num_samples: expected at least 2, got 1: a single normalized"),
        ("reinforce-steps:num_samples=1", "num_samples: expected at least 2, got 1"),
        ("reinforce-steps:num_samples=0,baseline=none", "num_samples: expected at least 1, got 0"),
        ("reinforce-steps:discount=1.5", "discount: expected a number from 0 to 1, got 1.5"),
        ("reinforce-steps:discount=-0.5", "discount: expected a number from 0 to 1, got -0.5"),
        ("reinforce-steps:decay=1", "decay: expected a number from 0 to below 1, got 1.0"),
        ("reinforce-steps:reward=advantage", "reward: expected one of probability, log-ratio, got 'advantage'"),
        ("reinforce-steps:baseline=mean", "baseline: expected one of none, moving-average, leave-one-out, got 'mean'"),
        ("seqgan:baseline=moving-average", "baseline: expected one of none, leave-one-out, got 'moving-average'"),
        ("seqgan:baseline=leave-one-out", "num_samples: expected at least 2, got 1"),
        ("seqgan:num_samples=0", "num_samples: expected at least 1, got 0"),
        ("seqgan:num_rollouts=0", "num_rollouts: expected at least 1, got 0"),
        ("seqgan:reward=q", "reward: expected one of probability, log-ratio, got 'q'"),
        ("maligan-mixed:num_samples=1", "num_samples: expected at least 2, got 1: a single normalized"),
        ("maligan-mixed:decrement_every=0", "decrement_every: expected at least 1, got 0"),
        ("maligan-mixed:prefix=-1", "prefix: expected at least 0, got -1"),
    ],
)
def test_mistakes_are_one_line(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_estimator(spec)
    assert "\n" not in str(caught.value)

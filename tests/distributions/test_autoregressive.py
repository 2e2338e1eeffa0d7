"""Sequences drawn token by token, against stepping by hand and against every sequence there is."""

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from discrete_gan.distributions import Autoregressive, autoregressive, before_end
from discrete_gan.distributions._draw import draw
from discrete_gan.models import RecurrentGenerator
from tests.problems import assert_exact, seeded_normal

# A chi-square test that a right sampler fails once in a million seeds.
LEAST_P_VALUE = 1e-6
B, D, K, END = 2, 4, 3, 2
ENDS = pytest.mark.parametrize("end", [END, 0, None], ids=lambda end: f"end={end}")
NETWORKS = pytest.mark.parametrize(
    "network",
    [dict(cell=c, num_layers=n, latent_dim=z) for c, n, z in itertools.product(["lstm", "gru"], [1, 2], [0, 2])],
    ids=lambda network: "-".join(map(str, network.values())),
)


def distribution(end: int | None = END, **network) -> Autoregressive:  # type: ignore[no-untyped-def]
    """g(x | z) of two latents by a network with parameters so large that it remembers every token."""
    network = {"latent_dim": 2, "embedding_dim": 3, "hidden": 4, **network}
    generator = RecurrentGenerator(K, D, end=end, **network).double()
    with torch.no_grad():
        for seed, parameter in enumerate(generator.parameters()):
            parameter.copy_(seeded_normal(*parameter.shape, seed=seed, scale=2))
    return generator(seeded_normal(B, generator.latent_dim, seed=99))


def parameters(g: Autoregressive) -> Iterator[nn.Parameter]:
    assert isinstance(g.decoder, RecurrentGenerator)
    return g.decoder.parameters()


def stepped(g: Autoregressive, value: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probability of each token by one step of the network a token, the shape of value, (..., B, D)."""
    tokens, z = value.flatten(0, -2), g.z.expand(*value.shape[:-1], -1).flatten(0, -2)
    state, previous = g.decoder.initial_state(z), torch.full((len(tokens),), K)
    over, terms = torch.zeros(len(tokens)).bool(), []
    for token in tokens.T:
        hidden, state = g.decoder.step(previous, z, state)
        log_probs = torch.log_softmax(g.decoder.logits(hidden) / temperature, dim=-1)
        terms.append(log_probs.gather(1, token[:, None])[:, 0].masked_fill(over, 0))
        over, previous = over | (token == (-1 if g.end is None else g.end)), token
    return torch.stack(terms, dim=-1).view(value.shape)


def assert_frequencies(sequences: Tensor, states: Tensor, probability: Tensor) -> None:
    """Chi-square test of sequences (N, D) against a law on states (S, D), the rare ones pooled."""
    place = K ** torch.arange(D)
    counts = (sequences * place).sum(dim=-1).bincount(minlength=K**D)[(states * place).sum(dim=-1)].double()
    expected = len(sequences) * probability.detach()
    assert counts.sum() == len(sequences)  # none outside
    rarest_first = expected.argsort()
    before = torch.empty_like(expected).index_copy(0, rarest_first, expected[rarest_first].cumsum(0)) - expected
    rare = (expected < 10) | (before < 10)
    cells = [torch.cat([each[~rare], each[rare].sum()[None]]).numpy() for each in (counts, expected)]
    assert len(cells[0]) == 1 or chisquare(cells[0], cells[1]).pvalue > LEAST_P_VALUE


@ENDS
def test_support_is_every_padded_sequence_once(end: int | None) -> None:
    g = distribution(end)
    padded = set()
    for sequence in itertools.product(range(K), repeat=D):
        length = sequence.index(end) if end in sequence else D
        padded.add(sequence[:length] + (end,) * (D - length))
    states = g.enumerate_support(expand=False)
    assert states.shape == (31 if end is not None else 81, 1, D)
    assert set(map(tuple, states[:, 0].tolist())) == padded
    assert torch.equal(g.enumerate_support(), states.expand(-1, B, -1))


@NETWORKS
@ENDS
def test_log_prob_equals_steps_and_sums_to_one(network: dict, end: int | None) -> None:
    g = distribution(end, **network)
    states = g.enumerate_support()
    step_log_prob = g.step_log_prob(states)
    assert_exact(step_log_prob, stepped(g, states))
    assert_exact(g.log_prob(states), step_log_prob.sum(dim=-1))
    assert_exact(g.log_prob(states).exp().sum(dim=0), torch.ones(B).double())
    assert_exact(g.step_log_prob(states, temperature=0.6), stepped(g, states, 0.6))
    assert_exact(g.log_prob(states, temperature=0.6), stepped(g, states, 0.6).sum(dim=-1))
    assert_exact(g.log_prob(states[5]), g.log_prob(states)[5])
    assert_exact(g.log_prob(states[:30].view(5, 6, B, D)), g.log_prob(states)[:30].view(5, 6, B))
    loss, by_steps = (each.square().sum() for each in (step_log_prob, stepped(g, states)))
    assert_exact(*(torch.autograd.grad(each, list(parameters(g))) for each in (loss, by_steps)), atol=1e-11)


def test_log_prob_of_the_plain_language_model_by_torchs_own_modules() -> None:
    g = distribution(None, latent_dim=0)
    generator = g.decoder
    assert isinstance(generator, RecurrentGenerator)
    lstm = nn.LSTM(3, 4, batch_first=True).double()
    lstm.load_state_dict(generator.rnn.state_dict())
    states = g.enumerate_support(expand=False)[:, 0]
    inputs = generator.embedding.weight[torch.cat([torch.full((len(states), 1), K), states[:, :-1]], dim=1)]
    logits = lstm(inputs)[0] @ generator.output.weight.T + generator.output.bias
    expected = torch.log_softmax(logits, dim=-1).gather(-1, states[..., None])[..., 0]
    assert_exact(g.step_log_prob(states[:, None].expand(-1, B, -1)), expected[:, None].expand(-1, B, -1))


def test_nothing_behind_the_end_matters() -> None:
    g, states = distribution(), distribution().enumerate_support()
    inside = before_end(states, END)
    assert inside[:, 0].tolist() == [[t == 0 or END not in s[:t] for t in range(D)] for s in states[:, 0].tolist()]
    other = torch.where(inside, states, torch.randint(K, states.shape, generator=torch.Generator().manual_seed(0)))
    assert not torch.equal(other, states)
    assert torch.equal(before_end(other, END), inside)
    found = g.step_log_prob(other)
    assert_exact(found, g.step_log_prob(states))
    assert bool((found[~inside] == 0).all())
    alone = torch.tensor([[END, 0, 1, 1], [END, END, END, END]])  # no row goes on
    assert_exact(g.log_prob(alone), g.log_prob(torch.full((B, D), END)))


def test_chunks_of_the_output_layer_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    g = distribution()
    states = g.enumerate_support()
    expected = g.step_log_prob(states)
    monkeypatch.setattr(autoregressive, "_MOST_LOGITS", 7 * K)
    assert_exact(g.step_log_prob(states), expected)
    torch.manual_seed(0)
    assert_frequencies(g.sample((2000,))[:, 0], states[:, 0], g.log_prob(states)[:, 0].exp())


@ENDS
@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("network", [{}, {"cell": "gru", "num_layers": 2, "latent_dim": 0}], ids=["lstm", "gru"])
def test_frequencies(end: int | None, temperature: float, network: dict) -> None:
    g = distribution(end, **network)
    states = g.enumerate_support()
    law = stepped(g, states, temperature).sum(dim=-1).exp()
    torch.manual_seed(0)
    x = g.sample((10_000,), temperature=temperature)
    assert (x.shape, x.dtype, x.requires_grad) == ((10_000, B, D), torch.int64, False)
    for latent in range(B):
        assert_frequencies(x[:, latent], states[:, latent], law[:, latent])


@pytest.mark.parametrize(
    "prefix",
    [[1], [0, 1], [0, END], [[1], [0]], [[1, 0], [0, END]], [[1, 0, 1], [0, 0, 0]], [[0, 1, 1, 0], [1, END, END, END]]],
    ids=str,
)
@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_frequencies_behind_a_prefix(prefix: list, temperature: float) -> None:
    g, given = distribution(), torch.tensor(prefix)
    states = g.enumerate_support()[:, 0]
    terms = stepped(g, g.enumerate_support(), temperature)[..., given.shape[-1] :]
    torch.manual_seed(0)
    x = g.sample((4, 1000), temperature=temperature, prefix=given)
    assert x.shape == (4, 1000, B, D)
    for latent, own in enumerate(given.expand(B, given.shape[-1])):
        begins = (states[:, : len(own)] == own).all(dim=1)
        assert_frequencies(x[:, :, latent].flatten(0, 1), states[begins], terms[begins, latent].sum(dim=-1).exp())


def test_a_prefix_of_no_tokens_and_any_sample_shape() -> None:
    g = distribution()
    torch.manual_seed(0)
    x = g.sample((6,))
    torch.manual_seed(0)
    assert torch.equal(g.sample((2, 3), prefix=torch.empty(B, 0).long()), x.view(2, 3, B, D))
    assert g.sample().shape == (B, D)


@pytest.mark.parametrize("end", [END, None])
@pytest.mark.parametrize("network", [{}, {"cell": "gru", "num_layers": 2}], ids=["lstm", "gru"])
def test_rollouts_follow_the_conditional_law_of_every_prefix(end: int | None, network: dict) -> None:
    g = distribution(end, **network)
    states = g.enumerate_support()
    terms = g.step_log_prob(states)
    value = torch.tensor([[[0, 1, 1, 0], [1, 0, END, END]], [[1, 1, 0, END], [END, END, END, END]]])  # (2, B, D)
    torch.manual_seed(0)
    rollouts = g.rollouts(value, 2000)
    assert (rollouts.shape, rollouts.dtype) == ((D - 1, 2000, 2, B, D), torch.int64)
    for length, row, latent in itertools.product(range(1, D), range(2), range(B)):
        begins = (states[:, latent, :length] == value[row, latent, :length]).all(dim=-1)
        law = terms[begins, latent, length:].sum(dim=-1).exp()
        assert_frequencies(rollouts[length - 1, :, row, latent], states[begins, latent], law)
    if end is not None:
        assert torch.equal(rollouts[:, :, 1, 1], value[1, 1].expand(D - 1, 2000, D))
        assert torch.equal(rollouts[2, :, 0, 1], value[0, 1].expand(2000, D))


@pytest.mark.parametrize("network", [{}, {"cell": "gru", "num_layers": 2}], ids=["lstm", "gru"])
def test_rollouts_go_on_from_the_state_behind_their_prefix(network: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    # A token that depends on far decimals of the logits: rollouts and samples behind a prefix must see the same.
    monkeypatch.setattr(autoregressive, "draw", lambda logits: (1e5 * logits[:, 0]).floor().long() % K)
    g, value = distribution(**network), distribution().enumerate_support()
    for length, rollouts in enumerate(g.rollouts(value, 2), start=1):
        for row, sequences in enumerate(value):
            expected = g.sample(prefix=sequences[:, :length])
            assert torch.equal(rollouts[:, row], expected.expand(2, B, D))


def test_rollouts_of_one_sequence_are_independent() -> None:
    g = distribution(None)
    torch.manual_seed(0)
    last = g.rollouts(torch.zeros(1, B, D).long(), 20_000)[:, :, 0, :, -1]  # (D - 1, R, B), the last tokens
    pairs = {
        "rollouts": (last[0, 0::2, 0], last[0, 1::2, 0]),
        "lengths": (last[0, :, 0], last[1, :, 0]),
        "latents": (last[0, :, 0], last[0, :, 1]),
    }
    for name, (first, second) in pairs.items():
        table = (K * first + second).bincount(minlength=K**2).view(K, K)
        expected = table.sum(dim=1, keepdim=True) * table.sum(dim=0).double() / table.sum()
        # 9 cells less the 2 * 2 free margins
        assert chisquare(table.flatten(), expected.flatten(), ddof=4).pvalue > LEAST_P_VALUE, name


@ENDS
@pytest.mark.parametrize("hard", [False, True])
def test_relaxed_samples_by_hand_with_the_same_noise(end: int | None, hard: bool) -> None:
    g = distribution(end)
    torch.manual_seed(0)
    with torch.no_grad():
        x = g.rsample((10,), temperature=0.7, hard=hard)
    assert x.shape == (10, B, D, K)
    assert bool((x >= 0).all())
    assert_exact(x.sum(dim=-1), torch.ones(10, B, D).double())
    inside = before_end(x.argmax(dim=-1), end).flatten(0, 1)
    assert bool(inside.all()) == (end is None)
    torch.manual_seed(0)
    z, rows = g.z.repeat(10, 1), x.flatten(0, 1)
    state, previous = g.decoder.initial_state(z), torch.full((len(z),), K)
    for position in range(D):
        hidden, state = g.decoder.step(previous, z, state)
        gumbel = -torch.empty(len(z), K, dtype=torch.float64).exponential_().log()
        expected = torch.softmax((g.decoder.logits(hidden) + gumbel) / 0.7, dim=-1)
        if hard:
            expected = nn.functional.one_hot(expected.argmax(dim=-1), K).double()
        only_end = nn.functional.one_hot(torch.tensor(end or 0), K).double()
        previous = rows[:, position]
        assert_exact(previous, torch.where(inside[:, position, None], expected, only_end))


def test_laws_of_relaxed_samples() -> None:
    g = distribution()
    states = g.enumerate_support()
    terms = g.step_log_prob(states).detach()
    torch.manual_seed(0)
    with torch.no_grad():
        hard, soft = (g.rsample((10_000,), hard=hard) for hard in (True, False))
    assert_exact(hard, nn.functional.one_hot(hard.argmax(dim=-1), K).double())
    for latent in range(B):
        # One-hot samples feed themselves back, so all of them follow g; of relaxed ones the first token does.
        assert_frequencies(hard[:, latent].argmax(dim=-1), states[:, latent], terms[:, latent].sum(dim=-1).exp())
        first = [terms[states[:, latent, 0] == token, latent, 0][0].exp().item() for token in range(K)]
        counts = soft[:, latent, 0].argmax(dim=-1).bincount(minlength=K)
        assert chisquare(counts, [10_000 * p for p in first]).pvalue > LEAST_P_VALUE


@ENDS
def test_gradient_of_a_relaxed_sample_equals_finite_differences(end: int | None) -> None:
    g, weight = distribution(end), seeded_normal(6, B, D, K, seed=7)
    theta = parameters_to_vector(parameters(g)).detach()
    g.z.requires_grad_()

    def loss_at(step: Tensor, z_step: Tensor) -> Tensor:
        vector_to_parameters(theta + step, parameters(g))
        torch.manual_seed(0)
        return (weight * Autoregressive(g.decoder, g.z + z_step).rsample((6,), temperature=0.8)).sum()

    for seed in range(3):
        direction, z_direction = seeded_normal(len(theta), seed=seed), seeded_normal(*g.z.shape, seed=10 + seed)
        h = 1e-5
        difference = (loss_at(h * direction, h * z_direction) - loss_at(-h * direction, -h * z_direction)) / (2 * h)
        loss = loss_at(0 * direction, 0 * z_direction)
        gradient, *others = torch.autograd.grad(loss, [g.z, *parameters(g)])
        slope = parameters_to_vector(others) @ direction + (gradient * z_direction).sum()
        torch.testing.assert_close(difference, slope, rtol=1e-7, atol=1e-8)


def test_straight_through_keeps_the_relaxed_gradient_of_the_first_position() -> None:
    g, gradients = distribution(), []
    for hard in (False, True):
        torch.manual_seed(0)
        first = g.rsample((5,), hard=hard)[:, :, 0]
        gradients.append(torch.autograd.grad((seeded_normal(5, B, K) * first).sum(), list(parameters(g))))
    assert_exact(gradients[1], gradients[0])
    assert max(each.abs().max().item() for each in gradients[0]) > 0.01


@pytest.mark.parametrize("hard", [False, True])
def test_positions_behind_the_end_carry_no_gradient(hard: bool) -> None:
    g = distribution()
    torch.manual_seed(0)
    x = g.rsample((20,), hard=hard)
    behind = ~before_end(x.argmax(dim=-1), END)
    assert 0.1 < behind.double().mean() < 0.9
    for gradient in torch.autograd.grad((seeded_normal(20, B, D, K) * x)[behind].sum(), list(parameters(g))):
        assert gradient.abs().max() == 0


def test_drawing_leaves_gradients_alone() -> None:
    g = distribution()
    g.z.requires_grad_()
    assert not g.rollouts(g.sample((2,), prefix=torch.tensor([1])), 3).requires_grad
    assert torch.is_grad_enabled()
    assert g.log_prob(g.sample((2,))).requires_grad
    assert all(each.grad is None and each.requires_grad for each in [g.z, *parameters(g)])


def test_errors_name_the_argument() -> None:
    g = distribution()
    for method in (g.sample, g.rsample):
        for temperature in (0.0, -1.0, math.nan):
            with pytest.raises(ValueError, match=rf"^temperature: expected a number above 0, got {temperature}"):
                method((2,), temperature=temperature)
    with pytest.raises(ValueError, match=r"^prefix: expected at most 4 tokens, got 5"):
        g.sample((2,), prefix=torch.zeros(5).long())
    for method in (g.log_prob, g.step_log_prob, lambda value: g.rollouts(value, 2)):
        for shape in [(3, B, D - 1), (3, B + 1, D), (D,)]:
            with pytest.raises(ValueError, match=r"^value: expected a shape ending in \(2, 4\), got "):
                method(torch.zeros(shape).long())
    with pytest.raises(ValueError, match=r"^num_rollouts: expected at least 1, got 0"):
        g.rollouts(torch.zeros(1, B, D).long(), 0)
    with pytest.raises(ValueError, match=r"^z: expected shape \(B, latent_dim\), got \(2,\)"):
        Autoregressive(g.decoder, torch.zeros(2))


@pytest.mark.parametrize("num_categories", [2, 7, 10, 5000])
def test_frequencies_of_categories(num_categories: int) -> None:
    logits = seeded_normal(num_categories, scale=1.5)
    torch.manual_seed(0)
    drawn = torch.cat([draw(logits.float().expand(500, -1)) for _ in range(20)])
    assert (drawn.shape, drawn.dtype) == ((len(drawn),), torch.int64)
    cell = torch.arange(num_categories) % 97  # categories that lie far apart are pooled
    cells = min(num_categories, 97)
    expected = len(drawn) * torch.zeros(cells).double().index_add(0, cell, torch.softmax(logits, dim=0))
    assert expected.min() > 5
    assert chisquare(cell[drawn].bincount(minlength=cells), expected).pvalue > LEAST_P_VALUE


def test_a_single_category_and_rows_of_their_own() -> None:
    assert torch.equal(draw(torch.randn(50, 1)), torch.zeros(50).long())
    assert torch.equal(draw(torch.eye(11).log()), torch.arange(11))
    assert draw(torch.zeros(3, 4, dtype=torch.bfloat16)).dtype == torch.int64


def feed(monkeypatch: pytest.MonkeyPatch, *uniform: Tensor) -> None:
    """Make the uniform numbers drawn be those given, each of shape (N,), in the precision asked for."""
    calls = iter(uniform)
    monkeypatch.setattr(torch, "rand", lambda *shape, dtype, device: next(calls).to(dtype).view(shape).clone())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_impossible_categories_are_never_drawn(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    probs = torch.tensor([0, 0.1, 0.2, 0, 0, 0, 0.3, 0, 0, 0.2, 0, 0.2, 0, 0], dtype=dtype)
    more = nn.functional.pad(probs, (0, 22))  # blocks of six, of which all but two are impossible
    for each in (probs, more):
        assert draw(each.log().expand(20_000, -1)).unique().tolist() == [1, 2, 6, 9, 11]
    ends = torch.tensor([0, 1 - 2**-53], dtype=torch.float64)
    feed(monkeypatch, ends, ends.repeat_interleave(2), ends.repeat(2), ends.repeat(2))
    assert draw(probs.log().expand(2, -1)).tolist() == [1, 11]
    assert draw(more.log().expand(4, -1)).tolist() == [1, 2, 6, 11]
    certain = torch.eye(2, dtype=dtype).repeat_interleave(2, dim=0)
    assert draw(certain.log()).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("num_categories", [1, 2, 7, 32, 33, 2000])
def test_every_category_has_its_interval(monkeypatch: pytest.MonkeyPatch, num_categories: int) -> None:
    # The middle of the interval of a category must give it, down to a width of 1e-9: a sum in float32 would lose it.
    probs = torch.full((num_categories,), 1e-9, dtype=torch.float64)
    probs[:50] = torch.softmax(seeded_normal(num_categories)[:50], dim=0)
    probs /= probs.sum()
    category = torch.arange(num_categories)
    if num_categories <= 32:  # one number decides; of two categories whether it is below the probability of the second
        middle = probs.flip(0).cumsum(dim=0).flip(0) if num_categories == 2 else probs.cumsum(dim=0)
        feed(monkeypatch, middle - probs / 2)
        assert torch.equal(draw(probs.log().expand(num_categories, -1)), category)
        return
    size = math.ceil(math.sqrt(num_categories))
    blocks = nn.functional.pad(probs, (0, size**2 - num_categories)).view(size, size)
    mass = blocks.sum(dim=1)
    within = (blocks.cumsum(dim=1) - blocks / 2) / mass.clamp(min=1e-300)[:, None]
    feed(monkeypatch, (mass.cumsum(dim=0) - mass / 2)[category // size], within.flatten()[category])
    assert torch.equal(draw(probs.log().expand(num_categories, -1)), category)


@pytest.mark.parametrize("temperature", [1e-300, 1e-30, 1e-3])
def test_the_lowest_temperatures_take_the_likeliest_token(temperature: float) -> None:
    torch.manual_seed(0)
    generator = RecurrentGenerator(7, 5, end=6, latent_dim=2, hidden=8)
    with torch.no_grad():
        generator.output.weight.mul_(50)
    g = generator(torch.randn(4, 2))
    first, second = (g.sample((3,), temperature=temperature) for _ in range(2))
    assert torch.equal(first, second) and torch.equal(first, first[:1].expand_as(first))
    log_prob = g.log_prob(first, temperature=temperature)
    assert torch.equal(log_prob, torch.zeros_like(log_prob))


def test_sequences_of_weights_that_are_not_numbers_are_sequences() -> None:
    generator = RecurrentGenerator(7, 5, end=6, latent_dim=2, hidden=8)
    torch.nn.init.constant_(generator.output.weight, math.nan)
    g = generator(torch.randn(4, 2))
    x = g.sample((3,))
    assert bool(((x >= 0) & (x < 7)).all())
    assert bool(g.log_prob(x).isnan().all())

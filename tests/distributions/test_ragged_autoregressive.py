"""Columns given those before them: by enumeration, and as what they are without anything before them."""

import math

import pytest
import torch
from torch import Tensor

from discrete_gan.distributions import RaggedAutoregressive, RaggedCategorical
from discrete_gan.models import AutoregressiveTableGenerator
from tests.problems import assert_exact, seeded_normal

SIZES, ORDER, B, LATENT = (2, 2, 4, 1, 3), (4, 0, 1, 3, 2), 3, 2


def network(*, latent_dim: int = LATENT, order: tuple[int, ...] | None = ORDER) -> AutoregressiveTableGenerator:
    torch.manual_seed(0)
    generator = AutoregressiveTableGenerator(latent_dim, SIZES, 7, 2, order).double().eval()
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter)
    return generator


@pytest.fixture
def g() -> RaggedAutoregressive:
    return network()(seeded_normal(B, LATENT))


def one_by_one(g: RaggedAutoregressive, value: Tensor) -> Tensor:
    """Log-probability of rows (S, B, D) in a walk over the columns, by what each is told of those before."""
    total = torch.zeros(value.shape[:-1], dtype=torch.float64)
    for b in range(B):
        sums = g.decoder.start(g.z[b : b + 1]).expand(len(value), -1)
        for column in ORDER:
            x = value[:, b, column]
            total[:, b] += g.decoder.logits(sums, column).log_softmax(dim=-1).gather(-1, x[:, None])[:, 0]
            sums = sums + g.decoder.vector(x, column)
    return total


def test_all_rows_have_probabilities_that_sum_to_one(g: RaggedAutoregressive) -> None:
    values = g.enumerate_support()
    assert values.shape == (math.prod(SIZES), B, len(SIZES)) and len(values[:, 0].unique(dim=0)) == len(values)
    log_prob = g.log_prob(values)
    assert_exact(log_prob.exp().sum(dim=0), torch.ones(B).double())
    assert_exact(log_prob, one_by_one(g, values))
    assert_exact(g.log_prob(values[5]), log_prob[5])
    warm = g.log_prob(values, temperature=2.0)
    assert_exact(warm.exp().sum(dim=0), torch.ones(B).double())
    assert (warm - log_prob).abs().max() > 0.1


def test_a_column_depends_on_those_before_it_and_on_no_others(g: RaggedAutoregressive) -> None:
    """The marginal of the first columns of the order is that of a network which ends with them."""
    values, log_prob = g.enumerate_support()[:, 0], g.log_prob(g.enumerate_support())[:, 0]
    first = ORDER[0]
    marginal = torch.stack([log_prob[values[:, first] == k].logsumexp(dim=0) for k in range(SIZES[first])])
    assert_exact(marginal, g.decoder.logits(g.decoder.start(g.z[:1]), first).log_softmax(dim=-1)[0])
    given = [log_prob[(values[:, first] == k) & (values[:, 2] == 1)].logsumexp(dim=0) for k in range(3)]
    assert (torch.stack(given) - marginal).std() > 0.1  # the last column does depend on it


def test_draws_have_these_probabilities(g: RaggedAutoregressive) -> None:
    torch.manual_seed(0)
    num = 20_000
    values = g.enumerate_support()
    x = g.sample((num,))
    assert x.shape == (num, B, len(SIZES)) and x.dtype == torch.int64
    for b in range(B):
        probs = g.log_prob(values)[:, b].exp()
        places = (x[:, b, None] == values[None, :, b]).all(dim=-1)
        assert places.any(dim=1).all()
        assert ((places.double().mean(dim=0) - probs).abs() <= 5 * (probs * (1 - probs) / num).sqrt() + 1 / num).all()
    assert g.sample().shape == (B, len(SIZES)) and g.sample((2, 3)).shape == (2, 3, B, len(SIZES))


def test_at_a_low_temperature_the_likeliest_of_each_column_is_drawn(g: RaggedAutoregressive) -> None:
    x = g.sample((50,), temperature=1e-6)
    assert (x == x[:1]).all()
    sums = g.decoder.start(g.z)
    for column in ORDER:
        assert torch.equal(x[0, :, column], g.decoder.logits(sums, column).argmax(dim=-1))
        sums = sums + g.decoder.vector(x[0, :, column], column)


@pytest.mark.parametrize("given", [{4: 2}, {4: 2, 0: 1}, {2: 3}, {1: 0, 2: 1}])
def test_clamped_columns_are_weighted_by_their_probability(given: dict[int, int]) -> None:
    generator, num = network(), 20_000
    z = seeded_normal(1, LATENT)
    torch.manual_seed(0)
    x, log_w = generator(z.expand(num, -1)).sample_given(given)
    g = generator(z)
    values = g.enumerate_support()
    of_values = g.log_prob(values)[:, 0].exp()
    has = torch.stack([values[:, 0, column] == value for column, value in given.items()]).all(dim=0)
    assert all((x[:, column] == value).all() for column, value in given.items())
    w, share = log_w.exp(), of_values[has].sum()
    assert abs(w.mean() - share) <= 5 * w.std() / math.sqrt(num) + 1e-12
    # What comes first in the order is weighted alike.
    assert (w.std() < 1e-12) == (set(given) <= set(ORDER[: len(given)]))
    # Weighted draws have the conditional law of the other columns.
    for column, size in enumerate(SIZES):
        for k in range(size):
            expected = of_values[has & (values[:, 0, column] == k)].sum() / share
            found = (w * (x[:, column] == k)).mean() / w.mean()
            assert abs(found - expected) < 5 * (w / w.mean()).std().clamp(min=1) * 0.5 / math.sqrt(num) + 1e-12


def test_relaxed_rows_are_in_the_simplices_and_carry_gradient() -> None:
    generator = network()
    z = seeded_normal(B, LATENT).requires_grad_()
    torch.manual_seed(0)
    soft = generator(z).rsample((5,), temperature=0.7)
    torch.manual_seed(0)
    hard = generator(z).rsample((5,), temperature=0.7, hard=True)
    assert soft.shape == (5, B, sum(SIZES))
    for part, rounded in zip(soft.split(SIZES, -1), hard.split(SIZES, -1), strict=True):
        assert_exact(part.sum(dim=-1), torch.ones(5, B).double())
        assert ((rounded - rounded.round()).abs() < 1e-12).all() and (rounded.sum(dim=-1) - 1).abs().max() < 1e-12

    def drawn(z: Tensor) -> Tensor:
        torch.manual_seed(0)
        return generator(z).rsample((2,), temperature=0.7)

    assert torch.autograd.gradcheck(drawn, z)  # through the relaxed columns before, too


def test_hard_relaxed_rows_are_draws() -> None:
    """One-hot rows have the probabilities of indices: those of the last column depend on all before it."""
    generator, num = network(), 5000
    g = generator(seeded_normal(1, LATENT))
    torch.manual_seed(0)
    hard = g.rsample((num,), temperature=0.7, hard=True)[:, 0]
    drawn = torch.stack([part.argmax(dim=-1) for part in hard.split(SIZES, -1)], dim=-1)
    assert_exact(g.to_one_hot(drawn).double(), hard)
    values = g.enumerate_support()
    probs = g.log_prob(values)[:, 0].exp()
    frequency = (drawn[:, None] == values[None, :, 0]).all(dim=-1).double().mean(dim=0)
    assert ((frequency - probs).abs() <= 5 * (probs * (1 - probs) / num).sqrt() + 1 / num).all()


def test_it_begins_at_the_marginals_of_data() -> None:
    rows = torch.stack([torch.randint(size, (200,)) for size in SIZES], dim=-1)
    generator = AutoregressiveTableGenerator(0, SIZES, 7, 1, ORDER).double()
    generator.begin_at(rows)
    counts = torch.cat([rows[:, d].bincount(minlength=size) for d, size in enumerate(SIZES)]) + 0.5
    independent = RaggedCategorical(counts.double().log()[None], SIZES)
    # Logarithms of the counts are taken in float32.
    assert_exact(generator(torch.zeros(200, 0)).log_prob(rows), independent.expand((200,)).log_prob(rows), rtol=1e-6)


def test_shapes_and_values_are_checked(g: RaggedAutoregressive) -> None:
    with pytest.raises(ValueError, match=r"value: expected integers of a shape ending in \(3, 5\), got .* \(4, 2, 5\)"):
        g.log_prob(torch.zeros(4, 2, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match="value: expected integers"):
        g.log_prob(torch.zeros(B, 5))
    with pytest.raises(ValueError, match="temperature"):
        g.sample(temperature=0.0)
    with pytest.raises(ValueError, match=r"z: expected shape \(B, latent_dim\), got \(3,\)"):
        RaggedAutoregressive(g.decoder, torch.zeros(3))
    with pytest.raises(ValueError, match="order: expected each of the columns 0 to 4 once"):
        AutoregressiveTableGenerator(0, SIZES, order=(0, 1, 2, 3, 3))
    checked = RaggedAutoregressive(g.decoder, g.z, validate_args=True)
    with pytest.raises(ValueError, match="indices of categories"):
        checked.log_prob(torch.tensor([1, 1, 3, 1, 0]).expand(B, 5))

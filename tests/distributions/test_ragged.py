"""Columns of different sizes: by enumeration, and as the padded distribution whose other categories are ruled out."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from discrete_gan.distributions import FactorizedCategorical, RaggedCategorical
from discrete_gan.distributions.ragged import ragged_one_hot
from discrete_gan.estimators import adapted, parse_estimator
from discrete_gan.losses.penalties import gradient_penalty
from discrete_gan.models import TableDiscriminator, TableGenerator
from tests.problems import ColumnGenerator, assert_exact, seeded_normal

SIZES = (2, 2, 4, 1, 3, 3)
TOTAL, B = sum(SIZES), 3


def padded(logits: Tensor) -> FactorizedCategorical:
    """The same law with all columns as wide as the widest."""
    columns = [
        torch.nn.functional.pad(part, (0, 4 - part.shape[-1]), value=-math.inf) for part in logits.split(SIZES, -1)
    ]
    return FactorizedCategorical(torch.stack(columns, dim=-2))


def wide_one_hot(value: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(value, 4).double()


def test_all_values_have_the_probabilities_of_the_padded_law() -> None:
    logits = seeded_normal(B, TOTAL).requires_grad_()
    g, other = RaggedCategorical(logits, SIZES), padded(logits)
    values = g.enumerate_support()
    assert values.shape == (math.prod(SIZES), B, 6) and len(values[:, 0].unique(dim=0)) == len(values)
    log_prob = g.log_prob(values)
    assert_exact(log_prob, other.log_prob(wide_one_hot(values)))
    assert_exact(log_prob.exp().sum(dim=0), torch.ones(B).double())
    weights = seeded_normal(*log_prob.shape, seed=1)
    gradients = [
        torch.autograd.grad((weights * each).sum(), logits)[0]
        for each in (log_prob, other.log_prob(wide_one_hot(values)))
    ]
    assert_exact(*gradients)
    assert_exact(g.entropy(), -(log_prob.exp() * log_prob).sum(dim=0))
    assert_exact(g.mean, (log_prob.exp()[..., None] * g.to_one_hot(values)).sum(dim=0))
    assert torch.equal(g.mode, values[log_prob.argmax(dim=0), torch.arange(B)])


def test_draws_have_the_probabilities_and_nothing_else() -> None:
    logits = seeded_normal(B, TOTAL)
    logits[0, 5] = -math.inf
    torch.manual_seed(0)
    g, num = RaggedCategorical(logits, SIZES), 4000
    one_hot = g.to_one_hot(g.sample((num,)))
    error = (g.probs * (1 - g.probs) / num).sqrt()
    assert ((one_hot.mean(dim=0) - g.probs).abs() <= 5 * error + 1e-12).all() and one_hot[:, 0, 5].sum() == 0
    pairs = torch.einsum("mbi,mbj->bij", one_hot, one_hot)[:, :2, 2:4] / num  # columns are independent
    assert (pairs - g.probs[:, :2, None] * g.probs[:, None, 2:4]).abs().max() < 5 * 0.5 / math.sqrt(num)


def test_relaxed_rows_are_in_the_simplices_and_carry_gradient() -> None:
    logits = seeded_normal(B, TOTAL).requires_grad_()
    torch.manual_seed(0)
    soft = RaggedCategorical(logits, SIZES).rsample((5,), temperature=0.7)
    torch.manual_seed(0)
    hard = RaggedCategorical(logits, SIZES).rsample((5,), temperature=0.7, hard=True)
    assert soft.shape == (5, B, TOTAL)
    for part, rounded in zip(soft.split(SIZES, -1), hard.split(SIZES, -1), strict=True):
        assert_exact(part.sum(dim=-1), torch.ones(5, B).double())
        assert (
            torch.equal(part.argmax(dim=-1), rounded.argmax(dim=-1))
            and ((rounded - rounded.round()).abs() < 1e-12).all()
        )
    slopes = seeded_normal(*soft.shape, seed=2)
    assert_exact(*(torch.autograd.grad((slopes * each).sum(), logits)[0] for each in (soft, hard)))


def test_shapes_and_values_are_checked() -> None:
    with pytest.raises(ValueError, match=r"logits: expected shape \(B, 15\), as sizes say, got \(3, 14\)"):
        RaggedCategorical(torch.zeros(3, 14), SIZES)
    with pytest.raises(ValueError, match="as sizes say"):
        RaggedCategorical(torch.zeros(3, 2), (2, 0))
    g = RaggedCategorical(torch.zeros(B, TOTAL), SIZES, validate_args=True)
    with pytest.raises(ValueError, match=r"value: expected integers of a shape ending in \(3, 6\), got \(4, 2, 6\)"):
        g.log_prob(torch.zeros(4, 2, 6, dtype=torch.int64))
    with pytest.raises(ValueError, match="value: expected integers"):
        g.log_prob(torch.zeros(4, B, 6))
    with pytest.raises(ValueError, match="indices of categories"):
        g.log_prob(torch.tensor([1, 1, 3, 1, 0, 0]).expand(B, 6))
    assert g.expand((2, B)).log_prob(g.sample((2,))).shape == (2, B)


@pytest.mark.parametrize("dims", [(), (5,), (2, 5)])
def test_samples_of_any_leading_shape(dims: tuple[int, ...]) -> None:
    g = RaggedCategorical(seeded_normal(B, TOTAL), SIZES)
    x = g.sample(dims)
    assert x.shape == (*dims, B, 6) and x.dtype == torch.int64
    one_by_one = (g.logits * g.to_one_hot(x)).sum(dim=-1)
    assert_exact(g.log_prob(x), one_by_one)
    assert_exact(ragged_one_hot(x, SIZES, torch.float64), g.to_one_hot(x))


class _Columns(ColumnGenerator):
    def forward(self, z: Tensor) -> Any:
        return RaggedCategorical(self.logits[z.flatten()].flatten(-2), (3, 3))


class _OneHot(torch.nn.Module):
    """A discriminator of tables asked about one-hot categories (..., D, K)."""

    def __init__(self, inner: TableDiscriminator) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.flatten(-2))


@pytest.mark.parametrize(
    "spec",
    [
        "boundary-seeking:num_samples=4",
        "boundary-seeking:num_samples=4,over=batch",
        "vimco:num_samples=4",
        "reinforce:num_samples=4",
        "straight-through:num_samples=4",
        "straight-through:num_samples=4,jacobian=identity",
        "gumbel-softmax:num_samples=4",
        "st-gumbel-softmax:num_samples=4",
    ],
)
def test_estimators_give_the_gradient_of_factorized_categories(spec: str) -> None:
    """Where all columns are of one size both laws draw alike, hard and relaxed; discriminators see the same rows."""
    torch.manual_seed(0)
    inner = TableDiscriminator((3, 3), hidden=(8, 4)).double()
    results = []
    for generator, discriminator in (
        (_Columns(seeded_normal(B, 2, 3)), inner),
        (ColumnGenerator(seeded_normal(B, 2, 3)), _OneHot(inner)),
    ):
        torch.manual_seed(1)
        loss = adapted(parse_estimator(spec))(generator, discriminator, torch.arange(B)[:, None], real=None).sum()
        results.append(torch.autograd.grad(loss, generator.logits)[0])
    assert_exact(*results)
    assert bool((results[0] != 0).any())


def test_networks_see_indices_and_relaxed_rows_alike() -> None:
    torch.manual_seed(0)
    generator, discriminator = TableGenerator(4, SIZES, hidden=(8,)), TableDiscriminator(SIZES, hidden=(8, 5))
    x = generator(generator.latents(7)).sample((2,))
    one_hot = ragged_one_hot(x, SIZES)
    hard, relaxed = discriminator(x), discriminator(one_hot)
    assert hard.shape == (2, 7) and discriminator.features(x).shape == (2, 7, 5)
    torch.testing.assert_close(hard, relaxed)
    for raw in (hard, relaxed):
        discriminator.zero_grad()
        raw.square().sum().backward()
    gradients = [
        torch.autograd.grad(discriminator(each).square().sum(), list(discriminator.parameters()))
        for each in (x, one_hot)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_the_penalty_is_that_of_one_hot_rows() -> None:
    torch.manual_seed(0)
    discriminator = TableDiscriminator(SIZES, hidden=(8, 5)).double()
    x = torch.stack([torch.randint(size, (7,)) for size in SIZES], dim=-1)
    rows = ragged_one_hot(x, SIZES, torch.float64).requires_grad_()
    raw, penalty = discriminator.penalized(x)
    expected = gradient_penalty(discriminator(rows), rows)
    assert_exact(raw, discriminator(rows))
    assert_exact(penalty, expected)
    weights = [weight for name, weight in discriminator.named_parameters() if name.endswith("weight")]
    for one, other in zip(*(torch.autograd.grad(each.sum(), weights) for each in (penalty, expected)), strict=True):
        assert_exact(one, other)


def test_an_untrained_generator_begins_at_the_shares_of_the_data() -> None:
    torch.manual_seed(0)
    generator = TableGenerator(4, (2, 3), hidden=(8,)).eval()
    rows = torch.tensor([[0, 2]] * 30 + [[1, 0]] * 10)
    torch.nn.init.zeros_(generator.layers[-1].weight)  # type: ignore[arg-type]
    generator.begin_at(rows)
    expected = torch.tensor([30.5, 10.5, 10.5, 0.5, 30.5]) / torch.tensor([41, 41, 41.5, 41.5, 41.5])
    torch.testing.assert_close(generator(generator.latents(1)).probs[0], expected)

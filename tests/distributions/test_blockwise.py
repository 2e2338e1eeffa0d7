"""Bits in blocks, against a product of conditionals by hand and the sum over all images."""

import math

import pytest
import torch
from torch import Tensor

from discrete_gan.distributions import Blocks, BlockwiseBernoulli, FactorizedBernoulli
from discrete_gan.models import BlockwiseGenerator, MLPGenerator
from discrete_gan.models.blockwise import lattice
from tests.problems import assert_exact, seeded_normal

B, BLOCK = 3, torch.tensor([1, 0, 2, 0, 1])
D = len(BLOCK)


def law(batch: int = B) -> BlockwiseBernoulli:
    logits, weight = seeded_normal(batch, D).requires_grad_(), seeded_normal(D, D, seed=1, scale=2).requires_grad_()
    return BlockwiseBernoulli(logits, weight, Blocks.of(BLOCK))


def by_hand(g: BlockwiseBernoulli, x: Tensor, b: int) -> float:
    """Log-probability of one image, a position at a time."""
    total = 0.0
    for d in range(D):
        given = [g.weight[d, e].item() * x[e].item() for e in range(D) if BLOCK[e] < BLOCK[d]]
        logit = g.logits[b, d].item() + sum(given)
        total -= math.log1p(math.exp(-logit if x[d] else logit))
    return total


def test_log_probability_is_the_product_of_the_conditionals_and_sums_to_one() -> None:
    g = law()
    assert (g.batch_shape, g.event_shape) == ((B,), (D,))
    every = g.enumerate_support()
    assert every.shape == (2**D, B, D) and len({tuple(row.tolist()) for row in every[:, 0]}) == 2**D
    found = g.log_prob(every)
    expected = torch.tensor([[by_hand(g, x, b) for b in range(B)] for x in every[:, 0]], dtype=torch.float64)
    assert_exact(found, expected)
    assert_exact(found.exp().sum(dim=0), torch.ones(B, dtype=torch.float64))
    torch.autograd.gradcheck(
        lambda logits, weight: BlockwiseBernoulli(logits, weight, Blocks.of(BLOCK)).log_prob(every[5:7]),
        (seeded_normal(B, D).requires_grad_(), seeded_normal(D, D, seed=1).requires_grad_()),
    )


def test_images_are_drawn_as_often_as_they_are_likely() -> None:
    torch.manual_seed(0)
    g = law(1)
    for x in (g.sample((100_000,)), g.rsample((100_000,), hard=True).detach().round()):
        assert x.shape == (100_000, 1, D) and x.dtype == torch.float64 and set(x.unique().tolist()) == {0.0, 1.0}
        place = 2 ** torch.arange(D - 1, -1, -1)
        found = (x[:, 0].long() * place).sum(dim=-1).bincount(minlength=2**D) / len(x)
        expected = g.log_prob(g.enumerate_support()).exp()[:, 0].detach()
        # five standard deviations of a frequency
        assert bool(((found - expected).abs() <= 5 * (expected / len(x)).sqrt()).all())


def test_relaxed_draws_see_relaxed_draws() -> None:
    g = law(1)
    torch.manual_seed(0)
    soft = g.rsample((50,), temperature=0.7)
    torch.manual_seed(0)
    noise, x = (
        [torch.rand(50, 1, int(torch.eq(BLOCK, s).sum()), dtype=torch.float64).logit() for s in range(3)],
        soft.detach(),
    )
    for s in range(3):
        at = torch.eq(BLOCK, s)
        logits = (g.logits + x @ g.weight.T)[..., at]
        assert_exact(soft[..., at], torch.sigmoid((logits + noise[s]) / 0.7))
    assert torch.autograd.grad(soft.sum(), g.logits)[0].abs().min() > 0
    with pytest.raises(ValueError, match="temperature"):
        g.rsample((2,), temperature=0)


def test_center_is_the_mean_of_one_block_and_near_it_for_more() -> None:
    g = law()
    probs = g.log_prob(g.enumerate_support()).exp()
    mean = (probs[..., None] * g.enumerate_support()).sum(dim=0)
    first = BLOCK == 0
    assert_exact(g.center[:, first], mean[:, first])
    assert not g.center.requires_grad and (g.center - mean).abs().max() < 0.2


def test_one_block_is_a_factorized_bernoulli() -> None:
    g = BlockwiseBernoulli(seeded_normal(B, D), seeded_normal(D, D), Blocks.of(torch.zeros(D, dtype=torch.int64)))
    every = g.enumerate_support()
    assert_exact(g.log_prob(every), FactorizedBernoulli(g.logits).log_prob(every))


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(
        ValueError, match=r"logits and weight: expected \(B, 5\) and \(5, 5\), got \(3, 4\) and \(5, 5\)"
    ):
        BlockwiseBernoulli(torch.zeros(3, 4), torch.zeros(5, 5), Blocks.of(BLOCK))
    with pytest.raises(ValueError, match=r"value: expected a shape ending in \(3, 5\), got \(2, 5\)"):
        law().log_prob(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="zeros and ones"):
        BlockwiseBernoulli(torch.zeros(1, D), torch.zeros(D, D), Blocks.of(BLOCK), validate_args=True).log_prob(
            torch.full((1, D), 0.5)
        )


def test_lattices_get_finer() -> None:
    chessboard = lattice((1, 4, 4), 2)[0]
    assert chessboard.tolist() == [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]
    four = lattice((2, 6, 5), 4)
    assert four[0, :2, :2].tolist() == [[0, 2], [3, 1]] and four.shape == (2, 6, 5) and (four[0] == four[1]).all()
    assert lattice((1, 8, 8), 16).unique().tolist() == [*range(16)]
    with pytest.raises(ValueError, match="num_blocks: expected 1, 2, 4, 8 or 16, got 3"):
        lattice((1, 4, 4), 3)


@pytest.mark.parametrize("shape", [(1, 5, 4), (2, 3, 3)])
def test_kernels_are_shared_over_the_image(shape: tuple[int, int, int]) -> None:
    """What a pixel adds to another depends on where it lies from it, on their channels, and on the other's block."""
    generator = BlockwiseGenerator(2, shape, 4, (4,), kernel_size=3).double()
    torch.nn.init.normal_(generator.kernels)
    weight = generator(torch.zeros(2, 2, dtype=torch.float64)).weight
    block, seen = lattice(shape, 4).flatten(), {}
    where = torch.cartesian_prod(*map(torch.arange, shape)).tolist()
    for to, (c, i, j) in enumerate(where):
        for of, (e, k, m) in enumerate(where):
            near = abs(k - i) <= 1 and abs(m - j) <= 1
            if not near or block[of] >= block[to]:
                assert weight[to, of] == 0
                continue
            key = (int(block[to]), c, e, k - i, m - j)
            assert weight[to, of] != 0 and seen.setdefault(key, weight[to, of]) == weight[to, of]
    assert len({value.item() for value in seen.values()}) == len(seen) > 8


def test_generator_begins_at_the_mean_and_what_differs_from_it_counts() -> None:
    mean = torch.rand(12, generator=torch.Generator().manual_seed(0)).double()
    generator = BlockwiseGenerator(2, (1, 3, 4), 2, (4,)).double().start_at(mean)
    torch.nn.init.zeros_(generator.layers[-1].weight)  # type: ignore[arg-type]
    torch.nn.init.normal_(generator.kernels)
    g = generator(torch.zeros(2, 2, dtype=torch.float64))
    assert_exact(g.conditionals(mean.expand(2, -1)).probs, mean.clamp(0.01, 0.99).expand(2, -1))
    plain = MLPGenerator(2, 12, hidden=(4,)).double().start_at(mean)
    before = MLPGenerator(2, 12, hidden=(4,)).double()
    before.load_state_dict(plain.state_dict())
    before.start_at(mean)
    assert_exact(before.layers[-1].weight, 0.3 * plain.layers[-1].weight)  # type: ignore[arg-type,operator]
    assert_exact(before.layers[-1].bias, mean.clamp(0.01, 0.99).logit())  # type: ignore[arg-type]


def test_classes_and_even_kernels() -> None:
    generator = BlockwiseGenerator(2, (1, 3, 4), hidden=(4,), num_classes=2).double().eval()
    z, x = seeded_normal(2, 2), (seeded_normal(3, 2, 12) > 0).double()
    assert (generator(z, torch.tensor([0, 1])).log_prob(x) != generator(z, torch.tensor([1, 0])).log_prob(x)).all()
    with pytest.raises(ValueError, match="kernel_size: expected an odd number, got 4"):
        BlockwiseGenerator(kernel_size=4)

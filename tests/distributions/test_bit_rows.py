"""Images of bits row by row, against the sum over all images."""

from typing import Any

import pytest
import torch

from discrete_gan.models.rows import RowGenerator
from tests.problems import assert_exact, seeded_normal

H, W = 2, 3
D = H * W
WITHIN = pytest.mark.parametrize("within", ["autoregressive", "factorized"])


def generator_of(within: Any, **options: int) -> RowGenerator:
    torch.manual_seed(0)
    generator = RowGenerator(2, (1, H, W), hidden=5, width=4, within=within, **options).double()
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return generator


@WITHIN
def test_probabilities_of_all_images(within: Any) -> None:
    generator, z = generator_of(within), seeded_normal(3, 2)
    g = generator(z)
    assert (g.batch_shape, g.event_shape) == ((3,), (D,))
    every = g.enumerate_support()
    assert every.shape == (2**D, 3, D) and len({tuple(row.tolist()) for row in every[:, 0]}) == 2**D
    probs = g.log_prob(every).exp().detach()
    assert_exact(probs.sum(dim=0), torch.ones(3, dtype=torch.float64))
    # The pixels of a row are independent given those above, or they are not.
    first = torch.stack([probs[every[:, 0, pixel] == 1, 0].sum() for pixel in (0, 1)])
    both = probs[(every[:, 0, 0] == 1) & (every[:, 0, 1] == 1), 0].sum()
    assert (abs(float(both - first.prod())) < 1e-12) == (within == "factorized")
    below = probs[(every[:, 0, 0] == 1) & (every[:, 0, 3] == 1), 0].sum()
    alone = probs[every[:, 0, 3] == 1, 0].sum()
    assert abs(float(below / (first[0] * alone) - 1)) > 0.01  # a row knows of that above


@WITHIN
def test_draws_and_relaxed_draws_have_the_means_of_the_law(within: Any) -> None:
    generator, z = generator_of(within), seeded_normal(1, 2).requires_grad_()
    g = generator(z)
    every = g.enumerate_support()
    mean = (g.log_prob(every).exp()[:, :, None] * every).sum(dim=0)[0].detach()
    num = 20_000
    error = 5 * (mean * (1 - mean) / num).sqrt()
    drawn = g.sample((num,))
    assert drawn.shape == (num, 1, D) and drawn.dtype == torch.float64 and set(drawn.unique().tolist()) == {0.0, 1.0}
    assert ((drawn.mean(dim=0)[0] - mean).abs() < error).all()
    hard = g.rsample((num,), hard=True)
    assert_exact(hard.detach(), hard.detach().round())
    assert ((hard.detach().mean(dim=0)[0] - mean).abs() < error).all()
    soft = g.rsample((50,), temperature=0.7)
    assert soft.min() >= 0 and soft.max() <= 1
    assert torch.autograd.grad(soft.sum(), z)[0].abs().min() > 0


def test_classes_and_errors() -> None:
    generator, z = generator_of("factorized", num_classes=2), seeded_normal(2, 2)
    x = generator(z, torch.tensor([0, 1])).sample((4,))
    assert (generator(z, torch.tensor([0, 1])).log_prob(x) != generator(z, torch.tensor([1, 0])).log_prob(x)).all()
    with pytest.raises(ValueError, match=r"value: expected a shape ending in \(2, 6\), got \(3, 6\)"):
        generator(z, torch.tensor([0, 1])).log_prob(torch.zeros(3, 6))
    with pytest.raises(ValueError, match="image_shape: expected one channel, as rows of bits have, got 3"):
        RowGenerator(2, (3, 4, 4))

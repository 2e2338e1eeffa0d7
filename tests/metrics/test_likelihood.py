"""Token likelihood, and the importance-weighted bound enumerated over all draws of its latents."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from discrete_gan.metrics import TokenNLL, importance_weighted_bound

PRIOR = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
LIKELIHOOD = torch.tensor([0.1, 0.6, 0.01], dtype=torch.float64)  # p(x | z) of one x


def test_token_likelihood_by_hand_in_pieces_and_over_processes() -> None:
    log_prob, num_tokens = torch.tensor([0.5, 0.25, 0.125]).log(), torch.tensor([1, 3, 2])
    first, second = TokenNLL(), TokenNLL()
    first.update(log_prob[:1], num_tokens[:1])
    second.update(log_prob[1:], num_tokens[1:])
    first.merge_state(second)
    result = first.compute()
    assert result.per_token.item() == pytest.approx(math.log(2))  # 6 halvings over 6 tokens
    assert result.per_sequence.item() == pytest.approx(2 * math.log(2))
    assert result.perplexity.item() == pytest.approx(2)
    assert result.per_token.dtype == torch.float64


def test_token_likelihood_of_wrong_or_no_arguments_is_an_error() -> None:
    metric = TokenNLL()
    with pytest.raises(ValueError, match="needs at least 1 token"), pytest.warns(UserWarning):
        metric.compute()
    with pytest.raises(ValueError, match=r"expected shape \(N,\) both, got \(2,\) and \(2, 1\)"):
        metric.update(torch.zeros(2), torch.ones(2, 1))
    with pytest.raises(ValueError, match=r"expected shape \(N,\) both"):
        metric.update(torch.zeros(2, 1), torch.ones(2, 1))


def test_expected_bound_is_below_the_likelihood_and_rises() -> None:
    log_likelihood = (PRIOR * LIKELIHOOD).sum().log().item()
    bounds = []
    for size in range(2, 7):
        draws = torch.tensor(list(product(range(3), repeat=size))).T
        weights = PRIOR[draws].prod(0)
        bounds.append((weights * importance_weighted_bound(LIKELIHOOD.log()[draws]).bound).sum().item())
    assert bounds == sorted(bounds)
    assert bounds[-1] < log_likelihood - 0.01


def biases(size: int, high: float = 0.4, low: float = 0.1, chance: float = 0.3) -> tuple[float, float]:
    """Exact bias of the bound and of bound + gap, two latents: all draws are binomial counts."""
    times = torch.arange(size + 1)
    log_prob = torch.where(torch.arange(size)[:, None] < times, high, low).double().log()
    weights = torch.distributions.Binomial(size, torch.tensor(chance).double()).log_prob(times.double()).exp()
    bound, gap = importance_weighted_bound(log_prob)
    exact = math.log(chance * high + (1 - chance) * low)
    return (weights * bound).sum().item() - exact, (weights * (bound + gap)).sum().item() - exact


def test_jackknife_takes_the_first_order_of_the_bias() -> None:
    (plain, corrected), (plain_double, corrected_double) = biases(100), biases(200)
    assert plain < 0
    assert abs(corrected) < abs(plain) / 50
    assert plain_double / plain == pytest.approx(1 / 2, rel=0.05)
    assert corrected_double / corrected == pytest.approx(1 / 4, rel=0.1)


def one_by_one(log_prob: Tensor) -> tuple[Tensor, Tensor]:
    size = len(log_prob)

    def bound(part: Tensor) -> Tensor:
        return part.logsumexp(0) - math.log(len(part))

    left_out = [bound(torch.cat([log_prob[:s], log_prob[s + 1 :]])) for s in range(size)]
    return bound(log_prob), (size - 1) * (bound(log_prob) - torch.stack(left_out).mean(0))


@pytest.mark.parametrize("scale", [0, 0.1, 1, 10, 100, 1000])
@pytest.mark.parametrize("size", [2, 3, 10])
def test_gap_is_that_of_leaving_out_one_by_one(size: int, scale: float) -> None:
    log_prob = torch.randn(size, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * scale
    bound, gap = importance_weighted_bound(log_prob)
    expected_bound, expected_gap = one_by_one(log_prob)
    torch.testing.assert_close(bound, expected_bound, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(gap, expected_gap, rtol=1e-12, atol=1e-12)
    assert (gap >= 0).all()


def test_one_latent_dominates() -> None:
    # exp(-40) is lost beside 1, where log(1 - w) would be -infinity
    log_prob = torch.tensor([[-40.0, -500.0], [0.0, -100.0], [-41.0, -500.0]]).double()
    bound, gap = importance_weighted_bound(log_prob)
    assert bound.tolist() == pytest.approx([-math.log(3), -100 - math.log(3)], rel=1e-14)
    torch.testing.assert_close(gap, one_by_one(log_prob)[1], rtol=1e-13, atol=0)


def test_shift_moves_the_bound_alone() -> None:
    log_prob = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    bound, gap = importance_weighted_bound(log_prob)
    shifted = importance_weighted_bound(log_prob.double() - 1e4)
    torch.testing.assert_close(shifted.bound, bound - 1e4, rtol=1e-13, atol=0)
    torch.testing.assert_close(shifted.gap, gap, rtol=0, atol=1e-10)
    assert bound.dtype == gap.dtype == torch.float64


def test_impossible_data() -> None:
    inf = math.inf
    log_prob = torch.tensor([[-1.0, -1, -inf], [-inf, -1, -inf], [-inf, -inf, -inf]])
    bound, gap = importance_weighted_bound(log_prob)
    assert bound.tolist() == pytest.approx([-1 - math.log(3), -1 + math.log(2 / 3), -inf])
    # leaving out the third latent raises the bound to -1, either of the others lowers it to -1 - log 2
    expected = 2 * (math.log(2 / 3) + 2 / 3 * math.log(2))
    assert gap.tolist() == pytest.approx([inf, expected, inf], rel=1e-6)


def test_one_latent_and_wrong_shapes_are_errors() -> None:
    with pytest.raises(ValueError, match="log_prob: expected at least 2, got 1: rows, one for each latent"):
        importance_weighted_bound(torch.zeros(1, 4))
    with pytest.raises(ValueError, match=r"log_prob: expected shape \(S, N\)"):
        importance_weighted_bound(torch.zeros(4))

"""Pairs from u and 1 - u: each distributed as a sample, and agreeing as rarely as can be."""

import pytest
import torch
from scipy.stats import chisquare

from discrete_gan.distributions import FactorizedBernoulli
from tests.problems import antithetic_pairs, assert_exact, seeded_normal

NUM = 200_000
# A chi-square test that a right sampler fails once in a million seeds.
LEAST_P_VALUE = 1e-6


def test_outcomes_sum_to_the_marginals() -> None:
    """The table that other tests enumerate, against the probabilities of a one."""
    logits = seeded_normal(3, scale=2)
    pairs = antithetic_pairs(logits)
    assert_exact(pairs.probability.sum(), torch.tensor(1.0).double())
    for each in (pairs.x, pairs.antithetic):
        assert_exact((pairs.probability[:, None] * each).sum(dim=0), torch.sigmoid(logits))
    # No coupling of two equal bits agrees less often than |2p - 1|.
    agree = (pairs.probability[:, None] * (pairs.x == pairs.antithetic)).sum(dim=0)
    assert_exact(agree, (2 * torch.sigmoid(logits) - 1).abs())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_frequencies_of_all_outcomes(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    logits = torch.tensor([[-1.2, 0.7], [0.0, 2.0]], dtype=dtype)
    x, antithetic = FactorizedBernoulli(logits).antithetic_sample((NUM,))
    for latent in range(2):
        pairs = antithetic_pairs(logits[latent].double())
        place = torch.tensor([8, 4, 2, 1])
        drawn = (torch.cat([x[:, latent], antithetic[:, latent]], dim=1).long() * place).sum(dim=1)
        number = (torch.cat([pairs.x, pairs.antithetic], dim=1).long() * place).sum(dim=1)
        counts = drawn.bincount(minlength=16)[number]
        possible = pairs.probability > 0
        assert counts[~possible].sum() == 0
        expected = NUM * pairs.probability[possible]
        assert chisquare(counts[possible].numpy(), expected.numpy()).pvalue > LEAST_P_VALUE


def test_pair_of_one_uniform_number(monkeypatch: pytest.MonkeyPatch) -> None:
    g = FactorizedBernoulli(torch.tensor([[0.3, 0.8]]).double().logit())
    uniform = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9]).double().view(5, 1, 1).expand(5, 1, 2)
    monkeypatch.setattr(torch, "rand", lambda shape, *, dtype, device: uniform.to(dtype))
    x, antithetic = g.antithetic_sample((5,))
    assert x[:, 0].T.tolist() == [[0, 0, 0, 1, 1], [0, 1, 1, 1, 1]]
    assert antithetic[:, 0].T.tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]]


def test_certain_bits_agree() -> None:
    for pair in FactorizedBernoulli(torch.tensor([[-1e4, 1e4]])).antithetic_sample((1000,)):
        assert torch.equal(pair, torch.tensor([0.0, 1.0]).expand(1000, 1, 2))


@pytest.mark.parametrize("sample_shape", [(), (6,), (2, 3)])
def test_shapes_types_and_no_gradient(sample_shape: tuple) -> None:
    for dtype, drawn in ((torch.bfloat16, torch.float32), (torch.float32, torch.float32), (torch.float64,) * 2):
        g = FactorizedBernoulli(torch.zeros(4, 3, dtype=dtype, requires_grad=True))
        for each in g.antithetic_sample(sample_shape):
            assert each.shape == (*sample_shape, 4, 3)
            assert each.dtype == drawn
            assert not each.requires_grad

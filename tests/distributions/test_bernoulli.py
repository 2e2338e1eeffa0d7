"""Frequencies and independence of binary draws, on the byte path (float32 on the CPU) and the plain one."""

import math

import pytest
import torch
import torch.nn.functional as F
from scipy.stats import chisquare
from torch import Tensor
from torch.distributions import Bernoulli

from discrete_gan.distributions import FactorizedBernoulli
from tests.problems import seeded_normal

# Around the byte boundaries k/256: below the first, on it, above it, in the middle and below the last.
PROBS = [2e-5, 0.25 / 256, 0.5 / 256, 0.75 / 256, 1 / 256, 1.01 / 256, 0.3, 127.99 / 256, 0.5, 128.5 / 256, 0.7]
PROBS += [254.9 / 256, 255 / 256, 255.5 / 256, 1 - 1e-4]
# A chi-square test that a right sampler fails once in a million seeds.
LEAST_P_VALUE = 1e-6


def with_probs(*probs: float, dtype: torch.dtype = torch.float32) -> FactorizedBernoulli:
    return FactorizedBernoulli(torch.tensor(probs, dtype=torch.float64).logit().to(dtype).unsqueeze(0))


def sampled(g: FactorizedBernoulli, num: int, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return g.sample((num,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_frequencies(dtype: torch.dtype) -> None:
    num = 400_000
    g = with_probs(*PROBS, dtype=dtype)
    probs = g.logits.double().sigmoid()
    counts = sampled(g, num).sum(dim=0, dtype=torch.float64)
    error = (counts - num * probs) / (num * probs * (1 - probs)).sqrt()
    assert error.abs().max() < 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_impossible_and_certain_values(dtype: torch.dtype) -> None:
    g = FactorizedBernoulli(torch.tensor([[-math.inf, -1e4, 1e4, math.inf]], dtype=dtype))
    assert torch.equal(sampled(g, 100_000).unique(dim=0), torch.tensor([[[0, 0, 1, 1]]], dtype=dtype))


def test_a_tie_of_bytes_is_decided_for_its_own_pixel() -> None:
    # All six have a first byte of 0 equally often; only the remaining bits tell them apart.
    num = 500_000
    probs = torch.tensor([[0.05, 0.5, 0.95], [0.7, 0.2, 0.4]], dtype=torch.float64) / 256
    counts = sampled(FactorizedBernoulli(probs.logit().float()), num).sum(dim=0, dtype=torch.float64)
    assert ((counts - num * probs).abs() < 5 * (num * probs).sqrt()).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pixels_of_one_sample_are_jointly_independent(dtype: torch.dtype) -> None:
    # Ten pixels span more than one 64-bit word of random bytes.
    probs = torch.tensor([0.5, 0.3, 0.5, 0.8, 0.5, 0.5, 0.4, 0.6, 0.5, 0.5], dtype=torch.float64)
    x = sampled(with_probs(*probs.tolist(), dtype=dtype), 200_000).squeeze(1).long()
    pattern = (x * 2 ** torch.arange(10)).sum(dim=1)
    bits = (torch.arange(1024)[:, None] >> torch.arange(10)) & 1
    expected = torch.where(bits == 1, probs, 1 - probs).prod(dim=1) * len(x)
    counts = pattern.bincount(minlength=1024)
    assert expected.min() > 5
    assert chisquare(counts.numpy(), (expected / expected.sum() * len(x)).numpy()).pvalue > LEAST_P_VALUE


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_latents_and_pixels_are_uncorrelated(dtype: torch.dtype) -> None:
    num, batch, pixels = 100_000, 4, 4
    x = sampled(FactorizedBernoulli(torch.linspace(-2, 2, batch * pixels, dtype=dtype).view(batch, pixels)), num)
    # Each row beside the next: correlations within a sample and between consecutive ones.
    rows = torch.cat([x[0::2].flatten(1), x[1::2].flatten(1)], dim=1).double()
    correlation = torch.corrcoef(rows.T) - torch.eye(2 * batch * pixels)
    # 5.5 standard errors for 496 pairs: as rare as 5 for a few
    assert correlation.abs().max() < 5.5 / math.sqrt(len(rows))


@pytest.mark.parametrize("count", [1, 7, 8, 9, 15])
def test_sizes_that_are_no_multiple_of_a_word(count: int) -> None:
    x = sampled(FactorizedBernoulli(torch.zeros(1, count)), 3)
    assert x.shape == (3, 1, count)
    assert set(x.unique().tolist()) <= {0, 1}


def test_expanded_logits_are_sampled_as_their_copy() -> None:
    logits = torch.linspace(-3, 3, 6)
    expanded = sampled(FactorizedBernoulli(logits.expand(4, 6)), 50)
    assert torch.equal(expanded, sampled(FactorizedBernoulli(logits.repeat(4, 1)), 50))


@pytest.mark.parametrize(("num_positions", "sd"), [(784, 10.0), (12_288, 20.0)])
def test_log_prob_of_large_logits_is_as_good_as_torchs(num_positions: int, sd: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = sd * torch.randn(8, num_positions, generator=generator)
    torch.manual_seed(0)
    x = FactorizedBernoulli(logits).sample((20,))
    unlikely = (torch.rand(20, 8, num_positions, generator=generator) < 0.5).float()
    for value in (x, unlikely):
        exact = Bernoulli(logits=logits.double()).log_prob(value.double()).sum(dim=-1)
        errors = [
            (log_prob - exact).abs().max().item()
            for log_prob in (
                FactorizedBernoulli(logits).log_prob(value),
                Bernoulli(logits=logits).log_prob(value).sum(dim=-1),
            )
        ]
        assert errors[0] <= errors[1]
    # The sum that it is the difference of: by itself off by more than a hundred times as much.
    affine = (x * logits).sum(dim=-1) - F.softplus(logits).sum(dim=-1)
    exact = FactorizedBernoulli(logits.double()).log_prob(x.double())
    assert (affine - exact).abs().max() > 10 * (FactorizedBernoulli(logits).log_prob(x) - exact).abs().max()


def test_gradient_where_logits_are_zero() -> None:
    logits = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    x = torch.tensor([[[1.0, 0, 1]]]).double()
    g = FactorizedBernoulli(logits)
    (of_log_prob,) = torch.autograd.grad(g.log_prob(x).sum(), logits)
    (of_entropy,) = torch.autograd.grad(g.entropy().sum(), logits)
    assert of_log_prob.tolist() == [[0.5, -0.5, 0.5]]
    assert of_entropy.tolist() == [[0, 0, 0]]
    assert torch.autograd.gradcheck(
        lambda each: FactorizedBernoulli(each).log_prob(x), seeded_normal(1, 3).requires_grad_()
    )


def test_second_derivative_of_the_entropy_where_logits_are_zero() -> None:
    assert torch.autograd.gradgradcheck(
        lambda each: FactorizedBernoulli(each).entropy(), torch.tensor([[0.0, 1.5, -4.0]]).double().requires_grad_()
    )


@pytest.mark.parametrize("number", [0.0, 0.5])
def test_decided_bits_have_conditional_draws_whatever_the_random_number(
    number: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "rand", lambda shape, dtype, device: torch.full(shape, number, dtype=dtype))
    g = FactorizedBernoulli(torch.tensor([[math.inf, -math.inf, 0.0]]))
    given = g.perturbed_logits_given(torch.tensor([[1.0, 0.0, 1.0]]))
    assert given[0, 0] == math.inf and given[0, 1] == -math.inf
    assert not given.isnan().any()


def test_decided_bits_are_drawn_as_decided() -> None:
    g = FactorizedBernoulli(torch.tensor([[math.inf, -math.inf]]))
    assert g.sample((1000,)).unique(dim=0).tolist() == [[[1, 0]]]
    for x in g.antithetic_sample((1000,)):
        assert x.unique(dim=0).tolist() == [[[1, 0]]]

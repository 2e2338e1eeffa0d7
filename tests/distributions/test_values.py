"""Values that are given to a distribution: which are refused, of what type they may be, and which is likeliest."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution

from discrete_gan.distributions import Autoregressive, FactorizedBernoulli, FactorizedCategorical, PointMass
from discrete_gan.models import RecurrentGenerator
from tests.problems import seeded_normal

BITS, CATEGORIES = seeded_normal(2, 3), seeded_normal(2, 3, 4)
GENERATOR = RecurrentGenerator(7, 5, end=6, latent_dim=2, hidden=4)
LATENTS = seeded_normal(2, 2).float()


def of_tokens(validate_args: bool | None) -> Autoregressive:
    return Autoregressive(GENERATOR, LATENTS, validate_args)


OUTSIDE: dict[str, tuple[type[Distribution] | None, Tensor, str]] = {
    "bits of seven": (FactorizedBernoulli, torch.full((2, 3), 7.0), "zeros and ones"),
    "half a bit": (FactorizedBernoulli, torch.tensor([[0.0, 1.0, 0.5]] * 2), "zeros and ones"),
    "bits that are none": (FactorizedBernoulli, torch.full((2, 3), torch.nan), "zeros and ones"),
    "a mixture": (FactorizedCategorical, torch.full((2, 3, 4), 0.25), "one-hot vectors"),
    "two categories": (FactorizedCategorical, torch.ones(2, 3, 4), "one-hot vectors"),
    "token -1": (None, torch.full((2, 5), -1), "tokens 0 to 6"),
    "token K": (None, torch.full((2, 5), 7), "tokens 0 to 6"),
}


@pytest.mark.parametrize(("kind", "value", "expected"), OUTSIDE.values(), ids=OUTSIDE.keys())
def test_values_outside_the_support_are_refused_if_asked(
    kind: type[Distribution] | None, value: Tensor, expected: str
) -> None:
    logits = BITS if kind is FactorizedBernoulli else CATEGORIES
    g = of_tokens(True) if kind is None else kind(logits, validate_args=True)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match=f"^value: expected {expected}, got others$"):
        g.log_prob(value)
    assert g.log_prob(g.sample((3,))).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_tokens_of_any_integer_type(dtype: torch.dtype) -> None:
    g = of_tokens(None)
    x = g.sample((3,))
    for method in (g.log_prob, g.step_log_prob):
        torch.testing.assert_close(method(x.to(dtype)), method(x), rtol=0, atol=0)
    assert g.rollouts(x.to(dtype), 2).dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.complex64])
def test_tokens_of_other_types_are_refused(dtype: torch.dtype) -> None:
    g = of_tokens(None)
    x = g.sample((3,)).to(dtype)
    for method in (g.log_prob, lambda value: g.rollouts(value, 2)):
        with pytest.raises(ValueError, match=f"^value: expected tokens of an integer type, got {dtype}$"):
            method(x)


@pytest.mark.parametrize("g", [FactorizedBernoulli(BITS), FactorizedCategorical(CATEGORIES)], ids=["bits", "one-hot"])
def test_mode_is_the_likeliest_of_all_values(g: FactorizedBernoulli | FactorizedCategorical) -> None:
    values = g.enumerate_support()
    likeliest = values[g.log_prob(values).argmax(dim=0), torch.arange(2)]
    torch.testing.assert_close(g.mode, likeliest, rtol=0, atol=0)
    assert not g.mode.requires_grad


def test_mode_where_values_are_as_likely() -> None:
    assert FactorizedBernoulli(torch.zeros(2, 3)).mode.eq(0).all()
    assert FactorizedCategorical(torch.zeros(2, 3, 4)).mode.argmax(dim=-1).eq(0).all()
    assert torch.equal(PointMass(BITS).mode, BITS)

"""One battery for both factorized distributions: against torch's own, shapes, seeds, errors and memory."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, OneHotCategorical
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from tests.problems import assert_exact, seeded_normal

Factorized = type[FactorizedBernoulli] | type[FactorizedCategorical]

B, D, K = 4, 3, 5
BOTH = pytest.mark.parametrize(
    ("factorized", "event"), [(FactorizedBernoulli, (D,)), (FactorizedCategorical, (D, K))], ids=["binary", "one-hot"]
)


def reference(logits: Tensor, factorized: Factorized) -> Independent:
    base = Bernoulli if factorized is FactorizedBernoulli else OneHotCategorical
    return Independent(base(logits=logits), 1)


@BOTH
@pytest.mark.parametrize("batch", [(), (B,), (2, B)])
def test_equals_torch_in_value_and_gradient(factorized: Factorized, event: tuple, batch: tuple) -> None:
    logits = seeded_normal(*batch, *event, scale=3).requires_grad_()
    ours, theirs = factorized(logits), reference(logits, factorized)
    assert (ours.batch_shape, ours.event_shape) == (theirs.batch_shape, theirs.event_shape)
    x = theirs.sample((7,))
    quantities: list[Callable[..., Tensor]] = [
        lambda g: g.log_prob(x),
        lambda g: g.entropy(),
        lambda g: g.mean,
        lambda g: g.variance,
    ]
    for quantity in quantities:
        value, expected = quantity(ours), quantity(theirs)
        weights = seeded_normal(*expected.shape, seed=3)
        assert_exact(value, expected)
        (gradient,) = torch.autograd.grad((value * weights).sum(), logits, retain_graph=True)
        (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), logits, retain_graph=True)
        assert_exact(gradient, expected_gradient)


@BOTH
def test_log_prob_takes_any_leading_shape(factorized: Factorized, event: tuple) -> None:
    g = factorized(seeded_normal(B, *event))
    x = g.sample((2, 6))
    assert g.log_prob(x).shape == (2, 6, B)
    assert_exact(g.log_prob(x)[1, 4], g.log_prob(x[1, 4]))


@BOTH
@pytest.mark.parametrize("wrong", ["latents", "positions", "no batch"])
def test_log_prob_of_a_wrong_shape_is_an_error(factorized: Factorized, event: tuple, wrong: str) -> None:
    shapes = {"latents": (7, 1, *event), "positions": (7, B, event[0] + 1, *event[1:]), "no batch": event}
    with pytest.raises(ValueError, match=r"^value: expected a shape ending in \(4, 3.*, got"):
        factorized(torch.zeros(B, *event)).log_prob(torch.zeros(shapes[wrong]))


@BOTH
@pytest.mark.parametrize("sample_shape", [(), (1,), (6,), (2, 3)])
def test_sample_shapes_and_support(factorized: Factorized, event: tuple, sample_shape: tuple) -> None:
    logits = torch.zeros(B, *event, requires_grad=True)
    g = factorized(logits)
    draws = [g.sample(sample_shape), g.rsample(sample_shape), g.rsample(sample_shape, hard=True)]
    assert [x.shape for x in draws] == [(*sample_shape, B, *event)] * 3
    assert [x.requires_grad for x in draws] == [False, True, True]
    assert g.support is not None
    for x in (draws[0], draws[2]):
        assert bool(g.support.check(x).all())


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_follow_the_seed(factorized: Factorized, event: tuple, dtype: torch.dtype) -> None:
    g = factorized(torch.zeros(B, *event, dtype=dtype))

    def draws(seed: int) -> tuple[Tensor, Tensor]:
        torch.manual_seed(seed)
        return g.sample((20,)), g.rsample((20,))

    first, again, other = draws(0), draws(0), draws(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert first[0].dtype == first[1].dtype == dtype


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_computed_in_float32(
    factorized: Factorized, event: tuple, dtype: torch.dtype
) -> None:
    logits = seeded_normal(B, *event, scale=4).to(dtype)
    g, exact = factorized(logits), factorized(logits.double())
    x = g.sample((50,))
    for value, expected in [(g.log_prob(x), exact.log_prob(x.double())), (g.entropy(), exact.entropy())]:
        assert value.dtype == torch.float32
        # float32 rounding of sums of 15 terms up to 10; half precision would be off by 1e-2
        torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-5)
    assert x.dtype == g.rsample((2,)).dtype == torch.float32


@BOTH
def test_log_prob_under_autocast_stays_float32(factorized: Factorized, event: tuple) -> None:
    g = factorized(seeded_normal(B, *event, scale=4).float())
    x = g.sample((50,))
    expected = g.log_prob(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(g.log_prob(x), expected)


@BOTH
@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_temperature_must_be_positive(factorized: Factorized, event: tuple, temperature: float) -> None:
    with pytest.raises(ValueError, match=r"^temperature: expected a number above 0"):
        factorized(torch.zeros(B, *event)).rsample((2,), temperature=temperature)


@BOTH
@pytest.mark.parametrize("temperature", [0.1, 2.0])
def test_hard_draws_are_discrete_with_the_relaxed_gradient(
    factorized: Factorized, event: tuple, temperature: float
) -> None:
    logits = seeded_normal(B, *event).requires_grad_()
    gradients = []
    relaxed_and_hard = []
    for hard in (False, True):
        torch.manual_seed(0)
        x = factorized(logits).rsample((100,), temperature=temperature, hard=hard)
        weights = seeded_normal(*x.shape, seed=1)
        gradients.append(torch.autograd.grad((x * weights).sum(), logits)[0])
        relaxed_and_hard.append(x.detach())
    relaxed, hard = relaxed_and_hard
    assert bool(((relaxed >= 0) & (relaxed <= 1)).all())
    assert set(hard.unique().tolist()) == {0, 1}
    nearest = relaxed > 0.5 if len(event) == 1 else relaxed == relaxed.amax(dim=-1, keepdim=True)
    assert torch.equal(hard, nearest.double())
    if len(event) == 2:
        assert_exact(relaxed.sum(dim=-1), torch.ones(100, B, D).double())
    assert_exact(gradients[1], gradients[0])
    assert bool((gradients[0] != 0).all())


@BOTH
def test_cold_relaxed_draws_have_the_probabilities(factorized: Factorized, event: tuple) -> None:
    torch.manual_seed(0)
    g = factorized(seeded_normal(B, *event))
    num = 20_000
    x = g.rsample((num,), temperature=1e-3)
    # At this temperature about one draw in a thousand still lies between the values, evenly to both sides.
    error = (x.mean(dim=0) - g.mean) / (g.variance / num).sqrt()
    assert error.abs().max() < 5


@BOTH
def test_expand(factorized: Factorized, event: tuple) -> None:
    g = factorized(seeded_normal(*event))
    wide = g.expand((6,))
    assert wide.batch_shape == (6,)
    x = wide.sample((2,))
    assert_exact(wide.log_prob(x), g.log_prob(x))


class LargestAllocation(TorchDispatchMode):
    """Records the most elements in one newly allocated tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        known = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves(args) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.untyped_storage().data_ptr() not in known:
            self.largest = max(self.largest, result.untyped_storage().nbytes() // result.element_size())
        return result


@BOTH
def test_log_prob_and_its_gradient_allocate_nothing_of_the_size_of_the_samples(
    factorized: Factorized, event: tuple
) -> None:
    logits = torch.zeros(B, *event, requires_grad=True)
    x = factorized(logits).sample((100,))
    with LargestAllocation() as record:
        factorized(logits).log_prob(x).sum().backward()
    assert logits.grad is not None
    assert record.largest <= max(100 * B, logits.numel()) < x.numel()

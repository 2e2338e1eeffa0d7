"""Values ruled out by infinite logits change nothing: two steps of training are those of a problem without them.

Both problems get the same random numbers: what the whole one draws is recorded, and the smaller one gets the part that
belongs to what it has left.
"""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from discrete_gan.estimators import (
    SEQUENCE_ESTIMATORS,
    BoundarySeeking,
    Estimator,
    GumbelSoftmax,
    Relax,
    Vimco,
    adapted,
    parse_estimator,
)
from discrete_gan.models import RecurrentDiscriminator, RecurrentGenerator
from tests.estimators.test_estimators import BINARY_ONLY, EVERY, B, Z, fresh
from tests.problems import ColumnGenerator, SmoothDiscriminator, assert_exact, seeded_normal

D, K = 3, 4
# Of each position, the categories that are left: at one position one is ruled out, two at every one, all but one.
KEPT: dict[str, list[list[int]]] = {
    "one": [[0, 2, 3], [0, 1, 3], [1, 2, 3]],
    "two": [[0, 2], [1, 3], [2, 3]],
    "all but one": [[1], [3], [0]],
}
# Of bits, the ones that are decided, and how.
DECIDED: dict[str, dict[int, int]] = {"one": {1: 1}, "two": {0: 0, 4: 1}, "all but one": {0: 1, 1: 0, 2: 1, 4: 0}}
BITS = 5


class Smaller(nn.Module):
    """The discriminator on samples of the smaller problem, completed to those of the whole one."""

    def __init__(self, discriminator: nn.Module, complete: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.discriminator, self.complete = discriminator, complete

    def forward(self, x: Tensor) -> Tensor:
        return self.discriminator(self.complete(x))


Source = Callable[[str, torch.Size], Tensor]


@contextmanager
def draws(monkeypatch: pytest.MonkeyPatch, source: Source) -> Iterator[None]:
    """Uniform and exponential numbers from a source, by kind and shape."""
    with monkeypatch.context() as patch:
        patch.setattr(torch, "rand", lambda *shape, **_: source("rand", _shape(shape)))
        patch.setattr(Tensor, "exponential_", lambda self: self.copy_(source("exponential", self.shape)))
        yield


def _shape(shape: tuple) -> torch.Size:
    return torch.Size(shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)


class Recorded:
    """Draws once for the whole problem, and hands them out again to the smaller one."""

    def __init__(self, kept: Tensor) -> None:
        self.kept, self.numbers = kept, list[Tensor]()
        self.generator = torch.Generator().manual_seed(0)

    def record(self, kind: str, shape: torch.Size) -> Tensor:
        uniform = torch.empty(shape, dtype=torch.float64).uniform_(generator=self.generator)
        self.numbers.append(-torch.log1p(-uniform) if kind == "exponential" else uniform)
        return self.numbers[-1].clone()

    def replay(self, kind: str, shape: torch.Size) -> Tensor:
        numbers = self.numbers.pop(0)
        return numbers if numbers.shape == shape else self.take(numbers).reshape(shape)

    def take(self, whole: Tensor) -> Tensor:
        """What is left of values (..., *event): the same entries of every row."""
        return whole.flatten(whole.dim() - self.kept.dim())[..., self.kept.flatten()]


def two_steps(estimator: Estimator, generator: nn.Module, discriminator: nn.Module) -> list[Tensor]:
    """Losses of two steps of descent, in the estimator's own parameters too."""
    parameters = [*generator.parameters()]
    if isinstance(estimator, nn.Module):
        parameters += estimator.parameters()
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = estimator(generator, discriminator, Z)
        loss.sum().backward()
        losses.append(loss.detach())
        optimizer.step()
    return losses


def own_state(estimator: Estimator) -> dict[str, Tensor]:
    if not isinstance(estimator, nn.Module):
        return {}
    return {name: value for name, value in estimator.state_dict().items() if isinstance(value, Tensor)}


def prepared(estimator: Estimator, generator: nn.Module, discriminator: nn.Module) -> Estimator:
    """A copy whose lazy layers have their sizes and whose parameters are off zero, so that each of them matters."""
    estimator = fresh(estimator)
    if isinstance(estimator, nn.Module) and any(is_lazy(each) for each in estimator.parameters()):
        state = copy.deepcopy({name: value for name, value in own_state(estimator).items() if not is_lazy(value)})
        estimator(generator, discriminator, Z)
        estimator.load_state_dict(state, strict=False)
    if isinstance(estimator, Relax):
        with torch.no_grad():
            for seed, parameter in enumerate(estimator.surrogate.parameters()):
                parameter.copy_(seeded_normal(*parameter.shape, seed=seed, scale=0.3))
    return estimator


def compare(
    monkeypatch: pytest.MonkeyPatch,
    estimator: Estimator,
    whole: ColumnGenerator,
    kept: Tensor,
    complete: Callable[[Tensor], Tensor],
    event: torch.Size,
) -> None:
    recorded = Recorded(kept)
    smaller = ColumnGenerator(recorded.take(whole.logits.detach()).reshape(B, *event).clone())
    discriminator = SmoothDiscriminator(whole.logits.shape[1:])
    first = prepared(estimator, whole, discriminator)
    second = copy.deepcopy(first)
    if isinstance(second, Relax):
        first_layer = second.surrogate[0]
        assert isinstance(first_layer, nn.Linear)
        weight = first_layer.weight.detach()  # of inputs of the whole problem: take those that are left
        first_layer.weight = nn.Parameter(recorded.take(weight.view(-1, *whole.logits.shape[1:])))
    with draws(monkeypatch, recorded.record):
        losses = two_steps(first, whole, discriminator)
    with draws(monkeypatch, recorded.replay):
        expected = two_steps(second, smaller, Smaller(discriminator, complete))
    assert not recorded.numbers
    for loss, wanted in zip(losses, expected, strict=True):
        assert loss.isfinite().all()
        assert_exact(loss, wanted, rtol=1e-10, atol=1e-12)
    left = torch.zeros_like(whole.logits, dtype=torch.bool).flatten(1)
    left[:, kept.flatten()] = True
    moved = whole.logits.detach().flatten(1)
    assert bool(moved[~left].isinf().all())
    assert_exact(moved[left], smaller.logits.detach().flatten(), rtol=1e-10, atol=1e-12)
    for name, value in own_state(first).items():
        assert value.isfinite().all(), name
        value = value if name != "surrogate.0.weight" else recorded.take(value.view(-1, *whole.logits.shape[1:]))
        assert_exact(value, own_state(second)[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("pattern", KEPT)
@pytest.mark.parametrize("estimator", [each for each in EVERY if not isinstance(each, BINARY_ONLY)], ids=repr)
def test_categories(estimator: Estimator, pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = torch.tensor(KEPT[pattern])  # (D, K')
    logits = torch.full((B, D, K), -math.inf, dtype=torch.float64)
    logits.scatter_(2, kept.expand(B, -1, -1), seeded_normal(B, *kept.shape, seed=3))

    def complete(x: Tensor) -> Tensor:
        return torch.zeros(*x.shape[:-1], K, dtype=x.dtype).scatter(-1, kept.expand_as(x), x)

    index = torch.arange(D)[:, None] * K + kept
    compare(monkeypatch, estimator, ColumnGenerator(logits), index, complete, kept.shape)


@pytest.mark.parametrize("pattern", DECIDED)
@pytest.mark.parametrize("estimator", EVERY, ids=repr)
def test_bits(estimator: Estimator, pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decided = DECIDED[pattern]
    kept = torch.tensor([bit for bit in range(BITS) if bit not in decided])
    logits = seeded_normal(B, BITS, seed=3)
    for bit, value in decided.items():
        logits[:, bit] = math.inf if value else -math.inf

    def complete(x: Tensor) -> Tensor:
        columns = iter(x.unbind(dim=-1))
        constant = [torch.full_like(x[..., 0], decided.get(bit, 0)) for bit in range(BITS)]
        return torch.stack([constant[bit] if bit in decided else next(columns) for bit in range(BITS)], dim=-1)

    compare(monkeypatch, estimator, ColumnGenerator(logits), kept, complete, kept.shape)


SEQUENCE = [*(parse_estimator(name) for name in SEQUENCE_ESTIMATORS), BoundarySeeking(4), Vimco(4), GumbelSoftmax()]


@pytest.mark.parametrize("estimator", SEQUENCE, ids=repr)
def test_tokens(estimator: Estimator) -> None:
    torch.manual_seed(0)
    generator = RecurrentGenerator(5, 4, end=4, latent_dim=1, hidden=3, embedding_dim=2)
    discriminator = RecurrentDiscriminator(5, 4, end=4, hidden=3, embedding_dim=2)
    with torch.no_grad():
        generator.output.bias[1:3] = -math.inf
    real = torch.tensor([[0, 3, 3, 4], [3, 4, 4, 4], [0, 4, 4, 4]])
    estimator = copy.deepcopy(estimator)
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        loss = adapted(estimator)(generator, discriminator, generator.latents(3), real=real)
        loss.sum().backward()
        assert loss.isfinite().all()
        for parameter in generator.parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all()
        optimizer.step()
    assert generator.output.bias[1:3].isneginf().all()


@pytest.mark.parametrize("num", [1, 2, 3])
def test_log_probability_of_impossible_values_is_finite_and_below_all_others(num: int) -> None:
    logits = seeded_normal(1, 4, 3)
    logits[:, :, 1] = -math.inf
    g = FactorizedCategorical(logits)
    index = torch.zeros(1, 1, 4, dtype=torch.long)
    index[..., :num] = 1
    log_prob = g.log_prob(g.from_indices(index))
    assert log_prob.isfinite().all()
    assert log_prob.exp() == 0
    bits = seeded_normal(1, 4, scale=30)
    bits[:, :num] = math.inf
    h = FactorizedBernoulli(bits)
    x = torch.ones(1, 1, 4, dtype=torch.float64)
    x[..., :num] = 0
    possible = h.enumerate_support()[(h.enumerate_support()[:, :, :num] == 1).all(dim=2).flatten()]
    assert h.log_prob(x).isfinite().all()
    assert h.log_prob(x).exp() == 0
    assert h.log_prob(x).max() < h.log_prob(possible).min()
    assert_exact(h.log_prob(possible), FactorizedBernoulli(bits[:, num:]).log_prob(possible[..., num:]), atol=1e-11)
    assert_exact(h.entropy(), FactorizedBernoulli(bits[:, num:]).entropy())

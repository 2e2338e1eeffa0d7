"""Whatever torch's default type and device are, draws and gradients are those of the tensors that are given."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from discrete_gan.distributions import FactorizedBernoulli, FactorizedCategorical
from discrete_gan.estimators import BoundarySeeking
from discrete_gan.models import RecurrentDiscriminator, RecurrentGenerator
from tests.estimators.test_estimators import BINARY_ONLY, EVERY, B, Z, awake
from tests.problems import ColumnGenerator, Estimator, SmoothDiscriminator, seeded_normal


@contextmanager
def defaults(name: str) -> Iterator[None]:
    if name == "meta":
        with torch.device("meta"):
            yield
        return
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, name))
    try:
        yield
    finally:
        torch.set_default_dtype(before)


DEFAULTS = pytest.mark.parametrize("default", ["float64", "bfloat16", "meta"])


@DEFAULTS
@pytest.mark.parametrize("shape", [(7, 3, 5), (1000, 2, 9)])
def test_draws(default: str, shape: tuple[int, ...]) -> None:
    logits = seeded_normal(*shape[1:]).float()
    bits, categories = FactorizedBernoulli(logits), FactorizedCategorical(logits)
    results = []
    for context in ("float32", default):
        torch.manual_seed(0)
        with defaults(context):
            x = bits.sample((shape[0],))
            results.append([x, bits.log_prob(x), bits.rsample((2,)), *bits.antithetic_sample((2,))])
            results[-1] += [categories.sample((2,)), categories.rsample((2,)), categories.entropy()]
    for expected, found in zip(*results, strict=True):
        assert found.device.type == "cpu"
        torch.testing.assert_close(found, expected, rtol=0, atol=0)


@DEFAULTS
@pytest.mark.parametrize(
    ("estimator", "event"),
    [(e, event) for e in EVERY for event in ((4,), (2, 3)) if len(event) == 1 or not isinstance(e, BINARY_ONLY)],
    ids=repr,
)
def test_gradients(default: str, estimator: Estimator, event: tuple[int, ...]) -> None:
    estimator = awake(estimator, event)
    if isinstance(estimator, nn.Module):
        estimator.float()
    logits, discriminator = seeded_normal(B, *event).float(), SmoothDiscriminator(torch.Size(event)).float()
    gradients = []
    for context in ("float32", default):
        generator = ColumnGenerator(logits.clone())
        torch.manual_seed(0)
        with defaults(context):
            loss = copy.deepcopy(estimator)(generator, discriminator, Z)
            loss.sum().backward()
        assert loss.dtype == torch.float32
        assert generator.logits.grad is not None
        gradients.append(generator.logits.grad)
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


@DEFAULTS
def test_sequences(default: str) -> None:
    torch.manual_seed(0)
    generator = RecurrentGenerator(7, 5, end=6, latent_dim=2, hidden=4)
    discriminator = RecurrentDiscriminator(7, 5, end=6, hidden=4)
    z = torch.randn(3, 2)
    losses = []
    for context in ("float32", default):
        torch.manual_seed(0)
        with defaults(context):
            losses.append(BoundarySeeking(4)(generator, discriminator, z))
            losses.append(generator(z).rsample((2,)))
            losses.append(generator(z).rollouts(generator(z).sample((2,)), 2))
    for expected, found in zip(losses[:3], losses[3:], strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)

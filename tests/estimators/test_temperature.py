"""Temperature schedules, and the estimators that fall by them."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from discrete_gan.estimators import (
    GumbelRao,
    GumbelSoftmax,
    ReinMax,
    SlopeAnnealedStraightThrough,
    Temperature,
    st_gumbel_softmax,
)
from tests.problems import SmoothDiscriminator, TableGenerator, assert_exact, seeded_normal

ANNEALED: list[Callable[..., nn.Module]] = [
    GumbelSoftmax,
    st_gumbel_softmax,
    GumbelRao,
    ReinMax,
    SlopeAnnealedStraightThrough,
]
OPTIONS = {"temperature": 2.0, "annealing_rate": 0.5, "min_temperature": 0.6}
EXPECTED = [2.0, 2 * math.exp(-0.5), 2 * math.exp(-1), 0.6, 0.6]


def test_falls_by_the_call_down_to_the_floor() -> None:
    schedule = Temperature(2.0, 0.5, 0.6)
    assert [schedule() for _ in range(5)] == pytest.approx(EXPECTED, rel=1e-15)
    assert schedule.calls == 5


def test_constant_without_a_rate_even_below_the_floor() -> None:
    schedule = Temperature(0.05)
    assert [schedule() for _ in range(3)] == [0.05] * 3
    assert schedule.calls == 3


def test_resumed_it_goes_on() -> None:
    first = Temperature(2.0, 0.5, 0.6)
    first()
    first()
    second = Temperature(2.0, 0.5, 0.6)
    second.load_state_dict(first.state_dict())
    assert second.calls == 2
    assert second() == pytest.approx(EXPECTED[2], rel=1e-15)
    assert first.calls == 2


def test_errors_name_the_argument() -> None:
    for start in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=r"^temperature: expected a number above 0"):
            Temperature(start)
    with pytest.raises(ValueError, match=r"^annealing_rate: expected at least 0, got -0.1"):
        Temperature(1.0, -0.1)
    with pytest.raises(ValueError, match=r"^min_temperature: expected a number above 0, got 0.0"):
        Temperature(1.0, 0.1, 0.0)
    with pytest.raises(ValueError, match=r"^temperature: expected at least 0.1, got 0.05: the temperature falls to"):
        Temperature(0.05, 0.1)
    assert Temperature(0.1, 0.1)() == 0.1


@pytest.mark.parametrize("make", ANNEALED)
@pytest.mark.parametrize("event", [(4,), (2, 3)], ids=["binary", "one-hot"])
def test_annealed_estimators_use_the_temperature_of_each_call(make: Callable[..., nn.Module], event: tuple) -> None:
    generator, discriminator = TableGenerator(seeded_normal(3, *event)), SmoothDiscriminator(torch.Size(event))

    def gradient(estimator: nn.Module) -> torch.Tensor:
        torch.manual_seed(0)
        return torch.autograd.grad(estimator(generator, discriminator, torch.arange(3)).sum(), generator.logits)[0]

    annealed = make(**OPTIONS)
    found = []
    for call, temperature in enumerate(EXPECTED):
        if call == 2:
            resumed = make(**OPTIONS)
            resumed.load_state_dict(annealed.state_dict())
            annealed = resumed
        found.append(gradient(annealed))
        assert_exact(found[-1], gradient(make(temperature=temperature, annealing_rate=0.0)))
    assert not torch.equal(found[0], found[1])

"""The live probe: its figures on gradients known beforehand, its references, and that it leaves no trace."""

import copy
import functools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.parameter import is_lazy

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.estimators import (
    BoundarySeeking,
    Claims,
    Estimator,
    Exact,
    GumbelSoftmax,
    Nvil,
    Reinforce,
    Relax,
    UnionBoundarySeeking,
    Vimco,
)
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.training.probe import probe
from tests.problems import PROBLEMS, OwnBits, Problem, SmoothDiscriminator, TableGenerator, assert_exact, seeded_normal


class TwoLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.ParameterDict({"weight": torch.zeros(1), "bias": torch.zeros(1)})
        self.second = nn.ParameterDict({"weight": torch.zeros(1)})


def replayed(rows: list[list[float]]) -> Estimator:
    """An estimator whose gradients are the rows, in order."""
    remaining = iter(rows)

    def estimator(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        loss = sum(value * parameter for value, parameter in zip(next(remaining), generator.parameters(), strict=True))
        assert isinstance(loss, Tensor)
        return loss.expand(len(z))

    return estimator


def figures(
    estimator: Estimator, generator: Conditional, discriminator: Discriminator, z: Tensor, **options: Any
) -> dict[str, float]:
    result = probe(estimator, generator, discriminator, z, **{"seed": 0, "step": 1, **options})
    return {name: float(value) for name, value in result.items()}


def test_figures_of_known_gradients() -> None:
    # First the 64 redraws of the reference, of mean (1, 0, 1), then two.
    rows = [[2.0, 0.0, 0.0], [0.0, 0.0, 2.0]] * 32 + [[1.0, 1.0, 1.0], [3.0, 1.0, -1.0]]
    found = figures(replayed(rows), TwoLayers().double(), nn.Identity(), torch.zeros(5, 1), num_redraws=2)
    expected = {
        "probe/first/variance": 2.0,
        "probe/first/snr": (5 - 2 / 2) / 2,
        "probe/first/cosine": (1 / math.sqrt(2) + 3 / math.sqrt(10)) / 2,
        "probe/second/variance": 2.0,
        "probe/second/snr": 0.0,  # its mean is 0
        "probe/second/cosine": 0.0,
        "probe/all/variance": 4.0,
        "probe/all/snr": (5 - 4 / 2) / 4,
        "probe/all/cosine": (2 / math.sqrt(6) + 2 / math.sqrt(22)) / 2,
    }
    assert_exact(found, expected, rtol=1e-6)


def test_layers_are_the_modules_that_own_parameters() -> None:
    generator, discriminator = MLPGenerator(3, 4, hidden=(5,)), MLPDiscriminator(4, hidden=(5,))
    generator.layers[1].requires_grad_(False)  # batch norm
    found = figures(BoundarySeeking(), generator, discriminator, torch.randn(6, 3), num_redraws=2, num_reference=64)
    keys = [f"probe/{layer}/{kind}" for layer in ("layers.0", "layers.3", "all") for kind in KINDS]
    assert list(found) == keys
    table = TableGenerator(seeded_normal(2, 4)), SmoothDiscriminator(torch.Size([4])), torch.arange(2)
    assert list(figures(Exact(), *table, num_redraws=2)) == [f"probe/{at}/{k}" for at in ("root", "all") for k in KINDS]


KINDS = ("variance", "snr", "cosine")


def opposed() -> Problem:
    """Where the targets' gradients differ in direction: one state of enormous weight, and many of little."""
    problem = PROBLEMS["binary D=4"]
    log_w = problem.log_w.clone()
    log_w[5] = 6.0
    return Problem(problem.logits, problem.states, log_w)


@pytest.mark.parametrize("target", ["reweighted", "log-ratio", "non-saturating"])
def test_exact_gradient_agrees_with_the_reference_of_its_own_target(target: str) -> None:
    problem = opposed()
    networks = TableGenerator(problem.logits[None].clone()), problem.discriminator(), torch.zeros(1, dtype=torch.long)
    options = {"num_redraws": 3, "num_reference": 2**15}
    found = figures(Exact(target), *networks, **options)  # type: ignore[arg-type]
    assert found["probe/all/cosine"] > 0.998
    assert found["probe/all/variance"] < 1e-30
    assert math.isfinite(found["probe/all/snr"]) and found["probe/all/snr"] > 1e20

    def another(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        return Exact(target)(generator, discriminator, z)  # type: ignore[arg-type]

    for claimed in {"reweighted", "log-ratio", "non-saturating"} - {target}:
        another.claims = Claims(claimed, "none", 0, "")  # type: ignore[attr-defined, arg-type]
        assert figures(another, *networks, **options)["probe/all/cosine"] < 0.99


class Wrapper:
    """As the user's own estimators are wrapped."""

    __wrapped__ = Exact("log-ratio")

    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        return self.__wrapped__(generator, discriminator, z)


class AroundPartial(Wrapper):
    """As the user's own functions with options are wrapped."""

    __wrapped__ = functools.partial(Exact("log-ratio"))


@pytest.mark.parametrize("estimator", [Wrapper(), functools.partial(Wrapper()), AroundPartial()])
def test_claims_are_found_inside_a_wrapper(estimator: Estimator) -> None:
    problem = opposed()
    networks = TableGenerator(problem.logits[None].clone()), problem.discriminator(), torch.zeros(1, dtype=torch.long)
    # With its own redraws for a reference the cosine would be 1 whatever the number of samples.
    assert 0.5 < figures(estimator, *networks, num_reference=64)["probe/all/cosine"] < 0.9999


def test_noise_of_more_samples_is_less() -> None:
    problem = PROBLEMS["binary D=4"]
    networks = TableGenerator(problem.logits[None].clone()), problem.discriminator(), torch.zeros(1, dtype=torch.long)
    few, many = (
        figures(Reinforce(num_samples), *networks, num_redraws=400, num_reference=2**14) for num_samples in (5, 20)
    )
    assert few["probe/all/variance"] / many["probe/all/variance"] == pytest.approx(4, rel=0.5)
    assert few["probe/all/cosine"] < many["probe/all/cosine"] < 1
    assert few["probe/all/snr"] < many["probe/all/snr"]


class Counting(nn.Module):
    """Its gradient is the number of its calls."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, generator: nn.Module, discriminator: nn.Module, z: Tensor) -> Tensor:
        self.calls += 1
        return self.calls.clone() * generator.get_parameter("weight").sum().expand(len(z))


def test_every_redraw_starts_from_the_same_state() -> None:
    found = figures(Counting(), nn.Linear(2, 1, bias=False), nn.Identity(), torch.zeros(3, 1))
    assert all(math.isfinite(value) for value in found.values())
    assert found["probe/all/variance"] == 0
    assert found["probe/all/cosine"] == pytest.approx(1)


def test_estimator_that_takes_real_samples() -> None:
    problem = opposed()
    networks = TableGenerator(problem.logits[None].clone()), problem.discriminator(), torch.zeros(1, dtype=torch.long)
    estimator = UnionBoundarySeeking(2000)
    options = {"num_redraws": 3, "num_reference": 2**15, "real": problem.states[:3]}
    found = figures(estimator, *networks, **options)
    # One latent: its share of the softmax changes the length only, and the reference is that of the reweighted target.
    assert found["probe/all/cosine"] > 0.99


ESTIMATORS: list[Callable[[], Estimator]] = [
    BoundarySeeking,
    lambda: Reinforce(baseline="moving-average"),
    lambda: GumbelSoftmax(annealing_rate=0.1),
    Nvil,  # with lazy parameters, as before the first step
    Relax,
    Vimco,
]


def settled(module: nn.Module) -> dict:
    """State without the parameters that have no shape yet."""
    return {name: value for name, value in module.state_dict().items() if not is_lazy(value)}


@pytest.mark.parametrize("make", ESTIMATORS)
def test_leaves_no_trace_and_repeats(make: Callable[[], Estimator]) -> None:
    torch.manual_seed(0)
    estimator, generator = make(), MLPGenerator(3, 4, hidden=(5,))
    discriminator = MLPDiscriminator(4, hidden=(5,), spectral_normalization=True)
    z = generator.latents(6)
    generator(z).logits.sum().backward()
    modules = [module for module in (generator, discriminator, estimator) if isinstance(module, nn.Module)]
    states = [copy.deepcopy(settled(module)) for module in modules]
    gradients = [parameter.grad.clone() for parameter in generator.parameters() if parameter.grad is not None]
    random = torch.get_rng_state()
    options = {"num_redraws": 3, "num_reference": 128}
    first, again, later = (figures(estimator, generator, discriminator, z, step=step, **options) for step in (1, 1, 2))
    assert first == again != later
    assert torch.equal(torch.get_rng_state(), random)
    assert all(module.training for module in modules)
    for module, state in zip(modules, states, strict=True):
        torch.testing.assert_close(settled(module), state, rtol=0, atol=0)
    torch.testing.assert_close([parameter.grad for parameter in generator.parameters()], gradients, rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in discriminator.parameters())


class AnyGenerator(TableGenerator):
    def forward(self, z: Tensor) -> Distribution:
        return OwnBits(self.logits[z])


def test_any_distribution_and_no_gradient_mode() -> None:
    networks = AnyGenerator(seeded_normal(2, 4)), SmoothDiscriminator(torch.Size([4])), torch.arange(2)
    with torch.no_grad():
        assert figures(BoundarySeeking(), *networks, num_reference=2048)["probe/all/cosine"] > 0.5


def test_one_redraw_has_no_variance() -> None:
    with pytest.raises(ValueError, match="num_redraws: expected at least 2, got 1"):
        figures(Exact(), nn.Identity(), nn.Identity(), torch.zeros(1), num_redraws=1)

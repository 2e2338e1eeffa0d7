"""One signature for every estimator: who is given real samples and labels, however it is wrapped."""

import copy
import inspect
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.errors import InputError
from discrete_gan.estimators import (
    ESTIMATORS,
    SEQUENCE_ESTIMATORS,
    BoundarySeeking,
    Estimate,
    Reinforce,
    Relax,
    UnionBoundarySeeking,
    Vimco,
    adapted,
    parse_estimator,
)
from discrete_gan.labels import labeled
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.training.probe import probe
from tests.problems import TableGenerator, seeded_normal

REAL = torch.arange(6.0).view(3, 2)
LABELS = torch.tensor([0, 1, 1, 0])
Z = torch.ones(4, requires_grad=True)
IDENTITY = nn.Identity()


def takes(generator: Conditional, discriminator: Discriminator, z: Tensor, *, real: Tensor) -> Tensor:
    return z * real.sum()


def may_take(generator: Conditional, discriminator: Discriminator, z: Tensor, real: Tensor | None = None) -> Tensor:
    return z if real is None else z * real.sum()


def takes_not(generator: Conditional, discriminator: Discriminator, z: Tensor, *, unreal: float = 1.0) -> Tensor:
    return z * unreal


def takes_anything(generator: Conditional, discriminator: Discriminator, z: Tensor, **options: Tensor) -> Tensor:
    return z * (1 + len(options))


@wraps(takes)
def wrapped(*args: object, **options: object) -> Tensor:
    return takes(*args, **options)  # type: ignore[arg-type]


class Instance:
    def __call__(self, generator: Conditional, discriminator: Discriminator, z: Tensor, *, real: Tensor) -> Tensor:
        return z * real.sum()


class Module(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor, *, real: Tensor) -> Tensor:
        return self.scale * z * real.sum()


TAKE_REAL = [takes, may_take, wrapped, partial(takes), partial(takes, real=REAL[:1]), Instance(), Module()]
TAKE_NONE = [takes_not, takes_anything, partial(takes_not, unreal=1.0)]


@pytest.mark.parametrize("estimator", TAKE_REAL)
def test_real_samples_are_given_where_there_is_a_parameter_for_them(estimator: Callable[..., Tensor]) -> None:
    estimate = adapted(estimator)
    for each in (estimate, copy.deepcopy(estimate)):
        assert each(IDENTITY, IDENTITY, Z, real=REAL).tolist() == [15] * 4


@pytest.mark.parametrize("estimator", TAKE_NONE)
def test_any_other_does_not_see_them(estimator: Callable[..., Tensor]) -> None:
    assert adapted(estimator)(IDENTITY, IDENTITY, Z, real=REAL).tolist() == [1] * 4


def test_without_real_samples_nothing_is_given() -> None:
    assert adapted(may_take)(IDENTITY, IDENTITY, Z).tolist() == [1] * 4
    assert adapted(partial(takes, real=REAL[:2]))(IDENTITY, IDENTITY, Z).tolist() == [6] * 4
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'real'"):
        adapted(takes)(IDENTITY, IDENTITY, Z)


def test_named_estimators_that_take_real_samples() -> None:
    taking = {name for name in ESTIMATORS | SEQUENCE_ESTIMATORS if adapted(parse_estimator(name)).takes}
    assert taking == {"mle", "maligan-mixed", "boundary-seeking-union"}
    assert adapted(UnionBoundarySeeking()).takes == {"real"}


def test_real_samples_carry_no_gradient() -> None:
    given = []

    def estimator(generator: Conditional, discriminator: Discriminator, z: Tensor, *, real: Tensor) -> Tensor:
        given.append(real)
        return z

    real = REAL.clone().requires_grad_()
    adapted(estimator)(IDENTITY, IDENTITY, Z, real=real)
    assert not given[0].requires_grad
    assert torch.equal(given[0], REAL)
    assert real.requires_grad


# Labels


class ByClass(nn.Module):
    """A network of its input and its classes."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.factor * (x if labels is None else x + 10 * labels)


def through_both(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
    return discriminator(generator(z))


def takes_labels(
    generator: Conditional, discriminator: Discriminator, z: Tensor, *, labels: Tensor | None = None
) -> Tensor:
    return through_both(generator, discriminator, z) + (0 if labels is None else 1000 * labels)


def takes_both(
    generator: Conditional, discriminator: Discriminator, z: Tensor, *, labels: Tensor, real: Tensor
) -> Tensor:
    return takes_labels(generator, discriminator, z, labels=labels) + real.sum()


def takes_only_real(generator: Conditional, discriminator: Discriminator, z: Tensor, *, real: Tensor) -> Tensor:
    return through_both(generator, discriminator, z) + real.sum()


@pytest.mark.parametrize(
    ("estimator", "real", "without", "of_class_1"),
    [
        (through_both, 0, 6, 3 * (2 * 11 + 10)),
        (takes_labels, 0, 6, 6 + 1000),
        (takes_both, 15, 0, 6 + 1000 + 15),
        (takes_only_real, 15, 6 + 15, 3 * (2 * 11 + 10) + 15),
    ],
)
def test_labels_are_given_or_bound_to_the_networks(
    estimator: Callable[..., Tensor], real: float, without: float, of_class_1: float
) -> None:
    generator, discriminator, estimate = ByClass(2.0), ByClass(3.0), adapted(estimator)
    of_class_0 = 6 + real
    for each in (estimate, copy.deepcopy(estimate)):
        found = each(generator, discriminator, Z, real=REAL, labels=LABELS)
        assert found.tolist() == [of_class_0, of_class_1, of_class_1, of_class_0]
        if without:
            assert each(generator, discriminator, Z, real=REAL).tolist() == [without] * 4
    assert [name for name, _ in generator.named_parameters()] == ["factor"]


class ClassGenerator(TableGenerator):
    def forward(self, z: Tensor, labels: Tensor) -> object:  # type: ignore[override]
        return super().forward(2 * z + labels)


class ClassDiscriminator(nn.Module):
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return (x.sum(dim=-1) - 2 * labels).tanh()


@pytest.mark.parametrize("name", ["boundary-seeking", "boundary-seeking-union", "relax", "gumbel-softmax", "nvil"])
def test_labels_of_named_estimators(name: str) -> None:
    z, real = torch.tensor([[0.0], [1], [1], [0]]), (seeded_normal(4, 5) > 0).float()
    losses = []
    for bound in (False, True):
        torch.manual_seed(0)
        estimate, generator = adapted(parse_estimator(name)), ClassGenerator(seeded_normal(4, 5).float())
        networks = (lambda z, labels, g=generator: g(z[:, 0].long(), labels)), ClassDiscriminator()
        if bound:
            g, d = labeled(networks[0], LABELS), labeled(networks[1], LABELS)
            loss = estimate(g, d, z, real=real)
        else:
            loss = estimate(networks[0], networks[1], z, real=real, labels=LABELS)  # type: ignore[arg-type]
        loss.sum().backward()
        losses += [loss.detach(), generator.logits.grad]
    assert torch.equal(losses[0], losses[2])
    assert torch.equal(losses[1], losses[3])  # type: ignore[arg-type]


class Tilted(nn.Module):
    """A conditional network as the probe copies them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.tilt = nn.Parameter(torch.tensor([0.5, -1.0, 2.0]))

    def forward(self, x: Tensor, labels: Tensor) -> Any:
        return self.network(x + self.tilt[labels][:, None])


SOME_REAL = (seeded_normal(3, 5) > 0).float()


@pytest.mark.parametrize("estimator", [Reinforce(4), BoundarySeeking(4), UnionBoundarySeeking(4), Vimco(4)], ids=repr)
def test_probe_of_conditional_networks_is_that_of_networks_with_their_labels(estimator: Callable[..., Tensor]) -> None:
    torch.manual_seed(0)
    generator, discriminator = Tilted(MLPGenerator(4, 5, hidden=(6,))), Tilted(MLPDiscriminator(5, hidden=(6,)))
    z, labels = torch.randn(3, 4), torch.tensor([2, 0, 1])
    probed = partial(probe, z=z, seed=1, step=2, num_redraws=3, num_reference=128)
    found = probed(estimator, generator, discriminator, real=SOME_REAL, labels=labels)
    given = partial(estimator, real=SOME_REAL) if adapted(estimator).takes else estimator
    expected = probed(given, labeled(generator, labels), labeled(discriminator, labels))
    assert {"probe/root/cosine", "probe/network.layers.0/snr"} <= found.keys()
    assert list(found.values()) == list(expected.values())
    assert probed(adapted(estimator), generator, discriminator, real=SOME_REAL, labels=labels) == found
    others = probed(estimator, generator, discriminator, real=SOME_REAL, labels=labels.flip(0))
    assert others["probe/all/cosine"] != found["probe/all/cosine"]


# The estimator inside


@pytest.mark.parametrize("estimator", [*TAKE_REAL, *TAKE_NONE, Relax(), UnionBoundarySeeking(3)])
def test_shows_the_estimator_that_it_stands_around(estimator: Callable[..., Tensor]) -> None:
    estimate = adapted(estimator)
    assert isinstance(estimate, Estimate)
    assert adapted(estimate) is estimate
    assert estimate.__wrapped__ is estimator
    assert inspect.unwrap(estimate) is inspect.unwrap(estimator)
    assert repr(estimate) == repr(estimator)


def test_copy_has_a_module_of_its_own() -> None:
    module = Module()
    estimate = adapted(module)
    twin = copy.deepcopy(estimate)
    assert isinstance(twin.__wrapped__, Module)
    twin.__wrapped__.scale.data.fill_(2)
    assert twin(IDENTITY, IDENTITY, Z, real=REAL).tolist() == [30] * 4
    assert estimate(IDENTITY, IDENTITY, Z, real=REAL).tolist() == [15] * 4
    moving = adapted(Reinforce(2, baseline="moving-average"))
    copy.deepcopy(moving)(TableGenerator(seeded_normal(2, 3).float()), lambda x: x.sum(dim=-1), torch.arange(2))  # type: ignore[arg-type]
    assert isinstance(moving.__wrapped__, Reinforce)
    assert moving.__wrapped__.average == 0


def test_signature_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    estimate = adapted(takes)
    monkeypatch.setattr(inspect, "signature", lambda call: pytest.fail("looked at again"))
    assert estimate(IDENTITY, IDENTITY, Z, real=REAL).tolist() == [15] * 4
    assert adapted(estimate) is estimate


USERS = """\
import torch

def takes(generator, discriminator, z, alpha=1.0, real=None, labels=None, *, beta=1.0):
    return alpha * beta * z * (0 if real is None else real.sum()) + (0 if labels is None else labels)

def needs(generator, discriminator, z, *, real):
    return z * real.sum()

def takes_not(generator, discriminator, z, alpha=1.0):
    return alpha * z

class Instance:
    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def __call__(self, generator, discriminator, z, *, real):
        return self.alpha * z * real.sum()

class Module(torch.nn.Module):
    def __init__(self, alpha=1.0):
        super().__init__()
        self.alpha = torch.nn.Parameter(torch.tensor(alpha))

    def forward(self, generator, discriminator, z, *, real, labels=None):
        return self.alpha * z * real.sum() + (0 if labels is None else labels)
"""


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.py"
    path.write_text(USERS)
    return path


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("takes", {"real", "labels"}, 15),
        ("takes:alpha=2,beta=3", {"real", "labels"}, 90),
        ("needs", {"real"}, 15),
        ("takes_not:alpha=2", set(), 2),
        ("Instance:alpha=2", {"real"}, 30),
        ("Module:alpha=2", {"real", "labels"}, 30),
    ],
)
def test_users_own(users: Path, name: str, taken: set[str], expected: float) -> None:
    estimate = adapted(parse_estimator(f"{users}:{name}"))
    assert estimate.takes == taken
    added = LABELS if "labels" in taken else torch.zeros(4)
    for each in (estimate, copy.deepcopy(estimate)):
        assert each(IDENTITY, IDENTITY, Z, real=REAL).tolist() == [expected] * 4
        assert each(IDENTITY, IDENTITY, Z, real=REAL, labels=LABELS).tolist() == (expected + added).tolist()


def test_real_samples_and_labels_are_no_options(users: Path) -> None:
    for name in ("real", "labels"):
        with pytest.raises(InputError, match=rf"users.py:takes: '{name}': .*expected one of alpha, beta$"):
            parse_estimator(f"{users}:takes:{name}=3")
    with pytest.raises(InputError, match=r"users.py:needs: TypeError: .*missing 1 required keyword-only .*'real'"):
        parse_estimator(f"{users}:needs")(IDENTITY, IDENTITY, Z)

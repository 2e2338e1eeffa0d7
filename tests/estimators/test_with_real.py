"""Who is given real samples: every estimator whose call has a parameter for them, however it is wrapped."""

import copy
from functools import partial, wraps
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.errors import InputError
from discrete_gan.estimators import ESTIMATORS, BoundarySeeking, Relax, parse_estimator, with_real

REAL = torch.arange(6.0).view(3, 2)
Z = torch.ones(4, requires_grad=True)
IDENTITY = nn.Identity()


def takes(generator: nn.Module, discriminator: nn.Module, z: Tensor, *, real: Tensor) -> Tensor:
    return z * real.sum()


def may_take(generator: nn.Module, discriminator: nn.Module, z: Tensor, real: Tensor | None = None) -> Tensor:
    return z if real is None else z * real.sum()


def takes_not(generator: nn.Module, discriminator: nn.Module, z: Tensor, *, unreal: float = 1.0) -> Tensor:
    return z


def takes_anything(generator: nn.Module, discriminator: nn.Module, z: Tensor, **options: Tensor) -> Tensor:
    return z * (1 + len(options))


@wraps(takes)
def wrapped(*args: object, **options: object) -> Tensor:
    return takes(*args, **options)  # type: ignore[arg-type]


class Instance:
    def __call__(self, generator: nn.Module, discriminator: nn.Module, z: Tensor, *, real: Tensor) -> Tensor:
        return z * real.sum()


class Module(nn.Module):
    def forward(self, generator: nn.Module, discriminator: nn.Module, z: Tensor, *, real: Tensor) -> Tensor:
        return z * real.sum()


@pytest.mark.parametrize(
    "estimator", [takes, may_take, wrapped, partial(takes), partial(takes, real=REAL[:1]), Instance(), Module()]
)
def test_real_samples_are_bound_where_there_is_a_parameter_for_them(estimator: object) -> None:
    bound = with_real(estimator, REAL)  # type: ignore[arg-type]
    for each in (bound, copy.deepcopy(bound)):
        assert each(IDENTITY, IDENTITY, Z).tolist() == [15] * 4


@pytest.mark.parametrize("estimator", [takes_not, takes_anything, partial(takes_not, unreal=2.0), Relax(), IDENTITY])
def test_any_other_is_itself(estimator: object) -> None:
    assert with_real(estimator, REAL) is estimator  # type: ignore[arg-type]


def test_named_estimators() -> None:
    for name in ESTIMATORS:
        estimator = parse_estimator(name)
        assert (with_real(estimator, REAL) is estimator) != isinstance(estimator, BoundarySeeking)


def test_what_is_bound_is_the_module_itself_and_samples_without_gradient() -> None:
    module, real = Module(), REAL.clone().requires_grad_()
    bound = with_real(module, real)
    assert isinstance(bound, partial)
    assert bound.func is module
    assert not bound.keywords["real"].requires_grad
    assert torch.equal(bound.keywords["real"], REAL)
    assert real.requires_grad


USERS = """\
import torch

def takes(generator, discriminator, z, alpha=1.0, real=None, *, beta=1.0):
    return alpha * beta * z * (0 if real is None else real.sum())

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

    def forward(self, generator, discriminator, z, *, real):
        return self.alpha * z * real.sum()
"""


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.py"
    path.write_text(USERS)
    return path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("takes", 15),
        ("takes:alpha=2,beta=3", 90),
        ("needs", 15),
        ("takes_not:alpha=2", 2),
        ("Instance:alpha=2", 30),
        ("Module:alpha=2", 30),
    ],
)
def test_users_own(users: Path, name: str, expected: float) -> None:
    estimator = parse_estimator(f"{users}:{name}")
    bound = with_real(estimator, REAL)
    assert (bound is estimator) == name.startswith("takes_not")
    for each in (bound, copy.deepcopy(bound)):
        assert each(IDENTITY, IDENTITY, Z).tolist() == [expected] * 4


def test_real_samples_are_no_option(users: Path) -> None:
    with pytest.raises(InputError, match=r"users.py:takes: 'real': .*expected one of alpha, beta$"):
        parse_estimator(f"{users}:takes:real=3")
    with pytest.raises(InputError, match=r"users.py:needs: TypeError: .*missing 1 required keyword-only .*'real'"):
        parse_estimator(f"{users}:needs")(IDENTITY, IDENTITY, Z)

"""Estimators as the command line names them."""

import copy
import inspect
from pathlib import Path

import pytest
import torch
from torch import nn

from discrete_gan.errors import InputError
from discrete_gan.estimators import (
    BoundarySeeking,
    GumbelSoftmax,
    StraightThrough,
    UnionBoundarySeeking,
    parse_estimator,
)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("boundary-seeking", BoundarySeeking()),
        ("boundary-seeking:", BoundarySeeking()),
        (
            "boundary-seeking:num_samples=10,over=batch,zero_sum=false,chunk_size=5",
            BoundarySeeking(10, over="batch", zero_sum=False, chunk_size=5),
        ),
        ("boundary-seeking: num-samples = 10 , zero-sum = True", BoundarySeeking(10)),
        ("boundary-seeking-union:num_samples=1", UnionBoundarySeeking(1)),
        ("gumbel-softmax:temperature=1,hard=true", GumbelSoftmax(temperature=1.0, hard=True)),
        ("gumbel-softmax:objective=log-ratio", GumbelSoftmax(objective="log-ratio")),
        ("straight-through:num_samples=3", StraightThrough(num_samples=3)),
    ],
)
def test_names_and_options(spec: str, expected: object) -> None:
    assert repr(parse_estimator(spec)) == repr(expected)


def test_reinforce() -> None:
    rest = "objective='log-ratio')"
    assert (
        repr(parse_estimator("reinforce")) == f"Reinforce(num_samples=20, baseline='leave-one-out', decay=0.95, {rest}"
    )
    parsed = parse_estimator("reinforce:num_samples=2,baseline=moving-average,decay=0.5")
    assert repr(parsed) == f"Reinforce(num_samples=2, baseline='moving-average', decay=0.5, {rest}"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("boundary-seaking", r"unknown estimator 'boundary-seaking': did you mean 'boundary-seeking'\? expected"),
        (
            "",
            r"unknown estimator ''.*boundary-seeking-cv, boundary-seeking-steps, boundary-seeking-union, disarm",
        ),
        ("reinforce:num_sample=2", r"option of estimator reinforce: 'num_sample': did you mean 'num_samples'\?"),
        ("reinforce:decay", r"estimator reinforce: expected decay=VALUE, got 'decay'"),
        ("reinforce:decay=fast", r"estimator reinforce: decay: expected a number, got 'fast'"),
        ("reinforce:decay=2", r"estimator reinforce: decay: expected a number from 0 to below 1, got 2.0"),
        ("reinforce:num_samples=2.5", r"estimator reinforce: num_samples: expected a whole number, got '2.5'"),
        ("boundary-seeking:zero_sum=1", r"estimator boundary-seeking: zero_sum: expected true or false, got '1'"),
        ("boundary-seeking:chunk_size=x", r"estimator boundary-seeking: chunk_size: expected a whole number"),
        ("boundary-seeking:num_samples=1", r"estimator boundary-seeking: num_samples: expected at least 2, got 1: a s"),
        ("boundary-seeking:over=rows", r"estimator boundary-seeking: over: expected one of samples, batch, got"),
        ("boundary-seeking:over=union", r"estimator boundary-seeking: over: .* which is boundary-seeking-union now$"),
        ("gumbel-softmax:temperature=0", r"estimator gumbel-softmax: temperature: expected a number above 0"),
        ("nowhere.py:estimate", r"estimator nowhere.py: no such file"),
    ],
)
def test_mistakes_are_one_line_that_says_what_was_expected(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_estimator(spec)
    assert "\n" not in str(caught.value)


def test_estimator_of_the_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("FACTOR = 3\n\ndef estimate(generator, discriminator, z):\n    return FACTOR * z\n")
    estimator = parse_estimator(f"{path}:estimate")
    module = nn.Identity()
    assert estimator(module, module, torch.ones(2, requires_grad=True)).tolist() == [3, 3]
    with pytest.raises(
        InputError, match=r"unknown function or class in .*mine.py: 'estimat': did you mean 'estimate'\?"
    ):
        parse_estimator(f"{path}:estimat")
    with pytest.raises(InputError, match=r"unknown function.*'FACTOR'"):
        parse_estimator(f"{path}:FACTOR")
    for spec in (str(path), f"{path}:", f"{path}:a-b"):
        with pytest.raises(InputError, match=r"expected FILE.py:NAME"):
            parse_estimator(spec)


USERS = """\
from __future__ import annotations
from dataclasses import dataclass
import torch

def plain(generator, discriminator, z, num_samples=2, alpha=1.0, *, mode="a", flag=False):
    '''Mine.'''
    return alpha * num_samples * z

@dataclass(frozen=True)
class Scaled:
    factor: float = 2.0

    def __call__(self, generator, discriminator, z):
        return self.factor * z

class Module(torch.nn.Module):
    claims = "mine"

    def __init__(self, start=1.0, size: int | None = None):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(start))

    def forward(self, generator, discriminator, z):
        return self.factor * z if len(z) != 3 else self.factor

instance = Scaled(5.0)

class Bare(torch.nn.Module):
    pass

def number(generator, discriminator, z):
    return 1.0

def nothing(generator, discriminator, z):
    pass

def scalar(generator, discriminator, z):
    return z.mean()

def detached(generator, discriminator, z):
    return z.detach()

def raises(generator, discriminator, z):
    torch.zeros(2) + torch.zeros(3)

def raises_elsewhere(generator, discriminator, z):
    return plain(generator, discriminator, z, num_samples=[])

def two(generator, discriminator):
    return 0

class Needs:
    def __init__(self, size):
        self.size = size
        assert size > 1, "size above 1"

    def __call__(self, generator, discriminator, z):
        return self.size * z
"""
Z = torch.ones(4, requires_grad=True)
IDENTITY = nn.Identity()


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.py"
    path.write_text(USERS)
    return path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", 2),
        ("plain:num_samples=4, alpha=0.5", 2),
        ("plain:num-samples=3,mode=b,flag=true", 3),
        ("Scaled", 2),
        ("Scaled:factor=3", 3),
        ("instance", 5),
        ("Module:start=4", 4),
        ("Needs:size=7", 7),
    ],
)
def test_users_own_with_options(users: Path, name: str, expected: float) -> None:
    estimator = parse_estimator(f"{users}:{name}")
    for each in (estimator, copy.deepcopy(estimator)):
        assert each(IDENTITY, IDENTITY, Z).tolist() == [expected] * 4
    assert isinstance(estimator, nn.Module) or repr(estimator) == f"{users}:{name}"


def test_wrapper_shows_what_it_wraps(users: Path) -> None:
    estimator = parse_estimator(f"{users}:plain:alpha=2")
    parameters = inspect.signature(estimator).parameters
    assert (parameters["num_samples"].default, parameters["alpha"].default) == (2, 2.0)
    assert estimator(IDENTITY, IDENTITY, Z, num_samples=5).tolist() == [10] * 4  # type: ignore[call-arg]
    plain = parse_estimator(f"{users}:plain")
    assert (plain.__doc__, plain.__name__) == ("Mine.", "plain")  # type: ignore[attr-defined]
    assert inspect.unwrap(parse_estimator(f"{users}:Scaled:factor=3")).factor == 3  # type: ignore[attr-defined]


def test_users_module_stays_a_module(users: Path) -> None:
    module = parse_estimator(f"{users}:Module:start=4")
    assert isinstance(module, nn.Module) and type(module).__name__ == "Module" and module.claims == "mine"
    assert list(module.state_dict()) == ["factor"]
    twin = copy.deepcopy(module)
    twin.get_parameter("factor").data.fill_(6)
    assert twin(IDENTITY, IDENTITY, Z).tolist() == [6] * 4  # a copy uses its own parameters
    for each in (module, twin):
        with pytest.raises(
            InputError, match=r"users.py:Module: returned shape \(\), expected one loss per latent, \(3,\)"
        ):
            each(IDENTITY, IDENTITY, torch.ones(3))
        with pytest.raises(InputError, match=r"users.py:Module: TypeError: .*\(.*users.py, line 24\)"):
            each(IDENTITY, IDENTITY, None)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("number", "returned a float, expected a tensor"),
        ("nothing", "returned None, expected a tensor"),
        ("scalar", "returned shape (), expected one loss per latent, (4,)"),
        ("detached", "its loss carries no gradient, expected one that reaches the generator"),
        ("raises", "RuntimeError: The size of tensor a (2) must match"),
        ("raises_elsewhere", "TypeError: can't multiply sequence by non-int of type 'float' ({path}, line 7)"),
        ("two", "TypeError: two() takes 2 positional arguments but 3 were given ({path})"),
    ],
)
def test_mistakes_inside_the_users_own(users: Path, name: str, message: str) -> None:
    estimator = parse_estimator(f"{users}:{name}")
    with pytest.raises(InputError) as caught:
        estimator(IDENTITY, IDENTITY, Z)
    assert str(caught.value).startswith(f"estimator {users}:{name}: {message.format(path=users)}")
    assert "\n" not in str(caught.value)


def test_no_gradient_is_expected_without_gradients(users: Path) -> None:
    with torch.no_grad():
        assert parse_estimator(f"{users}:detached")(IDENTITY, IDENTITY, Z).tolist() == [1] * 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plain:num_sample=2", r"option of estimator .*users.py:plain: 'num_sample': did you mean 'num_samples'\?"),
        ("plain:z=2", r"option of estimator .*users.py:plain: 'z': .*expected one of alpha, flag, mode, num_samples"),
        ("plain:alpha", r"estimator .*users.py:plain: expected alpha=VALUE, got 'alpha'"),
        ("plain:alpha=x", r"estimator .*users.py:plain: alpha: expected a number, got 'x'"),
        ("plain:num_samples=1.5", r"estimator .*users.py:plain: num_samples: expected a whole number, got '1.5'"),
        ("number:a=1", r"estimator .*users.py:number: expected no options, got 'a=1'"),
        ("Bare:args=1", r"estimator .*users.py:Bare: expected no options, got 'args=1'"),
        ("Scaled:factr=2", r"option of estimator .*users.py:Scaled: 'factr': did you mean 'factor'"),
        ("Needs", r"estimator .*users.py:Needs: TypeError: .*missing 1 required positional argument: 'size' \(.*py\)"),
        ("Needs:size=1", r"estimator .*users.py:Needs: AssertionError: size above 1 \(.*users.py, line 55\)"),
    ],
)
def test_mistakes_in_options_of_the_users_own(users: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_estimator(f"{users}:{name}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\ndef f(:\n", r"SyntaxError: invalid syntax \(.*mine.py, line 2\)"),
        ("a = 1\n\nb = c\n", r"NameError: name 'c' is not defined \(.*mine.py, line 3\)"),
        ("import nowhere_at_all\n", r"ModuleNotFoundError: No module named 'nowhere_at_all' \(.*mine.py, line 1\)"),
    ],
)
def test_file_that_cannot_be_imported(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(InputError, match=rf"^estimator .*mine.py:f: {message}$"):
        parse_estimator(f"{tmp_path}/mine.py:f")

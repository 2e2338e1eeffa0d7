"""``Run.estimator``: an estimator by its text, called once on copies before anything is written, then in the loop."""

import copy
import inspect
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from discrete_gan.errors import InputError
from discrete_gan.estimators import parse_estimator
from discrete_gan.models import Generator, MLPDiscriminator, MLPGenerator
from discrete_gan.seeds import seeded
from discrete_gan.training import Precision
from tests.training.small import Bits, D, make_run

MINE = """\
import torch
from discrete_gan.errors import InputError

MODES, SEEN = [], []

def mode(generator, discriminator, z):
    MODES.append(torch.is_autocast_enabled("cpu"))
    return generator(z).logits.sum(1)

def taken(generator, discriminator, z, *, real):
    SEEN.append((generator, discriminator, real))
    return generator(z).logits.sum(1)

def unfinished(generator, discriminator, z):
    raise InputError("mine is not finished")

def reward(generator, discriminator, z):
    return discriminator(generator(z).sample())

def detached(generator, discriminator, z):
    return generator(z).log_prob(generator(z).sample()).detach()
"""


@pytest.fixture
def mine(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return str(path)


def networks(num_categories: int | None = None) -> tuple[Generator, MLPDiscriminator]:
    return (
        MLPGenerator(3, D, num_categories, hidden=(5,)),
        MLPDiscriminator(D, num_categories, hidden=(5,), spectral_normalization=True),
    )


def set_values(module: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in module.state_dict().items() if not is_lazy(value)}


@pytest.mark.parametrize("spec", ["nvil", "relax", "slope-annealed", "reinforce:num_samples=5,baseline=moving-average"])
def test_only_lazy_parameters_change(spec: str) -> None:
    run, found = make_run(), []
    for seed in (0, 1):
        torch.manual_seed(0)
        pair = networks()
        with seeded(0, "weights", "estimator"):
            estimator = parse_estimator(spec)
        assert isinstance(estimator, nn.Module)
        before, buffers = set_values(estimator), copy.deepcopy([network.state_dict() for network in pair])
        torch.manual_seed(seed)
        random = torch.get_rng_state()
        _, state = run.estimator(spec, *pair)
        assert torch.equal(torch.get_rng_state(), random)
        torch.testing.assert_close([network.state_dict() for network in pair], buffers, rtol=0, atol=0)
        after = state.state_dict()
        torch.testing.assert_close({name: after[name] for name in before}, before, rtol=0, atol=0)
        assert not any(is_lazy(value) for value in after.values())
        found.append(copy.deepcopy(after))
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_lazy_parameters_come_from_the_seed() -> None:
    weights = [make_run(seed=seed).estimator("nvil", *networks())[1] for seed in (0, 1)]
    assert not torch.equal(*(state.get_parameter("baseline.0.weight") for state in weights))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_called_in_the_runs_precision(precision: Precision, mine: str) -> None:
    """Before the steps as well as in them."""
    generator, discriminator = networks()
    estimate, _ = make_run(precision=precision).estimator(f"{mine}:mode", generator, discriminator)
    estimate(generator, discriminator, generator.latents(4))
    assert inspect.unwrap(estimate).__globals__["MODES"] == [precision == "bf16-mixed"] * 2


def test_the_first_call_is_on_copies_and_the_real_batch_of_the_first_step(mine: str) -> None:
    run, task = make_run(), Bits()
    task.to(torch.device("cpu"))
    generator, discriminator = networks()
    estimate, _ = run.estimator(f"{mine}:taken", generator, discriminator)
    estimate(generator, discriminator, generator.latents(4), real=torch.ones(4, D))
    first, second = inspect.unwrap(estimate).__globals__["SEEN"]
    assert first[0] is not generator and first[1] is not discriminator
    torch.testing.assert_close(dict(first[0].named_parameters()), dict(generator.named_parameters()), rtol=0, atol=0)
    assert second[:2] == (generator, discriminator)
    assert torch.equal(first[2], task.batch(0).x) and torch.equal(second[2], torch.ones(4, D))


def test_gradient_need_not_reach_every_parameter() -> None:
    generator, discriminator = networks()
    generator.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    make_run().estimator("reinforce:num_samples=5", generator, discriminator)


def test_users_mistake_is_passed_on_as_it_is(mine: str) -> None:
    with pytest.raises(InputError, match=r"^mine is not finished$"):
        make_run().estimator(f"{mine}:unfinished", *networks())


def test_function_has_no_state(mine: str) -> None:
    _, state = make_run().estimator(f"{mine}:mode", *networks())
    assert not state.state_dict()


def test_refusals_name_the_estimator(mine: str) -> None:
    with pytest.raises(InputError, match=r"^estimator arm: Arm: expected a generator that returns FactorizedBern"):
        make_run(Bits(num_categories=3)).estimator("arm", *networks(num_categories=3))
    for useless in ("reward", "detached"):
        with pytest.raises(InputError, match=rf"^estimator {mine}:{useless}: .*gradient.* reaches the generator"):
            make_run().estimator(f"{mine}:{useless}", *networks())


def test_nothing_is_written_before_the_steps(tmp_path: Path) -> None:
    run = make_run(out=tmp_path / "run")
    generator, discriminator = networks()
    run.estimator("nvil", generator, discriminator)
    for name, network in {"generator": generator, "discriminator": discriminator}.items():
        run.player(name, network, lr=1e-3)
    assert not (tmp_path / "run" / "config.json").exists()
    next(run.steps())
    assert (tmp_path / "run" / "config.json").is_file()

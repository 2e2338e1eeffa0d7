"""Training on enumerable problems."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.contracts import Conditional, Discriminator
from discrete_gan.errors import InputError
from discrete_gan.estimators import BoundarySeeking, Exact, Nvil, Relax
from discrete_gan.lab import PROBLEMS, train
from tests.problems import assert_exact


def test_curve_starts_at_the_start_and_counts() -> None:
    problem = PROBLEMS["missing-modes"](0)
    curve = train(BoundarySeeking(4), problem, discriminator="oracle", steps=7, batch_size=8, every=3)
    assert curve.steps.tolist() == [0, 3, 6, 7]
    assert curve.evaluations.tolist() == [0, 3 * 32, 6 * 32, 7 * 32]
    log_p_g = problem.generator().log_p_g(problem.states).detach()
    assert_exact(curve.divergences[0], torch.stack(problem.divergences(log_p_g)))
    assert_exact(curve.mode_mass[0], problem.mode_mass(log_p_g))
    assert curve.divergences.shape == (4, 4)
    assert float(curve.seconds[-1]) > float(curve.seconds[1]) > 0


@pytest.mark.parametrize("discriminator", ["oracle", "network"])
def test_exact_gradient_finds_the_missing_modes(discriminator: str) -> None:
    problem = PROBLEMS["missing-modes"](0)
    curve = train(Exact(), problem, discriminator=discriminator, steps=150, every=50)
    assert float(curve.divergences[-1, 0]) < 0.2 * float(curve.divergences[0, 0])
    assert float(curve.mode_mass[-1, 2:].sum()) > 0.3


def test_reverse_kl_falls_under_its_exact_gradient() -> None:
    problem = PROBLEMS["ising"](0)
    curve = train(Exact("log-ratio"), problem, discriminator="oracle", steps=40, lr=0.02, batch_size=64)
    assert bool((curve.divergences[1:, 1] < curve.divergences[:-1, 1]).all())


def test_exact_training_is_gradient_descent_by_adam() -> None:
    problem = PROBLEMS["table"](0)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    curve = train(Exact("log-ratio"), problem, discriminator="oracle", steps=4, lr=0.3)
    assert torch.equal(torch.get_rng_state(), state)
    generator = problem.generator()
    adam = torch.optim.Adam(generator.parameters(), lr=0.3)
    for found in curve.divergences:
        divergences = problem.divergences(generator.log_p_g(problem.states))
        assert_exact(found, torch.stack(divergences).detach(), rtol=1e-9)
        adam.zero_grad()
        divergences.reverse_kl.backward()
        adam.step()


def test_seconds_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # Every reading of the clock is a second after the one before.
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)
    monkeypatch.setattr("discrete_gan.lab.training.time", clock)
    assert train(Exact(), PROBLEMS["table"](0), discriminator="oracle", steps=3).seconds.tolist() == [0, 1, 2, 3]


def test_seed_is_that_of_the_discriminator_too() -> None:
    problem = PROBLEMS["table"](0)
    first, again, other = (
        train(Exact(), problem, discriminator="wrong", steps=1, seed=seed).divergences for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("estimator", [Nvil(2), Relax(1)], ids=["nvil", "relax"])
def test_estimators_with_parameters_learn_on_a_copy(estimator: nn.Module) -> None:
    problem = PROBLEMS["table"](0)
    first, again, other = (
        train(estimator, problem, discriminator="oracle", steps=5, seed=seed).divergences  # type: ignore[arg-type]
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert any(isinstance(module, nn.LazyLinear) for module in estimator.modules())


class Learning(nn.Module):
    """Moves the generator only once its own parameter has moved."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(()))

    def forward(self, generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        return self.factor.detach() * generator(z).logits.sum(dim=1) + (self.factor - 3).square()


def test_parameters_of_the_estimator_learn_too() -> None:
    kl = train(Learning(), PROBLEMS["table"](0), discriminator="wrong", steps=2).divergences[:, 0]
    assert kl[0] == kl[1] != kl[2]


def test_bad_estimator_is_named() -> None:
    def broken(generator: Conditional, discriminator: Discriminator, z: Tensor) -> Tensor:
        return generator(z).log_prob(generator(z).sample((3,)))

    with pytest.raises(InputError, match=r"^estimator mine: returned shape \(3, 16\), expected one loss per latent"):
        train(broken, PROBLEMS["table"](0), name="mine", discriminator="oracle")


def test_names_stand_for_estimators_and_problems() -> None:
    by_name = train("boundary-seeking:num_samples=2", "table", discriminator="oracle", steps=2)
    made = train(BoundarySeeking(2), PROBLEMS["table"](0), discriminator="oracle", steps=2)
    assert torch.equal(by_name.divergences, made.divergences)
    with pytest.raises(InputError, match=r"unknown problem 'tabel': did you mean 'table'"):
        train("exact", "tabel")

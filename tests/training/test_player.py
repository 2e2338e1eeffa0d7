"""A player: what one step of a run moves, what a checkpoint holds of it, and what a resumed run takes up."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR

from discrete_gan.errors import InputError
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.training import Player, Run, linear_decay, phased_decay
from discrete_gan.training.average import MovingAverage
from tests.training.small import D, make_run


def networks() -> tuple[MLPGenerator, MLPDiscriminator]:
    torch.manual_seed(1)
    return MLPGenerator(3, D, hidden=(4,)), MLPDiscriminator(D, hidden=(4,))


def weights(network: nn.Module) -> list[Tensor]:
    return [value.detach().clone() for value in network.parameters()]


def same(network: nn.Module, values: list[Tensor]) -> bool:
    return all(map(torch.equal, weights(network), values))


def square(network: nn.Module) -> Tensor:
    return torch.stack([value.square().sum() for value in network.parameters()]).sum()


def rate(player: Player[Any]) -> float:
    return player.optimizer.param_groups[0]["lr"]


def checkpoint(run: Run) -> dict[str, Any]:
    path = run.directory.last_checkpoint()
    assert path is not None
    return torch.load(path, weights_only=True)


@pytest.mark.filterwarnings("error:Detected call of .lr_scheduler")
def test_average_takes_each_update_in_and_the_schedule_moves_once_per_step(tmp_path: Path) -> None:
    """A step without an update, as of a player that waits for its phase, takes the weights in once."""
    run = make_run(out=tmp_path / "run", steps=4)
    generator, discriminator = networks()
    g = run.player("generator", generator, lr=0.1, schedule=linear_decay(4, 0.5), average=0.2)
    run.player("discriminator", discriminator, lr=0.1)
    expected: list[torch.Tensor] | None = None
    rates, decays = [], iter([0.0, 1 / 10, 2 / 11, 0.2, 0.2, 0.2, 0.2])  # it warms up

    def take_in() -> list[torch.Tensor]:
        new, taken = weights(generator), 1 - next(decays)
        return new if expected is None else [old.lerp(value, taken) for old, value in zip(expected, new, strict=True)]

    for step in run.steps():
        rates.append(rate(g))
        if expected is not None:
            torch.testing.assert_close(weights(g.best), expected)
        updates = (0, 3, 1, 2)[step]
        for _ in range(updates):
            g.descend(square(generator))
            expected = take_in()
        expected = take_in() if not updates else expected
    assert expected is not None and not list(decays) and g.best is not generator
    torch.testing.assert_close(weights(g.best), expected)
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.05]) and rate(g) == 0
    saved = MLPGenerator.from_pretrained(tmp_path / "run" / "generator")
    torch.testing.assert_close(weights(saved), expected)


def test_indices_are_not_averaged() -> None:
    """9 would be 8 after a mean of 9 and 9 that is rounded down."""
    network = torch.nn.Linear(2, 2)
    network.register_buffer("index", torch.arange(100))
    average = MovingAverage(network, 0.999)
    for count in range(40):
        average.update_parameters(network)
        assert torch.equal(average.module.index, torch.arange(100)), count  # type: ignore[arg-type]
    network.index += 1  # type: ignore[operator]
    average.update_parameters(network)
    assert torch.equal(average.module.index, network.index)  # type: ignore[arg-type]


def test_without_average_the_network_is_the_best() -> None:
    generator, _ = networks()
    assert make_run().player("generator", generator, lr=0.1).best is generator


def two_players(path: Path, *, steps: int, resume: bool = False) -> tuple[Run, dict[str, Player[Any]]]:
    """The generator has two optimizers, of which each moves in every other step."""
    run = make_run(steps=steps, checkpoint_every=1, **{"resume" if resume else "out": path})
    generator, discriminator = networks()
    players: dict[str, Player[Any]] = {
        "generator": run.player("generator", generator, lr=0.1, average=0.5),
        "discriminator": run.player("discriminator", discriminator, lr=0.1),
        "likelihood": run.player("likelihood", generator, lr=0.3, betas=(0.9, 0.999)),
    }
    for step in run.steps():
        players["likelihood" if step % 2 else "generator"].descend(square(generator) * torch.rand(()))
    return run, players


def test_two_players_of_one_network(tmp_path: Path) -> None:
    run, players = two_players(tmp_path / "whole", steps=4)
    assert [player.owns for player in players.values()] == [True, True, False]
    assert players["generator"].network is players["likelihood"].network
    states = checkpoint(run)["players"]
    assert {name: set(state) for name, state in states.items()} == {
        "generator": {"network", "optimizer", "average"},
        "discriminator": {"network", "optimizer"},
        "likelihood": {"optimizer"},
    }
    # Each has moments of its own, of the steps that were its own.
    assert [states[name]["optimizer"]["state"][0]["step"] for name in ("generator", "likelihood")] == [2, 2]
    folders = {path.parent.name for path in (tmp_path / "whole").rglob("model.safetensors")}
    assert folders == {"generator", "discriminator"}
    assert json.loads((tmp_path / "whole/config.json").read_text())["models"].keys() == folders

    broken, _ = two_players(tmp_path / "broken", steps=3)
    assert checkpoint(broken)["step"] == 3
    resumed, _ = two_players(tmp_path / "broken", steps=4, resume=True)
    torch.testing.assert_close(checkpoint(resumed)["players"], states, rtol=0, atol=0)


def train(path: Path, *, steps: int, schedule: Callable[[int], Any], resume: bool = False) -> list[float]:
    """The rates of the steps that were left."""
    run = make_run(steps=steps, **{"resume" if resume else "out": path})
    generator, discriminator = networks()
    g = run.player("generator", generator, lr=0.1, schedule=schedule(steps))
    run.player("discriminator", discriminator, lr=0.1)
    found = []
    for _ in run.steps():
        found.append(rate(g))
        g.descend(square(generator))
    return found


@pytest.mark.parametrize(
    "schedule",
    [lambda steps: linear_decay(steps, 0.25), lambda steps: phased_decay(steps, 2, 0.25)],
    ids=["linear", "phased"],
)
def test_a_run_that_goes_on_for_longer_follows_its_new_schedule_at_once(
    schedule: Callable[[int], Any], tmp_path: Path
) -> None:
    longer = train(tmp_path / "longer", steps=9, schedule=schedule)
    shorter = train(tmp_path / "run", steps=4, schedule=schedule)
    assert shorter != pytest.approx(longer[:4])
    assert train(tmp_path / "run", steps=9, schedule=schedule, resume=True) == pytest.approx(longer[4:])


def test_rates_that_fall_in_stairs_go_on_where_they_were(tmp_path: Path) -> None:
    stairs = lambda steps: lambda adam: StepLR(adam, 2, 0.5)  # noqa: E731
    whole = train(tmp_path / "whole", steps=6, schedule=stairs)
    assert whole == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])
    assert train(tmp_path / "run", steps=3, schedule=stairs) == whole[:3]
    assert train(tmp_path / "run", steps=6, schedule=stairs, resume=True) == whole[3:]


def test_what_is_optimized_with_the_network(tmp_path: Path) -> None:
    """Whatever a module has; of one without state nothing is kept."""
    run = make_run(out=tmp_path / "run")
    generator, discriminator = networks()
    control = nn.Linear(1, 1)
    g = run.player("generator", generator, lr=0.1, also=control)
    d = run.player("discriminator", discriminator, lr=0.1, also=nn.Module())
    before = weights(control)
    for _ in run.steps():
        g.descend(square(generator) + square(control))
    moved = [(new - old).abs().max().item() for new, old in zip(weights(control), before, strict=True)]
    assert moved == pytest.approx([0.1, 0.1], rel=1e-3)  # Adam's first step
    torch.testing.assert_close(g.state_dict()["also"], control.state_dict())
    assert "also" not in d.state_dict()


def test_frozen_inside_and_not_outside() -> None:
    generator, discriminator = networks()
    run = make_run()
    run.player("generator", generator, lr=0.1)
    d = run.player("discriminator", discriminator, lr=0.1)
    x = torch.rand(2, D, requires_grad=True)
    with pytest.raises(ZeroDivisionError), d.frozen():
        discriminator(x).sum().backward()
        raise ZeroDivisionError
    assert x.grad is not None and all(value.grad is None for value in discriminator.parameters())
    discriminator(x).sum().backward()
    assert all(value.grad is not None for value in discriminator.parameters())
    first, *others = discriminator.parameters()
    first.requires_grad_(False)  # a layer that is not trained stays so
    with d.frozen():
        assert not any(value.requires_grad for value in discriminator.parameters())
    assert not first.requires_grad and all(value.requires_grad for value in others)


def test_checkpoint_of_other_parts_is_refused(tmp_path: Path) -> None:
    def begin(**options: Any) -> Run:
        run = make_run(checkpoint_every=1, **options)
        generator, discriminator = networks()
        average = 0.5 if "resume" in options else 0.0
        run.player("generator", generator, lr=0.1, average=average)
        run.player("discriminator", discriminator, lr=0.1)
        for _ in run.steps():
            pass
        return run

    begin(out=tmp_path / "run")
    with pytest.raises(InputError, match=r"the checkpoint does not fit the models.*holds network, optimizer, expected"):
        begin(resume=tmp_path / "run", steps=2)


def test_linear_decay() -> None:
    assert linear_decay(10, 1.0) is None
    assert factors(linear_decay(10, 0.4), 11) == pytest.approx([1] * 5 + [5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0])
    assert factors(linear_decay(4, 0.0), 5) == pytest.approx([1, 0.75, 0.5, 0.25, 0])


def test_phased_decay() -> None:
    assert phased_decay(10, 4, 1.0) is None
    assert factors(phased_decay(8, 4, 0.5), 9) == pytest.approx([1, 1, 1, 0.5, 1, 1, 1, 0.5, 0])
    assert factors(phased_decay(2, 2, 0.5), 3) == pytest.approx([1, 1, 0])  # the second phase has no step
    assert factors(phased_decay(2, 0, 0.5), 3) == pytest.approx([1, 1, 0])
    assert all(map(math.isfinite, factors(phased_decay(3, 9, 0.5), 4)))  # the first one outlasts the run


def factors(schedule: Any, num: int) -> list[float]:
    """What the rate is multiplied with in each step."""
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], 1.0)
    made, found = schedule(optimizer), []
    for _ in range(num):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        made.step()
    return found


def test_the_weights_of_the_least_figure_are_the_best_and_go_on_after_a_resumption(tmp_path: Path) -> None:
    run = make_run(out=tmp_path / "run", steps=1)
    generator, discriminator = networks()
    g = run.player("generator", generator, lr=0.1, keep=True)
    d = run.player("discriminator", discriminator, lr=0.1)
    least, since = None, []
    for value in (3.0, 1.0, 2.0, 1.0):
        g.descend(square(generator))
        since.append(g.keep(value))
        if value == 1.0 and least is None:
            least = weights(generator)
    assert since == [0, 0, 1, 2]
    assert least is not None
    torch.testing.assert_close(weights(g.best), least, rtol=0, atol=0)
    torch.testing.assert_close(weights(g.current), weights(generator), rtol=0, atol=0)
    assert (g.kept_at, d.kept_at) == (0, None)
    state = g.state_dict()
    another = make_run(out=tmp_path / "another", steps=1).player("generator", networks()[0], lr=0.1, keep=True)
    another.load_state_dict(state)
    torch.testing.assert_close(weights(another.best), least, rtol=0, atol=0)
    assert another.keep(1.5) == 3
    with pytest.raises(ValueError, match="discriminator: expected a player made with keep=True"):
        d.keep(1.0)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_what_was_kept_is_gone_on_from(average: float, tmp_path: Path) -> None:
    run = make_run(out=tmp_path / "run", steps=1)
    generator, _ = networks()
    g = run.player("generator", generator, lr=0.1, average=average, keep=True)
    g.take_up_best()  # of nothing
    g.descend(square(generator))
    torch.testing.assert_close(weights(g.best), weights(g.current), rtol=0, atol=0)
    g.keep(1.0)
    least = weights(g.best)
    for _ in range(3):
        g.descend(square(generator))
        g.keep(2.0)
    assert not same(generator, least) and same(g.best, least)
    g.take_up_best()
    for module in (generator, g.current, g.best):
        torch.testing.assert_close(weights(module), least, rtol=0, atol=0)
    g.descend(square(generator))
    assert same(g.best, weights(g.current)) and not same(g.best, least)
    assert g.keep(5.0) == 0  # the first figure of another phase

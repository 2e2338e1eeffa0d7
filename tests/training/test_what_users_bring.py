"""Parts of the user's own that fail: told in one line, before anything is written or without losing steps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from discrete_gan.contracts import Generator
from discrete_gan.errors import InputError
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.models.base import HubModel
from discrete_gan.tasks import Batch, Score
from discrete_gan.training import Run
from tests.training.small import Bits, D, make_run


def networks() -> dict[str, nn.Module]:
    return {"generator": MLPGenerator(3, D, hidden=(4,)), "discriminator": MLPDiscriminator(D, hidden=(4, 4))}


def begin(run: Run, **others: nn.Module) -> Run:
    """With a player for each network."""
    for name, network in (networks() | others).items():
        run.player(name, network, lr=0.1)
    return run


def finish(run: Run) -> None:
    for step in run.steps():
        run.log(loss=float(step))


class Fails(Bits):
    """Scores, or pictures, that fail from a certain call on."""

    def __init__(self, what: str, calls: int) -> None:
        super().__init__()
        self.what, self.calls = what, calls

    def _count(self, what: str) -> None:
        self.calls -= what == self.what
        if self.calls < 0:
            raise ZeroDivisionError(what)

    def scores(self, *args: Any, **options: Any) -> list[Score]:
        self._count("scores")
        return super().scores(*args, **options)

    def show(self, *args: Any, **options: Any) -> Path | None:
        self._count("show")
        return super().show(*args, **options)


@pytest.mark.parametrize("what", ["scores", "show"])
def test_steps_survive_what_cannot_be_measured_or_drawn(what: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps": 6, "sample_every": 2, "checkpoint_every": 0}
    with pytest.raises(ZeroDivisionError):
        finish(begin(make_run(Fails(what, 1), out=tmp_path / "run", **options)))  # at step 4, the second of them
    assert [path.stem for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000004"]
    finish(begin(make_run(resume=tmp_path / "run", **options)))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    # The line of the step that failed was not written, and no figure of its waits for the next one.
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 0), (2, 1), (3, 2), (5, 4), (6, 5)]
    assert "ones" not in lines[3] and "ones" in lines[4]


@pytest.mark.parametrize("body", ["raise KeyError('gone')", "return 'many'", "return samples"])
def test_scores_of_ones_own_are_tried_before_anything_is_written(body: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"def mine(samples, real):\n    {body}\n")
    with pytest.raises(InputError, match=r"mine\.py:mine"):
        finish(begin(make_run(out=tmp_path / "run", scores=(f"{tmp_path / 'mine.py'}:mine",))))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "expected a number or a Score, got NoneType"),
        (torch.zeros(2), "expected a number or a Score, got Tensor"),
        ("much", "expected a number or a Score, got str"),
        (Score("good", 1, better="higher"), "better 'less', 'more' or None"),  # type: ignore[arg-type]
        (Score("two words", 1), "expected a name of letters"),
        (Score("ones", 1), "ones: expected another name"),
        (Score("step", 1), "step: expected another name"),
        (Score("seconds", 1), "seconds: expected another name"),
    ],
)
def test_values_that_are_no_score(value: Any, told: str, tmp_path: Path) -> None:
    class Odd(Bits):
        def scores(self, *args: Any, **options: Any) -> list[Score]:
            odd = value if isinstance(value, Score) else Score("odd", value)
            return [*super().scores(*args, **options), odd]

    with pytest.raises(InputError, match=told):
        finish(begin(make_run(Odd(), out=tmp_path / "run")))


@pytest.mark.parametrize("value", [torch.tensor(0.5), True, 3, float("nan")])
def test_values_that_are_numbers(value: Any, tmp_path: Path) -> None:
    class Odd(Bits):
        def scores(self, *args: Any, **options: Any) -> list[Score]:
            return [Score("odd", value)]

    finish(begin(make_run(Odd(), out=tmp_path / "run")))
    found = json.loads((tmp_path / "run" / "results.json").read_text())["scores"]["odd"]["value"]
    assert found is None if value != value else found == float(value)  # JSON has no NaN


class Nested(HubModel):
    """A discriminator whose parts are called as the package's own methods and attributes are."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(4, 1)
        self.outputs = nn.Sequential(nn.Linear(D, 4), nn.Sequential(nn.ReLU()))

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.outputs(x)).squeeze(-1)


def test_evaluations_of_a_discriminator_of_ones_own(tmp_path: Path) -> None:
    run = make_run(out=tmp_path / "run")
    discriminator = Nested()
    begin(run, discriminator=discriminator)
    for shape in ((7, D), (2, 5, D)):
        discriminator(torch.zeros(shape))
    assert run.evaluations == 7 + 2 * 5


class NoFingerprint(Bits):
    def summary(self) -> dict[str, Any]:
        return {"name": "bits"}


class TensorBatch(Bits):
    def batch(self, step: int) -> Any:
        return super().batch(step).x


class WrongScores(Bits):
    def scores(self, *args: Any, **options: Any) -> Any:
        return super().scores(*args, **options)[0].value


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (NoFingerprint, "summary of the task: expected a fingerprint"),
        (TensorBatch, r"batch of the task: expected a Batch\(x, labels\), got Tensor"),
        (WrongScores, "scores of the task: expected a list of Score, got float"),
    ],
)
def test_what_a_task_lacks(task: type[Bits], told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=told):
        finish(begin(make_run(task(), out=tmp_path / "run")))


def test_a_recipe_without_both_players(tmp_path: Path) -> None:
    run = make_run(out=tmp_path / "run")
    run.player("critic", networks()["discriminator"], lr=0.1)
    with pytest.raises(InputError, match="expected players generator and discriminator, got critic"):
        finish(run)
    assert not (tmp_path / "run").exists()


def test_a_network_that_cannot_be_saved() -> None:
    with pytest.raises(InputError, match="generator: expected a model derived from HubModel, got Linear"):
        begin(make_run(), generator=nn.Linear(2, 2))


class WrongShapes(MLPDiscriminator):
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(x) + torch.zeros(99)


class NoLatents(nn.Module):
    def forward(self, z: Tensor) -> None: ...


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"discriminator": lambda: WrongShapes(D, hidden=(4, 4))}, "tried on the networks: RuntimeError: .*size"),
        ({"generator": NoLatents}, "generator: expected latents and a latent_dim"),
    ],
)
def test_networks_that_do_not_work_write_nothing(
    others: dict[str, Callable[[], Any]], told: str, tmp_path: Path
) -> None:
    made: Any = networks() | {name: make() for name, make in others.items()}
    run = make_run(out=tmp_path / "run")
    with pytest.raises(InputError, match=told) as raised:
        run.estimator("boundary-seeking", made["generator"], made["discriminator"])
    assert "\n" not in str(raised.value) and not (tmp_path / "run/config.json").exists()


def test_another_split_is_another_fingerprint() -> None:
    def fingerprint(**changed: Tensor) -> str:
        task = Bits()
        for name, value in changed.items():
            setattr(task, name, value)
        return task.summary()["fingerprint"]

    rows = torch.cat([Bits().train, Bits().test])
    same = fingerprint()
    assert same == fingerprint()
    assert same != fingerprint(train=rows[:29], test=rows[29:])
    assert same != fingerprint(train=rows[:30].double())
    assert same != fingerprint(train=rows[:30].flip(0))


class Silent(Bits):
    """A task that shows nothing."""

    def show(self, generator: Generator, path: Path, scores: Any = ()) -> None:
        return None

    def held_out(self) -> Batch:
        return Batch(self.test)


def test_a_task_may_show_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(begin(make_run(Silent(), out=tmp_path / "run")))
    assert "None" not in capsys.readouterr().out and not list((tmp_path / "run" / "samples").iterdir())

"""The weights that were best by a score, what is said of those that were not, and the first picture."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from discrete_gan.errors import InputError
from discrete_gan.models import MLPDiscriminator, MLPGenerator
from discrete_gan.tasks import Score
from discrete_gan.training import Run
from discrete_gan.training import run as run_module
from tests.training.small import Bits, D, make_run


class Scripted(Bits):
    """Scores that are known beforehand, one for each time that they are asked for; the first is a trial."""

    held_out_score = "cost"

    def __init__(self, values: Sequence[float], better: Any = "less") -> None:
        super().__init__()
        self.values, self.better, self.asked = list(values), better, 0

    def scores(self, *networks: Any, **options: Any) -> list[Score]:
        value = self.values[min(self.asked, len(self.values) - 1)]
        self.asked += 1
        return [Score("cost", value, better=self.better)]


def step_weights(run: Run) -> dict[int, list[Tensor]]:
    """Train, and what the generator was after each step."""
    torch.manual_seed(1)
    g = run.player("generator", MLPGenerator(3, D, hidden=(4,)), lr=0.1)
    run.player("discriminator", MLPDiscriminator(D, hidden=(4,)), lr=0.1)
    found = {}
    for step in run.steps():
        g.descend(_square(g.network))
        found[step + 1] = [value.detach().clone() for value in g.network.parameters()]
    return found


def _square(network: nn.Module) -> Tensor:
    return torch.stack([value.square().sum() for value in network.parameters()]).sum()


def saved(run: Run, network: nn.Module) -> list[Tensor]:
    values = load_file(run.directory.path / "generator" / "model.safetensors")
    return [values[name] for name, _ in network.named_parameters()]


@pytest.mark.parametrize(
    ("better", "asked", "values", "best"),
    [
        ("less", "cost", [9, 3, 1, 2, 2], 4),
        ("more", "cost", [9, 3, 1, 7, 2], 6),
        ("more", "cost:more", [9, 3, 1, 7, 2], 6),
        (None, "cost:less", [0, 3, 1, 0.5, 2], 6),
        (None, "cost:more", [0, 3, 1, 5, 2], 6),
    ],
)
def test_what_is_saved_is_the_best_by_the_score(
    better: Any, asked: str, values: list[float], best: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {"sample_every": 2, "keep_best": asked, "checkpoint_every": 2}
    run = make_run(Scripted(values, better), out=tmp_path / "run", steps=8, **options)
    weights = step_weights(run)
    kept = saved(run, MLPGenerator(3, D, hidden=(4,)))
    assert all(map(torch.equal, kept, weights[best]))
    assert f"the generator of step {best}, best by cost" in capsys.readouterr().out
    # Resumed before its last steps, it goes on to the same.
    (tmp_path / "run" / "checkpoints" / "step-00000008.pt").unlink()
    rest = [values[0], values[4]]
    another = make_run(Scripted(rest, better), resume=tmp_path / "run", steps=8, **options)
    step_weights(another)
    assert all(map(torch.equal, saved(another, MLPGenerator(3, D, hidden=(4,))), kept))


def test_a_score_that_is_not_measured_keeps_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nan = float("nan")
    run = make_run(Scripted([1, nan, nan]), out=tmp_path / "run", steps=2, sample_every=1, keep_best="cost")
    weights = step_weights(run)
    assert all(map(torch.equal, saved(run, MLPGenerator(3, D, hidden=(4,))), weights[2]))
    assert "the generator of step 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("better", "asked", "told"),
    [
        (None, "cost", "expected cost:more or cost:less, as the score does not say which way is better"),
        ("less", "cost:more", "of this score less is better"),
        ("less", "cost:best", "expected NAME, NAME:more or NAME:less"),
    ],
)
def test_which_way_is_better_has_to_be_known(better: Any, asked: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^--keep-best {asked}: {told}$"):
        step_weights(make_run(Scripted([1], better), out=tmp_path / "run", keep_best=asked))
    assert not (tmp_path / "run" / "config.json").exists()


def test_refused_before_anything_is_written(tmp_path: Path) -> None:
    run = make_run(Scripted([1]), out=tmp_path / "run", keep_best="costs")
    with pytest.raises(InputError, match=r"^--keep-best: unknown score 'costs': did you mean 'cost'\? expected one of"):
        step_weights(run)
    assert not (tmp_path / "run" / "config.json").exists()
    with pytest.raises(InputError, match=r"^--keep-best cost: expected --sample-every above 0"):
        make_run(Scripted([1]), out=tmp_path / "run", keep_best="cost", sample_every=0)


@pytest.mark.parametrize(("values", "note"), [([2, 1, 1.5], True), ([2, 1, 1.01], False), ([3, 2, 1], False)])
def test_a_held_out_figure_that_rose_is_said(
    values: list[float], note: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step_weights(make_run(Scripted(values), out=tmp_path / "run", steps=3, sample_every=1))
    told = "note: held-out cost was least after step 2, 1, and is 1.5 at the end: --keep-best cost saves"
    assert (told in capsys.readouterr().out) == note


def test_the_first_picture_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_FIRST_PICTURE", -1.0)
    run = make_run(out=tmp_path / "early", steps=4, sample_every=3)
    step_weights(run)
    assert [path.stem for path in sorted((tmp_path / "early" / "samples").iterdir())] == [
        f"step-{step:08}" for step in (1, 3, 4)
    ]
    rows = [json.loads(line) for line in (tmp_path / "early" / "metrics.jsonl").read_text().splitlines()]
    assert [("ones" in row) for row in rows] == [False, False, True, True]  # a picture, and no score
    step_weights(make_run(out=tmp_path / "none", steps=4, sample_every=0))
    assert len(list((tmp_path / "none" / "samples").iterdir())) == 1


def test_a_picture_on_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(out=tmp_path / "run", steps=9)
    agreed = iter([0, 2])  # SIGINT, after the second step
    monkeypatch.setattr(run_module, "agree", lambda value=0: next(agreed, value) if run.step else value)
    with pytest.raises(SystemExit) as ended:
        step_weights(run)
    assert ended.value.code == 130
    assert [path.stem for path in (tmp_path / "run" / "samples").iterdir()] == ["step-00000002"]


def test_what_is_measured_are_the_weights_of_now(tmp_path: Path) -> None:
    class Weighed(Bits):
        def scores(self, generator: Any, *_: Any, **options: Any) -> list[Score]:
            cost = float(sum(value.square().sum() for value in generator.parameters()))
            return [Score("cost", cost, better="less")]

    run = make_run(Weighed(), out=tmp_path / "run", steps=4, sample_every=1, keep_best="cost")
    torch.manual_seed(1)
    g = run.player("generator", MLPGenerator(3, D, hidden=(4,)), lr=0.1)
    run.player("discriminator", MLPDiscriminator(D, hidden=(4,)), lr=0.1)
    for _ in run.steps():
        g.descend(-_square(g.network))  # away from the best, which is the first
    costs = [json.loads(line)["cost"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(costs) == 4 and costs == sorted(set(costs))

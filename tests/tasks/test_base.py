"""Tasks on two tensors, tasks of a user's own, and what is measured beside a task's own scores."""

import math
import re
from pathlib import Path
from typing import Any

import matplotlib.image
import pytest
import torch
from torch import Tensor

from discrete_gan.errors import InputError
from discrete_gan.models import MLPGenerator
from discrete_gan.sampling import generate
from discrete_gan.tasks import DataOptions, Score, TensorTask, load_scores, make_task, measure
from discrete_gan.tasks.base import own_scores

CPU = torch.device("cpu")
NOBODY: Any = None  # the discriminator, who is not asked
D = 6


class Bars(TensorTask):
    """Rows of bits, scored by how many are ones."""

    def __init__(self, num: int = 10) -> None:
        source = torch.Generator().manual_seed(0)
        rows = (torch.rand(num + 7, D, generator=source) > 0.5).float()
        super().__init__("bars", rows[:num], rows[num:], batch_size=4, seed=3)

    def scores(self, generator: Any, discriminator: Any, *, num: int | None, depth: str, seed: int = 0) -> list[Score]:
        return [Score("ones", float(generate(generator, num or 5, seed=seed).mean()), protocol=f"{num}|{depth}|{seed}")]


def ready() -> Bars:
    task = Bars()
    task.to(CPU)
    return task


@pytest.fixture
def generator() -> MLPGenerator:
    torch.manual_seed(0)
    return MLPGenerator(3, D, hidden=(4,)).eval()


def test_batches_are_rows_each_once_per_epoch() -> None:
    task = Bars(8)
    task.train = torch.arange(8 * D).view(8, D).float()
    task.to(CPU)
    epochs = [torch.cat([task.batch(2 * epoch + step).x for step in range(2)]) for epoch in range(2)]
    for epoch in epochs:
        assert torch.equal(epoch.sort(dim=0).values, task.train)
    assert not torch.equal(*epochs)
    assert torch.equal(task.batch(1).x, epochs[0][4:]) and task.batch(1).labels is None
    assert task.held_out().x is task.test and task.held_out().labels is None
    assert task.num_positions == D


def test_summary_changes_with_any_number() -> None:
    first = Bars().summary()
    assert {name: first[name] for name in ("name", "num_train", "num_test")} == {
        "name": "bars",
        "num_train": 10,
        "num_test": 7,
    }
    found = {first["fingerprint"]}
    for part in ("train", "test"):
        other = Bars()
        getattr(other, part)[-1, -1] += 1
        found.add(other.summary()["fingerprint"])
    assert len(found) == 3 and Bars().summary() == first


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.bool, torch.int64, torch.uint8])
def test_tensors_of_any_kind_have_a_fingerprint(dtype: torch.dtype) -> None:
    rows = (torch.arange(12).reshape(6, 2) % 5 % 2).to(dtype)
    first = TensorTask("rows", rows[:4], rows[4:]).summary()["fingerprint"]
    assert TensorTask("rows", rows[:4].clone(), rows[4:]).summary()["fingerprint"] == first
    changed = rows.clone()
    changed[3, 1] = 1 - changed[3, 1].long()
    assert TensorTask("rows", changed[:4], rows[4:]).summary()["fingerprint"] != first
    if dtype.is_floating_point:
        assert TensorTask("rows", rows[:4].requires_grad_(), rows[4:]).summary()["fingerprint"] == first


@pytest.mark.parametrize("shape", [(0, 3), ()])
def test_a_part_without_rows_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="held_out: expected at least one row"):
        TensorTask("rows", torch.zeros(2, 3), torch.zeros(shape))


def test_tensors_are_shown_as_numbers_or_as_what_decode_makes(generator: MLPGenerator, tmp_path: Path) -> None:
    path = ready().show(generator, tmp_path / "samples")
    assert path is not None and path == tmp_path / "samples.txt"
    rows = [[float(number) for number in line.split()] for line in path.read_text().splitlines()]
    assert torch.equal(torch.tensor(rows), generate(generator, 64))

    class Shaped(Bars):
        def decode(self, x: Tensor) -> Tensor:
            return x.view(-1, 1, 2, 3) > 0.5

    shaped = Shaped()
    shaped.to(CPU)
    path = shaped.show(generator, tmp_path / "pictures")
    assert path is not None and path == tmp_path / "pictures.png" and matplotlib.image.imread(path).ndim == 3


OWN = """
from discrete_gan.tasks import Score
def count(samples, real):
    return len(samples) + 1000 * len(real)
def shape(samples, real):
    return Score("first", samples[0].count(" "), label="blanks", better="more", protocol="mine")
def broken(samples, real):
    raise RuntimeError("no")
def words(samples, real):
    return "many"
def several(samples):
    return {"lines": len(samples), "longest": Score("other", max(map(len, samples)), note="of a line")}
def nothing(samples):
    return {"lines": float("nan")}
def empty(samples):
    return {}
def taken(samples):
    return {"ones": 1.0}
"""


def test_scores_of_ones_own_come_after_those_of_the_task(generator: MLPGenerator, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    own = [f"{tmp_path / 'mine.py'}:{name}" for name in ("count", "shape")]
    found = measure(ready(), generator, NOBODY, num=20, depth="full", seed=2, own=load_scores(own))
    assert [score.name for score in found] == ["ones", "count", "first"]
    assert found[0].protocol == "20|full|2"
    assert found[1].value == 20 + 1000 * 7  # as many held-out ones as there are
    assert re.fullmatch(r"n:20\|real:7\|data:[0-9a-f]{16}\|seed:2\|file:[0-9a-f]{8}", found[1].protocol)
    assert found[2] == Score("first", D - 1, label="blanks", better="more", protocol="mine")
    assert measure(ready(), generator, NOBODY, num=3, depth="run", own=load_scores(own))[1].value == 3 + 1000 * 3
    # A line of the log is of no more samples than without a number, whatever the end of the run takes.
    by_default = measure(ready(), generator, NOBODY, num=None, depth="run", own=load_scores(own))[1].value
    assert measure(ready(), generator, NOBODY, num=5000, depth="line", own=load_scores(own))[1].value == by_default
    assert measure(ready(), generator, NOBODY, num=5000, depth="run", own=load_scores(own))[1].value == 12_000
    of_samples = load_scores([f"{tmp_path / 'mine.py'}:several"])
    found = measure(ready(), generator, NOBODY, num=20, depth="run", own=of_samples)[1:]
    assert [(score.name, score.value, score.note) for score in found] == [
        ("lines", 20, ""),
        ("other", 2 * D - 1, "of a line"),
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("broken", r"RuntimeError: no .*mine.py, line 8"),
        ("words", "expected a number or a Score, got str"),
        ("nothing", r"lines: expected a number, got NaN \(.*mine.py"),
        ("empty", "expected a number, a Score, or a dict of these, got an empty dict"),
        ("gone", "gone"),
    ],
)
def test_a_score_of_ones_own_that_fails_is_blamed(
    name: str, told: str, generator: MLPGenerator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a run it is refused; in one it is a note, and what is measured beside it stays."""
    (tmp_path / "mine.py").write_text(OWN)
    own: Any = None
    with pytest.raises(InputError, match=told) as raised:
        own = load_scores([f"{tmp_path / 'mine.py'}:{name}"])
        own_scores(ready(), generator, own, num=3, depth="run", tried=True)
    assert "\n" not in str(raised.value) and "mine.py" in str(raised.value)
    if name == "gone":
        return
    first, failed = measure(ready(), generator, NOBODY, num=3, depth="run", own=own)
    assert (first.name, failed.name, failed.note) == ("ones", name, str(raised.value))
    assert math.isnan(failed.value)
    assert capsys.readouterr().err == f"note: {raised.value}\n"


def test_a_score_whose_name_is_taken(generator: MLPGenerator, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    own = load_scores([f"{tmp_path / 'mine.py'}:{name}" for name in ("taken", "several", "several")])
    with pytest.raises(InputError, match=r"mine.py:taken: ones: expected another name, this one is taken$"):
        own_scores(ready(), generator, own, num=3, depth="run", tried=True, taken=["ones"])
    with pytest.raises(InputError, match=r"mine.py:several: lines: expected another name, this one is taken$"):
        own_scores(ready(), generator, own[1:], num=3, depth="run", tried=True)
    found = measure(ready(), generator, NOBODY, num=3, depth="run", own=own)  # in a run nothing is lost for it
    assert [score.name for score in found] == ["ones", "taken", "lines", "other", "several"]
    assert [math.isnan(score.value) for score in found] == [False, True, False, False, True]


def test_a_score_that_fails_in_the_middle_keeps_its_names(generator: MLPGenerator, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN.replace("len(samples), ", "3 if len(samples) < 10 else 1 / 0, "))
    own = load_scores([f"{tmp_path / 'mine.py'}:several"])
    for num in (5, 20):
        found = measure(ready(), generator, NOBODY, num=num, depth="run", own=own)
        assert [score.name for score in found] == ["ones", "lines", "other"]
        assert [math.isnan(score.value) for score in found[1:]] == [num == 20] * 2


TASK = """
class Whole:
    def __init__(self, options):
        self.options = options
    def summary(self): ...
    def to(self, device): ...
    def batch(self, step): ...
    def held_out(self): ...
    def scores(self, generator, discriminator, *, num, depth, seed=0): ...
    def show(self, generator, path, scores=()): ...
    def decode(self, x): ...
class Part:
    def __init__(self, options): ...
    def batch(self, step): ...
    show = 3
def refuses(options):
    return options.nothing
"""


def test_a_task_of_ones_own_is_called_with_the_options(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(TASK)
    options = DataOptions(data=f"{tmp_path / 'mine.py'}:Whole")
    made: Any = make_task(options, lambda: pytest.fail("the recipe's own was made"))
    assert type(made).__name__ == "Whole" and made.options is options
    assert make_task(DataOptions(data="digits"), lambda: "the recipe's own") == "the recipe's own"


def test_what_is_no_task_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(TASK)
    for name, told in (("Part", "summary, to, held_out, scores, show, decode"), ("refuses", "AttributeError.*line 17")):
        with pytest.raises(InputError, match=told) as raised:
            make_task(DataOptions(data=f"{tmp_path / 'mine.py'}:{name}"), lambda: None)
        assert "\n" not in str(raised.value)
        assert str(raised.value).startswith(f"task {tmp_path / 'mine.py'}:{name}: ")

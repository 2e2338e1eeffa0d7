"""A table as a task: scores that are known, what it keeps for its samples, and what it refuses."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from discrete_gan.data.table import TableData, make_table
from discrete_gan.data.table_files import of_frame
from discrete_gan.data.table_schema import Schema
from discrete_gan.errors import InputError
from discrete_gan.models import TableGenerator
from discrete_gan.tasks import Table, TableOptions
from discrete_gan.tasks.score import Score
from discrete_gan.tasks.table_picture import associations, write_marginals
from discrete_gan.tasks.table_scores import TableScorer, nearest_distances

pandas = pytest.importorskip("pandas", reason="needs pandas")


def table(num: int = 600, **columns: Any) -> TableData:
    """Rows of a number that decides the class, and a color that does not, unless others are given."""
    random = np.random.default_rng(0)
    x = random.normal(size=num).round(3)
    found = {"x": x, "color": random.choice(["red", "blue"], num), "sort": np.where(x > 0, "high", "low")} | columns
    return make_table(of_frame(pandas.DataFrame(found), "some", "some"))


def by_name(scores: list[Score]) -> dict[str, Score]:
    return {score.name: score for score in scores}


def test_marginals_and_pairs_of_known_error() -> None:
    """Total variation of 1/4 in one of two columns is 12.5 % in the mean; as much in the pairs is 25 % of the one."""
    cells = {"a": ["x", "y"] * 500, "b": ["u", "u", "v", "v"] * 250}
    data = make_table(of_frame(pandas.DataFrame(cells), "some", "some"))
    scorer = TableScorer(TableData("some", data.schema, torch.cat([data.train, data.held_out]), data.held_out))
    same, tilted = (
        by_name(scorer.quality(pandas.DataFrame({"a": a, "b": cells["b"]}), pairs=True))
        for a in (cells["a"], ["x", "y", "x", "x"] * 250)
    )
    assert abs(same["shape_error"].value) < 1e-9 and abs(same["trend_error"].value) < 1e-9
    assert abs(tilted["shape_error"].value - 12.5) < 1e-9
    assert abs(tilted["trend_error"].value - 25) < 1e-9
    assert same["shape_error"].real == tilted["shape_error"].real
    (line,) = scorer.quality(data.frame(data.train), pairs=False)
    assert line.name == "shape_error"


@pytest.mark.parametrize(("target", "name"), [("sort", "tstr_auc"), ("x", "tstr_r2")])
def test_a_model_learns_from_samples_what_they_hold(target: str, name: str) -> None:
    data = table()
    scorer = TableScorer(data, target)
    good = data.frame(data.train)
    bad = good.assign(**{target: good[target].sample(frac=1, random_state=0).to_numpy()})
    (of_good,), (of_bad,) = (scorer.learnt(frame, intervals=False) for frame in (good, bad))
    assert of_good.name == name and of_good.real is not None
    assert of_good.value > (0.99 if name == "tstr_auc" else 0.5) and abs(of_good.value - of_good.real) < 0.02
    assert of_bad.value < (0.7 if name == "tstr_auc" else 0.1)
    (interval,) = scorer.learnt(good, intervals=True)
    assert interval.low <= interval.value <= interval.high


def test_samples_of_one_class_teach_nothing() -> None:
    data = table()
    frame = data.frame(data.train).assign(sort="low")
    (score,) = TableScorer(data).learnt(frame, intervals=False)
    assert score.value == 0.5
    data = table(sort=["low"] * 599 + ["high"])
    (score,) = TableScorer(data).learnt(data.frame(data.train), intervals=False)
    assert math.isnan(score.value) and "sort: held-out rows are all of one class" in score.note


def test_copies_are_told_from_fresh_rows() -> None:
    random = np.random.default_rng(1)
    data = table(y=random.normal(size=600).round(3), z=random.normal(size=600).round(3))
    scorer = TableScorer(data)
    copied = by_name(scorer.likeness(scorer.frames[0]))
    fresh = by_name(scorer.likeness(data.frame(data.held_out)))
    assert copied["copies"].note.startswith("copies: ") and copied["nearest_training"].value == 0
    assert fresh["copies"].note.startswith("no sign of copying: ")
    assert abs(fresh["nearer"].value - 0.5) < 0.01
    assert fresh["coverage"].value > 0.9 and abs(fresh["density"].value - 1) < 0.3


def test_distances_count_standard_deviations_and_columns_that_differ() -> None:
    scorer = TableScorer(table())
    real = scorer.frames[0]
    spread = real["x"].std()
    rows = pandas.DataFrame(
        {"x": [0.0, spread, 0.0, 0.0], "color": ["red", "red", "blue", "blue"], "sort": ["low"] * 3 + ["high"]}
    )
    found = torch.from_numpy(scorer.vectors(rows)) * scorer.scale(torch.from_numpy(scorer.vectors(real)))
    distances = torch.cdist(found[:1].double(), found.double())[0]
    torch.testing.assert_close(distances, torch.tensor([0, 1, 1, math.sqrt(2)]).double(), rtol=1e-4, atol=1e-4)


def test_nearest_distances_are_those_of_all_pairs() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(1100, 3, generator=random), torch.randn(70, 3, generator=random)
    a[5] = b[9]
    expected = (a[:, None].double() - b.double()).norm(dim=-1).min(dim=1).values
    torch.testing.assert_close(nearest_distances(a, b), expected, rtol=1e-6, atol=1e-6)
    assert nearest_distances(a, b)[5] == 0 and (nearest_distances(a, b) > 0).sum() == 1099


def test_how_far_columns_tell_of_each_other() -> None:
    """A 2 x 2 table of (4, 1; 1, 4) tenths has V = (4 * 4 - 1 * 1) / (5 * 5) = 0.6."""
    a = torch.tensor([0] * 5 + [1] * 5)
    b = torch.tensor([0] * 4 + [1] + [0] + [1] * 4)
    three = torch.tensor([2, 0] * 5)
    found = associations(torch.stack([a, b, 1 - a, three, torch.zeros_like(a)], dim=1), [2, 3, 2, 3, 2])
    assert abs(found[0, 1] - 0.6) < 1e-12 and abs(found[1, 2] - 0.6) < 1e-12 and found[0, 2] == 1
    assert torch.equal(found, found.T) and found.diag().tolist() == [1, 1, 1, 1, 0]
    even = torch.tensor([0, 1] * 6)
    assert associations(torch.stack([even, torch.arange(12) // 2], dim=1), [2, 6])[0, 1] < 1e-12


def test_the_task_keeps_its_schema(tmp_path: Path) -> None:
    """Samples of a run are rows though the data are gone, and other rows are read by the schema of the run."""
    task = Table(TableOptions())
    task.to(torch.device("cpu"))
    batch = task.batch(0)
    assert batch.x.shape == (64, 14) and batch.x.dtype == torch.int64 and task.summary()["num_positions"] == 14
    task.save(tmp_path)
    recalled = Table(TableOptions(data="gone.csv"))
    recalled.recall(tmp_path, {})
    frame = recalled.decode(batch.x)
    assert frame.equals(task.decode(batch.x)) and recalled.sizes == task.sizes
    for suffix, read in ((".csv", pandas.read_csv), (".parquet", pandas.read_parquet)):
        again = read(recalled.write(tmp_path / "new" / f"rows{suffix}", batch.x))
        assert list(again.columns) == list(frame.columns) and np.allclose(again["hue"], frame["hue"])
    with pytest.raises(InputError, match=r"rows.txt: expected a file name ending in .csv or .parquet"):
        recalled.write(tmp_path / "rows.txt", batch.x)
    other = Table(TableOptions(data="wine", seed=1))
    other.recall(tmp_path, {})
    assert other.data.schema == task.data.schema


def test_a_target_that_is_not_learnt() -> None:
    with pytest.raises(InputError, match="--target price: expected a column that is learnt, one of alcohol, "):
        Table(TableOptions(), "price").summary()


def test_marginals_are_pictured(tmp_path: Path) -> None:
    data = table(60)
    path = write_marginals(tmp_path / "a.png", data.schema, data.train, data.held_out)
    assert path.read_bytes().startswith(b"\x89PNG")
    task = Table(TableOptions(drop=tuple(column.name for column in Table(TableOptions()).schema.learnt[2:])))
    assert task.show(TableGenerator(4, task.sizes, hidden=(8,)), tmp_path / "b").name == "b.png"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_in_parts_are_those_of_one(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of listed columns the same bytes; of numbers the draws inside a bin are those of each part."""
    task = Table(TableOptions(data="breast_cancer"), None)
    x = task.data.train[:, [0, 30]]
    task._schema = Schema(tuple(task.data.schema.learnt[place] for place in (0, 30)))
    whole = task.write(tmp_path / f"whole{suffix}", x)
    monkeypatch.setattr("discrete_gan.tasks.table._WRITTEN", 100)
    read = pandas.read_csv if suffix == ".csv" else pandas.read_parquet
    one, parts = read(whole), read(task.write(tmp_path / f"parts{suffix}", x.to(torch.int16)))
    assert len(parts) == len(x) > 400 and (parts.dtypes == one.dtypes).all()
    assert parts.iloc[:, 1].equals(one.iloc[:, 1]) and not parts.iloc[:, 0].equals(one.iloc[:, 0])
    assert abs(parts.iloc[:, 0].mean() - one.iloc[:, 0].mean()) < 0.1 * one.iloc[:, 0].std()

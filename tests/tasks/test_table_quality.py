"""Distances of columns and pairs are SDMetrics', on columns of every kind."""

import math
import warnings
from typing import Any

import numpy as np
import pandas
import pytest

from discrete_gan.data.table import make_table
from discrete_gan.data.table_files import of_frame
from discrete_gan.tasks.table_quality import shape_distance, trend_distance

KINDS = {"datetime": "datetime", "integer": "numerical", "real": "numerical"}


def rows(seed: int, num: int = 400) -> pandas.DataFrame:
    random = np.random.default_rng(seed)
    x = random.normal(size=num) + seed
    frame = {
        "x": np.where(random.random(num) < 0.1, np.nan, x),
        "y": x + random.normal(size=num),
        "count": random.poisson(30, num),
        "color": np.array(["red", "blue", None])[random.choice(3, num, p=[0.5, 0.4, 0.1])],
        "kind": random.choice(list("abcd"), num),
        "when": pandas.Timestamp("2020-01-01") + pandas.to_timedelta(random.integers(0, 500, num), unit="D"),
        "same": np.where(random.random(num) < seed, 0.1, 0.2),
    }
    return pandas.DataFrame(frame)


def theirs(real: pandas.DataFrame, other: pandas.DataFrame, schema: Any, kind: str) -> float:
    """One minus a property of the quality report."""
    properties = pytest.importorskip("sdmetrics.reports.single_table._properties")
    about = {"columns": {each.name: {"sdtype": KINDS.get(each.kind, "categorical")} for each in schema.learnt}}
    sides = []
    for side in (real, other):
        listed = [each.name for each in schema.learnt if each.kind not in KINDS]
        texts = {name: side[name].astype("object").where(side[name].notna(), "").astype("str") for name in listed}
        sides.append(side.assign(**texts)[list(about["columns"])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return 1 - float(getattr(properties, kind)().get_score(*sides, about))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_as_sdmetrics_has_them(seed: int) -> None:
    real, other = rows(0), rows(seed, num=250)
    schema = make_table(of_frame(rows(0), "some", "some")).schema
    assert {each.kind for each in schema.learnt} >= {"real", "integer", "categorical", "datetime"}
    assert shape_distance(real, other, schema) == pytest.approx(theirs(real, other, schema, "ColumnShapes"), abs=1e-9)
    expected = theirs(real, other, schema, "ColumnPairTrends")
    assert trend_distance(real, other, schema) == pytest.approx(expected, abs=1e-9)


def test_by_hand() -> None:
    """A table that is its own, and one whose only number lies beyond the other's."""
    real = rows(0)
    schema = make_table(of_frame(real, "some", "some")).schema
    assert shape_distance(real, real, schema) == trend_distance(real, real, schema) == 0
    alone = make_table(of_frame(pandas.DataFrame({"x": np.arange(50.0)}), "some", "some")).schema
    sides = [pandas.DataFrame({"x": np.arange(4.0) + shift}) for shift in (0, 10, 1)]
    assert shape_distance(sides[0], sides[1], alone) == 1
    assert shape_distance(sides[0], sides[2], alone) == pytest.approx(0.25)
    assert math.isnan(trend_distance(sides[0], sides[1], alone))
    both = make_table(of_frame(pandas.DataFrame({"x": np.arange(50.0), "y": np.arange(50.0)}), "a", "a")).schema
    flat = pandas.DataFrame({"x": np.arange(50.0), "y": np.full(50, 0.1)})  # its mean is not 0.1 to the last bit
    assert math.isnan(trend_distance(pandas.DataFrame({"x": np.arange(50.0), "y": np.arange(50.0)}), flat, both))

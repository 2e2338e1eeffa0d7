"""Rows as vectors, and the columns that two tables have in common."""

from pathlib import Path

import pytest
import torch

from discrete_gan.data.table import read_any
from discrete_gan.data.table_features import MOST_ONE_HOT, common_schema, features
from discrete_gan.data.table_files import RawTable
from discrete_gan.data.table_infer import infer_schema
from discrete_gan.data.table_schema import TableReading
from discrete_gan.errors import InputError

pytest.importorskip("pandas", reason="needs pandas")


def table(path: Path, content: str) -> RawTable:
    path.write_text(content)
    return read_any(str(path))[0]


def test_equal_cells_are_equal_numbers_on_both_sides(tmp_path: Path) -> None:
    """What stands for a missing number must not tell the sides apart."""
    real = table(tmp_path / "a.csv", "age,sort,day\n1,x,2020-01-01\n2,y,2020-01-02\n,x,2020-01-03\n3,x,2020-01-05\n")
    other = table(tmp_path / "b.csv", "day,age,sort\n2020-01-03,,x\n2020-01-02,90,\n2020-01-01,70,z\n")
    schema = common_schema(real, other, TableReading())
    a, b = features(real, schema), features(other, schema)
    assert schema.learnt[1].values == ("x", "y", "z") and schema.learnt[1].missing == ""
    assert a.shape == (4, 7) and torch.equal(a[2], b[0])
    assert a[:, 0].tolist() == [1, 2, 2, 3] and a[:, 1].tolist() == [0, 0, 1, 0]
    assert a[:, 2:6].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    assert b[:, 2:6].tolist() == [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    assert (a[:, 6] - a[0, 6]).tolist() == [0, 1, 2, 4]


def test_many_categories_share_the_last_number(tmp_path: Path) -> None:
    rows = "\n".join(f"v{n},{n % 2}\nv{n},0" for n in range(200))
    read = table(tmp_path / "a.csv", f"zip,b\n{rows}\n")
    found = features(read, infer_schema(read, TableReading()))[:, : MOST_ONE_HOT + 1]
    assert (found.sum(dim=1) == 1).all()
    assert found.sum(dim=0).tolist() == [2] * MOST_ONE_HOT + [300]


def test_a_column_that_samples_lack(tmp_path: Path) -> None:
    real = table(tmp_path / "a.csv", "a,b\n1,2\n2,3\n")
    other = table(tmp_path / "b.csv", "a,c\n1,2\n2,3\n")
    with pytest.raises(InputError, match=r"b.csv: expected a column 'b', as in .*a.csv"):
        common_schema(real, other, TableReading())

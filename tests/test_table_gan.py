"""The door to tables without a command line."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from discrete_gan.errors import InputError

pandas = pytest.importorskip("pandas", reason="needs pandas")

from discrete_gan.table_gan import TableGAN  # noqa: E402

NUM = 200
FRAME = pandas.DataFrame(
    {
        "id": np.arange(NUM),
        "size": pandas.Series([1, 3, 8, 9] * 50, dtype="int32"),
        "gap": [1.0, np.nan, 2.0, 5.0] * 50,
        "flag": [True, False] * 100,
        "shirt": pandas.Categorical(["S", "L"] * 100, categories=["S", "M", "L"], ordered=True),
        "day": pandas.date_range("2020-01-01", periods=NUM),
        "there": pandas.date_range("2020-01-01", periods=NUM, freq="h", tz="Europe/Berlin"),
        "at": ["06:00", "17:30"] * 100,
        "born": ["11.02.1990", None] * 100,
        7: np.linspace(0, 1, NUM).astype("float32"),
    }
)


@pytest.mark.slow
def test_a_frame_in_and_a_frame_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = TableGAN(steps=2, num_scored=40, target="flag", out=tmp_path / "run").fit(FRAME)
    assert capsys.readouterr() == ("", "")
    rows = made.sample(50)
    assert list(rows.columns) == list(FRAME.columns)[1:] and len(rows) == 50
    for name in rows.columns:
        assert rows[name].dtype == FRAME[name].dtype, name
    assert rows["gap"].isna().any() and set(rows["size"]) <= {1, 3, 8, 9} and set(rows["shirt"]) == {"S", "L"}
    assert rows.equals(made.sample(50)) and not rows.equals(made.sample(50, seed=1))
    assert set(rows["at"]) == {"06:00", "17:30"}
    assert set(rows["born"].dropna()) == {"11.02.1990"} and rows["born"].isna().any()
    assert FRAME["there"].min() <= rows["there"].min() and rows["there"].max() <= FRAME["there"].max()
    assert made.scores_[0].name == "shape_error" and (tmp_path / "run" / "report.html").exists() is False
    assert made.get_params()["steps"] == 2
    again = TableGAN(steps=2, num_scored=40, target="flag").fit(FRAME)
    assert again.sample(50).equals(rows)


def test_mistakes_are_told_before_any_training() -> None:
    with pytest.raises(InputError, match="frame: expected at least two rows below the header, found 1"):
        TableGAN().fit(FRAME[:1])
    with pytest.raises(InputError, match="drop: no column 'colour'"):
        TableGAN(drop="colour").fit(FRAME)
    for frame in ("people.csv", FRAME.to_numpy()):
        with pytest.raises(InputError, match=f"frame: expected a data frame of pandas, got {type(frame).__name__}"):
            TableGAN().fit(frame)
    mixed = FRAME.assign(flag=[1, "a"] * 100)
    with pytest.raises(InputError, match="frame: row 1, column 'flag': expected int, as in other rows, found str 'a'"):
        TableGAN().fit(mixed)
    with pytest.raises(NotFittedError):
        TableGAN().sample(3)
    made = TableGAN()
    made.generator_ = None
    with pytest.raises(InputError, match="num: expected at least 1, got 0"):
        made.sample(0)

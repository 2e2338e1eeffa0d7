"""Notebooks run from their first cell to their last, and are notebooks."""

import runpy
from pathlib import Path

import matplotlib
import matplotlib.pyplot
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"


def drawn(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> int:
    """Runs one; how many pictures it showed."""
    monkeypatch.chdir(folder)
    matplotlib.use("Agg")
    shown: list[int] = []
    monkeypatch.setattr(matplotlib.pyplot, "show", lambda: shown.append(1))
    runpy.run_path(str(NOTEBOOKS / name))
    matplotlib.pyplot.close("all")
    return len(shown)


def test_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn("weights.py", monkeypatch, tmp_path) == 1
    *_, last = capsys.readouterr().out.strip().splitlines()
    best, here, reweighted = (float(word) for word in last.replace(",", "").split() if word[0].isdigit())
    assert reweighted < 0.5 < best < here < 3.2  # the model is as it says, and worse than with its discriminator


@pytest.mark.slow
def test_compare_estimators(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert drawn("compare_estimators.py", monkeypatch, tmp_path) == 3


def test_they_are_notebooks() -> None:
    for path in NOTEBOOKS.glob("*.py"):
        text = path.read_text()
        assert text.startswith("# ---\n# jupyter:") and "formats: py:percent" in text
        assert text.count("\n# %% [markdown]\n") >= 4 <= text.count("\n# %%\n")

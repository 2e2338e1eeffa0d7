"""What stands in the page of one run: summary, figures, curves, discriminator, origin."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from discrete_gan.report.evaluation import Evaluation, WeightRow

from discrete_gan.metrics.bootstrap import Interval
from discrete_gan.report.run_page import write_run_page
from discrete_gan.training.directory import RunDirectory
from tests.report.elements import Elements

RESULTS = {"steps": 1234, "seconds": 125.4, "frechet": 1.5, "ms_ssim": None, "class_fractions": [0.5, 0.5]}


def written(path: Path, *, results: dict[str, Any] | None = None, rows: list[dict[str, float]] | None = None) -> Path:
    """A run directory without models and samples."""
    path.mkdir(exist_ok=True)
    args = {"seed": 3, "estimator": "reinforce", "log_every": 50, "resume": None}
    parts = {"data": {"name": "digits", "num_train": 9}, "versions": {"torch": "9.9"}, "commit": None}
    config = {"recipe": "digits", "args": args, "command": "discrete-gan train digits --seed 3", **parts}
    (path / "config.json").write_text(json.dumps(config))
    if results is not None:
        (path / "results.json").write_text(json.dumps(results))
    if rows is not None:
        (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def page(path: Path, evaluation: Evaluation | None = None) -> Elements:
    where = write_run_page(RunDirectory(path), evaluation)
    assert where == path / "report.html"
    return Elements(where.read_text(encoding="utf-8"))


def cells(elements: Elements) -> list[list[str]]:
    """Rows of all tables."""
    return [row.text.split() for row in elements.all("tr") if row.text.strip()]


def evaluation() -> Evaluation:
    found = Evaluation(verdicts=["memorization: none", "two-sample test: accuracy 0.6"])
    for index, name in enumerate(("frechet", "log_likelihood", "precision")):
        found.add(name, Interval(index + 0.5, index, math.nan), "n:7", f"meaning-{index}")
    return found


def test_run_that_has_not_finished(tmp_path: Path) -> None:
    found = page(written(tmp_path))
    assert found.texts("h1") == ["digits: reinforce"]
    assert "digits on digits, seed 3: a run that has not finished." in found.texts("p")
    assert found.texts("h2") == ["How it was made"]
    rows = cells(found)
    assert ["seed", "3"] in rows and ["log-every", "50"] in rows and ["resume", "none"] in rows
    assert ["num_train", "9"] in rows and ["torch", "9.9"] in rows and ["commit", "none"] in rows
    (commands,) = found.texts("code")
    assert commands.splitlines() == [
        "discrete-gan train digits --seed 3",
        f"discrete-gan train digits --resume {tmp_path}",
    ]


def test_run_that_was_not_evaluated(tmp_path: Path) -> None:
    found = page(written(tmp_path, results=RESULTS))
    assert "digits on digits, seed 3: 1,234 steps in 2 min 5 s." in found.texts("p")
    rows = cells(found)
    assert ["frechet", "1.5"] in rows and not any(row[0] in ("steps", "ms_ssim", "class_fractions") for row in rows)
    short = page(written(tmp_path, results={"steps": 5, "seconds": 59.4}))
    assert "digits on digits, seed 3: 5 steps in 59 s." in short.texts("p")


def test_run_that_was_evaluated(tmp_path: Path) -> None:
    found = page(written(tmp_path, results=RESULTS), evaluation())
    assert {"Memorization: none.", "Two-sample test: accuracy 0.6."} <= set(found.texts("p"))
    captions = found.texts("caption")
    assert captions[0] == "The main figures" and "Scores that the training itself reported" in captions
    rows = cells(found)
    # The main ones first and in their order, then all of them with what they say.
    assert rows[1:3] == [["log_likelihood", "1.5", "1", *rows[1][3:]], ["frechet", "0.5", "0", *rows[2][3:]]]
    assert ["precision", "2.5", "2", *rows[1][3:], "meaning-2"] in rows and rows[1][3:] != ["nan"]
    assert [row[0] for row in rows].count("precision") == 1
    assert ["frechet,", "log_likelihood,", "precision", "n:7"] in rows
    assert "Discriminator" not in found.texts("h2")


def test_discriminator(tmp_path: Path) -> None:
    of = Evaluation()
    torch.manual_seed(0)
    of.add_discriminator(torch.randn(200) + 1, torch.randn(200) - 1, "n:200")
    of.weights = [WeightRow(2, 0.9, 0.6, -0.25, None), WeightRow(50, 0.8, 0.125, -0.5, 0.375)]
    found = page(written(tmp_path), of)
    labels = found.values("svg", "aria-label")
    assert labels == [
        "Reliability diagram: fraction of real samples against what the discriminator says",
        "Effective part of the samples and largest weight over M",
    ]
    rows = [[cell.replace("−", "-") for cell in row] for row in cells(found)]
    assert ["50", "0.8", "0.125", "-0.5", "0.375", "0.4114"] in rows  # 1 - 1 / log10(50)
    shown = [element.text for element in found.all("title")]
    assert {"effective sample size / M: x = 50, y = 0.8", "largest weight: x = 50, y = 0.125"} <= set(shown)


def test_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discrete_gan.report.run_page._CURVES", 3)
    rows = [{"step": step, "seconds": 2.0 * step, "loss": 1 / step} for step in (1, 2, 4)]
    rows[0] |= {"probe/all/snr": 1.0, "probe/first/snr": 1.0, "once": 5.0}
    rows[1] |= {"probe/all/snr": 2.0, "probe/first/snr": 1.0}
    rows[2]["loss"] = math.nan
    labels = page(written(tmp_path, rows=rows)).values("svg", "aria-label")
    assert labels == [
        "loss over the steps of the training, 0.5 at the end",
        "probe/all/snr over the steps of the training, 2 at the end",
    ]
    many = [{"step": step, **{f"figure{index}": 1.0 * step for index in range(5)}} for step in (1, 2)]
    assert len(page(written(tmp_path, rows=many)).all("svg")) == 3


def test_samples(tmp_path: Path) -> None:
    (written(tmp_path) / "samples.txt").write_text("".join(f"line {index}\n" for index in range(30)))
    found = page(tmp_path)
    assert found.texts("h2")[0] == "Samples"
    assert found.texts("code")[0] == "\n".join(f"line {index}" for index in range(20))

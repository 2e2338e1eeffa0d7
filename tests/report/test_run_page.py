"""What stands in the page of one run: summary, scores, curves, discriminator, origin."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from discrete_gan.metrics.calibration import reliability
from discrete_gan.report.run_page import write_run_page
from discrete_gan.tasks import Score
from discrete_gan.tasks.evaluation import Evaluation, WeightRow, calibration_scores
from discrete_gan.tasks.score import as_json
from discrete_gan.training.directory import RunDirectory
from tests.report.elements import Elements

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU"
    b"\x00\x00\x00\nIDATx\xdac`\x00\x00\x00\x02\x00\x01\xe5'\xde\xfc\x00\x00\x00\x00IEND\xaeB`\x82"
)
FRECHET = Score(
    "frechet", 1.5, "Frechet distance", "squared feature units", "less", 0, 0.25, protocol="n:10|floor:10", note="said"
)
SCORES = [
    FRECHET,
    Score("am_score", 2.5, "AM Score", "nats", "less", 0, 0.75, protocol="n:10|floor:10"),
    Score("classes_covered", 3, "classes covered", "of 4", "more", 4),
    Score("ms_ssim", math.nan, "MS-SSIM", note="too small"),
    Score("mean_length", 7.25, protocol="n:9"),
]


def written(
    path: Path,
    *,
    scores: list[Score] | None = None,
    rows: list[dict[str, float]] | None = None,
    figures: list[Score] | None = None,
    **results: Any,
) -> Path:
    """A run directory without models and samples."""
    path.mkdir(exist_ok=True)
    args = {"seed": 3, "estimator": "reinforce", "log_every": 50, "resume": None, "scores": [], "own": ["a", "b"]}
    parts = {
        "data": {"name": "digits", "num_train": 9, "counts": {"lines": 3, "empty": 0}},
        "versions": {"torch": "9.9"},
        "commit": None,
    }
    config = {"recipe": "digits", "args": args, "command": "discrete-gan train digits --seed 3", **parts}
    (path / "config.json").write_text(json.dumps(config))
    if scores is not None:
        results = {"steps": 1234, "evaluations": 99, "seconds": 125.4, "scores": as_json(scores), **results}
        (path / "results.json").write_text(json.dumps(results))
    if rows is not None:
        (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if figures is not None:
        (path / "figures.json").write_text(json.dumps(as_json(figures)))
    return path


def page(path: Path, evaluation: Evaluation | None = None) -> Elements:
    where = write_run_page(RunDirectory(path), evaluation)
    assert where == path / "report.html"
    return Elements(where.read_text(encoding="utf-8"))


def tables(elements: Elements) -> dict[str, list[list[str]]]:
    """By caption, the rows of each table with their cells, the header first."""
    found: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for element in elements.found:
        if element.tag == "caption":
            rows = found[element.text] = []
        elif element.tag == "tr":
            rows.append([])
        elif element.tag in ("th", "td") and rows:
            rows[-1].append(element.text.replace("\N{MINUS SIGN}", "-"))
    return found


def test_run_that_has_not_finished(tmp_path: Path) -> None:
    found = page(written(tmp_path))
    assert found.texts("h1") == ["digits: reinforce"]
    assert "digits on digits, seed 3: a run that has not finished." in found.texts("p")
    assert found.texts("h2") == ["How it was made"]
    rows = [row for table in tables(found).values() for row in table]
    assert ["scores", "none"] in rows and ["own", "a, b"] in rows
    assert ["seed", "3"] in rows and ["log-every", "50"] in rows and ["resume", "none"] in rows
    assert ["counts", "lines 3, empty 0"] in rows
    assert ["num_train", "9"] in rows and ["torch", "9.9"] in rows and ["commit", "none"] in rows
    (commands,) = found.texts("code")
    assert commands.splitlines() == [
        "discrete-gan train digits --seed 3",
        f"discrete-gan train digits --resume {tmp_path}",
    ]


def test_run_that_was_not_evaluated(tmp_path: Path) -> None:
    found = page(written(tmp_path, scores=SCORES))
    assert "digits on digits, seed 3: 1,234 steps in 2 min 5 s." in found.texts("p")
    shown = tables(found)
    assert "Scores that the training itself reported" not in shown and "The main scores" in shown
    assert [row[0] for row in shown["Every score"][1:]] == [score.title for score in SCORES]
    short = page(written(tmp_path, scores=[], steps=5, seconds=59.4))
    assert "digits on digits, seed 3: 5 steps in 59 s." in short.texts("p")
    assert short.texts("h2") == ["How it was made"]


def test_a_score_says_all_that_is_needed_to_read_it(tmp_path: Path) -> None:
    found = page(written(tmp_path, scores=SCORES))
    for caption in ("The main scores", "Every score"):
        header, *rows = tables(found)[caption]
        assert header == ["score", "value", "unit", "better", "perfect", "real data"]  # no intervals, so no columns
        assert rows[0] == ["Frechet distance", "1.5", "squared feature units", "less", "0", "0.25"]
        assert rows[2] == ["classes covered", "3", "of 4", "more", "4", "–"]
        assert rows[3][:2] == ["MS-SSIM", "–"]
        assert rows[4] == ["mean length", "7.25", "", "", "–", "–"]
    everything = " ".join(element.text for element in found.all("main", "header"))
    assert "frechet" not in everything and "am_score" not in everything  # names are for files
    told = found.texts("p")
    assert "Frechet distance: said." in told and "MS-SSIM: too small." in told
    protocols = tables(found)["Protocols: only scores of the same one compare"]
    assert protocols[1:] == [["Frechet distance, AM Score", "n:10|floor:10"], ["mean length", "n:9"]]


def test_the_summary_has_the_first_scores_alone(tmp_path: Path) -> None:
    many = [Score(f"score_{index}", float(index)) for index in range(9)]
    shown = tables(page(written(tmp_path, scores=many)))
    assert [row[0] for row in shown["The main scores"][1:]] == [f"score {index}" for index in range(6)]
    assert len(shown["Every score"]) == 1 + 9


def test_run_that_was_evaluated(tmp_path: Path) -> None:
    evaluation = Evaluation(
        scores=[
            FRECHET._replace(value=1.25, low=1.0, high=2.0, note="anew"),
            Score(
                "log_likelihood",
                -3.5,
                "log-likelihood",
                "nats",
                "more",
                low=-4.0,
                high=-3.0,
                note="as pictured",
                picture=PNG,
            ),
        ]
    )
    found = page(written(tmp_path, scores=SCORES), evaluation)
    shown = tables(found)
    assert (
        shown["The main scores"]
        == shown["Every score"]
        == [
            ["score", "value", "unit", "95 % from", "to", "better", "perfect", "real data"],
            ["Frechet distance", "1.25", "squared feature units", "1", "2", "less", "0", "0.25"],
            ["log-likelihood", "-3.5", "nats", "-4", "-3", "more", "–", "–"],
        ]
    )
    of_training = shown["Scores that the training itself reported"]
    assert [row[:2] for row in of_training[1:3]] == [["Frechet distance", "1.5"], ["AM Score", "2.5"]]
    assert "Frechet distance: anew." in found.texts("p") and "Frechet distance: said." not in found.texts("p")
    # What a score rests on is shown, with what is said of it.
    assert found.texts("figcaption") == ["log-likelihood -3.5: as pictured."]
    assert found.values("img", "alt") == ["as pictured"] and "log-likelihood: as pictured." not in found.texts("p")
    assert "Discriminator" not in found.texts("h2")


@pytest.mark.parametrize("step", [40, 30])
def test_an_evaluation_that_is_there_stays_on_the_page(step: int, tmp_path: Path) -> None:
    """Of a run that was taken up again: if its weights are other ones, their scores and a word."""
    path = written(tmp_path, scores=SCORES, steps=40)
    better = FRECHET._replace(value=0.75, note="")
    (path / "evaluation.json").write_text(json.dumps({"steps": step, "scores": as_json([better])}))
    found = page(path)
    shown = [row for row in tables(found)["Every score"] if row[0] == "Frechet distance"]
    assert shown[0][1] == ("0.75" if step == 40 else "1.5")
    told = "The last evaluation is of step 30: discrete-gan evaluate measures these weights."
    assert (told in found.texts("p")) == (step == 30)
    assert ("Scores that the training itself reported" in tables(found)) == (step == 40)


def test_discriminator(tmp_path: Path) -> None:
    torch.manual_seed(0)
    raw = torch.randn(200) + 1, torch.randn(200) - 1
    of = Evaluation(
        scores=calibration_scores(*raw, "n:200"),
        reliability=reliability(*raw),
        weights=[WeightRow(2, 0.9, 0.6, -0.25, None), WeightRow(50, 0.8, 0.125, -0.5, 0.375)],
    )
    found = page(written(tmp_path), of)
    labels = found.values("svg", "aria-label")
    assert labels == [
        "Reliability diagram: fraction of real samples against what the discriminator says",
        "Effective part of the samples and largest weight over M",
    ]
    rows = tables(found)["Importance weights of M samples per latent"]
    assert ["50", "0.8", "0.125", "-0.5", "0.375", "0.4114"] in rows  # 1 - 1 / log10(50)
    assert ["2", "0.9", "0.6", "-0.25", "–", "–"] in rows
    shown = [element.text for element in found.all("title")]
    assert {"effective sample size / M: x = 50, y = 0.8", "largest weight: x = 50, y = 0.125"} <= set(shown)


ROWS: list[dict[str, float]] = [
    {"step": step, "seconds": 2.0 * step, "evaluations": 10.0 * step, "probe/all/snr": step, "d_loss": 1 / step}
    | {"probe/first/snr": 1.0, "am_score": 3.0 * step, "frechet": 8.0 / step, "g_loss": 5.0}
    for step in (1, 2, 4)
]


def charts(elements: Elements) -> list[str]:
    """What the small charts are of, in their order."""
    (abreast,) = (element for element in elements.all("div") if element.attributes.get("class") == "abreast")
    assert abreast.text
    return [str(label).split(" over the steps")[0] for label in elements.values("svg", "aria-label")]


def test_curves_come_in_order_of_interest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores in their order, then what the training logged, then probes of all parameters; what it cost is no curve."""
    monkeypatch.setattr("discrete_gan.report.run_page._CURVES", 24)
    expected = ["Frechet distance", "AM Score", "d loss", "g loss", "gradient probe, signal-to-noise ratio"]
    described = [SCORES[0]._replace(value=math.nan), SCORES[1]._replace(value=math.nan)]
    for scores, figures in ((SCORES, None), (None, described)):
        path = tmp_path / ("scores" if scores else "figures")
        path.mkdir()
        found = page(written(path, rows=ROWS, scores=scores, figures=figures))
        assert charts(found) == expected
        captions = found.texts("figcaption")
        assert captions[0] == "Frechet distance, squared feature units, less is better"
        assert captions[2] == "d loss"
        labels = found.values("svg", "aria-label")
        assert labels[0] == "Frechet distance over the steps of the training, 2 at the end"
    monkeypatch.setattr("discrete_gan.report.run_page._CURVES", 3)
    assert charts(page(tmp_path / "scores")) == expected[:3]


def test_curves_are_of_what_was_logged_twice_and_end_at_the_last_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discrete_gan.report.run_page._CURVES", 24)
    rows: list[dict[str, Any]] = [{"step": step, "loss": 1 / step, "text": "no number"} for step in (1, 2, 4)]
    rows[0] |= {"once": 5.0}
    rows[2]["loss"] = math.nan
    found = page(written(tmp_path, rows=rows))
    assert found.values("svg", "aria-label") == ["loss over the steps of the training, 0.5 at the end"]


def test_samples(tmp_path: Path) -> None:
    (written(tmp_path) / "samples.txt").write_text("".join(f"line {index}\n" for index in range(30)))
    found = page(tmp_path)
    assert found.texts("h2")[0] == "Samples"
    assert found.texts("code")[0] == "\n".join(f"line {index}" for index in range(20))
    (tmp_path / "samples.png").write_bytes(PNG)
    assert len(page(tmp_path).all("img")) == 1

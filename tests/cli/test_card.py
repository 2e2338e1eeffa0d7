"""A model card says what a run is, and is no way for what the run holds to become Markdown."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from discrete_gan.cli import main
from discrete_gan.models import MLPGenerator
from discrete_gan.report.card import _plain, _samples, write_card
from discrete_gan.report.page import Code
from discrete_gan.tasks.score import Score, as_json
from discrete_gan.training.directory import RunDirectory

SMALL = ["--steps", "2", "--batch-size", "4", "--num-scored", "20", "--hidden", "8", "--embedding", "4"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    main(["train", "text", "--estimator", "mle", *SMALL, "--out", "run"])
    return Path("run")


def test_what_a_card_says(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads((run / "results.json").read_text())
    scores = [Score("copies", 0.25, "a|b", "nats", "less", real=math.nan, note="a [link](x) <b>", low=0.1, high=0.4)]
    (run / "results.json").write_text(json.dumps(found | {"scores": as_json(scores)}))
    capsys.readouterr()
    main(["card", "run"])
    assert capsys.readouterr().out.strip() == "run/generator/README.md"
    text = (run / "generator" / "README.md").read_text()
    card = ModelCard(text)
    about: Any = card.data
    assert about.library_name == "discrete-gan"
    [measured] = about.eval_results
    assert (measured.metric_type, measured.metric_value, measured.task_type) == ("copies", 0.25, "text-generation")
    assert r"| a\|b | 0.25 | 0.1 to 0.4 | nats | less |  |" in text
    assert r"- a\|b: a \[link\](x) \<b\>." in text
    assert "- It knows 3,000 training samples of equations" in text
    assert "`discrete-gan evaluate RUN` does" in text
    assert "| estimator | mle |" in text and "| out |" not in text
    assert (run / "samples.txt").read_text().splitlines()[0] in text
    from discrete_gan.models import RecurrentGenerator

    assert RecurrentGenerator.from_pretrained(run / "generator").num_positions == 8


def test_figures_are_those_of_an_evaluation_where_there_is_one(run: Path) -> None:
    (run / "evaluation.json").write_text(json.dumps({"scores": as_json([Score("late", 3.5, "late one")])}))
    main(["card", "run"])
    text = (run / "generator" / "README.md").read_text()
    assert "| late one | 3.5 |" in text and "held-out NLL" not in text
    assert "were not measured" not in text


def test_the_card_of_images_has_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main(["train", "digits", "--steps", "1", "--num-scored", "20", "--out", "run"])
    config = Path("run/config.json")
    config.write_text(config.read_text().replace('"data": "digits"', f'"data": "{tmp_path}/somewhere"'))
    main(["card", "run"])
    folder = Path("run/generator")
    assert (folder / "samples.png").read_bytes() == Path("run/samples.png").read_bytes()
    text = (folder / "README.md").read_text()
    assert "![Samples](samples.png)" in text
    assert "| data | somewhere |" in text and str(tmp_path) not in text
    assert isinstance(MLPGenerator.from_pretrained(folder), MLPGenerator)


def test_a_recipes_name_is_no_markdown(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"recipe": "text\n# ![x](http://x) <script>"}))
    text = write_card(RunDirectory(run)).read_text().partition("\n---\n")[2]
    assert "![x]" not in text and "<script>" not in text.replace("\\<", "")
    assert text.count("\n# ") == 1


def test_no_run_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, told in (
        ("nowhere", "nowhere"),
        ("run/discriminator", "run/discriminator"),
        ("run/generator", "a part of run"),
    ):
        with pytest.raises(SystemExit) as raised:
            main(["card", path])
        error = capsys.readouterr().err.strip()
        assert raised.value.code == 2 and error.startswith("discrete-gan: ") and "\n" not in error
        assert told in error


def test_lines_with_fences_stay_inside_theirs(tmp_path: Path) -> None:
    text = _samples([Code("a\n````\n# no heading")], tmp_path)
    assert text.splitlines()[0] == text.splitlines()[-1] == "`````"
    assert _plain("a\nb\x1b[0m|c") == r"a b \[0m\|c"

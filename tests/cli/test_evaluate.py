"""``discrete-gan evaluate``: every score of images, sequences and grey images, the page, and a user's mistakes."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from discrete_gan.cli import main
from discrete_gan.cli.runs import load_model, open_run
from discrete_gan.metrics import frechet_distance, gaussian_statistics, predict
from discrete_gan.models import MLPGenerator, MLPImageGenerator
from discrete_gan.models.oracle import random_oracle
from discrete_gan.tasks import BinaryImages, evaluation
from discrete_gan.training.directory import RunDirectory
from tests.report.browser import OpenPage, started_browser

FEW = ["--steps", "4", "--num-scored", "20", "--log-every", "1"]
QUICK = ["--likelihood-num", "6", "--ais-steps", "10", "--ais-leapfrog", "1", "--ais-simulated", "4"]
SEQUENCES = [
    *FEW,
    "--hidden",
    "8",
    "--embedding",
    "4",
    "--pretrain-steps",
    "1",
    "--warmup-steps",
    "1",
    "--batch-size",
    "16",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with short runs."""
    folder = tmp_path_factory.mktemp("runs")
    lines = [f"{first} {second} {third}\n" for first in "abcde" for second in "abcde" for third in "abcdef"]
    (folder / "my.txt").write_text("".join(lines))
    weights: dict[str, Any] = {key: value.numpy() for key, value in random_oracle(0, num_categories=30, size=4).items()}
    np.savez(folder / "oracle.npz", **weights)
    small = ["--generator-width", "16", "--discriminator-width", "16"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(["train", "digits", "--out", "digits", *FEW])
        main(
            [
                "train",
                "binary_mnist",
                "--data",
                "digits",
                "--binarize",
                "threshold",
                "--conditional",
                "--out",
                "conditional",
                *FEW,
                *small,
            ]
        )
        main(["train", "am_gan", "--data", "digits", "--labeling", "predefined", "--out", "grey", *FEW])
        main(["train", "quantized_images", "--data", "digits", "--colors", "3", "--out", "colors", *FEW])
        main(["train", "text", "--data", "my.txt", "--latent-dim", "2", "--out", "text", *SEQUENCES])
        main(["train", "oracle_text", "--oracle", "oracle.npz", "--num-train", "30", "--length", "5", *SEQUENCES])
    return folder


@pytest.fixture
def here(runs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(runs)
    return runs


def scores_of(run: str, file: str = "evaluation.json") -> dict[str, dict[str, Any]]:
    return json.loads(Path(run, file).read_text())["scores"]


def words(text: str) -> str:
    """Without line breaks, where lines are wrapped."""
    return " ".join(text.split())


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as raised:
        main(["evaluate", *arguments])
    assert raised.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("discrete-gan: ")
    return error


def test_binary_images(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", "digits", "--num", "300", *QUICK])
    printed, found = words(capsys.readouterr().out), scores_of("digits")
    expected = "frechet inception_score am_score classes_covered ms_ssim precision recall density coverage "
    expected += "distinct nearest_training nearer copies two_sample_accuracy "
    expected += "log_likelihood likelihood_gap accuracy mean_weight calibration_error temperature offset"
    assert set(found) == set(expected.split())
    for name, score in found.items():
        assert score["label"] in printed and words(score["protocol"]) in printed and score["note"] in printed
        if name != "ms_ssim":
            assert score["low"] <= score["value"] <= score["high"], name
    assert {name for name, score in found.items() if score["real"] is not None} == {
        "frechet",
        "inception_score",
        "am_score",
        "ms_ssim",
        "nearest_training",
    }
    assert "log-ratios are too" in found["calibration_error"]["note"]
    assert found["copies"]["note"] and found["two_sample_accuracy"]["note"].startswith("p ")
    whole = json.loads(Path("digits/evaluation.json").read_text())
    assert len(whole["log_likelihood"]) == 6
    assert found["log_likelihood"]["value"] == pytest.approx(sum(whole["log_likelihood"]) / 6)
    assert [row["num_samples"] for row in whole["weights"]] == [2, 5, 10, 20, 50, 100]
    assert all(0 < row["effective_part"] <= 1 + 1e-6 for row in whole["weights"])
    assert sum(whole["reliability"]["count"]) == 2000 + 360  # samples and test images


def test_scores_are_those_of_the_functions(here: Path) -> None:
    main(["evaluate", "digits", "--num", "200", "--likelihood", "none"])
    found = scores_of("digits")
    assert found["log_likelihood"]["value"] is None and found["log_likelihood"]["note"] == "not asked for"
    run = open_run(Path("digits"))
    task, generator = run.task, load_model(run.directory)
    assert isinstance(task, BinaryImages)
    task.to(torch.device("cpu"))
    assert task._scorer is not None
    samples = task.draw(generator, 200)
    real, fake = (predict(task._scorer.classifier, images).features for images in (task.test, samples))
    distance = frechet_distance(*gaussian_statistics(fake), *gaussian_statistics(real))
    assert found["frechet"]["value"] == pytest.approx(float(distance), rel=1e-6)
    nearest = (samples[:, None] != task.train).sum(-1).amin(1).float()
    assert found["nearest_training"]["value"] == pytest.approx(float(nearest.mean()))
    assert found["distinct"]["value"] == pytest.approx(len(samples.unique(dim=0)) / 200)


@pytest.mark.slow
def test_several_runs_of_images(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", "conditional", "grey", "colors", "--num", "100", *QUICK])
    printed = capsys.readouterr().out
    header = next(line for line in printed.splitlines() if "conditional" in line)
    assert header.split() == ["conditional", "grey", "colors"]
    conditional, grey, colors = map(scores_of, ("conditional", "grey", "colors"))
    assert {"log_likelihood", "likelihood_gap", "mean_weight"} <= conditional.keys() & colors.keys()
    assert grey["log_likelihood"]["value"] is None and "mean_weight" not in grey
    assert "not measured: x(z) is a point" in printed and "more than one output" in printed
    # 64 positions of 3 colors, at nearly uniform logits after 4 steps.
    assert colors["log_likelihood"]["value"] == pytest.approx(-64 * np.log(3), rel=0.3)
    assert all(Path(run, "report.html").is_file() for run in ("conditional", "grey", "colors"))


def test_results_are_there_if_no_page_can_be_drawn(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the runs behind it too."""

    def breaks(*args: object, **options: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr("discrete_gan.report.run_page.write_run_page", breaks)
    for run in ("digits", "grey"):
        Path(run, "evaluation.json").unlink(missing_ok=True)
    with pytest.raises(RuntimeError, match="no ink"):
        main(["evaluate", "digits", "grey", "--num", "50", "--likelihood", "none"])
    printed = capsys.readouterr().out
    assert {"frechet", "coverage", "distinct"} <= scores_of("digits").keys() & scores_of("grey").keys()
    for run in ("digits", "grey"):
        score = scores_of(run)["frechet"]
        assert f"Frechet distance {score['value']:.4g} " in words(printed)
        assert words(score["protocol"]) in words(printed)


@pytest.mark.slow
def test_prior_that_is_not_stated_is_found_before_anything_is_measured(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MLPGenerator, "latents", lambda self, num: 2 * torch.rand(num, self.latent_dim) - 1)
    Path("digits/evaluation.json").unlink(missing_ok=True)
    options = ["--num", "50", *QUICK]
    with monkeypatch.context() as patch:
        patch.setattr("discrete_gan.cli.evaluate.evaluate_task", lambda *args, **options: 1 / 0)
        error = fails(["digits", "--likelihood", "ais", *options], capsys)
    assert "--likelihood ais: expected a generator whose prior is that of its latents, MLPGenerator overrides" in error
    assert not Path("digits/evaluation.json").exists()
    main(["evaluate", "digits", *options, "--bound-latents", "20"])
    protocol = scores_of("digits")["log_likelihood"]["protocol"]
    assert protocol.startswith("bound|n:6|latents:20|seed:0|no ais, expected a generator whose prior")
    assert words(protocol) in words(capsys.readouterr().out)
    # Of points, whose likelihood is not asked for, and exact ones no prior is wanted.
    monkeypatch.setattr(MLPImageGenerator, "latents", lambda self, num: torch.rand(num, self.latent_dim))
    main(["evaluate", "grey", "runs/oracle_text", "--likelihood", "ais", *options])


@pytest.mark.slow
def test_text_and_oracle(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", "text", "runs/oracle_text", "--num", "60", *QUICK])
    printed, text, oracle = capsys.readouterr().out, scores_of("text"), scores_of("runs/oracle_text")
    assert {"bleu2", "self_bleu5", "copied", "distinct_samples", "nearest_training", "likelihood_gap"} <= text.keys()
    assert "edits of words" in text["nearest_training"]["unit"]
    assert oracle["log_likelihood"]["protocol"].startswith("exact|no latents")
    of_training = scores_of("runs/oracle_text", "results.json")["nll_test"]["value"]
    assert oracle["log_likelihood"]["value"] == pytest.approx(-5 * of_training, rel=1e-5)
    assert 2 < oracle["nll_oracle"]["value"] < 6  # of each of 5 tokens; log 30 = 3.4 if all are as likely
    assert "report  runs/oracle_text/report.html" in printed


def test_other_test_data(here: Path) -> None:
    main(["evaluate", "digits", "--num", "50", *QUICK, "--test", "digits"])
    own = scores_of("digits")["log_likelihood"]
    images = np.zeros((40, 8, 8), dtype=np.uint8)
    images[::2] = 1
    np.savez("other.npz", train_images=images, test_images=1 - images)
    main(["evaluate", "digits", "--num", "50", *QUICK, "--test", "other.npz"])
    other = scores_of("digits")["log_likelihood"]
    assert other["value"] != own["value"] and other["protocol"] != own["protocol"]


def test_mistakes(here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--num: expected at least 2, got 1" in fails(["digits", "--num", "1"], capsys)
    assert "--ais-steps: expected at least 10" in fails(["digits", "--ais-steps", "9"], capsys)
    assert "expected with --temperatures only" in fails(["digits", "--out", "x"], capsys)
    assert "nowhere: expected a run directory" in fails(["nowhere"], capsys)
    assert "--test: expected runs on images" in fails(["text", "--test", "digits", *QUICK], capsys)

    pixels = np.eye(8, dtype=np.uint8)[None].repeat(4, 0) * np.arange(2, dtype=np.uint8).repeat(2)[:, None, None]
    np.savez("unlabeled.npz", train_images=pixels, test_images=pixels)
    np.savez("small.npz", train_images=pixels[:, :7], test_images=pixels[:, :7])
    error = fails(["conditional", "--test", "unlabeled.npz", *QUICK], capsys)
    assert "expected labeled images for the conditional generator" in error
    assert "expected images of (1, 8, 8), got (1, 7, 8)" in fails(["digits", "--test", "small.npz", *QUICK], capsys)

    # A run of zero steps: there is a config.json and no checkpoint.
    zero = tmp_path / "zero"
    zero.mkdir()
    shutil.copy("digits/config.json", zero)
    assert "no generator there yet, expected a run with a checkpoint" in fails([str(zero)], capsys)

    # The checkpoint of another recipe.
    mixed = tmp_path / "mixed"
    shutil.copytree("digits", mixed)
    shutil.rmtree(mixed / "generator")
    shutil.copytree("text/generator", mixed / "generator")
    error = fails([str(mixed)], capsys)
    assert "mixed/generator: expected the weights of a MLPGenerator" in error

    # Data that are gone, and data that are others; a run before them in the list is not evaluated either.
    gone = tmp_path / "gone"
    shutil.copytree("text", gone)
    config = json.loads((gone / "config.json").read_text())
    config["args"]["data"] = "gone.txt"
    (gone / "config.json").write_text(json.dumps(config))
    Path("digits/evaluation.json").unlink(missing_ok=True)
    assert "its data cannot be read: " in fails(["digits", str(gone), *QUICK], capsys)
    assert not Path("digits/evaluation.json").exists()
    (tmp_path / "changed.txt").write_text(Path("my.txt").read_text() + "one more line\n")
    config["args"]["data"] = str(tmp_path / "changed.txt")
    (gone / "config.json").write_text(json.dumps(config))
    assert "expected the data it was trained on" in fails([str(gone), *QUICK], capsys)


def test_models_of_a_run(here: Path) -> None:
    directory = RunDirectory(Path("digits"))
    assert type(load_model(directory)).__name__ == "MLPGenerator"
    assert type(load_model(directory, "discriminator")).__name__ == "MLPDiscriminator"


@pytest.fixture(scope="module")
def open_page() -> Any:
    with started_browser() as function:
        yield function


def test_the_page_in_a_browser(here: Path, open_page: OpenPage) -> None:
    """What training wrote, and what the evaluation makes of it."""
    written = Path("colors/report.html").read_text()
    assert "<svg" in written and "data:image/png" in written
    for run in ("digits", "text", "runs/oracle_text", "colors"):
        for width, dark in ((1280, False), (360, True)):
            opened = open_page((here / run / "report.html").resolve(), width=width, dark=dark)
            assert not opened.problems
            broken = "[...document.images].filter(image => !image.naturalWidth).length"
            assert opened.page.evaluate(broken) == 0
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
            opened.page.close()


@pytest.mark.parametrize("run", ["digits", "text"])
def test_an_evaluation_that_was_stopped_takes_up_what_it_had(
    run: str, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    folders = [tmp_path / name for name in ("whole", "stopped", "other")]
    for folder in folders:
        shutil.copytree(here / run, folder)
    whole, stopped, other = map(str, folders)
    main(["evaluate", whole, "--num", "40", *QUICK])
    assert not (folders[0] / "evaluation.partial").exists()
    likelihood, measured = evaluation.held_out_log_likelihood, evaluation.measure

    def breaks(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    def counted(*args: Any, **options: Any) -> Any:
        asked.append("scores")
        return measured(*args, **options)

    monkeypatch.setattr(evaluation, "measure", counted)
    monkeypatch.setattr(evaluation, "held_out_log_likelihood", breaks)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        main(["evaluate", stopped, "--num", "40", *QUICK])
    assert asked == ["scores"] and not (folders[1] / "evaluation.json").exists()
    shutil.copy(folders[1] / "evaluation.partial", folders[2])
    monkeypatch.setattr(evaluation, "held_out_log_likelihood", likelihood)
    capsys.readouterr()
    main(["evaluate", stopped, "--num", "40", *QUICK])
    assert asked == ["scores"]
    assert f"{stopped}: taken up, as the last evaluation left it: scores" in capsys.readouterr().out
    found, expected = (json.loads((folder / "evaluation.json").read_text()) for folder in folders[1::-1])
    assert found == expected
    assert not (folders[1] / "evaluation.partial").exists()
    # Of other settings or a file cut short nothing is taken.
    main(["evaluate", other, "--num", "41", *QUICK])
    assert asked == ["scores"] * 2
    (folders[2] / "evaluation.partial").write_bytes(b"\x82\xa3key")
    main(["evaluate", other, "--num", "40", *QUICK])
    assert asked == ["scores"] * 3


def test_what_is_bad_comes_with_what_to_change(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["evaluate", "text", "--num", "40", *QUICK])
    told = "Counting what follows what predicts held-out tokens better than the generator"
    assert told in capsys.readouterr().out
    page = Path("text/report.html").read_text()
    assert told in page and "What to change" in page

"""refine, and the verbs that then take generator and discriminator as one model."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import discrete_gan as dg
from discrete_gan.cli import main
from discrete_gan.errors import InputError
from tests.cli.test_saved_runs import QUICK, SEQUENCES, fails, grey  # noqa: F401

FITTED = ["--steps", "6", "--check-every", "2", "--batch-size", "8", "--num-scored", "100"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, grey: Path) -> Path:  # noqa: F811
    """A run on images and one on text, both refined, and one on images that is not."""
    folder = tmp_path_factory.mktemp("runs")
    main(["train", "digits", *QUICK, "--data", str(grey), "--out", str(folder / "bare")])
    shutil.copytree(folder / "bare", folder / "images")
    main(["train", "text", *QUICK, *SEQUENCES, "--warmup-steps", "0", "--out", str(folder / "text")])
    for name in ("images", "text"):
        main(["refine", str(folder / name), *FITTED])
    return folder


@pytest.fixture
def here(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in runs.iterdir():
        shutil.copytree(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scores(folder: Path, name: str) -> dict[str, float]:
    """Values by name, of results.json or evaluation.json."""
    return {name: score["value"] for name, score in json.loads((folder / name).read_text())["scores"].items()}


def test_a_refinement_keeps_a_discriminator_and_its_figures(here: Path) -> None:
    found = scores(here / "images/refined", "results.json")
    assert {"log_likelihood_gain", "log_partition", "scale", "offset", "cross_entropy"} <= found.keys()
    assert (here / "images/refined/discriminator/model.safetensors").is_file()
    assert (here / "images/refined/report.html").is_file()
    own = (here / "images/discriminator/model.safetensors").read_bytes()
    assert (here / "images/refined/discriminator/model.safetensors").read_bytes() != own
    assert (here / "images/generator/model.safetensors").read_bytes() == (
        here / "images/refined/generator/model.safetensors"
    ).read_bytes()


def test_the_weights_kept_are_those_of_the_least_cross_entropy(here: Path) -> None:
    """A learning rate that is too large, so that the looks differ."""
    options = ["--log-every", "2", "--lr", "0.3", "--average", "0", "--decay-from", "1"]
    main(["refine", "images", *FITTED, *options, "--overwrite"])
    rows = [json.loads(line) for line in (here / "images/refined/metrics.jsonl").read_text().splitlines()]
    seen = [row["cross_entropy"] for row in rows if "cross_entropy" in row]
    assert len(seen) == 3 and min(seen) < max(seen) - 0.01
    assert scores(here / "images/refined", "results.json")["cross_entropy"] == pytest.approx(min(seen), rel=1e-5)


def test_it_ends_where_nothing_gets_better(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a learning rate of zero only the first look is better than none."""
    options = ["--steps", "1000", "--lr", "0", "--average", "0", "--patience", "2", "--overwrite"]
    main(["refine", "images", *FITTED[2:], *options])
    assert json.loads((here / "images/refined/results.json").read_text())["steps"] == 6


def test_a_resumed_refinement_equals_an_unbroken_one(here: Path) -> None:
    whole = (here / "images/refined/discriminator/model.safetensors").read_bytes()
    for path in (here / "images/refined/checkpoints").glob("*"):
        path.unlink()
    shutil.rmtree(here / "images/refined")
    main(["refine", "images", *FITTED, "--checkpoint-every", "3"])
    kept = here / "images/refined/checkpoints"
    kept_before = sorted(path.name for path in kept.iterdir())
    for path in kept.glob("step-00000006*"):
        path.unlink()
    (here / "images/refined/results.json").unlink()
    main(["refine", "images", "--resume"])
    assert sorted(path.name for path in kept.iterdir()) == kept_before
    assert (here / "images/refined/discriminator/model.safetensors").read_bytes() == whole


@pytest.mark.parametrize("method", [[], ["resample"], ["independence-mh"]])
def test_samples_are_drawn_and_diagnosed(method: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["sample", "images", "--num", "6", "--out", "x.npy", "--reweight", *method, "--candidates", "3"])
    assert np.load("x.npy").shape == (6, 8, 8)
    told = capsys.readouterr().out
    assert "reweighted by images/refined" in told
    assert f"{(method or ['per-latent'])[0]}: 6 samples, each of 3 candidates" in told
    assert ("chooses over all latents" in told) == bool(method)
    capsys.readouterr()
    main(["sample", "text", "--num", "5", "--reweight", *method, "--prompt", "1"])
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 5 and all(line.startswith("1") for line in told.out.splitlines())
    assert f"{(method or ['resample'])[0]}: 5 samples" in told.err


def test_one_candidate_is_the_generator_alone(here: Path) -> None:
    main(["sample", "text", "--num", "5", "--out", "alone.txt"])
    main(["sample", "text", "--num", "5", "--out", "one.txt", "--reweight", "--candidates", "1"])
    assert Path("alone.txt").read_text() == Path("one.txt").read_text()


def test_a_run_in_python_is_that_of_the_command_line(here: Path) -> None:
    main(["sample", "text", "--num", "5", "--out", "lines.txt", "--seed", "3", "--temperature", "0.7"])
    run = dg.load("text")
    assert run.sample(5, seed=3, temperature=0.7) == Path("lines.txt").read_text().splitlines()
    main(["sample", "images", "--num", "6", "--out", "x.npy"])
    images = dg.load(here / "images")
    assert np.array_equal(images.sample(6)[:, 0].numpy(), np.load("x.npy"))
    assert not images.generator.training and not images.discriminator.training
    assert images.discriminator(images.generator(images.generator.latents(2)).sample()).shape == (2,)
    with pytest.raises(InputError, match="nothing: expected a run directory"):
        dg.load("nothing")


def test_a_bound_is_taken_as_it_is_given(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights far below the bound are next to never accepted; those far above it always, and counted."""
    draw = ["sample", "images", "--num", "6", "--out", "x.npy", "--candidates", "3", "--reweight", "rejection"]
    main([*draw, "--bound", "50"])
    told = capsys.readouterr().out
    assert "log of the bound 50.00 nats" in told and "accepted for 6 of 6 outputs" in told
    main([*draw, "--bound=-50"])
    told = capsys.readouterr().out
    assert "100 % of the proposals accepted" in told and "18 candidates lie above the bound" in told


def test_curves_over_temperatures_of_both(here: Path) -> None:
    """One candidate is the generator alone, at every temperature; three are not."""
    main(["evaluate", "text", "--num", "40", "--temperatures", "0.5", "1", "--candidates", "1", "3"])
    drawn, one, three, _ = json.loads((here / "text/temperatures.json").read_text())["curves"].items()
    assert one[0] == f"{drawn[0]}, resample of 1" and three[0] == f"{drawn[0]}, resample of 3"
    samples = ("bleu2", "self_bleu2", "distinct1")
    for points, others in ((drawn, one), (drawn, three)):
        same = [
            point["scores"][name]["value"] == other["scores"][name]["value"]
            for point, other in zip(points[1], others[1], strict=True)
            for name in samples
        ]
        assert all(same) == (others is one)
        assert "nll_token" in points[1][0]["scores"] and "nll_token" not in others[1][0]["scores"]
    main(["evaluate", "text", "--num", "40", "--temperatures", "1", "--reweight", "none"])
    assert len(json.loads((here / "text/temperatures.json").read_text())["curves"]) == 2


@pytest.mark.slow
def test_an_evaluation_shows_both_side_by_side(here: Path) -> None:
    main(["evaluate", "text", "--num", "30", "--partition-num", "100"])
    found = scores(here / "text", "evaluation.json")
    names = list(found)
    assert names[names.index("valid") + 1] == "reweighted_valid"
    assert found["log_likelihood_gain"] is not None and "log_partition" in found
    assert "reweighted_nll_token" not in found
    page = (here / "text/report.html").read_text()
    assert "Reweighted: chosen among candidates" in page and "true equations, reweighted" in page
    main(["evaluate", "text", "--num", "30", "--reweight", "none"])
    assert not any(name.startswith("reweighted") for name in scores(here / "text", "evaluation.json"))


def test_a_discriminator_that_tells_nothing_is_said_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = here / "images/refined/results.json"
    found = json.loads(results.read_text())
    for name in ("scale", "offset"):
        found["scores"][name]["value"] = 0.0
    results.write_text(json.dumps(found))
    main(["sample", "images", "--num", "4", "--out", "x.npy", "--reweight"])
    assert "all log-weights are equal: the discriminator tells nothing" in capsys.readouterr().out
    main(["evaluate", "images", "--num", "30", "--likelihood", "none"])
    assert not any(name.startswith("reweighted") for name in scores(here / "images", "evaluation.json"))


def test_a_run_that_was_not_refined_takes_its_own_discriminator(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["sample", "bare", "--num", "4", "--out", "x.npy", "--reweight"])
    assert "reweighted by the run's own discriminator, uncalibrated" in capsys.readouterr().out


def test_log_ratios_of_another_generator_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["train", "digits", "--resume", "images", "--steps", "3"])
    for verb in (["sample", "images", "--out", "x.npy", "--reweight"], ["evaluate", "images", "--likelihood", "none"]):
        expected = "images/refined: it is of another generator than the run has now: discrete-gan refine images --over"
        assert expected in fails(capsys, verb)
    assert "fingerprint" in fails(capsys, ["refine", "images", "--resume"])


MISTAKES = {
    "no run": (["refine", "nothing"], "nothing: expected a run directory"),
    "a refinement there": (
        ["refine", "images"],
        "images/refined: a refinement is there: expected --resume to continue it, or --overwrite",
    ),
    "none to resume": (["refine", "bare", "--resume"], "expected a run directory"),
    "kind": (["refine", "text", "--network", "conv", "--overwrite"], "--network conv: expected data of another kind"),
    "start": (["refine", "text", "--network", "cnn", "--start", "run", "--overwrite"], "expected same with --start"),
    "own": (["refine", "text", "--discriminator", "mine", "--overwrite"], "expected one of your own as FILE.py:CLASS"),
    "batch": (["refine", "images", "--batch-size", "28", "--overwrite"], "use a smaller batch_size"),
    "candidates": (["sample", "images", "--out", "x.npy", "--reweight", "--candidates", "0"], "expected at least 1"),
    "several": (["evaluate", "images", "--candidates", "2", "3"], "--candidates: expected one number"),
    "bound alone": (["sample", "images", "--out", "x.npy", "--bound", "1"], "--bound: expected with --reweight rej"),
    "bound": (["sample", "images", "--out", "x.npy", "--reweight", "--bound", "1"], "--bound: expected with"),
    "no bound": (["sample", "images", "--out", "x.npy", "--reweight", "rejection", "--bound", "inf"], "finite number"),
    "method": (["sample", "images", "--out", "x.npy", "--reweight", "best"], "--reweight"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_one_line(case: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, expected = MISTAKES[case]
    assert expected in fails(capsys, arguments)


def test_a_refinement_that_has_not_finished_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "images/refined/results.json").unlink()
    assert "has not finished: discrete-gan refine images --resume" in fails(
        capsys, ["sample", "images", "--out", "x.npy", "--reweight"]
    )

"""The recipe of a sigmoid belief network: every estimator, and every other command on its runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from discrete_gan.cli import main

QUICK = ["--steps", "4", "--batch-size", "5", "--latent-dim", "6", "--sample-every", "0", "--num-scored", "20"]
QUICK += ["--binarize", "none", "--bound-latents", "50", "--log-every", "1"]
EVALUATIONS = {  # of the decoder for each image, those of the encoder's estimator
    "boundary-seeking:num_samples=2": 2,
    "vimco:num_samples=2": 2,
    "reinforce:num_samples=2": 2,
    "disarm:num_samples=1": 2,
    "rebar": 3,
    "relax": 3,
    "gumbel-softmax:objective=log-ratio,num_samples=2": 2,
    "straight-through:objective=log-ratio": 1,
    "reinmax:objective=log-ratio": 1,
}


@pytest.fixture(scope="module")
def bits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "bits.npy"
    np.save(path, np.random.default_rng(0).integers(0, 2, (60, 4, 4), dtype=np.uint8))
    return path


def train(out: Path, data: Path, *options: str) -> list[dict]:
    main(["train", "wake_sleep", "--data", str(data), *QUICK, "--out", str(out), *options])
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def slow_but_for(*names: str) -> list:
    return [each if each in names else pytest.param(each, marks=pytest.mark.slow) for each in EVALUATIONS]


@pytest.mark.parametrize("estimator", slow_but_for("disarm:num_samples=1", "vimco:num_samples=2"))
def test_every_estimator_trains_both_and_its_price_is_counted(estimator: str, tmp_path: Path, bits: Path) -> None:
    rows = train(tmp_path / "run", bits, "--estimator", estimator, "--network", "nonlinear", "--hidden", "7")
    assert all(np.isfinite(row[name]) for row in rows for name in ("d_loss", "g_loss"))
    # One batch more may have been shown when the estimator was tried: on a copy, which does not count.
    assert [row["evaluations"] for row in rows] == [5 * (2 + EVALUATIONS[estimator]) * step for step in (1, 2, 3, 4)]
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert next(iter(results["scores"])) == "bound"
    assert -16 < results["scores"]["bound"]["value"] < -8  # of sixteen fair bits: -11.1


def test_resumed_run_equals_unbroken_run(tmp_path: Path, bits: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    options = ["--estimator", "relax", "--checkpoint-every", "2", "--probe-every", "2", "--probe-redraws", "2"]
    rows = train(whole, bits, *options)
    assert rows[1]["probe/all/variance"] > 0
    train(broken, bits, *options)
    for name in ("step-00000004.pt", "results.json"):
        next(broken.rglob(name)).unlink()
    main(["train", "wake_sleep", "--resume", str(broken)])
    for name in ("generator", "discriminator"):
        first, second = (load_file(run / name / "model.safetensors") for run in (whole, broken))
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_other_commands_take_its_runs(tmp_path: Path, bits: Path) -> None:
    runs = [tmp_path / "a", tmp_path / "b"]
    for seed, run in enumerate(runs):
        train(run, bits, "--seed", str(seed))
        assert (run / "report.html").is_file()
    main(["sample", str(runs[0]), "--num", "3", "--out", str(tmp_path / "x.npy")])
    samples = np.load(tmp_path / "x.npy")
    assert samples.shape == (3, 4, 4)
    assert set(np.unique(samples)) <= {0, 1}
    main(["evaluate", *map(str, runs), "--num", "20", "--ais-steps", "20", "--ais-simulated", "2"])
    scores = json.loads((runs[0] / "evaluation.json").read_text())["scores"]
    assert scores["bound"]["protocol"].startswith("bound|n:")
    assert "|latents:50|encoder|" in scores["bound"]["protocol"]
    assert "|steps:20|" in scores["log_likelihood"]["protocol"]
    assert "|flips|encoder|" in scores["log_likelihood"]["protocol"]
    main(["compare", *map(str, runs), "--out", str(tmp_path / "compared")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--estimator", "gumbel-softmax"], "expected one of log w, objective=log-ratio, got one of log D"),
        (["--estimator", "vimco:num_samples=3"], "--samples: expected 3 or num_samples=2 of the estimator"),
        (["--samples", "0"], "--samples: expected at least 1, got 0"),
        (["--network", "deep"], "--network"),
    ],
)
def test_mistakes_are_one_line(
    options: list[str], message: str, tmp_path: Path, bits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        train(tmp_path / "run", bits, *options)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()

"""The recipe on frames: from arrays to rolls, by likelihood and by every kind of estimator."""

import json
from pathlib import Path

import numpy as np
import pytest

from discrete_gan.cli import main
from discrete_gan.data.frames import load_frames

SMALL = [
    "--steps",
    "6",
    "--pretrain-steps",
    "2",
    "--warmup-steps",
    "1",
    "--batch-size",
    "8",
    "--hidden",
    "8",
    "--width",
    "8",
    "--discriminator-width",
    "8",
]
QUICK = [*SMALL, "--num-scored", "20", "--sample-every", "0"]


def scores_of(run: Path, file: str = "results.json") -> dict[str, dict[str, float]]:
    return json.loads((run / file).read_text())["scores"]


def rolls(folder: Path) -> str:
    """Ragged rolls of 128 notes, of which a few are used."""
    random = np.random.default_rng(0)
    lengths = random.integers(3, 9, 40)
    frames = np.zeros((lengths.sum(), 128), dtype=np.uint8)
    frames[:, 60:66] = random.random((lengths.sum(), 6)) < 0.5
    np.savez(folder / "rolls.npz", rolls=90 * frames, lengths=lengths)
    return str(folder / "rolls.npz")


def test_from_rolls_to_rolls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    main(["train", "frames", "--data", rolls(tmp_path), *QUICK, "--out", str(run)])
    printed = capsys.readouterr().out
    assert "36 sequences for training, 4 held out; 6 bits" in printed and "held-out NLL" in printed
    assert (run / "samples.png").exists() and (run / "pretrained" / "model.safetensors").exists()
    (tmp_path / "rolls.npz").unlink()
    for name in ("drawn.npz", "drawn.npy", "drawn.png"):
        main(["sample", str(run), "--num", "12", "--out", str(tmp_path / name)])
        assert (tmp_path / name).stat().st_size > 0
    data = load_frames(str(tmp_path / "drawn.npz"))
    assert data.num_columns == 128 and data.lowest >= 60 and len(data.train) + len(data.held_out) == 12
    with pytest.raises(SystemExit):
        main(["sample", str(run), "--out", str(tmp_path / "drawn.txt")])
    assert "expected a file name ending in .png or .npz or .npy or .mid" in capsys.readouterr().err


@pytest.mark.parametrize("latent_dim", ["0", "3"])
def test_likelihood_in_an_evaluation(latent_dim: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    learning = ["--estimator", "mle", "--latent-dim", latent_dim]
    main(["train", "frames", "--data", rolls(tmp_path), *QUICK, *learning, "--out", str(run)])
    annealing = ["--likelihood-num", "3", "--ais-steps", "10", "--ais-simulated", "2"]
    main(["evaluate", str(run), "--num", "30", *annealing])
    scores = scores_of(run, "evaluation.json")
    assert scores["log_likelihood"]["value"] < 0
    assert ("likelihood_gap" in scores) == (latent_dim != "0")
    frames = (load_frames(rolls(tmp_path)).held_out[..., 0] == 0).sum()
    if latent_dim == "0":
        nats = -scores["log_likelihood"]["value"] * 4 / float(frames)
        assert scores["nll_frame"]["value"] == pytest.approx(nats, rel=1e-5)


@pytest.mark.parametrize(
    ("estimator", "options"),
    [
        ("boundary-seeking:num_samples=2", "--discriminator lstm --within factorized"),
        ("boundary-seeking-union:num_samples=2", "--latent-dim 2"),
        ("reinforce:num_samples=2", "--num-layers 2 --discriminator lstm"),
        ("vimco:num_samples=2", "--within factorized --latent-dim 2"),
        ("maligan:num_samples=2", "--dropout 0.1"),
        ("gumbel-softmax", "--discriminator lstm"),
        ("st-gumbel-softmax", "--within factorized"),
    ],
)
def test_estimators(estimator: str, options: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    main(["train", "frames", "--estimator", estimator, *options.split(), *QUICK, "--out", str(run)])
    assert scores_of(run)["active_error"]["value"] <= 1


def test_what_needs_tokens_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "frames", "--estimator", "seqgan", *QUICK, "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "expected a generator that returns Autoregressive, got FrameSequence" in told
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_and_a_refined_one(tmp_path: Path) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    main(["train", "frames", *QUICK, "--out", str(run), "--steps", "4"])
    main(["train", "frames", "--resume", str(run), "--steps", "6"])
    main(["train", "frames", *QUICK, "--out", str(whole), "--decay-from", "1"])
    main(["refine", str(run), "--steps", "4", "--check-every", "2"])
    main(["sample", str(run), "--reweight", "--num", "4", "--out", str(tmp_path / "some.png")])
    assert (tmp_path / "some.png").exists()


def test_chords_are_learnt_within_a_frame_and_not_without(tmp_path: Path) -> None:
    """Likelihood alone, a minute of it at most: what sounds at once needs columns that know of each other."""
    found = {}
    for within in ("autoregressive", "factorized"):
        run = tmp_path / within
        options = ["--steps", "250", "--estimator", "mle", "--average", "0.95", "--hidden", "64", "--within", within]
        main(["train", "frames", *options, "--num-scored", "100", "--sample-every", "0", "--out", str(run)])
        found[within] = scores_of(run)["active_error"]["value"]
    assert found["autoregressive"] < 0.25 < 0.6 < found["factorized"]

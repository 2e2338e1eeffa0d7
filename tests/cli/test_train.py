import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from discrete_gan.cli import main
from discrete_gan.cli.recipes import recipe_files

QUICK = ["--steps", "12", "--log-every", "4", "--sample-every", "6", "--checkpoint-every", "6", "--num-scored", "50"]


def final_state(run: Path) -> dict:
    return torch.load(sorted((run / "checkpoints").glob("*.pt"))[-1], weights_only=True)


def assert_equal_states(a: dict, b: dict) -> None:
    assert a["step"] == b["step"]
    torch.testing.assert_close(a["states"], b["states"], rtol=0, atol=0)


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The one line of a user's mistake."""
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    # A progress bar may have been drawn before the mistake showed.
    message = errors.strip().splitlines()[-1]
    assert message.startswith("discrete-gan: ")
    return message


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "digits"
    main(["train", "digits", *QUICK, "--out", str(run)])
    return run


def test_run_directory_holds_what_the_design_says(digits_run: Path) -> None:
    config = json.loads((digits_run / "config.json").read_text())
    assert config["recipe"] == "digits"
    assert config["args"]["steps"] == 12
    assert config["versions"]["torch"] == torch.__version__
    rows = [json.loads(line) for line in (digits_run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert {"d_loss", "g_loss", "ess", "accuracy", "log_partition"} <= rows[0].keys()
    assert [path.name for path in sorted((digits_run / "samples").iterdir())] == [
        "step-00000006.png",
        "step-00000012.png",
    ]
    assert (digits_run / "generator" / "model.safetensors").is_file()
    assert (digits_run / "discriminator" / "config.json").is_file()
    results = json.loads((digits_run / "results.json").read_text())
    assert results["frechet"] > results["frechet_floor"] > 0
    assert not list(digits_run.rglob("*.tmp"))


@pytest.mark.parametrize("estimator", ["boundary-seeking", "reinforce:baseline=moving-average"])
def test_resumed_run_equals_unbroken_run_bit_for_bit(tmp_path: Path, estimator: str) -> None:
    common = ["train", "binary_mnist", "--data", "digits", "--estimator", estimator, "--num-scored", "50"]
    main([*common, *QUICK, "--out", str(tmp_path / "whole")])
    broken = tmp_path / "broken"
    main([*common, *QUICK, "--out", str(broken)])
    # As if killed between step 9 and 10: the log is ahead of the checkpoint of step 6.
    (broken / "checkpoints" / "step-00000012.pt").unlink()
    (broken / "metrics.jsonl").write_text("".join((broken / "metrics.jsonl").read_text().splitlines(True)[:2]))
    main(["train", "binary_mnist", "--resume", str(broken)])
    assert_equal_states(final_state(broken), final_state(tmp_path / "whole"))
    logs = [
        [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in path.open()]
        for path in (broken / "metrics.jsonl", tmp_path / "whole" / "metrics.jsonl")
    ]
    assert logs[0] == logs[1]


def test_logging_and_pictures_do_not_disturb_a_run(digits_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "quiet"
    arguments = ["--steps", "12", "--log-every", "12", "--sample-every", "0", "--checkpoint-every", "0"]
    main(["train", "digits", *arguments, "--out", str(run)])
    assert_equal_states(final_state(run), final_state(digits_run))


def test_another_seed_gives_another_run(digits_run: Path, tmp_path: Path) -> None:
    main(["train", "digits", *QUICK, "--seed", "1", "--out", str(tmp_path / "run")])
    name = "layers.0.weight"
    states = [final_state(run)["states"]["generator"][name] for run in (digits_run, tmp_path / "run")]
    assert not torch.equal(*states)


def test_interrupt_saves_and_can_be_resumed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "discrete_gan", "train", "digits", "--steps", "100000", "--log-every", "5"]
    process = subprocess.Popen([*command, "--out", str(run)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    saved = final_state(run)["step"]
    assert saved >= 5
    main(["train", "digits", "--resume", str(run), "--steps", str(saved + 3)])
    assert final_state(run)["step"] == saved + 3


def test_sample_writes_pictures_and_arrays(digits_run: Path, tmp_path: Path) -> None:
    main(["sample", str(digits_run), "--num", "7", "--out", str(tmp_path / "x.npy")])
    samples = np.load(tmp_path / "x.npy")
    assert samples.shape == (7, 8, 8) and samples.dtype == np.uint8 and set(np.unique(samples)) == {0, 1}
    main(["sample", str(digits_run), "--num", "7", "--seed", "1", "--out", str(tmp_path / "y.npy")])
    assert (samples != np.load(tmp_path / "y.npy")).any()
    main(["sample", str(digits_run), "--out", str(tmp_path / "x.png")])
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_copied_recipe_trains_under_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main(["recipes", "copy", "digits", "mine.py"])
    main(["train", "mine.py", "--steps", "2"])
    assert json.loads(Path("runs/mine/config.json").read_text())["recipe"] == "mine"
    main(["sample", "runs/mine", "--num", "2", "--out", "x.npy"])


def test_user_estimator_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def reverse_kl(generator, discriminator, z):\n"
        "    g = generator(z)\n"
        "    x = g.sample((4,))\n"
        "    return -(discriminator(x).detach() * g.log_prob(x)).mean(0)\n"
    )
    main(["train", "digits", *QUICK, "--estimator", f"{tmp_path}/mine.py:reverse_kl", "--out", str(tmp_path / "run")])


@pytest.mark.parametrize(
    "option", ["--model=conv", "--spectral-norm", "--divergence=pearson", "--precision=bf16-mixed"]
)
def test_options_of_binary_mnist_train(tmp_path: Path, option: str) -> None:
    arguments = ["--data", "digits", "--steps", "3", "--num-scored", "20", "--channels", "4"]
    main(["train", "binary_mnist", *arguments, option, "--out", str(tmp_path / "run")])
    assert np.isfinite(json.loads((tmp_path / "run" / "results.json").read_text())["frechet"])


def test_unlabeled_file_trains_without_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = (np.random.default_rng(0).random((40, 8, 8)) < 0.5).astype(np.uint8)
    np.save(tmp_path / "mine.npy", images)
    arguments = ["--data", str(tmp_path / "mine.npy"), "--binarize", "none", "--steps", "2", "--batch-size", "8"]
    main(["train", "binary_mnist", *arguments, "--out", str(tmp_path / "run")])
    assert "no labels" in capsys.readouterr().out
    main(["train", "binary_mnist", *arguments, "--classifier-data", "digits", "--out", str(tmp_path / "scored")])
    assert "frechet" in json.loads((tmp_path / "scored" / "results.json").read_text())


def test_real_mnist_through_the_command_line(shared_data: Path, tmp_path: Path) -> None:
    data = tmp_path / "small"
    data.mkdir()
    for name in ("train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"):  # no labels: no classifier to train
        (data / name).symlink_to(shared_data / "mnist" / name)
    main(
        ["train", "binary_mnist", "--data", str(data), "--steps", "3", "--num-scored", "20", "--out", f"{tmp_path}/run"]
    )
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"]["num_train"] == 60_000


def test_real_binarized_mnist_through_the_command_line(shared_data: Path, tmp_path: Path) -> None:
    arguments = ["--data", str(shared_data / "binarized_mnist"), "--binarize", "none", "--num-scored", "20"]
    main(["train", "binary_mnist", *arguments, "--steps", "3", "--out", str(tmp_path / "run")])
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"]["num_train"] == 50_000


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["recipes"])
    listed = capsys.readouterr().out
    assert recipe_files().keys() >= {"digits", "binary_mnist"}
    assert all(name in listed for name in recipe_files())


def test_help_names_every_estimator_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    from discrete_gan.estimators import ESTIMATORS

    for recipe in recipe_files():
        with pytest.raises(SystemExit) as exit_info:
            main(["train", recipe, "--help"])
        assert exit_info.value.code == 0
        text = capsys.readouterr().out
        assert all(name in text for name in ESTIMATORS)
        assert text.count("(default:") >= 15


class TestMistakes:
    """Each one: one line, status 2, nothing half-written."""

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["trian"], "did you mean 'train'"),
            (["train", "digit"], "did you mean 'digits'"),
            (["train", "nowhere.py"], "no such file"),
            (["train"], "expected a recipe"),
            (["train", "digits", "--estimator", "boundry-seeking"], "did you mean 'boundary-seeking'"),
            (["train", "digits", "--estimator", "boundary-seeking:num_samples=1"], "expected at least 2, got 1"),
            (["train", "digits", "--estimator", "boundary-seeking:samples=9"], "did you mean 'num_samples'"),
            (["train", "digits", "--estimator", "gumbel-softmax:temperature=0"], "above 0, got 0"),
            (["train", "digits", "--data", "nowhere"], "no data at 'nowhere'"),
            (["train", "digits", "--binarize", "none"], "needs 0/1 data"),
            (["train", "digits", "--steps", "0"], "--steps: expected at least 1, got 0"),
            (["train", "digits", "--batch-size", "5000"], "5000"),
            (["train", "digits", "--batch-size", "1"], "--batch-size: expected at least 2, got 1"),
            (["train", "digits", "--generator-lr", "nan"], "--generator-lr: expected at least 0, got nan"),
            (["train", "digits", "--num-scored", "1"], "--num-scored"),
            (["train", "digits", "--log-every", "0"], "--log-every"),
            (["train", "binary_mnist", "--data", "digits", "--average", "2"], "--average: expected from 0 to below 1"),
            (["train", "digits", "--device", "tpu"], "expected auto, cpu, cuda"),
            (["train", "digits", "--resume", "nowhere"], "nowhere"),
            (["train", "binary_mnist", "--data", "digits", "--decay-from", "1.5"], "decay-from"),
            (["sample", "nowhere", "--out", "x.png"], "expected a run directory"),
            (["sample", "nowhere", "--out", "x.gif"], "ending in .png or .npy"),
            (["recipes", "copy", "nothing", "x.py"], "unknown recipe"),
        ],
    )
    def test_one_line(
        self,
        arguments: list[str],
        expected: str,
        capsys: pytest.CaptureFixture[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert expected in fails(capsys, arguments)
        assert not list(tmp_path.iterdir())

    def test_folder_that_holds_a_run(self, digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = final_state(digits_run)
        message = fails(capsys, ["train", "digits", *QUICK, "--out", str(digits_run)])
        assert "--resume" in message and "--overwrite" in message
        assert_equal_states(final_state(digits_run), before)

    def test_folder_of_something_else_is_never_replaced(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "thesis.tex").write_text("years")
        fails(capsys, ["train", "digits", *QUICK, "--out", str(tmp_path), "--overwrite"])
        assert (tmp_path / "thesis.tex").read_text() == "years"

    def test_overwrite_replaces_a_run(self, tmp_path: Path) -> None:
        for steps in ("3", "2"):
            main(["train", "digits", "--steps", steps, "--out", str(tmp_path / "run"), "--overwrite"])
        assert final_state(tmp_path / "run")["step"] == 2

    def test_loss_that_is_not_finite(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "mine.py").write_text(
            "calls = 0\n"
            "def breaks(generator, discriminator, z):\n"
            "    global calls\n"
            "    calls += 1\n"
            "    return generator(z).logits.sum(1) * (float('nan') if calls == 9 else 1)\n"
        )
        arguments = [*QUICK, "--estimator", f"{tmp_path}/mine.py:breaks", "--out", str(tmp_path / "run")]
        message = fails(capsys, ["train", "digits", *arguments])
        assert "generator: its loss is not finite at step 9" in message
        assert "step-00000006.pt" in message
        assert final_state(tmp_path / "run")["step"] == 6

    def test_data_without_variation(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        np.save(tmp_path / "flat.npy", np.zeros((20, 8, 8), np.uint8))
        out = tmp_path / "run"
        message = fails(capsys, ["train", "digits", "--data", str(tmp_path / "flat.npy"), "--out", str(out)])
        assert "variation" in message
        assert not out.exists()

    def test_resume_with_another_recipe(self, digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "digits" in fails(capsys, ["train", "binary_mnist", "--resume", str(digits_run)])

    def test_resume_from_a_broken_checkpoint(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        main(["train", "digits", "--steps", "2", "--out", str(tmp_path / "run")])
        (tmp_path / "run" / "checkpoints" / "step-00000002.pt").write_bytes(b"not one")
        assert "not a readable checkpoint" in fails(capsys, ["train", "digits", "--resume", str(tmp_path / "run")])

"""``discrete-gan train``: what a run leaves, resuming bit for bit, probes, users' estimators, a user's mistakes."""

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
from discrete_gan.data import Batches, binarize, load_images
from discrete_gan.tasks import Binarize

QUICK = ["--steps", "12", "--log-every", "4", "--sample-every", "6", "--checkpoint-every", "6", "--num-scored", "50"]


def final_state(run: Path) -> dict:
    return torch.load(sorted((run / "checkpoints").glob("*.pt"))[-1], weights_only=True)


def scores_of(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())["scores"]


def assert_equal_states(a: dict, b: dict) -> None:
    assert a["step"] == b["step"]
    torch.testing.assert_close(a["players"], b["players"], rtol=0, atol=0)


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
    assert torch.__version__.startswith(config["versions"]["torch"])  # which may lack what the build is called
    rows = [json.loads(line) for line in (digits_run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [4, 6, 8, 12]
    assert ["frechet" in row for row in rows] == [False, True, False, True]  # with the sample grids
    assert {"d_loss", "g_loss", "ess", "accuracy", "log_partition"} <= rows[0].keys()
    assert [path.name for path in sorted((digits_run / "samples").iterdir())] == [
        "step-00000006.png",
        "step-00000012.png",
    ]
    assert (digits_run / "generator" / "model.safetensors").is_file()
    assert (digits_run / "discriminator" / "config.json").is_file()
    frechet = scores_of(digits_run)["frechet"]
    assert frechet["value"] > frechet["real"] > 0
    assert not list(digits_run.rglob("*.tmp"))


WITH_STATE = ["reinforce:baseline=moving-average", "nvil", "relax", "gumbel-softmax:annealing_rate=0.1"]


@pytest.mark.parametrize(
    "estimator",
    [
        "boundary-seeking",
        "relax",
        *(pytest.param(each, marks=pytest.mark.slow) for each in WITH_STATE if each != "relax"),
    ],
)
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
    assert ("also" in final_state(broken)["players"]["generator"]) == (estimator in WITH_STATE)
    logs = [
        [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in path.open()]
        for path in (broken / "metrics.jsonl", tmp_path / "whole" / "metrics.jsonl")
    ]
    assert logs[0] == logs[1]


@pytest.mark.slow
def test_what_a_resumption_changes_is_written_down(tmp_path: Path) -> None:
    run = tmp_path / "run"
    main(["train", "digits", *QUICK, "--out", str(run)])
    before = json.loads((run / "config.json").read_text())
    main(["train", "digits", "--resume", str(run), "--steps", "14", "--log-every", "1"])
    after = json.loads((run / "config.json").read_text())
    assert after.pop("changes") == [{"from_step": 12, "log_every": 1, "steps": 14}]
    assert after == {**before, "args": {**before["args"], "steps": 14, "log_every": 1}}
    # So that the next one knows how far the run was to go.
    (run / "checkpoints" / "step-00000014.pt").unlink()
    main(["train", "digits", "--resume", str(run)])
    assert final_state(run)["step"] == 14
    assert len(json.loads((run / "config.json").read_text())["changes"]) == 1


@pytest.mark.slow
def test_logging_and_pictures_do_not_disturb_a_run(digits_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "quiet"
    arguments = ["--steps", "12", "--log-every", "12", "--sample-every", "0", "--checkpoint-every", "0"]
    main(["train", "digits", *arguments, "--out", str(run)])
    assert_equal_states(final_state(run), final_state(digits_run))


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("digits", ["--estimator", "boundary-seeking"]),
        pytest.param("digits", ["--estimator", "reinforce:baseline=moving-average"], marks=pytest.mark.slow),
        pytest.param("digits", ["--estimator", "relax"], marks=pytest.mark.slow),
        pytest.param("digits", ["--estimator", "boundary-seeking-union"], marks=pytest.mark.slow),
        pytest.param(
            "binary_mnist",
            ["--data", "digits", "--estimator", "boundary-seeking-union:chunk_size=8"],
            marks=pytest.mark.slow,
        ),
        pytest.param(  # where bfloat16 is emulated it takes long
            "binary_mnist",
            ["--data", "digits", "--estimator", "nvil", "--spectral-norm", "--precision", "bf16-mixed"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_probes_are_logged_and_do_not_disturb_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str, options: list[str]
) -> None:
    for name, probing in {"plain": [], "probed": ["--probe-every", "5", "--probe-redraws", "3"]}.items():
        main(["train", recipe, *QUICK, *options, *probing, "--out", str(tmp_path / name)])
    assert_equal_states(final_state(tmp_path / "probed"), final_state(tmp_path / "plain"))
    plain, probed = (
        {row["step"]: row for row in map(json.loads, (tmp_path / name / "metrics.jsonl").open())}
        for name in ("plain", "probed")
    )
    assert "g_loss=" in (bar := capsys.readouterr().err) and "probe/" not in bar
    assert not any("/" in name for row in plain.values() for name in row)
    assert list(plain) == [4, 6, 8, 12] and list(probed) == [4, 5, 6, 8, 10, 12]
    assert all(("frechet" in row) == (step in (6, 12)) for rows in (plain, probed) for step, row in rows.items())
    for step, row in probed.items():
        figures = {name: value for name, value in row.items() if name.startswith("probe/")}
        assert bool(figures) == (step in (5, 10, 12))
        assert {name for name in row if "/" not in name} - {"frechet"} == plain[4].keys() - {"frechet"}
        if figures:
            assert {name.split("/")[1] for name in figures} >= {"layers.0", "layers.1", "layers.6", "all"}
            assert all(np.isfinite(value) for value in figures.values())
            assert figures["probe/all/variance"] > 0 and abs(figures["probe/all/cosine"]) <= 1
    assert probed[5]["probe/all/variance"] != probed[10]["probe/all/variance"]


SLOW = pytest.mark.slow


@pytest.mark.parametrize("estimator", ["nvil", pytest.param("rebar", marks=SLOW), pytest.param("relax", marks=SLOW)])
def test_parameters_of_an_estimator_are_trained_from_the_seed(tmp_path: Path, estimator: str) -> None:
    for name, options in {"one": ["1"], "second": ["2"], "other seed": ["1", "--seed", "1"]}.items():
        torch.manual_seed(len(name))  # which must not matter
        arguments = ["--num-scored", "20", "--estimator", estimator, "--out", str(tmp_path / name)]
        main(["train", "digits", *arguments, "--steps", *options])
    one, second, other = (
        final_state(tmp_path / name)["players"]["generator"]["also"] for name in ("one", "second", "other seed")
    )
    for name in one.keys() - {"average", "variance"}:
        # Adam's steps are at most as long as the learning rate: the two runs were one until the second.
        assert 0 < (one[name] - second[name]).abs().max() < 3e-3
        if name.endswith("0.weight"):
            assert (one[name] - other[name]).abs().max() > 1e-2


@pytest.mark.parametrize("recipe", ["digits", "semi_supervised"])
def test_scores_are_written_before_the_last_picture_is_drawn(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(path: Path, *args: object, **options: object) -> None:
        if path.name == "samples.png":
            raise RuntimeError("cannot be drawn")

    monkeypatch.setattr("discrete_gan.tasks.images.save_comparison", fails)
    options = ["--data", "digits", "--steps", "2", *(["--num-scored", "20"] if recipe == "digits" else [])]
    with pytest.raises(RuntimeError, match="cannot be drawn"):
        main(["train", recipe, *options, "--out", str(tmp_path / "run")])
    assert ("frechet" if recipe == "digits" else "test_accuracy") in scores_of(tmp_path / "run")
    assert ("Frechet distance" if recipe == "digits" else "test accuracy") in capsys.readouterr().out


def test_another_seed_gives_another_run(digits_run: Path, tmp_path: Path) -> None:
    main(["train", "digits", *QUICK, "--seed", "1", "--out", str(tmp_path / "run")])
    name = "layers.0.weight"
    states = [final_state(run)["players"]["generator"]["network"][name] for run in (digits_run, tmp_path / "run")]
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
    main(["sample", "runs/mine", "--num", "2", "--out", "x.npy", "--trust", "mine.py"])


def test_user_estimator_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def reverse_kl(generator, discriminator, z):\n"
        "    g = generator(z)\n"
        "    x = g.sample((4,))\n"
        "    return -(discriminator(x).detach() * g.log_prob(x)).mean(0)\n"
    )
    main(["train", "digits", *QUICK, "--estimator", f"{tmp_path}/mine.py:reverse_kl", "--out", str(tmp_path / "run")])


def test_user_module_keeps_and_trains_its_state(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Mine(torch.nn.Module):\n"
        "    def __init__(self, start=0.0):\n"
        "        super().__init__()\n"
        "        self.baseline = torch.nn.Parameter(torch.tensor(start))\n"
        "    def forward(self, generator, discriminator, z):\n"
        "        g = generator(z)\n"
        "        x = g.sample((4,))\n"
        "        left = discriminator(x).detach() - self.baseline\n"
        "        square = left.square().mean(0)\n"
        "        return -(left.detach() * g.log_prob(x)).mean(0) + square - square.detach()\n"
    )
    arguments = ["--estimator", f"{tmp_path}/mine.py:Mine:start=0.5", "--out", str(tmp_path / "run")]
    main(["train", "digits", *QUICK, *arguments, "--probe-every", "12"])
    state = final_state(tmp_path / "run")["players"]["generator"]["also"]
    assert list(state) == ["baseline"]
    assert 0.001 < abs(float(state["baseline"]) - 0.5) < 0.02


TAKES_REAL = """\
import torch

SEEN = []

class Mine(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.baseline = torch.nn.Parameter(torch.tensor(0.0))

    def forward(self, generator, discriminator, z, *, real):
        SEEN.append(real)
        g = generator(z)
        x = g.sample((4,))
        left = discriminator(x).detach() - self.baseline
        square = left.square().mean(0)
        return -(left.detach() * g.log_prob(x)).mean(0) + square - square.detach()
"""


@pytest.mark.parametrize("recipe", ["digits", "binary_mnist"])
@pytest.mark.parametrize("binary", ["threshold", "stochastic"])
def test_user_estimator_is_given_the_discriminators_real_batch(tmp_path: Path, recipe: str, binary: Binarize) -> None:
    (tmp_path / "takes_real.py").write_text(TAKES_REAL)
    arguments = ["--data", "digits", "--binarize", binary, "--estimator", f"{tmp_path}/takes_real.py:Mine"]
    arguments += ["--steps", "3", "--num-scored", "20", "--probe-every", "3", "--probe-redraws", "2"]
    main(["train", recipe, *arguments, "--out", str(tmp_path / "run")])
    assert list(final_state(tmp_path / "run")["players"]["generator"]["also"]) == ["baseline"]
    trial, *steps = sys.modules["estimator_takes_real"].SEEN
    steps, probes = steps[:3], steps[3:]
    assert len(probes) == 2 + 64
    assert all(torch.equal(batch, trial) for batch in probes)
    data = load_images("digits")
    batches = Batches(len(data.train_images), 64, seed=0)
    for step, batch in zip((0, 0, 1, 2), (trial, *steps), strict=True):
        images = data.train_images[batches.indices(step)]
        assert not batch.requires_grad
        if binary == "threshold":
            assert torch.equal(batch, binarize(images, binary, data.maximum))
        else:
            assert bool(((batch == 0) | (batch == 1)).all())
            assert bool((batch[images == 0] == 0).all()) and bool((batch[images == data.maximum] == 1).all())
    assert torch.equal(trial, steps[0]) == (binary == "threshold")


@pytest.mark.parametrize(
    "option", ["--model=conv", "--spectral-norm", "--divergence=pearson", "--precision=bf16-mixed"]
)
def test_options_of_binary_mnist_train(tmp_path: Path, option: str) -> None:
    arguments = ["--data", "digits", "--steps", "3", "--num-scored", "20", "--channels", "4"]
    main(["train", "binary_mnist", *arguments, option, "--out", str(tmp_path / "run")])
    assert np.isfinite(scores_of(tmp_path / "run")["frechet"]["value"])


def test_unlabeled_file_trains_without_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = (np.random.default_rng(0).random((40, 8, 8)) < 0.5).astype(np.uint8)
    np.save(tmp_path / "mine.npy", images)
    arguments = ["--data", str(tmp_path / "mine.npy"), "--binarize", "none", "--steps", "2", "--batch-size", "8"]
    main(["train", "binary_mnist", *arguments, "--out", str(tmp_path / "run")])
    assert "no labels" in capsys.readouterr().out
    main(["train", "binary_mnist", *arguments, "--classifier-data", "digits", "--out", str(tmp_path / "scored")])
    assert scores_of(tmp_path / "run")["frechet"]["value"] is None
    assert scores_of(tmp_path / "scored")["frechet"]["value"] > 0


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


def test_help_names_estimators_their_table_and_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    with_estimators = set()
    for recipe in recipe_files():
        with pytest.raises(SystemExit) as exit_info:
            main(["train", recipe, "--help"])
        assert exit_info.value.code == 0
        text = capsys.readouterr().out
        if "--estimator" in text:
            page = "docs/text.md" if "--cell" in text else "docs/estimators.md"
            assert all(name in text for name in ("boundary-seeking", "reinforce", page, "FILE.py:FUNCTION"))
            with_estimators.add(recipe)
        assert text.count("(default:") >= 15
    assert with_estimators >= {"digits", "binary_mnist"}


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
            (["train", "digits", "--estimator", "exact"], "estimator exact: Exact: expected at most 65536 values of x"),
            (["train", "digits", "--probe-every", "-1"], "--probe-every: expected at least 0, got -1"),
            (["train", "digits", "--probe-redraws", "1"], "--probe-redraws: expected at least 2, got 1"),
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
            (["recipes", "copy", "nothing", "x.py"], "unknown recipe"),
            (
                ["recipes", "copy", "digits", "nowhere/x.py"],
                "recipes copy: nowhere/x.py cannot be written: No such file",
            ),
            (["train", "digits", "--generator", "nowhere.py:Mine"], "generator nowhere.py: no such file"),
            (["train", "digits", "--data", "nowhere.py:Mine"], "task nowhere.py: no such file"),
            (["train", "digits", "--scores", "nowhere.py:mine"], "score nowhere.py: no such file"),
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

    def test_images_that_do_not_fit_the_networks(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        np.save(tmp_path / "mine.npy", np.random.default_rng(0).integers(0, 256, (20, 10, 10), dtype=np.uint8))
        options = ["--data", str(tmp_path / "mine.npy"), "--model", "conv", "--batch-size", "4"]
        message = fails(capsys, ["train", "binary_mnist", *options, "--out", str(tmp_path / "run")])
        assert "expected height and width divisible by 4, got 10 x 10 (see --image-size)" in message
        assert not (tmp_path / "run").exists()

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
            "    return generator(z).logits.sum(1) * (float('nan') if calls == 1 + 9 else 1)\n"  # the first is a trial
        )
        arguments = [*QUICK, "--estimator", f"{tmp_path}/mine.py:breaks", "--out", str(tmp_path / "run")]
        message = fails(capsys, ["train", "digits", *arguments])
        assert "generator: its loss or gradient is not finite at step 9" in message
        assert "step-00000006.pt" in message
        assert final_state(tmp_path / "run")["step"] == 6

    def test_estimator_of_the_users_own_that_does_not_work(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "mine.py").write_text(
            "def every_sample(generator, discriminator, z):\n"
            "    return generator(z).log_prob(generator(z).sample((20,)))\n"
            "def typo(generator, discriminator, z):\n"
            "    return generater(z)\n"
            "def useless(generator, discriminator, z):\n"
            "    return discriminator(generator(z).sample())\n"
        )
        for name, expected in {
            "every_sample": "returned shape (20, 64), expected one loss per latent, (64,)",
            "typo": f"NameError: name 'generater' is not defined ({tmp_path}/mine.py, line 4)",
            "useless": "expected a loss whose gradient reaches the generator",
        }.items():
            spec, out = f"{tmp_path}/mine.py:{name}", tmp_path / "run"
            message = fails(capsys, ["train", "digits", "--estimator", spec, "--out", str(out)])
            assert message.startswith(f"discrete-gan: estimator {spec}: {expected}")
            assert not out.exists()

    @pytest.mark.parametrize(
        ("option", "value", "expected"),
        [
            ("--estimator", "nvil", "--estimator of this run is boundary-seeking, got nvil"),
            ("--generator-lr", "0.5", "--generator-lr of this run is 0.001, got 0.5"),
            ("--seed", "1", "--seed of this run is 0, got 1"),
        ],
    )
    def test_resume_with_another_setting(
        self, option: str, value: str, expected: str, digits_run: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        message = fails(capsys, ["train", "digits", "--resume", str(digits_run), option, value])
        assert f"{expected}: expected no change but of --steps and of what is reported" in message

    def test_data_without_variation(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        np.save(tmp_path / "flat.npy", np.zeros((20, 8, 8), np.uint8))
        out = tmp_path / "run"
        message = fails(capsys, ["train", "digits", "--data", str(tmp_path / "flat.npy"), "--out", str(out)])
        assert "variation" in message
        assert not out.exists()

    def test_resume_with_another_recipe(self, digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "digits" in fails(capsys, ["train", "binary_mnist", "--resume", str(digits_run)])

    def test_resume_with_other_data(self, digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        other = tmp_path / "other.npy"
        np.save(other, np.random.default_rng(0).integers(0, 256, (99, 8, 8), dtype=np.uint8))
        message = fails(capsys, ["train", "digits", "--resume", str(digits_run), "--data", str(other), "--steps", "13"])
        assert "the data is not what the run began with" in message

    def test_resume_with_fewer_steps_than_done(self, digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
        message = fails(capsys, ["train", "digits", "--resume", str(digits_run), "--steps", "11"])
        assert "--steps: the run has done 12 already, expected more, got 11" in message

    def test_samples_that_cannot_be_drawn_or_written(
        self, digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "file").write_text("")
        for suffix in ("png", "npy"):
            message = fails(capsys, ["sample", str(digits_run), "--out", str(tmp_path / "file" / f"x.{suffix}")])
            assert "cannot be written: " in message
        message = fails(capsys, ["sample", str(digits_run), "--out", str(tmp_path / "x.npy"), "--device", "tpu"])
        assert "--device tpu: expected auto, cpu, cuda, cuda:INDEX or mps" in message
        message = fails(capsys, ["sample", str(digits_run), "--out", str(tmp_path / "new" / "x.gif")])
        assert "ending in .png or .npy" in message
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_resume_from_a_broken_checkpoint(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        main(["train", "digits", "--steps", "2", "--out", str(tmp_path / "run")])
        (tmp_path / "run" / "checkpoints" / "step-00000002.pt").write_bytes(b"not one")
        assert "not a readable checkpoint" in fails(capsys, ["train", "digits", "--resume", str(tmp_path / "run")])

"""Run directories whose files have moved, whose data are gone, or that another version wrote: what every verb says."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from discrete_gan.cli import main

QUICK = ["--steps", "2", "--batch-size", "8", "--num-scored", "10", "--sample-every", "0", "--checkpoint-every", "1"]
FEW = ["--num", "10", "--likelihood", "none"]
SEQUENCES = ["--hidden", "4", "--embedding", "4", "--discriminator-width", "4", "--pretrain-steps", "1"]


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The one line of a user's mistake."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    message = errors.strip().splitlines()[-1]
    assert message.startswith("discrete-gan: ")
    return message


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images without labels, so that no classifier is trained."""
    path = tmp_path_factory.mktemp("data") / "grey.npz"
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(path, train_images=images[:30], test_images=images[30:])
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, grey: Path) -> Path:
    """A folder with two runs of a copied recipe, which is no longer where it was."""
    folder = tmp_path_factory.mktemp("made")
    recipe = folder / "before" / "mine.py"
    recipe.parent.mkdir()
    main(["recipes", "copy", "digits", str(recipe)])
    for seed in (0, 1):
        options = ["--data", str(grey), "--seed", str(seed), "--out", str(folder / f"run{seed}")]
        main(["train", str(recipe), *QUICK, *options])
    recipe.rename(folder / "moved.txt")
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a recipe, and copies of the runs in it."""
    for run in ("run0", "run1"):
        shutil.copytree(made / run, tmp_path / run)
    monkeypatch.chdir(tmp_path)
    return tmp_path


VERBS: dict[str, Callable[[Path], list[str]]] = {
    "sample": lambda made: ["sample", "run0", "--out", "x.npy", "--trust", "mine.py"],
    "evaluate": lambda made: ["evaluate", "run0", *FEW, "--trust", "mine.py"],
    "train --resume": lambda made: ["train", str(made / "before/mine.py"), "--resume", "run0", "--steps", "3"],
    "compare": lambda made: ["compare", str(made / "before/mine.py"), "--estimators", "arm", "--budget", "wrong"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_moved_recipe_is_found_in_the_working_directory(
    verb: str, made: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(made / "moved.txt", "mine.py")
    arguments = VERBS[verb](made)
    if verb == "compare":  # which gets as far as the next mistake
        assert "--budget wrong" in fails(capsys, arguments)
        return
    main(arguments)
    left = {
        "sample": "x.npy",
        "evaluate": "run0/evaluation.json",
        "train --resume": "run0/checkpoints/step-00000003.pt",
    }
    assert Path(left[verb]).is_file()


@pytest.mark.parametrize("verb", VERBS)
def test_a_recipe_that_is_gone_is_named(verb: str, made: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*")}
    message = fails(capsys, VERBS[verb](made))
    names = "recipe mine.py" if "--trust" in VERBS[verb](made) else f"recipe {made}/before/mine.py"
    assert f"{names}: no such file" in message
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*")} == before


def test_finished_runs_are_compared_without_their_recipe(here: Path) -> None:
    main(["compare", "run0", "run1", "--out", "compared"])
    (group,) = json.loads(Path("compared/comparison.json").read_text())["groups"]
    assert group["num_finished"] == 2


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_recipe_of_the_package_is_found_where_the_package_is_now(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(here / "run0/config.json", recipe_file="/before/discrete_gan/recipes/digits.py")
    main(["sample", "run0", "--out", "x.npy"])
    assert Path("x.npy").is_file()


def test_a_recipe_of_ones_own_is_none_of_the_package_by_its_name(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rewrite(here / "run0/config.json", recipe_file="/before/digits.py")
    message = fails(capsys, ["sample", "run0", "--out", "x.npy"])
    assert "run0: recipe /before/digits.py is code of your own" in message


def test_a_folder_of_recipes_of_ones_own_is_not_ours(
    grey: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipes").mkdir()
    main(["recipes", "copy", "digits", "recipes/digits.py"])
    options = [*QUICK, "--data", str(grey)]
    main(["train", "recipes/digits.py", *options, "--out", "mine"])
    main(["train", "digits", *options, "--out", "ours"])
    files = [json.loads((tmp_path / run / "config.json").read_text())["recipe_file"] for run in ("mine", "ours")]
    assert files == [str(tmp_path / "recipes/digits.py"), "digits"]
    assert "run of digits, expected one of recipes/digits.py" in fails(
        capsys, ["train", "recipes/digits.py", "--resume", "ours", "--steps", "3"]
    )
    assert "recipes/digits.py, expected one of" in fails(capsys, ["train", "digits", "--resume", "mine"])
    Path("recipes/digits.py").unlink()  # and still it is none of ours
    assert "is code of your own, which is not run" in fails(capsys, ["sample", "mine", "--out", "x.npy"])
    main(["sample", "ours", "--out", "x.npy"])


def test_what_the_task_of_a_recipe_raises_says_where(
    made: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (made / "moved.txt").read_text()
    broken = text.replace("    return make_task(", '    {}["none"]\n    return make_task(')
    assert broken != text
    Path("mine.py").write_text(broken)
    line = 1 + broken.splitlines().index('    {}["none"]')
    expected = f"recipe mine.py: task: KeyError: 'none' (mine.py, line {line})"
    assert expected in fails(capsys, ["train", "mine.py", "--out", "out"])
    assert not Path("out").exists()
    assert f"run0: {expected}" in fails(capsys, ["sample", "run0", "--out", "x.npy", "--trust", "mine.py"])


OWN = '''\
import torch
from discrete_gan.models import MLPGenerator
from discrete_gan.tasks import Score, TensorTask

class Mine(MLPGenerator):
    """The same."""

class Bits(TensorTask):
    def __init__(self, options):
        rows = torch.arange(40)[:, None] % torch.arange(2, 8) % 2
        super().__init__("bits", rows[:30].float(), rows[30:].float(), batch_size=options.batch_size)

    def scores(self, generator, discriminator, *, num=None, depth="run", seed=0):
        return [Score("one", 1.0)]

def two(samples, real):
    return 2.0
'''


@pytest.mark.parametrize(
    "options", [["--data", "own.py:Bits"], ["--generator", "own.py:Mine"], ["--scores", "own.py:two"]], ids=" ".join
)
def test_moved_files_of_ones_own(
    options: list[str], tmp_path: Path, grey: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        folder.mkdir()
    (before / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    options = [options[0], options[1].replace("own.py", str(before / "own.py"))]
    main(["train", "digits", *QUICK, "--data", str(grey), *options, "--out", "run"])
    (before / "own.py").rename(after / "own.py")
    monkeypatch.chdir(after)
    message = fails(capsys, ["evaluate", "../run", *FEW])
    assert f"{before}/own.py" in message and message.endswith("if you trust it, add --trust own.py")
    assert not Path("../run/evaluation.json").exists()
    main(["evaluate", "../run", *FEW, "--trust", "own.py"])
    assert Path("../run/evaluation.json").is_file()


def as_another_version_wrote_it(run: Path) -> None:
    """The files as they were before there were players and scores."""
    config = json.loads((run / "config.json").read_text())
    rewrite(run / "config.json", versions={**config["versions"], "discrete-gan": "0.0.7"})
    results = json.loads((run / "results.json").read_text())
    results |= {name: score["value"] for name, score in results.pop("scores").items()}
    (run / "results.json").write_text(json.dumps(results))
    for path in (run / "checkpoints").iterdir():
        checkpoint = torch.load(path, weights_only=True)
        players = checkpoint.pop("players")
        checkpoint["states"] = {name: player["network"] for name, player in players.items()}
        torch.save(checkpoint, path)


def test_run_of_another_version(made: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What can be used is, and what cannot says which version wrote it."""
    shutil.copy(made / "moved.txt", "mine.py")
    as_another_version_wrote_it(here / "run0")
    before = (here / "run0/metrics.jsonl").read_text()
    message = fails(capsys, ["train", "mine.py", "--resume", "run0", "--steps", "3"])
    assert message.startswith("discrete-gan: --resume run0: its checkpoint, of discrete-gan 0.0.7, holds ")
    assert (here / "run0/metrics.jsonl").read_text() == before
    for runs in (["run0", "run1"], ["run1", "run0"]):
        message = fails(capsys, ["compare", *runs, "--out", "compared"])
        assert message.startswith("discrete-gan: run0: its results.json is of discrete-gan 0.0.7, expected ")
    assert not Path("compared").exists()
    main(["sample", "run0", "--out", "x.npy", "--trust", "mine.py"])
    main(["evaluate", "run0", *FEW, "--trust", "mine.py"])


def test_run_without_an_option_of_this_version_is_not_resumed(
    made: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(made / "moved.txt", "mine.py")
    config = json.loads((here / "run0/config.json").read_text())
    del config["args"]["decay_from"], config["args"]["probe_every"]  # the second may change
    versions = {**config["versions"], "discrete-gan": "0.0.7"}
    rewrite(here / "run0/config.json", args=config["args"], versions=versions)
    message = fails(capsys, ["train", "mine.py", "--resume", "run0", "--steps", "3"])
    assert "--resume run0: discrete-gan 0.0.7, which wrote it, had no --decay-from" in message


def foreign(here: Path) -> None:
    (here / "run0/config.json").write_text('{"model_type": "bert"}')


def other_recipe(here: Path) -> None:
    rewrite(here / "run0/config.json", recipe="text")


def other_data(here: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(here / "grey.npz", train_images=images[:30], test_images=images[30:])


@pytest.mark.parametrize(
    ("change", "options", "told"),
    [
        (foreign, [], "run0: expected a run directory, found the config.json of something else"),
        (other_recipe, [], "run0: it is a run of recipe text, expected mine"),
        (other_data, ["--data", "grey.npz"], "run0: the data is not what the run began with"),
    ],
)
def test_what_is_no_run_of_the_recipe_is_not_resumed(
    change: Callable[[Path], None],
    options: list[str],
    told: str,
    made: Path,
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(made / "moved.txt", "mine.py")
    change(here)
    before = {path: path.read_bytes() for path in (here / "run0").rglob("*") if path.is_file()}
    assert told in fails(capsys, ["train", "mine.py", "--resume", "run0", "--steps", "3", *options])
    assert before == {path: path.read_bytes() for path in (here / "run0").rglob("*") if path.is_file()}


def test_networks_are_files_of_ones_own(here: Path, capsys: pytest.CaptureFixture[str], grey: Path) -> None:
    message = fails(capsys, ["train", "digits", *QUICK, "--data", str(grey), "--generator", "mlp", "--out", "other"])
    assert message == "discrete-gan: --generator mlp: expected a network of your own as FILE.py:CLASS"
    assert not (here / "other").exists()


def test_a_run_without_its_log_is_named_in_a_comparison(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "run1/metrics.jsonl").unlink()
    assert "run1: its metrics.jsonl cannot be read" in fails(capsys, ["compare", "run0", "run1", "--out", "page"])


def gone(*args: object, **options: object) -> None:
    raise AssertionError("the data were read")


@pytest.mark.parametrize(
    ("recipe", "options", "suffix"),
    [
        ("digits", [], ".png"),
        ("binary_mnist", ["--generator-width", "4", "--discriminator-width", "4"], ".npy"),
        ("continuous", ["--model", "mlp"], ".npy"),
        ("quantized_images", ["--colors", "3", "--channels", "2", "--hidden", "4"], ".png"),
        ("text", ["--data", "my.txt", *SEQUENCES], ".txt"),
        ("text", ["--data", "equations", *SEQUENCES], ".jsonl"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else value,
)
def test_samples_are_drawn_where_the_data_are_gone(
    recipe: str, options: list[str], suffix: str, tmp_path: Path, grey: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("".join(f"the cat {number}\n" for number in range(40)))
    shutil.copy(grey, "grey.npz")
    data = [] if recipe == "text" else ["--data", "grey.npz"]
    main(["train", recipe, *QUICK, *data, *options, "--out", "run"])
    samples = [f"{name}{suffix}" for name in ("with", "without", "begun")]
    main(["sample", "run", "--num", "5", "--out", samples[0]])
    for path in ("my.txt", "grey.npz"):
        Path(path).unlink()
    for name in ("images.load_images", "text.load_text"):
        monkeypatch.setattr(f"discrete_gan.tasks.{name}", gone)
    main(["sample", "run", "--num", "5", "--out", samples[1]])
    assert Path(samples[0]).read_bytes() == Path(samples[1]).read_bytes()
    if recipe == "text":
        prompt = "1+" if "equations" in options else "the cat"
        main(["sample", "run", "--num", "5", "--prompt", prompt, "--out", samples[2]])
        assert Path(samples[2]).read_text().count(prompt) >= 5

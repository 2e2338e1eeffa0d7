"""Classes by name on the command line: what is sampled, shown and evaluated, on data that moved or are others."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discrete_gan.cli import main
from discrete_gan.cli.runs import open_run
from discrete_gan.report.run_page import write_run_page
from discrete_gan.training.directory import RunDirectory
from tests.report.elements import Elements

NAMES = ("10", "2", "<b>\x1b[2Jcat")  # as untrusted as the files they come from
QUICK = ["--steps", "2", "--batch-size", "5", "--sample-every", "0", "--num-scored", "20"]
SMALL = ["--generator-width", "8", "--discriminator-width", "8", "--binarize", "threshold"]
FEW = ["--num", "20", "--likelihood", "none"]


def arrays(labels: Any, *, side: int = 8, seed: int = 0) -> dict[str, Any]:
    """Grey images, the place of whose bright band is the class, with a test part."""
    images = np.random.default_rng(seed).integers(0, 160, (len(labels), side, side))
    for image, place in zip(images, np.unique(labels, return_inverse=True)[1], strict=True):
        image[2 * place] += 90
    images = images.astype(np.uint8)
    return {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional run on strings, whose data are named from its own folder."""
    folder = tmp_path_factory.mktemp("classes")
    np.savez(folder / "named.npz", **arrays(np.array(NAMES * 10)))
    main(["train", "binary_mnist", "--data", str(folder / "named.npz"), "--out", str(folder / "run"), *QUICK, *SMALL,
          "--conditional"])  # fmt: skip
    return folder / "run"


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def drawn(run: Path, *options: str) -> list[Any]:
    out = run.parent / "x.npy"
    main(["sample", str(run), "--num", "199", "--out", str(out), *options])
    return np.load(out).tolist()


def changed(run: Path, to: Path, **data: Any) -> Path:
    """A copy of the run whose config.json says something else of its data; None takes it out."""
    shutil.copytree(run, to)
    config = json.loads((to / "config.json").read_text())
    config["data"] = {name: value for name, value in (config["data"] | data).items() if value is not None}
    (to / "config.json").write_text(json.dumps(config))
    return to


def test_a_class_is_asked_for_by_name(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Numbers come before other names only where all are numbers: here in the order of their characters but for runs
    # of digits, as 2, 10, <b>.
    assert json.loads((run / "config.json").read_text())["data"]["classes"] == ["2", "10", NAMES[2]]
    old = changed(run, tmp_path / "old", classes=None)
    by_index = [drawn(old, "--label", str(label)) for label in range(3)]
    assert by_index[0] != by_index[1] != by_index[2]
    assert [drawn(run, "--label", name) for name in ("2", "10", NAMES[2])] == by_index
    assert [drawn(run, "--label", label) for label in ("0", "1")] == by_index[:2]
    expected = "discrete-gan: --label dog: expected a class or an index from 0 to 2: 2, 10, <b>\\x1b[2Jcat"
    assert fails(capsys, "sample", str(run), "--label", "dog", "--out", "x.npy") == expected
    assert fails(capsys, "sample", str(old), "--label", "3", "--out", "x.npy").endswith("3: expected from 0 to 2")
    # What a stranger's file says of them is no more than their names.
    for classes in (["a", "b"], "abc", [1, 2, 3], {"a": 1}):
        shutil.rmtree(tmp_path / "odd", ignore_errors=True)
        odd = changed(run, tmp_path / "odd", classes=classes)
        assert fails(capsys, "sample", str(odd), "--label", "a", "--out", "x.npy").endswith("expected from 0 to 2")


def test_pages_and_pictures_name_classes(run: Path) -> None:
    score = json.loads((run / "results.json").read_text())["scores"]["classes_covered"]
    assert score["note"].startswith("2 ") and ", 10 " in score["note"] and ", <b>\\x1b[2Jcat " in score["note"]
    page = write_run_page(RunDirectory(run)).read_text()
    elements = Elements(page)
    assert not elements.all("b") and "\x1b" not in page
    (row,) = (row for row in elements.texts("tr") if row.strip().startswith("classes\n"))
    assert "2, 10, <b>\ufffd[2Jcat" in row


def test_data_that_moved(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = changed(run, tmp_path / "gone")
    config = json.loads((gone / "config.json").read_text())
    config["args"]["data"] = str(tmp_path / "gone.npz")
    (gone / "config.json").write_text(json.dumps(config))
    assert "--data says where they are" in fails(capsys, "evaluate", str(gone), *FEW)
    found = open_run(gone, data=str(run.parent / "named.npz"))
    found.recall()
    assert found.check_data(others=True) == ""  # the same data: protocols stay as they are


def test_other_data_are_said_in_the_protocols(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, **arrays(np.array(NAMES * 9), seed=1))
    was = json.loads((run / "config.json").read_text())["data"]["fingerprint"]
    copy = changed(run, tmp_path / "run")
    main(["evaluate", str(copy), *FEW, "--data", str(other)])
    scores = json.loads((copy / "evaluation.json").read_text())["scores"]
    assert all(score["protocol"].endswith(f"trained-on:{was}") for score in scores.values())
    assert f"trained-on:{was}" in capsys.readouterr().out
    for name, content, told in (
        ("side", arrays(np.array(NAMES * 9), side=12), "expected images of shape (1, 8, 8), found (1, 12, 12)"),
        (
            "class",
            arrays(np.array((*NAMES, "dog") * 9)),
            "expected images of the classes 2, 10, <b>\\x1b[2Jcat, found dog",
        ),
        ("none", {"x": arrays(np.array(NAMES * 9))["x_train"]}, "expected labeled images"),
    ):
        np.savez(tmp_path / f"{name}.npz", **content)
        message = fails(capsys, "evaluate", str(copy), *FEW, "--data", str(tmp_path / f"{name}.npz"))
        assert told in message, name
    message = fails(capsys, "evaluate", str(copy), *FEW, "--data", str(other), "--test", str(tmp_path / "class.npz"))
    assert "--test" in message and "found dog" in message


@pytest.mark.slow
def test_other_text_in_the_tokens_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{a} {b} end\n" for a in "abcdef" for b in "abcdef"))
    (tmp_path / "b.txt").write_text("".join(f"{a} {b}\n" for a in "abcdef" for b in "fghi"))
    out, few = str(tmp_path / "run"), ["--hidden", "4", "--embedding", "4", "--pretrain-steps", "1"]
    main(["train", "text", "--data", str(tmp_path / "a.txt"), "--out", out, *few, *QUICK])
    (tmp_path / "a.txt").rename(tmp_path / "c.txt")
    for name in ("b", "c"):
        main(["evaluate", out, "--num", "20", "--data", str(tmp_path / f"{name}.txt")])
        nll = json.loads((tmp_path / "run" / "evaluation.json").read_text())["scores"]["nll_token"]
        assert np.isfinite(nll["value"]) and "K:9|length:3" in nll["protocol"]
        assert ("trained-on:" in nll["protocol"]) == (name == "b")
    main(["evaluate", out, "--temperatures", "1", "--num", "20", "--data", str(tmp_path / "c.txt")])
    assert "--data takes others" in fails(
        capsys, "evaluate", out, "--temperatures", "1", "--num", "20", "--data", str(tmp_path / "b.txt")
    )


def test_nothing_to_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    assert fails(capsys, "evaluate") == "discrete-gan: evaluate: expected at least one run directory, got none"


@pytest.mark.parametrize("recipe", ["binary_mnist", pytest.param("am_gan", marks=pytest.mark.slow)])
def test_piano_rolls(recipe: str, tmp_path: Path) -> None:
    rolls = (np.random.default_rng(0).random((30, 5, 8, 12)) < 0.1) * 100
    np.savez(tmp_path / "a.npz", rolls=rolls.astype(np.uint8), labels=["slow", "fast"] * 15)
    out = tmp_path / "run"
    main(["train", recipe, "--data", str(tmp_path / "a.npz"), "--out", str(out), *QUICK])
    main(["sample", str(out), "--num", "4", "--out", str(tmp_path / "x.npy")])
    assert np.load(tmp_path / "x.npy").shape == (4, 5, 8, 12)
    main(["sample", str(out), "--num", "4", "--out", str(tmp_path / "x.png")])
    assert (tmp_path / "x.png").stat().st_size > 0 and (out / "samples.png").is_file()
    if recipe != "binary_mnist":
        main(["evaluate", str(out), *FEW])

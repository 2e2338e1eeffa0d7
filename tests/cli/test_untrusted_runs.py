"""Run directories of a stranger: nothing that they name is run, and nothing outside them is read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from discrete_gan.cli import main
from discrete_gan.cli.runs import load_model, open_run
from discrete_gan.errors import InputError
from discrete_gan.training import RunDirectory
from discrete_gan.training.checkpoints import Checkpoints

QUICK = ["--steps", "2", "--batch-size", "8", "--num-scored", "10", "--sample-every", "0", "--checkpoint-every", "1"]
FEW = ["--num", "10", "--likelihood", "none"]
EVIL = "from pathlib import Path\nPath({marker!r}).touch()\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on images without labels, so that no classifier is trained."""
    folder = tmp_path_factory.mktemp("made")
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(folder / "grey.npz", train_images=images[:30], test_images=images[30:])
    main(["train", "digits", *QUICK, "--data", str(folder / "grey.npz"), "--out", str(folder / "run")])
    return folder / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, "run")
    return Path("run")


@pytest.fixture
def evil(run: Path, tmp_path: Path) -> Path:
    """A file inside the run that leaves a mark when it is run."""
    (run / "evil.py").write_text(EVIL.format(marker=str(tmp_path / "ran")))
    return run / "evil.py"


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a user's mistake."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("discrete-gan: ")
    return message


def change(run: Path, part: str | None = None, /, **changes: object) -> None:
    """Rewrite config.json, or a part of it."""
    path = run / "config.json"
    config = json.loads(path.read_text())
    (config if part is None else config[part]).update(changes)
    path.write_text(json.dumps(config))


def as_recipe(run: Path, evil: str) -> None:
    change(run, recipe_file=evil)


def as_recipe_of_the_package(run: Path, evil: str) -> None:
    (run / "recipes").mkdir()
    shutil.copy(evil, run / "recipes" / "digits.py")
    change(run, recipe_file=str(run / "recipes" / "digits.py"))


def as_generator(run: Path, evil: str) -> None:
    change(run, "models", generator=f"{evil}:Evil")


def as_task(run: Path, evil: str) -> None:
    change(run, "args", data=f"{evil}:Evil")


def as_score(run: Path, evil: str) -> None:
    change(run, "args", scores=[f"{evil}:evil"])


NAMED = [as_recipe, as_recipe_of_the_package, as_generator, as_task, as_score]


@pytest.mark.parametrize("named", NAMED)
@pytest.mark.parametrize("verb", [["sample", "run", "--out", "x.npy"], ["evaluate", "run", *FEW]], ids=lambda v: v[0])
def test_code_that_a_run_names_is_not_run(
    verb: list[str], named: Callable[[Path, str], None], run: Path, evil: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named(run, str(evil))
    if verb[0] == "sample" and named is as_score:  # which needs none
        main(verb)
    else:
        message = fails(capsys, *verb)
        assert "is code of your own, which is not run because a run names it: if you trust it, add --trust " in message
        assert message.rpartition("--trust ")[2] in (str(evil), "run/recipes/digits.py")
    assert not Path("ran").exists()


def test_what_the_refusal_says_to_add_runs_the_file(run: Path, evil: Path, capsys: pytest.CaptureFixture[str]) -> None:
    as_generator(run, str(evil))
    evil.write_text(evil.read_text() + "from discrete_gan.models import MLPGenerator as Evil\n")
    added = fails(capsys, "sample", "run", "--out", "x.npy").partition("add ")[2].split()
    main(["sample", "run", "--out", "x.npy", *added])
    assert Path("x.npy").is_file() and Path("ran").exists()


def test_a_resumption_runs_no_code_that_the_run_alone_names(
    run: Path, evil: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(run, "args", estimator=f"{evil}:evil")
    before = (run / "metrics.jsonl").read_bytes()
    message = fails(capsys, "train", "digits", "--resume", "run", "--steps", "3")
    assert message.endswith(f"if you trust it, add --estimator {evil}:evil")
    assert not Path("ran").exists() and (run / "metrics.jsonl").read_bytes() == before


class Mark:
    """Unpickled, it leaves a mark."""

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize("checksum", [True, False], ids=["with a checksum", "without"])
def test_a_checkpoint_is_not_unpickled(checksum: bool, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (run / "checkpoints").glob("*.pt"):
        state = torch.load(path, weights_only=True) | {"row": {"loss": Mark()}}
        if checksum:
            Checkpoints(path.parent).save(int(path.stem.removeprefix("step-")), state)
        else:
            torch.save(state, path)
    assert "not a readable checkpoint" in fails(capsys, "train", "digits", "--resume", "run", "--steps", "3")
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "origin",
    [
        "os:system",
        "posix:system",
        "discrete_gan.models.mlp:MLPGenerator.from_pretrained",
        "discrete_gan.models.mlp:nn",
        "discrete_gan.models.base:HubModel.__init__",
        "discrete_gan.cli.main:main",
        "discrete_gan.models.labels:labeled",
        "antigravity:x",
        "",
        ":",
        "a.b.c",
        "\0:x",
    ],
)
def test_a_class_that_is_no_model_of_the_package(origin: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(run, "models", generator=origin)
    assert "expected a model of discrete_gan.models" in fails(capsys, "sample", "run", "--out", "x.npy")


def test_what_a_message_quotes_stays_on_its_line(run: Path) -> None:
    change(run, "models", generator="é\n\x1b[31m<b>")
    with pytest.raises(InputError, match=r"generator é\\n\\x1b\[31m<b>: expected a model of discrete_gan.models"):
        load_model(RunDirectory(run))


def test_weights_of_something_else_are_not_sampled(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"foreign": torch.zeros(3)}, run / "generator" / "model.safetensors")
    for verb in (["sample", "run", "--out", "x.npy"], ["evaluate", "run", *FEW]):
        assert "run/generator: expected the weights of a MLPGenerator" in fails(capsys, *verb)
    assert not Path("x.npy").exists() and not (run / "evaluation.json").exists()


@pytest.mark.parametrize("name", ["generator", "discriminator", "pretrained"])
def test_weights_that_are_not_numbers_are_not_loaded(name: str, run: Path) -> None:
    if name == "pretrained":
        shutil.copytree(run / "generator", run / name)
    weights = load_file(run / name / "model.safetensors")
    save_file({key: value * torch.nan for key, value in weights.items()}, run / name / "model.safetensors")
    with pytest.raises(InputError, match="finite"):
        load_model(RunDirectory(run), name)


@pytest.mark.parametrize("name", ["generator", "generator/model.safetensors", "generator/config.json", "config.json"])
def test_links_out_of_a_run_are_not_followed(name: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / name).rename("outside")
    (run / name).symlink_to(Path("outside").resolve())
    assert "symbolic link" in fails(capsys, "sample", "run", "--out", "x.npy")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("generator/config.json", "[]"),
        ("generator/config.json", "[" * 100_000),
        ("generator/config.json", '{"latent_dim": 1000000000000}'),
        ("generator/config.json", '{"latent_dim": "many"}'),
        ("generator/config.json", '{"hidden": [4, [1048577]]}'),
        ("generator/model.safetensors", "x"),
        ("config.json", "null"),
        ("config.json", "{}"),
    ],
)
def test_a_damaged_model_is_named(name: str, content: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / name).write_text(content)
    assert "discrete-gan: run" in fails(capsys, "sample", "run", "--out", "x.npy")


@pytest.mark.parametrize(
    "settings", [{"batch_size": "x"}, {"batch_size": -1}, {"data": 3}, {"latent_dim": []}, {"scores": {"a": 1}}]
)
def test_settings_of_another_type_are_named(settings: dict[str, object], run: Path) -> None:
    change(run, "args", **settings)
    with pytest.raises(InputError, match=f"run: .*{next(iter(settings)).replace('_', '.')}"):
        open_run(run)


def other_sizes(run: Path) -> None:
    change(run, "data", image_shape=[3, 3])


def other_kind_of_network(run: Path) -> None:
    shutil.rmtree(run / "generator")
    (run / "discriminator").rename(run / "generator")
    change(run, "models", generator="discrete_gan.models.mlp:MLPDiscriminator")


@pytest.mark.parametrize("damage", [other_sizes, other_kind_of_network])
def test_files_that_disagree_are_told(
    damage: Callable[[Path], None], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(run)
    message = fails(capsys, "sample", "run", "--out", "x.npy")
    assert "does not fit what its config.json says" in message or "expected a class with latents" in message
    assert not Path("x.npy").exists()


def test_compared_runs_that_are_damaged_are_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, "other")
    for name in ("results.json", "metrics.jsonl", "config.json", "evaluation.json"):
        shutil.copytree(run, "damaged", dirs_exist_ok=True)
        (Path("damaged") / name).write_text("[]\n")
        assert "damaged" in fails(capsys, "compare", "other", "damaged", "--out", "page")


def test_pages_show_what_files_say_as_text(run: Path) -> None:
    script = "<script>alert(1)</script>\"'>"
    change(run, recipe=script, command=script, commit=script)
    change(run, "args", estimator=script)
    change(run, "data", name=script)
    results = json.loads((run / "results.json").read_text())
    score = {"value": 1.0, "label": script, "unit": script, "better": "less", "protocol": script, "note": script}
    (run / "results.json").write_text(json.dumps(results | {"scores": {script: score}}))
    (run / "figures.json").write_text(json.dumps({script: score}))
    (run / "metrics.jsonl").write_text("".join(json.dumps({"step": n, script: n}) + "\n" for n in (1, 2)))
    for path in run.glob("samples.*"):
        path.unlink()
    (run / "samples.txt").write_text(script)
    from discrete_gan.report.run_page import write_run_page

    pages = [write_run_page(RunDirectory(run))]
    shutil.copytree(run, "other")
    change(Path("other"), "args", seed=1)
    main(["compare", "run", "other", "--out", "page"])
    pages.append(Path("page/report.html"))
    for page in pages:
        text = page.read_text()
        assert "alert(1)" in text and "<script>alert" not in text and "\"'>" not in text

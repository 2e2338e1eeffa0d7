import re
import shlex
from pathlib import Path

import pytest

from discrete_gan.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs_as_it_stands(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


def test_commands_run(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each discrete-gan line in turn, with fewer steps, from a folder that sees the data as a checkout does."""
    (tmp_path / "checkout").mkdir()
    (tmp_path / "shared").symlink_to(shared_data.parent)
    monkeypatch.chdir(tmp_path / "checkout")
    monkeypatch.setenv("DISCRETE_GAN_CACHE", str(tmp_path))  # its MNIST classifier would take a minute
    monkeypatch.setattr("discrete_gan.report.images.load_or_train_classifier", _no_classifier)
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("discrete-gan ")]
    assert len(commands) >= 8
    for command in commands:
        if command[0] == "train":
            steps = 3 if "--resume" in command else 2
            options = [option for option in command[2:] if not re.fullmatch(r"--steps|\d+", option)]
            command = [*command[:2], *options, "--steps", str(steps), "--num-scored", "20"]
        main(command)
    assert Path("digits.png").is_file()


def _no_classifier(*arguments: object, **options: object) -> object:
    from discrete_gan.metrics import ImageClassifier, TrainedClassifier

    image_shape, num_classes = arguments[4], arguments[5]
    return TrainedClassifier(ImageClassifier(image_shape, num_classes).eval(), 0.1)  # type: ignore[arg-type]


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_every_estimator_and_option_is_in_the_table() -> None:
    import inspect

    from discrete_gan.estimators import ESTIMATORS

    for name, estimator in ESTIMATORS.items():
        (row,) = [line for line in README.splitlines() if line.startswith(f"| `{name}`")]
        assert re.findall(r"`(\w+)`", row.split("|")[2]) == list(inspect.signature(estimator).parameters)

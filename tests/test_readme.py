import inspect
import re
import shlex
from pathlib import Path

import pytest
import torch

from discrete_gan.cli import main
from discrete_gan.estimators import ESTIMATORS, SEQUENCE_ESTIMATORS, TARGETS, parse_estimator

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs_as_it_stands(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.slow
def test_commands_run(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each discrete-gan line in turn, with fewer steps, from a folder that sees the data as a checkout does."""
    (tmp_path / "shared").symlink_to(shared_data.parent)
    run(commands(), tmp_path, monkeypatch)


def test_commands_that_need_no_data_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those on what the package brings along and makes itself; comparing and the lab take longer."""
    made = ("runs/binary_mnist", "runs/gumbel", "runs/conditional", "runs/poems", "../shared")
    own = [
        words for words in commands() if words[0] not in ("compare", "lab") and not any(path in words for path in made)
    ]
    own = [words for words in own if not any(word.startswith("../shared") for word in words)]
    assert {words[0] for words in own} >= {"train", "sample", "recipes"}
    run(own, tmp_path, monkeypatch)


def commands() -> list[list[str]]:
    """The discrete-gan lines, as words."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    found = [shlex.split(line)[1:] for line in lines if line.startswith("discrete-gan ")]
    assert len(found) >= 8
    return found


def run(commands: list[list[str]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "checkout").mkdir()
    monkeypatch.chdir(folder / "checkout")
    monkeypatch.setenv("DISCRETE_GAN_CACHE", str(folder))  # its MNIST classifier would take a minute
    monkeypatch.setattr("discrete_gan.report.images.load_or_train_classifier", _no_classifier)
    for command in commands:
        if command[0] == "train":
            steps = 3 if "--resume" in command else 2
            command += ["--steps", str(steps)]  # of two --steps the last one counts
            command += [] if command[1] == "semi_supervised" else ["--num-scored", "20"]
        if command[0] == "lab":
            command += (
                ["--steps", "2", "--seeds", "1"] if "--train" in command else ["--draws", "20", "--most-tuples", "500"]
            )
        if command[0] == "evaluate" and "--temperatures" not in command:
            command += ["--num", "50", "--likelihood-num", "2", "--ais-steps", "10", "--ais-simulated", "2"]
        if command[0] == "compare" and "--estimators" in command:
            command += ["--steps", "2", "--seeds", "1", "--num-scored", "20"]
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
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    for link in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text):
        assert (ROOT / link).exists(), link


ESTIMATORS_PAGE = (ROOT / "docs" / "estimators.md").read_text()


def test_page_of_the_estimators_says_what_they_claim() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", ESTIMATORS_PAGE, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(ESTIMATORS)
    for name, rest in rows:
        options, target, bias, accepted, evaluations, paper = rest.split(" | ")
        claims = parse_estimator(name).claims  # type: ignore[attr-defined]
        assert re.findall(r"`(\w+)`", options) == list(inspect.signature(ESTIMATORS[name]).parameters)
        assert (target, bias, paper) == (claims.target, claims.bias, claims.paper)
        assert accepted == {0: "any", 1: "binary", 2: "factorized", 3: "factorized or sequences"}[len(claims.accepts)]
        for num in (2, 5) if claims.evaluations else ():
            claimed = parse_estimator(f"{name}:num_samples={num}").claims.evaluations  # type: ignore[attr-defined]
            assert eval(evaluations.replace(" M", "*M"), {"M": num}) == claimed
    for name, meaning in TARGETS.items():
        assert f"| {name} | {meaning.replace('|', chr(92) + '|')} |" in ESTIMATORS_PAGE


def test_names_of_the_estimators_are_in_the_readme() -> None:
    for name in ESTIMATORS:
        assert f"`{name}`" in README, name


def test_code_of_the_estimators_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    learns, mine = re.findall(r"```python\n(.*?)```", ESTIMATORS_PAGE, flags=re.DOTALL)
    exec(compile(learns, "estimators.md", "exec"), {})
    Path("mine.py").write_text(mine)
    (command,) = re.findall(r"`discrete-gan (lab [^`]*)`", ESTIMATORS_PAGE)
    main([*shlex.split(command), "--num-samples", "2"])
    assert "\nmine.py:two_samples " in capsys.readouterr().out


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), link


LOSSES_PAGE = (ROOT / "docs" / "losses.md").read_text()


def test_page_of_the_losses_names_them_all() -> None:
    for path in (ROOT / "discrete_gan" / "losses").glob("[!_]*.py"):
        assert f"`{path.stem}`" in LOSSES_PAGE or f"`losses.{path.stem}`" in LOSSES_PAGE, path.stem
        for name in re.findall(r"^def ([a-z]\w*)", path.read_text(), flags=re.MULTILINE):
            assert name == "interpolates" or re.search(rf"`{name}\b", LOSSES_PAGE), name


def test_code_of_the_losses_page_runs() -> None:
    codes = re.findall(r"```python\n(.*?)```", LOSSES_PAGE, flags=re.DOTALL)
    assert len(codes) == 2
    for code in codes:
        exec(compile(code, "losses.md", "exec"), {})


METRICS_PAGE = (ROOT / "docs" / "metrics.md").read_text()


def test_page_of_the_metrics_names_what_is_there() -> None:
    from discrete_gan import metrics

    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", METRICS_PAGE, flags=re.MULTILINE)
    assert len(rows) == 7
    for name in (name for row in rows for name in row):
        assert hasattr(metrics, name), name
    (code,) = re.findall(r"```python\n(.*?)```", METRICS_PAGE, flags=re.DOTALL)
    exec(compile(code, "metrics.md", "exec"), {})


def test_page_of_the_evaluation(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "evaluation.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    torch.manual_seed(0)
    exec(compile(code, "evaluation.md", "exec"), {})
    printed = [float(number) for number in re.findall(r"-\d+\.\d+", capsys.readouterr().out)]
    exact = torch.distributions.Normal(0, 5**0.5).log_prob(torch.tensor([0.3, 1.2]))
    assert printed == pytest.approx(exact.tolist(), abs=0.1)


def test_options_on_the_losses_page_are_the_recipes() -> None:
    names = ("softmax_gan", "am_gan", "semi_supervised", "binary_mnist")
    help_text = "".join((ROOT / "recipes" / f"{name}.py").read_text() for name in names)
    for option in set(re.findall(r"--([a-z][a-z-]+)", LOSSES_PAGE)):
        assert re.search(rf"^    {option.removeprefix('no-').replace('-', '_')}: ", help_text, flags=re.MULTILINE), (
            option
        )


TEXT_PAGE = (ROOT / "docs" / "text.md").read_text()


def test_page_of_text_names_the_estimators_and_their_options() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|([^|]*)\|", TEXT_PAGE, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(SEQUENCE_ESTIMATORS)
    for name, options in rows:
        assert re.findall(r"`(\w+)`", options) == list(inspect.signature(SEQUENCE_ESTIMATORS[name]).parameters)


@pytest.mark.slow
def test_code_and_commands_of_the_text_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT_PAGE, flags=re.DOTALL)
    exec(compile(code, "text.md", "exec"), {})
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("".join(f"the line {number} of a file\n" for number in range(200)))
    (commands,) = re.findall(r"```bash\n(.*?)```", TEXT_PAGE, flags=re.DOTALL)
    for line in commands.splitlines():
        command = shlex.split(line)[1:]
        main(
            [*command, "--steps", "3", "--pretrain-steps", "1", "--warmup-steps", "0"]
            if "train" in command
            else command
        )
    assert len(Path("samples.jsonl").read_text().splitlines()) == 100

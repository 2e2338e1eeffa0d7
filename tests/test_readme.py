"""README and pages say what is so: their code and commands run, their names and tables are those of the package."""

import importlib
import inspect
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import torchmetrics

from discrete_gan import weights
from discrete_gan.cli import main
from discrete_gan.cli.parsing import parse
from discrete_gan.cli.recipes import load_recipe, recipe_files
from discrete_gan.estimators import ESTIMATORS, SEQUENCE_ESTIMATORS, TARGETS, parse_estimator
from discrete_gan.tasks import Score, Task

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DOCS = ROOT / "docs"


def shown(path: Path) -> str:
    """Its text, with that of a file that it shows."""
    return re.sub(r'--8<-- "(.+)"', lambda found: (ROOT / found[1]).read_text(), path.read_text())


PAGES = {"README.md": README} | {path.relative_to(DOCS).as_posix(): shown(path) for path in sorted(DOCS.rglob("*.md"))}


def blocks(language: str, page: str = "README.md") -> list[str]:
    """Blocks of code, which there are some of."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGES[page], flags=re.DOTALL)
    assert found, f"{page}: no block of {language}"
    return found


PYTHON = [
    pytest.param(page, code, id=f"{page} {index}")
    for page, text in PAGES.items()
    for index, code in enumerate(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL))
]


@pytest.mark.parametrize(("page", "code"), PYTHON)
def test_python_runs_as_it_stands(page: str, code: str) -> None:
    torch.manual_seed(0)
    exec(compile(code, page, "exec"), {})


def test_every_page_with_code_is_tested() -> None:
    assert {"README.md", "estimators.md", "losses.md", "metrics.md", "evaluation.md", "text.md"} <= {
        each.values[0] for each in PYTHON
    }


def inline_commands() -> list[str]:
    """What stands as code in a line of text or of a table, and trains a recipe."""
    texts = (re.sub(r"```.*?```", "", text, flags=re.DOTALL) for text in PAGES.values())
    found = [" ".join(code.split()) for text in texts for code in re.findall(r"`([^`]*)`", text)]
    short = (f"discrete-gan train {code}" if code.partition(" ")[0] in recipe_files() else code for code in found)
    return [code for code in dict.fromkeys(short) if code.startswith("discrete-gan train ") and "--" in code]


@pytest.mark.parametrize("command", [code for code in inline_commands() if "RECIPE" not in code])
def test_inline_commands_are_understood(command: str) -> None:
    """Recipe, options and their choices; ``a|b`` stands for either."""
    _, _, name, *words = shlex.split(command.replace("|", "!").replace("FILE.py:", "file.py:"))
    recipe = load_recipe(str(ROOT / name) if name.startswith("docs/") else name)
    for number in range(max(word.count("!") for word in ["", *words]) + 1):
        chosen = [choices[min(number, len(choices) - 1)] for choices in (word.split("!") for word in words)]
        parse(recipe.Args, chosen, prog=command, description="")


def test_inline_commands_are_found() -> None:
    known = {command.split()[2] for command in inline_commands()}
    assert known >= {"softmax_gan", "am_gan", "text", "digits", "docs/examples/recipe.py"}


@pytest.mark.slow
def test_commands_of_the_page_run(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each discrete-gan line in turn, with fewer steps, and data from files in the place of the hub's."""
    places = {name: str(shared_data / name) for name in ("mnist", "fashion_mnist")}
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "my.txt").write_text("".join(f"line {number} of {number % 7}\n" for number in range(300)))
    run([[places.get(word, word) for word in words] for words in commands("commands.md")], tmp_path, monkeypatch)


def test_commands_run_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of the README; comparing and the lab take longer."""
    own = [words for words in commands("README.md") if words[0] not in ("compare", "lab")]
    assert {words[0] for words in own} == {"train", "sample", "evaluate"}
    run(own, tmp_path, monkeypatch)


@pytest.mark.slow
def test_longer_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [words for page in ("README.md", "lab.md") for words in commands(page) if words[0] in ("compare", "lab")]
    assert len(found) >= 5
    run(found, tmp_path, monkeypatch)


def commands(page: str) -> list[list[str]]:
    """The discrete-gan lines, as words."""
    lines = [line for block in blocks("bash", page) for line in block.splitlines()]
    found = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("discrete-gan ")]
    assert found
    return found


def run(commands: list[list[str]], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "checkout").mkdir(exist_ok=True)
    monkeypatch.chdir(folder / "checkout")
    monkeypatch.setenv("DISCRETE_GAN_CACHE", str(folder))  # its MNIST classifier would take a minute
    monkeypatch.setattr("discrete_gan.tasks.images.load_or_train_classifier", _no_classifier)
    for command in commands:
        if command[0] == "train":
            steps = 3 if "--resume" in command else 2
            command += ["--steps", str(steps), "--num-scored", "20"]  # of two --steps the last one counts
        if command[0] == "lab":
            command += (
                ["--steps", "2", "--seeds", "1"] if "--train" in command else ["--draws", "20", "--most-tuples", "500"]
            )
        if command[0] == "evaluate" and "--temperatures" not in command:
            command += ["--num", "50", "--likelihood-num", "2", "--ais-steps", "10", "--ais-simulated", "2"]
        if command[0] == "compare" and "--estimators" in command:
            command += ["--steps", "2", "--seeds", "1", "--num-scored", "20"]
        main(command)
        if "--out" in command:
            assert Path(command[command.index("--out") + 1]).exists()


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


_FACTORIZED = {"FactorizedBernoulli", "FactorizedCategorical"}
_ACCEPTED = {
    "any": set(),
    "binary": {"FactorizedBernoulli"},
    "factorized": _FACTORIZED,
    "factorized or tables": _FACTORIZED | {"RaggedCategorical"},
    "factorized or blocks": _FACTORIZED | {"BlockwiseBernoulli"},
    "factorized, blocks, sequences, frames or tables": _FACTORIZED
    | {"BlockwiseBernoulli", "RaggedCategorical", "RaggedAutoregressive", "Autoregressive", "FrameSequence"},
}


def test_page_of_the_estimators_says_what_they_claim() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (.*) \|$", ESTIMATORS_PAGE, flags=re.MULTILINE)
    assert [name for name, _ in rows] == list(ESTIMATORS)
    for name, rest in rows:
        options, target, bias, accepted, evaluations, paper = rest.split(" | ")
        claims = parse_estimator(name).claims  # type: ignore[attr-defined]
        assert re.findall(r"`(\w+)`", options) == list(inspect.signature(ESTIMATORS[name]).parameters)
        assert (target, bias, paper) == (claims.target, claims.bias, claims.paper)
        assert {kind.__name__ for kind in claims.accepts} == _ACCEPTED[accepted]
        for num in (2, 5) if claims.evaluations else ():
            claimed = parse_estimator(f"{name}:num_samples={num}").claims.evaluations  # type: ignore[attr-defined]
            assert eval(evaluations.replace(" M", "*M"), {"M": num}) == claimed
    for name, meaning in TARGETS.items():
        assert f"| {name} | {meaning.replace('|', chr(92) + '|')} |" in ESTIMATORS_PAGE


def test_estimators_that_the_readme_lists_are_there() -> None:
    (listed,) = re.findall(r"^- weights: .*?\n\n", README, flags=re.DOTALL | re.MULTILINE)
    names = set(re.findall(r"`([\w-]+)`", listed))
    assert {"boundary-seeking", "reinforce", "gumbel-softmax", "exact", "seqgan"} <= names
    assert names <= ESTIMATORS.keys() | SEQUENCE_ESTIMATORS.keys()


def test_own_estimator_of_the_page_runs_in_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (mine,) = [code for code in blocks("python", "estimators.md") if code.startswith("# mine.py\n")]
    Path("mine.py").write_text(mine)
    (command,) = re.findall(r"`discrete-gan (lab [^`]*)`", ESTIMATORS_PAGE)
    main([*shlex.split(command), "--num-samples", "2"])
    assert "\nmine.py:two_samples " in capsys.readouterr().out


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in DOCS.rglob("*.md"):
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text):
            assert (page.parent / link).exists(), (page.name, link)


def test_anchors_of_links_are_headings() -> None:
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for link, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]*)\)", page.read_text()):
            text = shown(page.parent / link if link else page)
            headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings], (
                page.name,
                anchor,
            )


def test_the_readme_is_short_and_names_no_file_that_only_some_have() -> None:
    assert len(README.splitlines()) <= 150
    assert not [name for name, text in PAGES.items() if "../shared" in text]


LOSSES_PAGE = (ROOT / "docs" / "losses.md").read_text()


def test_page_of_the_losses_names_them_all() -> None:
    for path in (ROOT / "discrete_gan" / "losses").glob("[!_]*.py"):
        assert f"`{path.stem}`" in LOSSES_PAGE or f"`losses.{path.stem}`" in LOSSES_PAGE, path.stem
        for name in re.findall(r"^def ([a-z]\w*)", path.read_text(), flags=re.MULTILINE):
            assert name == "interpolates" or re.search(rf"`{name}\b", LOSSES_PAGE), name


def test_page_of_the_metrics_names_what_is_there() -> None:
    from discrete_gan import metrics

    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", PAGES["metrics.md"], flags=re.MULTILINE)
    modules = [importlib.import_module(f"discrete_gan.metrics.{name}_metrics") for name in ("class", "image")]
    classes = {
        name
        for module in modules
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, torchmetrics.Metric) and kind.__module__ == module.__name__ and name[0] != "_"
    }
    assert {kind for _, kind in rows} == classes
    for name, _ in rows:
        assert inspect.isfunction(getattr(metrics, name)), name


def test_scores_on_the_page_of_the_evaluation_are_measured() -> None:
    rows = re.findall(r"^\| (`\w+`[^|]*) \|[^|]*\|[^|]*\|$", PAGES["evaluation.md"], flags=re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([a-z]\w*)`", row)]
    assert {"frechet", "precision", "log_likelihood", "mean_weight", "test_accuracy"} <= set(names)
    measured = "".join(path.read_text() for path in (ROOT / "discrete_gan" / "tasks").glob("*.py"))
    measured += (ROOT / "discrete_gan" / "data" / "equations.py").read_text()
    for name in names:  # those of n-grams end in their length
        assert f'"{name}"' in measured or f'"{name.rstrip("0123456789")}"' in measured, name


def test_annealing_on_the_page_of_the_evaluation(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = [code for code in blocks("python", "evaluation.md") if "annealed_log_weights" in code]
    torch.manual_seed(0)
    exec(compile(code, "evaluation.md", "exec"), {})
    printed = [float(number) for number in re.findall(r"-\d+\.\d+", capsys.readouterr().out)]
    exact = torch.distributions.Normal(0, 5**0.5).log_prob(torch.tensor([0.3, 1.2]))
    assert printed == pytest.approx(exact.tolist(), abs=0.1)


def test_page_of_the_weights_names_every_function_and_runs(capsys: pytest.CaptureFixture[str]) -> None:
    named = set(re.findall(r"`([a-z_]+)", PAGES["weights.md"]))
    functions = {name for name in weights.__all__ if inspect.isfunction(getattr(weights, name))}
    assert functions - named == {"effective_sample_size", "union_weights"}  # what others stand on
    (code,) = blocks("python", "weights.md")
    torch.manual_seed(0)
    found: dict[str, torch.Tensor] = {}
    exec(compile(code, "weights.md", "exec"), found)
    assert capsys.readouterr().out.count("True") >= 6
    assert bool(((found["mean"] - 1).abs() < 5 * found["error"]).all())
    assert found["equally_weighted"].shape == (500, 8)


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
def test_commands_of_the_text_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.txt").write_text("".join(f"the line {number} of a file\n" for number in range(200)))
    rows = (f"C{'N' * (number % 9)}O{'C' * (number % 7)},{('in', '')[number % 2]}active\n" for number in range(200))
    Path("molecules.csv").write_text("smiles,activity\n" + "".join(rows))
    for line in "".join(blocks("bash", "text.md")).splitlines():
        command = shlex.split(line)[1:]
        main(
            [*command, "--steps", "3", "--pretrain-steps", "1", "--warmup-steps", "0"]
            if "train" in command
            else command
        )
    assert len(Path("samples.jsonl").read_text().splitlines()) == 100
    assert Path("active.csv").read_text().splitlines()[0] == "smiles,activity"


@pytest.mark.slow
def test_commands_of_the_frames_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    frames = (np.random.default_rng(0).random((40, 70, 6)) < 0.3).astype(np.uint8)
    np.savez("rolls.npz", rolls=frames)
    for line in "".join(blocks("bash", "frames.md")).splitlines():
        command = shlex.split(line.partition("#")[0])[1:]
        main(
            [*command, "--steps", "3", "--pretrain-steps", "1", "--num-scored", "20"] if "train" in command else command
        )
    assert np.load("drawn.npz")["frames"].shape[0] == 100 and Path("rolls.png").exists()


EXTENDING = PAGES["extending.md"]


def rows_under(heading: str) -> list[str]:
    """First cells of the first table under a heading of the page."""
    section = EXTENDING.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = re.search(r"(?:^\|.*\n)+", section, flags=re.MULTILINE)
    assert table is not None, heading
    return [row.split("|")[1] for row in table[0].splitlines()[2:]]


def test_page_of_extending_has_every_method_of_a_task() -> None:
    named = [re.findall(r"`(\w+)\(", row) for row in rows_under("A task")]
    methods = [name for name in vars(Task) if inspect.isfunction(getattr(Task, name)) and name[0] != "_"]
    assert sorted(name for row in named for name in row) == sorted(methods)


def test_page_of_extending_has_every_field_of_a_score() -> None:
    named = [name for row in rows_under("A score") for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(Score._fields)


def test_every_example_is_on_the_page_of_extending_or_of_weighing() -> None:
    linked = re.findall(r"\]\(examples/(\w+\.py)\)", EXTENDING + PAGES["weigh.md"])
    assert sorted(linked) == sorted(path.name for path in (ROOT / "docs" / "examples").glob("*.py"))


@pytest.mark.parametrize("command", re.findall(r"`discrete-gan (train [^`]*docs/examples/[^`]*)`", EXTENDING))
def test_commands_of_the_page_of_extending_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    main([*shlex.split(command), "--steps", "2", "--num-scored", "20", "--out", "run"])
    assert Path("run/results.json").is_file()

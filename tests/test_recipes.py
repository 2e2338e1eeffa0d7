"""What every recipe is: its arguments, its networks and its loop, short, and none the copy of another."""

import ast
import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from discrete_gan.cli import main
from discrete_gan.cli.recipes import load_recipe, recipe_files
from discrete_gan.data.names import ON_HUB
from discrete_gan.ranges import check_ranges

RECIPES = recipe_files()
BLOCK = 6
OFFLINE = {"digits", "equations", "oracle", "wine", "chords"}


def code_lines(path: Path) -> list[str]:
    """Lines that are not blank, without comments."""
    lines = [line.split("  #")[0].strip() for line in path.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def lines_without_option_texts(path: Path) -> int:
    """Lines of the file but for the texts below options."""
    text = path.read_text()
    inside = 0
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            texts = [
                each for each in node.body[1:] if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
            ]
            inside += sum((each.end_lineno or 0) - each.lineno + 1 for each in texts)
    return len(text.splitlines()) - inside


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_read_on_two_screens(name: str) -> None:
    assert len(RECIPES[name].read_text().splitlines()) <= 110


@pytest.mark.parametrize("name", ["digits", "binary_mnist"])
def test_the_first_recipes_are_shorter_still(name: str) -> None:
    assert lines_without_option_texts(RECIPES[name]) < 80


def test_no_block_stands_in_two_recipes() -> None:
    found: dict[tuple[str, ...], str] = {}
    for name, path in RECIPES.items():
        lines = code_lines(path)
        for start in range(len(lines) - BLOCK + 1):
            block = tuple(lines[start : start + BLOCK])
            assert found.setdefault(block, name) == name, f"{name} and {found[block]}:\n" + "\n".join(block)


@pytest.mark.parametrize("name", RECIPES)
def test_every_default_runs_in_any_clone(name: str) -> None:
    defaults = load_recipe(name).Args()
    check_ranges(defaults)
    assert defaults.data in OFFLINE | set(ON_HUB)


@pytest.mark.parametrize("name", RECIPES)
def test_the_task_is_made_without_reading_anything(name: str) -> None:
    recipe = load_recipe(name)
    recipe.task(dataclasses.replace(recipe.Args(), data="digits" if name != "oracle_text" else "oracle"))


@pytest.mark.parametrize("name", RECIPES)
def test_help_opens_with_the_recipe_and_groups_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", name, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    words = " ".join(re.sub(r"[│|]", " ", shown).split())
    about = " ".join(load_recipe(name).description.split())
    headings = re.findall(r"^ (\w+)(?: options)? *\n -+ *$", shown, re.MULTILINE)
    assert words.index(about[:60]) < words.index("--help") < words.index("--data ") < words.index("--out ")
    assert headings == ["options", *(each for each in ("data", "network", "optimization", "run") if each in headings)]
    assert {"data", "optimization", "run"} <= set(headings)


@pytest.mark.slow
def test_a_file_run_by_python_leaves_what_train_leaves(tmp_path: Path) -> None:
    options = ["--steps", "2", "--num-scored", "10", "--sample-every", "0"]
    main(["train", "digits", *options, "--out", str(tmp_path / "train")])
    command = [sys.executable, str(RECIPES["digits"]), *options, "--out", str(tmp_path / "python")]
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}  # of which sums, and so the last digit, depend
    subprocess.run(command, check=True, capture_output=True, timeout=120, env=os.environ | threads)
    left = [{path.relative_to(run) for path in run.rglob("*")} for run in (tmp_path / "train", tmp_path / "python")]
    assert left[0] == left[1]
    weights = [run / "generator" / "model.safetensors" for run in (tmp_path / "train", tmp_path / "python")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.slow
def test_a_file_run_by_python_says_a_mistake_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(RECIPES["digits"]), "--steps", "0", "--out", str(tmp_path / "run")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert ended.stderr.strip().splitlines() == ["discrete-gan: --steps: expected at least 1, got 0"]

"""What importing the package pulls in, and the arrows between its parts."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "discrete_gan"

# A part may import itself and these. What is reusable anywhere stands on nothing else.
NUMBERS = {"_arguments", "_precision", "_deprecated"}
ARROWS: dict[str, set[str]] = {
    "_arguments": set(),
    "_deprecated": set(),
    "_precision": set(),
    "contracts": set(),
    "distributed": {"errors"},
    "errors": set(),
    "writing": {"errors"},
    "labels": set(),
    "own": {"errors"},
    "ranges": {"errors"},
    "sampling": {"contracts", "distributions", "errors", "seeds"},
    "seeds": set(),
    "weights": {"distributed"} | NUMBERS,
    "divergences": {"distributed"} | NUMBERS,
    "distributions": NUMBERS,
    "estimators": {"weights", "distributions", "distributed", "contracts", "labels", "own", "ranges", "errors"}
    | NUMBERS,
    "losses": {"weights", "divergences", "distributed"} | NUMBERS,
    "models": {"distributions", "distributed", "labels", "seeds"} | NUMBERS,
    "data": {"distributed", "errors", "seeds", "writing"} | NUMBERS,
    "metrics": {"errors", "seeds"} | NUMBERS,
    "reweighted": {"weights", "distributions", "metrics", "contracts", "sampling", "seeds", "errors"} | NUMBERS,
    "tasks": {"data", "metrics", "distributions", "weights", "reweighted"}
    | {"contracts", "sampling", "seeds", "own", "ranges", "errors", "writing"}
    | NUMBERS,
    "training": {"tasks", "estimators", "distributions", "weights", "distributed"}
    | {"contracts", "labels", "sampling", "seeds", "own", "ranges", "errors", "writing"}
    | NUMBERS,
    "lab": {"estimators", "distributions", "weights", "training", "contracts", "labels", "errors"} | NUMBERS,
    "report": {"tasks", "training", "metrics", "weights", "errors", "writing"},
}
# An oracle is a model: the data of that one task are its samples. Log-ratios are measured by networks.
OF_ONE_FILE = {"tasks/oracle.py": {"models"}, "metrics/log_ratio.py": {"models", "weights", "sampling"}}
# The package itself imports a part when it is asked for: tests/test_namespace.py.
ANYTHING = {"cli", "table_gan", "trained", "__main__", "__init__"}

LOSSES = [f".losses.{path.stem}" for path in sorted((PACKAGE / "losses").glob("[!_]*.py"))]
LIGHT = ["", ".weights", ".divergences", ".distributions", ".estimators", *LOSSES]


def part_of(path: Path) -> str:
    """The first name below the package: a folder or a module."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> list[tuple[str, list[str]]]:
    """Absolute names of all modules that a file imports, also inside functions, each with what it takes from there."""
    folder = ("discrete_gan", *path.relative_to(PACKAGE).parent.parts) if path.is_relative_to(PACKAGE) else ()
    found: list[tuple[str, list[str]]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(folder[: len(folder) - node.level + 1]) if node.level else ""
            base = ".".join(filter(None, (start, node.module)))
            found.append((base, [alias.name for alias in node.names]))
    return found


def imported(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports."""
    names = set()
    for module, taken in imports(path):
        # "from discrete_gan import weights" names the part only after the import
        names |= {f"{module}.{name}" for name in taken} if module == "discrete_gan" else {module}
    return names


FILES = sorted(PACKAGE.rglob("*.py"))
PARTS = {part_of(path) for path in FILES}
OUTSIDE = sorted(file for name in ("recipes", "benchmarks", "docs/examples") for file in (ROOT / name).glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path) -> None:
    part = part_of(path)
    assert part in ARROWS or part in ANYTHING, f"{part}: a new part of the package needs its arrows here"
    inside = {name.split(".")[1] for name in imported(path) if name.startswith("discrete_gan.")} & PARTS
    mine = OF_ONE_FILE.get(path.relative_to(PACKAGE).as_posix(), set())
    assert inside <= (PARTS if part in ANYTHING else ARROWS[part] | mine | {part})
    assert "recipes" not in {name.split(".")[0] for name in imported(path)}


def test_arrows_have_no_cycle_and_lead_somewhere() -> None:
    needs = {part: set(of) for part, of in ARROWS.items()}
    for file, more in OF_ONE_FILE.items():
        needs[file.split("/")[0]] |= more
    assert needs.keys() == PARTS - ANYTHING
    done: set[str] = set()
    while ready := {part for part, of in needs.items() if part not in done and of <= done}:
        done |= ready
    assert done == needs.keys()


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


@pytest.mark.parametrize("path", [*FILES, *OUTSIDE], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_private_of_another_part_is_imported(path: Path) -> None:
    """A leading underscore is for the part alone; the two modules that have one serve all parts of the package."""
    own, serving = ({part_of(path)}, NUMBERS) if path.is_relative_to(PACKAGE) else (set(), set())
    for module, taken in imports(path):
        for name in taken or [""]:
            root, *below = f"{module}.{name}".split(".")
            if root != "discrete_gan" or below[0] in own:
                continue
            below = below[1:] if below[0] in serving else below
            assert not list(filter(private, below)), f"{module} {name}"


def test_data_know_nothing_of_command_lines() -> None:
    for path in sorted((PACKAGE / "data").glob("*.py")):
        flags = re.findall(r"(?<![-\w])--[a-z][-a-z]*", path.read_text(encoding="utf-8"))
        assert not flags, path.name


def run_python(code: str) -> str:
    finished = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_library_needs_torch_and_numpy_only() -> None:
    code = f"""
import importlib, sys
import torch, numpy
before = {{name.partition(".")[0] for name in sys.modules}}
for name in {LIGHT}:
    importlib.import_module("discrete_gan" + name)
    after = {{name.partition(".")[0] for name in sys.modules}}
    print(sorted(after - before - sys.stdlib_module_names - {{"discrete_gan"}}))
"""
    assert run_python(code).splitlines() == ["[]"] * len(LIGHT)


def test_models_work_without_the_hub_and_say_what_saving_needs() -> None:
    code = """
import sys
sys.modules["huggingface_hub"] = None
import torch
from discrete_gan.models import MLPGenerator
generator = MLPGenerator(3, 4, hidden=(5,))
print(tuple(generator(generator.latents(2)).sample().shape))
for action in (generator.save_pretrained, MLPGenerator.from_pretrained):
    try:
        action("nowhere")
    except ImportError as error:
        print(error)
"""
    shape, *messages = run_python(code).splitlines()
    assert shape == "(2, 4)"
    assert len(messages) == 2
    assert all("pip install 'discrete-gan[train]'" in message for message in messages)

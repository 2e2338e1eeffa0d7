"""What importing the package pulls in, and the arrows between its parts."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "discrete_gan"

# A part may import itself and these. The design's layers: what is reusable anywhere stands on nothing else.
FOUNDATION = {"_arguments", "_precision", "errors"}
ARROWS: dict[str, set[str]] = {
    "__init__": set(),
    "_arguments": set(),
    "_precision": set(),
    "errors": set(),
    "distributed": set(),
    "weights": {"_arguments", "_precision"},
    "divergences": {"_arguments", "_precision", "distributed"},
    "distributions": {"_arguments", "_precision"},
    "estimators": {"weights", "distributions", "distributed"} | FOUNDATION,
    "losses": {"weights", "divergences", "distributed", "_arguments", "_precision"},
    "models": {"distributions", "distributed", "_precision"},
    "data": FOUNDATION,
    "metrics": FOUNDATION,
    "training": {"weights", "distributed"} | FOUNDATION,
    "report": {"weights", "estimators", "distributions", "metrics", "data", "training"} | FOUNDATION,
    "lab": {"weights", "estimators", "distributions", "metrics", "training"} | FOUNDATION,
}
ANYTHING = {"cli", "__main__"}

LOSSES = [f".losses.{path.stem}" for path in sorted((PACKAGE / "losses").glob("[!_]*.py"))]
LIGHT = ["", ".weights", ".divergences", ".distributions", ".estimators", *LOSSES]


def part_of(path: Path) -> str:
    """The first name below the package: a folder or a module."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, also inside functions."""
    folder = ("discrete_gan", *path.relative_to(PACKAGE).parent.parts)
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(folder[: len(folder) - node.level + 1]) if node.level else ""
            base = ".".join(filter(None, (start, node.module)))
            # "from discrete_gan import weights" names the part only after the import
            names |= {f"{base}.{alias.name}" for alias in node.names} if base == "discrete_gan" else {base}
    return names


FILES = sorted(PACKAGE.rglob("*.py"))
PARTS = {part_of(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path: Path) -> None:
    part = part_of(path)
    assert part in ARROWS or part in ANYTHING, f"{part}: a new part of the package needs its arrows here"
    inside = {name.split(".")[1] for name in imported(path) if name.startswith("discrete_gan.")} & PARTS
    assert inside <= (PARTS if part in ANYTHING else ARROWS[part] | {part})
    assert "recipes" not in {name.split(".")[0] for name in imported(path)}


def test_arrows_have_no_cycle() -> None:
    done: set[str] = set()
    while ready := {part for part, needs in ARROWS.items() if part not in done and needs <= done}:
        done |= ready
    assert done == ARROWS.keys()


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

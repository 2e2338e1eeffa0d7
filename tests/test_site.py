"""The site: every public name has a page, and every page a place; built, in the slow test, with everything in it."""

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import discrete_gan as dg
from discrete_gan import divergences, losses

ROOT = Path(__file__).parents[1]
API = "".join(path.read_text() for path in sorted((ROOT / "docs/api").glob("*.md")))
DIRECTIVES = re.findall(r"^::: (\S+)$", API, flags=re.MULTILINE)


def own_names(module: ModuleType) -> list[str]:
    """Public functions and classes that a module without ``__all__`` defines."""
    named = vars(module).items()
    return [name for name, value in named if name[0] != "_" and getattr(value, "__module__", None) == module.__name__]


def public_names() -> set[str]:
    """As full names, of all that the package hands out."""
    parts = {name: getattr(dg, name) for name in dir(dg) if name != "__version__"}
    found = {f"discrete_gan.{part}.{name}" for part, module in parts.items() for name in getattr(module, "__all__", ())}
    modules = [divergences, *(getattr(losses, module.name) for module in pkgutil.iter_modules(losses.__path__))]
    found |= {f"{module.__name__}.{name}" for module in modules for name in own_names(module)}
    return found | {f"{parts[name].__module__}.{name}" for name in ("TableGAN", "load")}


def is_shown(name: str) -> bool:
    """By a directive of its own, or of its module; but what is called as a module beside it is hidden by that."""
    place, _, last = name.rpartition(".")
    module = importlib.import_module(place)
    hidden = hasattr(module, "__path__") and last in {each.name for each in pkgutil.iter_modules(module.__path__)}
    return f"{place}.{last}.{last}" in DIRECTIVES if hidden else {name, place} & set(DIRECTIVES) != set()


def test_every_public_name_has_a_page() -> None:
    names = public_names()
    assert len(names) > 300
    assert [name for name in sorted(names) if not is_shown(name)] == []


@pytest.mark.parametrize("name", DIRECTIVES)
def test_what_a_page_shows_is_there_and_says_what_it_is(name: str) -> None:
    try:
        shown = importlib.import_module(name)
    except ModuleNotFoundError:
        place, _, last = name.rpartition(".")
        shown = getattr(importlib.import_module(place), last)
    assert (shown.__doc__ or "").strip()


def test_every_page_has_its_place() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    listed = re.findall(r"^ +- (?:.*: )?(\S+\.(?:md|py))$", config.partition("\nnav:\n")[2], flags=re.MULTILINE)
    docs = ROOT / "docs"
    pages = [path.relative_to(docs).as_posix() for path in (*docs.rglob("*.md"), *docs.glob("notebooks/*.py"))]
    assert sorted(listed) == sorted(pages)


def test_nothing_that_pages_are_made_of_is_left_out_of_a_clone() -> None:
    paths = [path for path in (ROOT / "docs").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    names = "\n".join(str(path.relative_to(ROOT)) for path in paths)
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"], cwd=ROOT, input=names, capture_output=True, text=True
    )
    if ignored.returncode == 128:
        pytest.skip("not a clone")
    assert ignored.stdout == ""


@pytest.mark.slow
def test_the_site_is_built_with_everything_in_it(tmp_path: Path) -> None:
    pytest.importorskip("material")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    pages = {path: path.read_text() for path in (tmp_path / "site").rglob("*.html")}
    anchors = {found for text in pages.values() for found in re.findall(r'id="(discrete_gan[^"]*)"', text)}
    missing = {name for name in public_names() if not {name, f"{name}.{name.rpartition('.')[2]}"} & anchors}
    assert missing == set()
    assert not any(":math:" in text or 'class="arithmatex"' in text for text in pages.values())
    # A page asks for nothing of another host.
    asked = {
        found
        for text in pages.values()
        for found in re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="(http[^"]*)', text)
    }
    assert asked == set()


def test_every_logged_figure_is_explained() -> None:
    """What recipes and runs log by name, and the diagnostics of weights."""
    files = [*(ROOT / "recipes").glob("*.py"), *(ROOT / "discrete_gan/training").glob("*.py")]
    calls = [
        node
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "log"
    ]
    names = {keyword.arg for call in calls for keyword in call.keywords if keyword.arg}
    diagnosed = re.search(r"return \{(.*)\}", inspect.getsource(dg.training.diagnostics), flags=re.DOTALL)
    assert diagnosed
    names |= set(re.findall(r'"(\w+)":', diagnosed[1]))
    assert names >= {"d_loss", "g_loss", "penalty", "ess", "log_partition", "nll_apart"}
    explained = set(re.findall(r"`(\w+)`", (ROOT / "docs/figures.md").read_text()))
    assert names - explained == set()

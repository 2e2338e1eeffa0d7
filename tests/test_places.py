"""What CONTRIBUTING.md says of rooms and of the places touched to add something, held as far as it can be."""

import re
from pathlib import Path

import pytest

from discrete_gan.cli import main
from discrete_gan.data import images, text_sources
from discrete_gan.estimators import ESTIMATORS, SEQUENCE_ESTIMATORS
from tests.test_imports import ARROWS

ROOT = Path(__file__).resolve().parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
# Of losses, not losses: the page has them in its text.
_HELPERS = {"class_labels", "penalties"}


def rows(page: str) -> set[str]:
    """What the first cells of the tables of a page name."""
    return set(re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("names", "page"), [(ESTIMATORS, "estimators.md"), (SEQUENCE_ESTIMATORS, "text.md")], ids=["any", "sequences"]
)
def test_every_estimator_has_a_row_and_every_row_an_estimator(names: dict[str, object], page: str) -> None:
    assert rows(page) == names.keys()


def test_every_loss_has_a_row() -> None:
    modules = {path.stem for path in (ROOT / "discrete_gan" / "losses").glob("[!_]*.py")}
    named = set(re.findall(r"`(?:losses\.)?(\w+)`", (ROOT / "docs" / "losses.md").read_text()))
    assert modules & named >= _HELPERS
    assert modules - _HELPERS == {name for name in rows("losses.md") if name in modules}


@pytest.mark.parametrize("table", [images, text_sources])
def test_every_format_is_one_file_and_one_entry(table: object) -> None:
    formats = table.FORMATS  # type: ignore[attr-defined]
    loaders = [one.load if hasattr(one, "load") else one.read for one in formats]
    modules = [loader.__module__ for loader in loaders]
    assert len(set(modules)) == len(modules)
    assert {module.rpartition(".")[0] for module in modules} == {"discrete_gan.data"}
    assert len({one.called for one in formats}) == len(formats)


def test_what_is_read_is_said_from_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Entries are in the help of the recipes by themselves."""
    for recipe, table in (("digits", images), ("text", text_sources)):
        with pytest.raises(SystemExit):
            main(["train", recipe, "--help"])
        told = re.sub(r"[\s│]+", "", capsys.readouterr().out)
        for one in table.FORMATS:
            assert re.sub(r"\s", "", one.called) in told, one.called


def test_every_recipe_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main(["recipes"])
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == sorted(path.stem for path in (ROOT / "recipes").glob("*.py"))


def test_rooms_import_what_contributing_says() -> None:
    section = CONTRIBUTING.partition("| part | imports of these |")[2].partition("\n\n")[0]
    table = dict(re.findall(r"^\| `(\w+)` \| ([^|]*)\|", section, flags=re.MULTILINE))
    small = {name.removesuffix(".py") for name in re.findall(r"`(\w+\.py)` \(", CONTRIBUTING)}
    assert table.keys() | small == ARROWS.keys()
    assert not table.keys() & small
    for part, cell in table.items():
        assert set(re.findall(r"`(\w+)`", cell)) == ARROWS[part] - small, part


def test_places_that_contributing_names_are_there() -> None:
    section = CONTRIBUTING.partition("## Places touched to add")[2].partition("\n## ")[0]
    for name in re.findall(r"`([\w./]+[./][\w./]*)`", section):
        found = [root for root in (ROOT, ROOT / "discrete_gan") if (root / name).exists()]
        assert found, name

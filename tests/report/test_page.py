import base64
import hashlib
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest

from discrete_gan.report.page import Block, Chart, Code, Picture, Section, Table, Text, format_number, write_page
from tests.report.elements import Elements

HOSTILE = "</script></code></p><img src=x onerror=\"alert('1')\"> & $x$"
SVG = '<svg viewBox="0 0 1 1"><g /></svg>'
# one gray pixel, then its size made up: only the head is read
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==")


def page_of(tmp_path: Path, *blocks: Block, title: str = "A run", sections: list[Section] | None = None) -> Elements:
    write_page(tmp_path / "page.html", title=title, summary=blocks, sections=sections or [])
    return Elements((tmp_path / "page.html").read_text(encoding="utf-8"))


def png(width: int, height: int) -> bytes:
    return PIXEL[:16] + width.to_bytes(4) + height.to_bytes(4) + PIXEL[24:]


def test_everything_from_outside_is_escaped(tmp_path: Path) -> None:
    blocks: list[Block] = [
        Text(HOSTILE),
        Code(HOSTILE),
        Picture(PIXEL, HOSTILE, HOSTILE),
        Chart(SVG, HOSTILE, HOSTILE),
        Table(HOSTILE, [HOSTILE, HOSTILE], [[HOSTILE, HOSTILE]]),
    ]
    page = page_of(tmp_path, *blocks, title=HOSTILE, sections=[Section(HOSTILE, blocks)])
    assert len(page.all("script")) == 1
    assert page.values("img", "onerror") == [None, None]
    assert page.values("img", "alt") == page.values("svg", "aria-label") == [HOSTILE] * 2
    assert page.texts("title", "h1", "h2", "a")[1:] == ["Skip to the content", *[HOSTILE] * 3]
    assert page.texts("title") == [HOSTILE]
    assert page.texts("p") == page.texts("code") == page.texts("caption") == [HOSTILE] * 2
    assert page.texts("figcaption") == [HOSTILE] * 4
    assert page.texts("td") == [HOSTILE] * 2 and page.texts("th") == [HOSTILE] * 6


def test_policy_allows_the_one_script_and_nothing_outside(tmp_path: Path) -> None:
    page = page_of(tmp_path, Picture(PIXEL, "pixel"), sections=[Section("one", [])])
    (script,) = page.all("script")
    (policy,) = (meta.attributes["content"] for meta in page.all("meta") if "http-equiv" in meta.attributes)
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    assert rules == {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest}'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    addresses = [element.attributes.get(key) for element in page.found for key in ("src", "href")]
    assert all(address.startswith(("#", "data:")) for address in addresses if address)
    assert not re.search(r"url\(|@import", page.texts("style")[0])


def test_structure_for_readers_of_all_kinds(tmp_path: Path) -> None:
    table = Table("Scores", ["name", "score"], [["a", 1.0]])
    page = page_of(tmp_path, table, sections=[Section("First", [Text("p")]), Section("Second", [])])
    assert page.values("html", "lang") == ["en"]
    assert [element.tag for element in page.all("h1", "h2", "h3")] == ["h1", "h2", "h2"]
    assert [len(page.all(tag)) for tag in ("header", "nav", "main")] == [1, 1, 1]
    targets = [str(link.attributes["href"]) for link in page.all("a")]
    ids = [element.attributes["id"] for element in page.found if "id" in element.attributes]
    assert len(set(ids)) == len(ids)
    assert targets == ["#content", "#section-1", "#section-2"] and {target[1:] for target in targets} <= set(ids)
    labels = dict(zip(page.values("h2", "id"), page.texts("h2"), strict=True))
    assert [labels[label] for label in page.values("section", "aria-labelledby")] == ["First", "Second"]
    assert page.values("th", "scope") == ["col", "col", "row"]
    assert not page_of(tmp_path, table).all("nav")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (0.5, "0.5"),
        (12.3456, "12.35"),
        (1234.5678, "1235"),
        (9999.4, "9999"),
        (9999.5, "10,000"),
        (12345.678, "12,346"),
        (-12345.678, "-12,346"),
        (999_999_999.0, "999,999,999"),
        (1e9, "1e+09"),
        (0.0001, "0.0001"),
        (0.0000123456, "1.235e-05"),
        (0.0, "0"),
        (-0.0, "0"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "–"),
    ],
)
def test_numbers_are_short_and_never_round_whole_digits(value: float, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "text", "sorted_by"),
    [
        (0.1 + 0.2, "0.3", "0.30000000000000004"),
        (30_000, "30,000", "30000"),
        (2026, "2026", "2026"),
        (-30_000, "-30,000", "-30000"),
        (np.float32(0.5), "0.5", "0.5"),
        (np.int64(7), "7", "7"),
        (math.inf, "∞", "Infinity"),
        (-math.inf, "-∞", "-Infinity"),
        (None, "–", ""),
        (math.nan, "–", ""),
        (np.float32("nan"), "–", ""),
        ("0.640", "0.640", "0.640"),
        ("0.64 ± 0.02", "0.64 ± 0.02", "0.64"),
        ("-1,234.5 ± 3", "-1,234.5 ± 3", "-1234.5"),
        ("+0.1 (-0.2 to +0.3)", "+0.1 (-0.2 to +0.3)", "+0.1"),
        ("1.5e-07 ± 1e-08", "1.5e-07 ± 1e-08", "1.5e-07"),
        ("3 of 4", "3 of 4", None),
        ("2.6.1", "2.6.1", None),
        ("", "", None),
        (True, "True", None),
    ],
)
def test_cells_show_little_and_sort_by_everything(
    tmp_path: Path, value: str | float | None, text: str, sorted_by: str | None
) -> None:
    (cell,) = page_of(tmp_path, Table("", ["name", "value"], [["a", value]])).all("td")
    assert cell.text == text
    assert cell.attributes.get("data-value") == sorted_by


def test_columns_of_numbers_are_numeric_missing_values_aside(tmp_path: Path) -> None:
    rows = [[1, "a", 0.5, None, 3.0], [2, "b", None, None, "failed"]]
    page = page_of(tmp_path, Table("", list("vwxyz"), rows))
    numeric = ["number", None, "number", None, None]
    assert [cell.attributes.get("class") for cell in page.all("th", "td")] == numeric * 3


def test_table_without_rows_says_so(tmp_path: Path) -> None:
    page = page_of(tmp_path, Table("Nothing", ["a", "b"], []))
    assert page.texts("td") == ["no rows"] and page.values("td", "colspan") == ["2"]
    assert page.values("table", "class") == [None]  # nothing to sort


def test_rows_must_be_as_long_as_the_header(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"rows: expected 2 cells, one for each column of 'Scores', got 1 in row 2"):
        page_of(tmp_path, Table("Scores", ["a", "b"], [[1, 2], [1]]))
    assert not list(tmp_path.iterdir())


def test_pictures_are_inside_the_page(tmp_path: Path) -> None:
    (tmp_path / "pixel.png").write_bytes(PIXEL)
    page = page_of(tmp_path, Picture(PIXEL, "a"), Picture(tmp_path / "pixel.png", "b", "caption"))
    for source in page.values("img", "src"):
        kind, _, data = str(source).partition(",")
        assert kind == "data:image/png;base64" and base64.b64decode(data) == PIXEL
    assert page.texts("figcaption") == ["caption"]


@pytest.mark.parametrize(
    ("size", "shown", "enlarged"),
    [((8, 5), (320, 200), True), ((100, 160), (200, 320), True), ((161, 10), (161, 10), False)],
)
def test_small_pictures_are_enlarged_by_whole_numbers(
    tmp_path: Path, size: tuple[int, int], shown: tuple[int, int], enlarged: bool
) -> None:
    (image,) = page_of(tmp_path, Picture(png(*size), "a")).all("img")
    assert (image.attributes["width"], image.attributes["height"]) == tuple(map(str, shown))
    assert image.attributes.get("class") == ("pixels" if enlarged else None)


def test_what_is_no_picture_or_chart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"source: expected a PNG for 'cat', got bytes that start with b'GIF89a'"):
        page_of(tmp_path, Picture(b"GIF89a", "cat"))
    with pytest.raises(ValueError, match=r"svg: expected an SVG element for 'cat', got '<p>'"):
        page_of(tmp_path, Chart("<p>", "cat"))
    with pytest.raises(FileNotFoundError):
        page_of(tmp_path, Picture(tmp_path / "none.png", "cat"))


def test_charts_keep_their_markup_and_get_a_name(tmp_path: Path) -> None:
    page_of(tmp_path, Chart(SVG, 'a "b"'))
    expected = '<svg role="img" aria-label="a &#34;b&#34;" viewBox="0 0 1 1"><g /></svg>'
    assert expected in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_code_keeps_every_character(tmp_path: Path) -> None:
    text = "\n  first\n\n\tsecond   line \n"
    assert page_of(tmp_path, Code(text)).texts("code") == [text]


def test_page_is_never_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    replace = os.replace

    def replace_whole(aside: Path, target: Path) -> None:
        assert target == path and path.read_text() == "old"
        assert aside.parent == tmp_path and aside.read_text(encoding="utf-8").endswith("</html>")
        replace(aside, target)

    monkeypatch.setattr(os, "replace", replace_whole)
    write_page(path, title="new", summary=[], sections=[])
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"] and "new" in path.read_text(encoding="utf-8")

    def fail(aside: Path, target: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(PermissionError):
        write_page(path, title="newer", summary=[], sections=[])
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    assert "newer" not in path.read_text(encoding="utf-8")


def test_folder_is_made_and_file_names_of_any_bytes_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    write_page(path, title=os.fsdecode(b"run-\xff"), summary=[Text("漢字")], sections=[])
    page = Elements(path.read_text(encoding="utf-8"))
    assert page.texts("h1") == ["run-?"] and page.texts("p") == ["漢字"]

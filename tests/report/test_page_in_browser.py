import io
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.image
import numpy as np
import pytest

from discrete_gan.report import run_page
from discrete_gan.report.charts import Series, line_chart
from discrete_gan.report.page import Abreast, Chart, Code, Picture, Section, Table, Text, write_page
from tests.report.browser import OpenPage, started_browser

if TYPE_CHECKING:
    from playwright.sync_api import Page

SCORES = [10.5, -2.0, None, 9.75, math.inf, -math.inf, 1e-7]
NAMES = ["item 10", "item 2", "Zebra", "äpfel", "apple", "zoo", "boundary-seeking:num_samples=20,zero_sum=true"]
FIGURES = ["1,234.5 ± 2", "9.5 ± 0.1", "failed", "10 (9 to 11)", "0.12 ± 0.5", "0.5 ± 0.1", None]


@pytest.fixture(scope="module")
def open_page() -> Iterator[OpenPage]:
    with started_browser() as function:
        yield function


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with a block of each kind, wider than a phone wherever it can be."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    picture = io.BytesIO()
    matplotlib.image.imsave(picture, np.eye(500), format="png")
    small = io.BytesIO()
    matplotlib.image.imsave(small, np.eye(8), format="png")
    wide = [f"a long column {at}" for at in range(12)]
    rows = [[*row, *[0.123456789] * 12] for row in zip(NAMES, SCORES, FIGURES, strict=True)]
    line = line_chart([Series(name, [0, 1, 2], [1, 3, 2]) for name in NAMES[:3]], x_label="steps", y_label="nats")
    other = line_chart([Series("score", range(7), range(7))], x_label="", y_label="score")
    sections = [
        Section("Charts", [Chart(line, "Lines", "Two lines."), Chart(other, "Scores")]),
        Section("Pictures", [Picture(picture.getvalue(), "Large", "A caption."), Picture(small.getvalue(), "Small")]),
        Section(
            "</script><script>alert(1)</script>", [Code("discrete-gan train " + "--option=value " * 40 + "x" * 300)]
        ),
        Section("A" * 60, [Text("word" * 60)]),
    ]
    table = Table("Scores of every estimator", ["", "score", "figure", *wide], rows)
    write_page(path, title="Report", summary=[Text("First."), table], sections=sections)
    return path


@pytest.mark.parametrize("width", [320, 360, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_page_loads_whole_without_complaints_and_fits(
    report: Path, open_page: OpenPage, width: int, dark: bool
) -> None:
    page, problems = open_page(report, width=width, dark=dark)
    assert page.eval_on_selector_all("img", "all => all.map(image => image.naturalWidth)") == [500, 8]
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    # what is wider than a phone scrolls in its own box, which the keyboard reaches
    stops = page.eval_on_selector_all(
        ".scroll", "all => all.map(box => [box.scrollWidth > box.clientWidth, box.tabIndex])"
    )
    assert stops == [[scrolls, 0 if scrolls else -1] for scrolls, _ in stops]
    assert [scrolls for scrolls, _ in stops] == [True, width < 500, width < 500]
    assert problems == []


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small charts, and a table with sentences beside numbers."""
    path = tmp_path_factory.mktemp("curves") / "report.html"
    small = line_chart([Series("loss", [0, 1, 2], [1, 3, 2])], x_label="steps", y_label="", size=run_page._SMALL)
    sentence = "of samples nearer than the nearest 1 % of held-out data"
    table = Table("Scores", ["score", "value", "unit", "from", "to"], [["copies", 0.123456, sentence, 0.1, 0.123456]])
    write_page(
        path,
        title="Report",
        summary=[table, Abreast([Chart(small, "loss", "loss")] * 6)],
        sections=[Section("One", [])],
    )
    return path


@pytest.mark.parametrize(("width", "columns"), [(320, 1), (400, 1), (800, 2), (1200, 3), (1600, 3)])
def test_small_charts_stand_abreast_as_there_is_room(
    curves: Path, open_page: OpenPage, width: int, columns: int
) -> None:
    page, problems = open_page(curves, width=width)
    boxes = page.eval_on_selector_all(
        ".abreast figure", "all => all.map(each => each.getBoundingClientRect()).map(box => [box.left, box.top])"
    )
    assert len({left for left, _ in boxes}) == columns and len({top for _, top in boxes}) == 6 // columns
    scrolling = page.eval_on_selector_all(
        ".abreast .scroll", "all => all.filter(box => box.scrollWidth > box.clientWidth)"
    )
    assert scrolling == [] and problems == []  # each is seen whole
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0


def test_a_sentence_beside_numbers_is_no_column_of_words(curves: Path, open_page: OpenPage) -> None:
    page, _ = open_page(curves, width=400)
    height = "cell => cell.getBoundingClientRect().height"
    lines = page.eval_on_selector("tbody td.long", height) / page.eval_on_selector(
        "tbody td.long", "cell => parseFloat(getComputedStyle(cell).lineHeight)"
    )
    assert lines < 4


def shown(page: "Page", column: int) -> list[str]:
    return page.eval_on_selector_all(f"tbody tr > :nth-child({column})", "all => all.map(cell => cell.textContent)")


def test_columns_sort_by_click_and_by_keyboard(report: Path, open_page: OpenPage) -> None:
    page, problems = open_page(report)
    header = page.locator("thead th").nth(1)
    button = page.get_by_role("button", name="score", exact=True)
    up = ["-∞", "-2", "1e-07", "9.75", "10.5", "∞", "–"]
    down = [*up[-2::-1], "–"]  # missing values stay last
    assert header.get_attribute("aria-sort") is None
    button.click()
    assert shown(page, 2) == up and header.get_attribute("aria-sort") == "ascending"
    button.press("Enter")
    assert shown(page, 2) == down and header.get_attribute("aria-sort") == "descending"
    button.press("Enter")
    assert shown(page, 2) == up
    page.get_by_role("button", name="figure", exact=True).click()
    assert page.locator("[aria-sort]").count() == 1 and header.get_attribute("aria-sort") is None
    assert shown(page, 3) == ["0.12 ± 0.5", "0.5 ± 0.1", "9.5 ± 0.1", "10 (9 to 11)", "1,234.5 ± 2", "failed", "–"]
    # the rows moved whole
    assert shown(page, 1) == ["apple", "zoo", "item 2", "äpfel", "item 10", "Zebra", NAMES[-1]]
    assert problems == []


def test_texts_sort_as_a_reader_of_the_language_expects(report: Path, open_page: OpenPage) -> None:
    page, _ = open_page(report)
    page.get_by_role("button", name="Column 1", exact=True).click()
    assert shown(page, 1) == ["äpfel", "apple", NAMES[-1], "item 2", "item 10", "Zebra", "zoo"]


def test_tooltips_and_links_work(report: Path, open_page: OpenPage) -> None:
    page, problems = open_page(report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    page.get_by_role("link", name="Pictures").click()
    assert page.evaluate("document.querySelector('#section-2').getBoundingClientRect().top") == pytest.approx(16, abs=1)
    circle = page.locator("svg circle").first
    circle.scroll_into_view_if_needed()
    box = circle.bounding_box()
    assert box is not None
    title = "([x, y]) => document.elementFromPoint(x, y).querySelector('title').textContent"
    center = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    # all lines of this chart share their points: the last is on top
    assert page.evaluate(title, center) == "Zebra: x = 0, y = 1"
    assert problems == []


def luminance(color: str) -> float:
    parts = [float(number) / 255 for number in re.findall(r"[\d.]+", color)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_can_be_read_by_day_and_by_night(report: Path, open_page: OpenPage) -> None:
    papers = []
    for dark in (False, True):
        page, _ = open_page(report, dark=dark)
        paper, raised = (
            page.eval_on_selector(selector, "element => getComputedStyle(element).backgroundColor")
            for selector in ("body", "pre")
        )
        papers.append(paper)
        names = ["svg text", "p", "nav a", "caption", "figcaption", "thead button", "td", "code"]
        styles = ["fill", *["color"] * 7]
        inks = {
            name: page.eval_on_selector(name, f"element => getComputedStyle(element).{style}")
            for name, style in zip(names, styles, strict=True)
        }
        for name, ink in inks.items():  # WCAG 2.2, 1.4.3: texts have a contrast of at least 4.5
            darker, lighter = sorted((luminance(ink), luminance(raised if name == "code" else paper)))
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name
    # those that the colors of charts were chosen for
    assert papers == ["rgb(255, 255, 255)", "rgb(20, 22, 26)"]


def test_table_is_readable_without_scripts_and_on_paper(report: Path, open_page: OpenPage) -> None:
    page, _ = open_page(report, dark=True)
    browser = page.context.browser
    assert browser is not None
    plain = browser.new_page(java_script_enabled=False)
    plain.goto(report.as_uri())
    assert plain.locator("thead th").nth(1).inner_text() == "score" and plain.locator("button").count() == 0
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()

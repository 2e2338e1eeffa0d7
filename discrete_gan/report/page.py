"""Reports of one HTML file, which needs nothing else: no network, no fonts, no scripts of others."""

import base64
import hashlib
import math
import numbers
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from discrete_gan.writing import write_aside

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SMALL = 320  # pixels across: a picture that is smaller is enlarged, so that its own pixels can be seen

# "0.640", "0.64 ± 0.02", "+0.1 (-0.02 to +0.3)": texts that sort by the number they begin with
_SPREAD = re.compile(r"([-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)(?: ± .+| \(.+\))?")


class Text(NamedTuple):
    """A paragraph."""

    text: str


class Code(NamedTuple):
    """A command or samples of text, every space and line break kept; long lines wrap."""

    text: str


class Picture(NamedTuple):
    """A picture of pixels.

    Attributes:
        source: A PNG or its path.
        alt: What the picture shows, for those who cannot see it.
        caption: Below the picture.
    """

    source: bytes | Path
    alt: str
    caption: str = ""


class Chart(NamedTuple):
    """A chart that follows the page's colors.

    Attributes:
        svg: As :mod:`discrete_gan.report.charts` draws it, trusted: it is not escaped.
        alt: What the chart shows, for those who cannot see it.
        caption: Below the chart.
    """

    svg: str
    alt: str
    caption: str = ""


class Abreast(NamedTuple):
    """Small charts beside each other, as many in a row as there is room for."""

    charts: Sequence[Chart]


class Table(NamedTuple):
    """A table that readers can sort by any column.

    Attributes:
        caption: Above the table.
        header: A name for each column.
        rows: A cell for each column; the first names the row. None and NaN are missing values. A text that is a
            number, alone or with its spread ("0.64 ± 0.02", "0.1 (-0.02 to 0.3)"), sorts as that number.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | float | int | None]]


Block = Text | Code | Picture | Chart | Abreast | Table


class Section(NamedTuple):
    """A part of the page with a heading of its own, listed in the navigation."""

    title: str
    blocks: Sequence[Block]


class _Cell(NamedTuple):
    text: str
    value: str | None  # what the script sorts by: a number, "" where it is missing, None where the text is the value


class _Image(NamedTuple):
    url: str
    width: int
    height: int
    enlarged: bool


def format_number(value: float) -> str:
    """At least four significant digits: 0.1235, 12.35, 12,346 (never 12,350), 1.235e-05; no trailing zeros."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if 9999.5 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value + 0.0:.4g}"  # adding zero turns -0.0 into 0.0


def write_page(path: Path, *, title: str, summary: Sequence[Block], sections: Sequence[Section]) -> None:
    """Write a report as one HTML file, aside first and then renamed: a reader never meets half of it.

    All texts are escaped, charts excepted. The page asks for nothing outside itself, and its Content-Security-Policy
    forbids it.

    Args:
        path: File to write; its folder is made where it is missing.
        title: Of the document and its first heading.
        summary: What to read first, before the navigation's first section.
        sections: In order.

    Raises:
        ValueError: If a picture is no PNG, a chart is no SVG element or a row has another length than its header.
        OSError: If a picture cannot be read or the page cannot be written.
    """
    html = _environment().get_template("page.html.j2").render(title=title, summary=summary, sections=sections)
    path.parent.mkdir(parents=True, exist_ok=True)
    # a file name that is not valid UTF-8 reaches Python as surrogates, which cannot be encoded
    write_aside(path, lambda file: file.write(html.encode(errors="replace")))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("discrete_gan.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "kind": lambda block: type(block).__name__,
        "cells": _cells,
        "image": _image,
        "labeled": _labeled,
        "numeric": _numeric,
        "sha256": _sha256,
    }
    return environment


def _cells(table: Table) -> list[list[_Cell]]:
    for number, row in enumerate(table.rows, start=1):
        if len(row) != len(table.header):
            raise ValueError(
                f"rows: expected {len(table.header)} cells, one for each column of {table.caption!r}, "
                f"got {len(row)} in row {number}"
            )
    return [[_cell(value) for value in row] for row in table.rows]


def _cell(value: object) -> _Cell:
    if value is None or (isinstance(value, numbers.Real) and math.isnan(value)):
        return _Cell("–", "")
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        found = _SPREAD.fullmatch(str(value))
        return _Cell(str(value), found and found[1].replace(",", ""))
    if isinstance(value, numbers.Integral):
        whole = int(value)
        return _Cell(f"{whole:,}" if abs(whole) >= 10_000 else str(whole), str(whole))
    # repr is the shortest text that reads back as the same number; the script knows no "inf"
    return _Cell(format_number(float(value)), repr(float(value)).replace("inf", "Infinity"))


def _numeric(cells: Sequence[Sequence[_Cell]]) -> list[bool]:
    """For each column, whether it holds numbers, missing values aside."""
    columns = ([cell.value for cell in column if cell.value != ""] for column in zip(*cells, strict=True))
    return [bool(values) and None not in values for values in columns]


def _image(picture: Picture) -> _Image:
    data = picture.source.read_bytes() if isinstance(picture.source, Path) else picture.source
    if not data.startswith(PNG_SIGNATURE):
        raise ValueError(f"source: expected a PNG for {picture.alt!r}, got bytes that start with {data[:8]!r}")
    # the first chunk, IHDR, begins with width and height
    width, height = (int.from_bytes(data[start : start + 4]) for start in (16, 20))
    scale = max(1, _SMALL // max(width, height, 1))
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    return _Image(url, width * scale, height * scale, enlarged=scale > 1)


def _labeled(chart: Chart) -> Markup:
    if not chart.svg.startswith("<svg "):
        raise ValueError(f"svg: expected an SVG element for {chart.alt!r}, got {chart.svg[:20]!r}")
    return Markup('<svg role="img" aria-label="{}" ').format(chart.alt) + Markup(chart.svg.removeprefix("<svg "))


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

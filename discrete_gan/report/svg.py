"""A matplotlib figure as an SVG element of a page: its colors and fonts, tooltips, ids of its own."""

import hashlib
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from matplotlib.figure import Figure

INK = "#010203"
"""What a figure is drawn in where it should have the color of the page's text."""

_RADIUS = 6  # of the circle around a point that the pointer has to meet
_FONT = re.compile(r"font: (?:[\w-]+ )*?([\d.]+px) [^;]*")  # with its family, which is the page's choice
_FAMILY = re.compile(r"font-family: [^;]*; ")


def inline_svg(figure: Figure, titles: Mapping[str, Sequence[str]]) -> str:
    """The figure as an element of a page.

    Args:
        figure: To write.
        titles: By the gid of an artist, its tooltips: one for each marker, or one for all.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # the page's own fonts draw what matplotlib's lack
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(buffer, format="svg", transparent=True)
    root = ElementTree.fromstring(buffer.getvalue())
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key in [key for key in element.attrib if key.startswith("{")]:
            element.set(key.rpartition("}")[2], element.attrib.pop(key))
        if "style" in element.attrib:
            style = _FAMILY.sub("", _FONT.sub(r"font-size: \1", element.attrib["style"]))
            element.set("style", style.replace(INK, "currentColor"))
    # what matplotlib says of itself, and a style sheet that would reach the whole page
    for unwanted in (*root.findall("metadata"), *root.findall("defs[style]")):
        root.remove(unwanted)
    for group in root.iter("g"):
        if group.get("id") in titles:
            _add_titles(group, titles[group.attrib["id"]])
    for size in ("width", "height"):
        del root.attrib[size]
    # wide enough to read the labels, in units of the page's own letters
    width = figure.get_figwidth()
    lines = "stroke-linejoin: round; stroke-linecap: butt"
    root.set("style", f"min-width: {4.6 * width:.4g}rem; max-width: {6.8 * width:.4g}rem; {lines}")
    root.set("xmlns", "http://www.w3.org/2000/svg")
    return _with_own_ids(root)


def _add_titles(group: ElementTree.Element, titles: Sequence[str]) -> None:
    """Replace the markers of a group by targets for the pointer, or give the group itself a tooltip."""
    marks = list(group.iter("use"))
    parents = [group] * len(titles)
    if marks:
        for child in list(group):
            group.remove(child)
        places = [{"cx": mark.attrib["x"], "cy": mark.attrib["y"]} for mark in marks]
        looks = {"r": str(_RADIUS), "fill": "transparent", "class": "hover"}
        parents = [ElementTree.SubElement(group, "circle", place | looks) for place in places]
    for parent, title in zip(parents, titles, strict=True):
        element = ElementTree.Element("title")
        element.text = plain(title)
        parent.insert(0, element)


def _with_own_ids(root: ElementTree.Element) -> str:
    """Drop the ids that nothing refers to, and give the others names that no other chart of the page has."""
    digest = hashlib.blake2b(ElementTree.tostring(root), digest_size=6).hexdigest()
    used = set()
    for element in root.iter():
        for key in ("href", "clip-path"):
            old = element.get(key, "").removeprefix("url(").strip("#)")
            if old:
                used.add(old)
                element.set(key, element.attrib[key].replace(old, f"c{digest}-{old}"))
    for element in root.iter():
        old = element.attrib.pop("id", None)
        if old in used:
            element.set("id", f"c{digest}-{old}")
    return ElementTree.tostring(root, encoding="unicode")


def plain(text: str) -> str:
    """On one line and without characters that XML forbids."""
    return "".join(character if character.isprintable() else "\ufffd" for character in " ".join(text.split()))

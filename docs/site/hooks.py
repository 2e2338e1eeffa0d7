"""Formulas as MathML, which browsers draw by themselves: pages need no script and nothing of another host."""

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', flags=re.DOTALL)


def on_post_page(output: str, **kwargs: Any) -> str:
    """Every formula of a page."""
    return FORMULA.sub(_mathml, output)


def _mathml(found: re.Match[str]) -> str:
    latex = html.unescape(found[2]).strip()[2:-2].strip()
    formula = convert(latex, display="block" if found[1] == "div" else "inline")
    # A name that is applied to a letter stands apart from it.
    return re.sub(r"(<mi>(?:log|exp|max)</mi>)(?=<m(?:i|sub|frac|over|row)>)", r'\1<mspace width="0.17em" />', formula)

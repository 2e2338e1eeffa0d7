"""Docstrings hold Sphinx's math; a page of the site has LaTeX between the signs that its Markdown knows."""

import re
from typing import Any

import griffe

ROLE = re.compile(r":math:`([^`]+)`")
DIRECTIVE = re.compile(r"^( *)\.\. math:: ?(.*(?:\n\1 +.+)*)", flags=re.MULTILINE)
REFERENCE = re.compile(r":(?:class|func|meth|mod|attr):`~?([^`]+)`")


def as_markdown(text: str) -> str:
    """Roles and directives, as Markdown."""
    text = DIRECTIVE.sub(lambda found: f"{found[1]}$$\n{found[1]}{' '.join(found[2].split())}\n{found[1]}$$", text)
    return REFERENCE.sub(r"`\1`", ROLE.sub(lambda found: f"\\({' '.join(found[1].split())}\\)", text))


class Math(griffe.Extension):
    """Before docstrings are parsed."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Whatever has a docstring of its own."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)

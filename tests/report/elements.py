"""The elements of an HTML page, for tests of what stands in it."""

from html.parser import HTMLParser


class Element:
    def __init__(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tag, self.attributes, self.text = tag, attributes, ""


class Elements(HTMLParser):
    """All elements in the order of their start tags, each with the text inside."""

    EMPTY = {"meta", "link", "img"}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[Element] = []
        self.open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.found.append(Element(tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(self.found[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.found if element.tag in tags]

    def texts(self, *tags: str) -> list[str]:
        return [element.text for element in self.all(*tags)]

    def values(self, tag: str, attribute: str) -> list[str | None]:
        return [element.attributes.get(attribute) for element in self.all(tag)]

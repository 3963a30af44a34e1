"""An HTML reader of our own for the pages: the checks share nothing with the code that writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "wbr"}


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def text(self) -> str:
        """All text inside, runs of white space as one space."""
        return " ".join(self._text().split())

    def _text(self) -> str:
        return "".join(child if isinstance(child, str) else child._text() for child in self.children)

    def elements(self) -> list[Element]:
        """The children that are no text."""
        return [child for child in self.children if isinstance(child, Element)]

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.elements():
            yield from child.walk()

    def all(self, *names: str, class_: str | None = None) -> list[Element]:
        return [
            element
            for element in self.walk()
            if (not names or element.name in names)
            and (class_ is None or class_ in element.attributes.get("class", "").split())
        ]

    def texts(self, *names: str, class_: str | None = None) -> list[str]:
        return [element.text() for element in self.all(*names, class_=class_)]

    def values(self, attribute: str, *names: str, class_: str | None = None) -> list[str]:
        return [element.attributes[attribute] for element in self.all(*names, class_=class_)]

    def tables(self) -> dict[str, list[list[str]]]:
        """The cells of every table by its caption."""
        return {
            table.texts("caption")[0]: [
                [cell.text() for cell in row.elements()] for row in table.all("tbody")[0].elements()
            ]
            for table in self.all("table")
        }

    def section(self, identifier: str) -> Element:
        (section,) = (element for element in self.all("section") if element.attributes["id"] == identifier)
        return section


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("document", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag, f"</{tag}> closes <{self.open[-1].name}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(markup: str) -> Element:
    """Reads markup into a tree; markup that is not well nested fails the test."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    assert len(reader.open) == 1, f"<{reader.open[-1].name}> is never closed"
    return reader.open[0]

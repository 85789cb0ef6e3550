"""Reads HTML as a browser would: which elements it has, where they lead, and what is left without any style."""

from __future__ import annotations

from html.parser import HTMLParser

HARMLESS = {"a", "b", "br", "code", "details", "div", "pre", "span", "summary", "table", "tbody", "td", "th", "thead"}
HARMLESS |= {"time", "tr"}
ATTRIBUTES = {"class", "datetime", "href", "open", "rel", "scope", "style", "target", "title"}


class Reader(HTMLParser):
    """What is in a piece of HTML.

    Attributes:
        tags: Names of its elements.
        attributes: Names of their attributes.
        links: Where they lead.
        words: Its text.
        unclosed: Elements that are open at its end.
    """

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.words = ""
        self.unclosed: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.unclosed.append(tag)
        if tag in ("div", "tr", "pre", "summary"):
            self.words += "\n"

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag
        if tag in ("td", "th"):
            self.words += " "

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    @property
    def is_harmless(self) -> bool:
        """Whether it can neither run nor load anything, and leads to web addresses only."""
        return (
            self.tags <= HARMLESS
            and self.attributes <= ATTRIBUTES
            and not self.unclosed
            and all(link.startswith(("https://", "http://")) for link in self.links)
        )

    @property
    def lines(self) -> list[str]:
        """Its text, a line for each row, without the spaces around it."""
        return [" ".join(line.split()) for line in self.words.splitlines() if line.strip()]

"""Read a piece of HTML like a browser: its elements, links and text."""

from __future__ import annotations

from html.parser import HTMLParser

HARMLESS = {"a", "b", "br", "code", "details", "div", "pre", "span", "summary", "table", "tbody", "td", "th", "thead"}
HARMLESS |= {"time", "tr"}
ATTRIBUTES = {"class", "datetime", "href", "open", "rel", "scope", "style", "target", "title"}


class Reader(HTMLParser):
    """The content of a piece of HTML.

    Attributes:
        tags: Names of the elements.
        attributes: Names of the attributes of the elements.
        links: Addresses of the links.
        words: The text.
        unclosed: Elements without an end tag.
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
        """Whether the HTML runs no code, loads nothing and links only to web addresses."""
        return (
            self.tags <= HARMLESS
            and self.attributes <= ATTRIBUTES
            and not self.unclosed
            and all(link.startswith(("https://", "http://")) for link in self.links)
        )

    @property
    def lines(self) -> list[str]:
        """The text, one line for each row, without the spaces around it."""
        return [" ".join(line.split()) for line in self.words.splitlines() if line.strip()]

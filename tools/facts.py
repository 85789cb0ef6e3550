"""References to the facts are links: "FACTS §4", on whichever page, leads to that section of the page of facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

HOME: Final = "reference/facts"
_HEADING: Final = re.compile(r"^## ((\d+)\. .+)$", re.MULTILINE)
_REFERENCE: Final = re.compile(r"<(pre|code|a|h\d)\b.*?</\1>|FACTS §\d+(?:(?:,| and) §\d+)*", re.DOTALL)
_SECTION: Final = re.compile(r"(?:FACTS )?§(\d+)")


class Page(Protocol):
    """What is asked of a page of mkdocs."""

    @property
    def url(self) -> str:
        """Its address below the site's, with a slash at the end; empty for the first page."""
        ...


def anchors() -> Mapping[str, str]:
    """Return the anchor of each section of the facts, by its number."""
    text = Path(__file__).parent.parent.joinpath("docs", f"{HOME}.md").read_text("utf-8")
    return {number: _anchor(title) for title, number in _HEADING.findall(text)}


def on_page_content(html: str, *, page: Page, **_: object) -> str:
    """Link the references of a page, but none in code, in a heading or within another link, as mkdocs calls it.

    Raises:
        KeyError: There is no section of that number.
    """
    facts = f"{'../' * page.url.count('/')}{HOME}/"
    known = anchors()

    def linked(found: re.Match[str]) -> str:
        if found[1]:
            return found[0]
        return _SECTION.sub(lambda section: f'<a href="{facts}#{known[section[1]]}">{section[0]}</a>', found[0])

    return _REFERENCE.sub(linked, html)


def _anchor(title: str) -> str:
    """Return the anchor of a heading as the extension toc makes it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())

"""Links between pages: `[text][dotted.path]` leads to the description of a name, and "FACTS §4" to that section."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Final

FACTS: Final = "reference/facts.md"

_SECTION_HEADING: Final = re.compile(r"^## ((\d+)\. .+)$", re.MULTILINE)
_ANCHOR: Final = re.compile(r"^[ >]*#+ .*\{ #([\w.]+) .*\}$", re.MULTILINE)
# Headings, code blocks and code in sentences are unchanged. References and section numbers become links.
_TOKENS: Final = re.compile(
    r"(?P<kept>^[ ]*(?P<fence>`{3,})[^\n]*\n.*?^[ ]*(?P=fence)[ ]*$|^#+ [^\n]*$"
    r"|\[(?:`[^`]*`|[^\[\]`])*\]\((?!\S*\.md#launch_)[^)\s]*\))"
    r"|\[(?P<words>(?:`[^`\n]*`|\\.|[^\[\]`\\])*)\]\[(?P<path>[a-z]\w*(?:\.\w+)+)(?P<optional>\??)\]"
    r"|\]\((?P<page>\S*\.md)#(?P<anchor>launch_[\w.]+)\)"
    r"|(?P<code>(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<facts>FACTS §\d+(?:(?:,| and) §\d+)*)",
    re.MULTILINE | re.DOTALL,
)


def linked(pages: Mapping[str, str], canonical: Callable[[str], str]) -> dict[str, str]:
    """Return the pages, by their paths, with references as links.

    Args:
        pages: The text of each page by its path below `docs`.
        canonical: Returns the dotted path at which an object is defined, and raises KeyError if there is none.

    Raises:
        ValueError: A reference has no target.
    """
    homes = {anchor: page for page, text in pages.items() for anchor in _ANCHOR.findall(text)}
    sections = facts_anchors(pages.get(FACTS, ""))
    return {page: _linked(page, text, homes, sections, canonical) for page, text in pages.items()}


def facts_anchors(text: str) -> dict[str, str]:
    """Return the anchor of each section of the page of facts, by its number."""
    return {number: _slug(title) for title, number in _SECTION_HEADING.findall(text)}


def _linked(
    page: str, text: str, homes: Mapping[str, str], sections: Mapping[str, str], canonical: Callable[[str], str]
) -> str:
    def home(path: str) -> str | None:
        if path in homes:
            return path
        try:
            found = canonical(path)
        except KeyError:
            return None
        return found if found in homes else None

    def link(match: re.Match[str]) -> str:
        if path := match["path"] or match["anchor"]:
            anchor = home(path)
            if anchor is None:
                if match["optional"]:
                    return match["words"]
                raise ValueError(f"{page}: no page describes {path}, the target of {match[0]}")
            words = f"[{match['words']}]" if match["path"] else "]"
            return f"{words}({relative(page, homes[anchor])}#{anchor})"
        if match["facts"]:
            target = relative(page, FACTS)
            return re.sub(
                r"(?:FACTS )?§(\d+)", lambda found: f"[{found[0]}]({target}#{sections[found[1]]})", match["facts"]
            )
        return match[0]

    return _TOKENS.sub(link, text)


def relative(page: str, target: str) -> str:
    """Return the relative path from a page to another page. Both are paths below `docs`."""
    return "" if page == target else posixpath.relpath(target, posixpath.dirname(page) or ".")


def _slug(title: str) -> str:
    """Return the anchor of a heading, as the extension toc creates it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())

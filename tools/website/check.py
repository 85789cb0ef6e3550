"""Checks of a built site: its links work, it loads nothing from other servers, and two builds have the same words."""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

SEARCHES: Final[Mapping[str, Sequence[str]]] = {
    "logging": ["how-to/logging/"],
    "rate limit": ["explanation/the-budget/", "how-to/troubleshooting/"],
    "429": ["explanation/the-budget/", "how-to/troubleshooting/"],
    "rollback": ["how-to/releases/"],
    "upgrade": ["how-to/upgrading/"],
    "proxy": ["how-to/proxies-and-certificates/"],
}
"""Words that people type into the search. One of the pages must be the first or the second result."""

_LOADS: Final = {"img": "src", "script": "src", "iframe": "src", "source": "src", "link": "href", "video": "src"}
_LOADING_LINKS: Final = {"stylesheet", "icon", "preload", "preconnect", "prefetch", "modulepreload", "manifest"}
_CSS_URL: Final = re.compile(r"(?:url\(|@import\s+)['\"]?((?:https?:)?//[^'\")\s]+)")


@dataclass
class Page(HTMLParser):
    """The words, the anchors and the links of a page of HTML, and the addresses that the page loads."""

    text: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start outside the article."""
        super().__init__()
        self._article = self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an anchor, a link or an address that the page loads."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in _LOADS and (tag != "link" or _LOADING_LINKS & set(given.get("rel", "").split())):
            self.loads.append(given.get(_LOADS[tag], ""))
        self.loads += _CSS_URL.findall(given.get("style", ""))
        self._article += tag == "article"
        self._silent += tag in ("script", "style", "svg")

    def handle_endtag(self, tag: str) -> None:
        """Record the end of the article, or of an element without words."""
        self._article -= tag == "article"
        self._silent -= tag in ("script", "style", "svg")

    def handle_data(self, data: str) -> None:
        """Record the words of the article."""
        if self._article and not self._silent:
            self.text.append(data)

    @property
    def words(self) -> list[str]:
        """The words of the article, without the marks of links to its headings."""
        return "".join(self.text).replace("¶", " ").split()


def pages(site: Path) -> dict[str, Page]:
    """Return every page of a site by its path within it."""
    found: dict[str, Page] = {}
    for path in sorted(site.rglob("*.html")):
        page = Page()
        page.feed(path.read_text("utf-8"))
        found[path.relative_to(site).as_posix()] = page
    return found


def dead_links(site: Path) -> Iterator[str]:
    """Yield the broken links within the site."""
    every = pages(site)
    for name, page in every.items():
        if name == "404.html":  # The links of this page begin at the root of the server.
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (
                posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
            )
            if (site / target).is_dir():
                target = posixpath.normpath(f"{target}/index.html")
            if not (site / target).is_file():
                yield f"{name}: {link} does not exist"
            elif parts.fragment and target in every and unquote(parts.fragment) not in every[target].anchors:
                yield f"{name}: {link} has no such anchor"


def loaded_from_elsewhere(site: Path) -> Iterator[str]:
    """Yield the addresses that pages and stylesheets load from other servers."""
    for name, page in pages(site).items():
        yield from (f"{name} loads {load}" for load in page.loads if re.match(r"(?:https?:)?//", load))
    for path in sorted(site.rglob("*.css")):
        found = _CSS_URL.findall(path.read_text("utf-8"))
        yield from (f"{path.relative_to(site).as_posix()} loads {load}" for load in found)


def different_words(one: Path, other: Path) -> Iterator[str]:
    """Yield the pages that only one of two sites has, and the pages whose words differ."""
    sides = [{name: page.words for name, page in pages(site).items() if page.words} for site in (one, other)]
    for name in sorted({*sides[0], *sides[1]} - {"404.html"}):
        ours, theirs = (side.get(name, []) for side in sides)
        if ours != theirs:
            place = next(
                (at for at, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]),
                min(len(ours), len(theirs)),
            )
            words = [" ".join(side[max(0, place - 3) : place + 5]) for side in (ours, theirs)]
            yield f"{name}: {words[0]!r} in {one.name} is {words[1]!r} in {other.name}"


def missing_twins(site: Path, names: Sequence[str]) -> Iterator[str]:
    """Yield the pages without a twin in Markdown."""
    yield from (f"{name} is missing" for name in [*names, "llms.txt"] if not (site / name).is_file())


def searched(site: Path, queries: Sequence[str], node: str) -> dict[str, list[str]]:
    """Return the results of the site's search for each query, best first.

    Args:
        site: A site that Zensical has built.
        queries: The words to search for.
        node: The program Node.js.
    """
    program = Path(__file__).with_name("search.js")
    done = subprocess.run(
        [node, program, site], input="\n".join(queries), capture_output=True, text=True, check=True, encoding="utf-8"
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        query: list(dict.fromkeys(place.partition("#")[0] for place in places))
        for query, places in zip(queries, answers, strict=True)
    }


def poor_searches(site: Path, node: str) -> Iterator[str]:
    """Yield the searches whose first two results do not include an expected page."""
    for query, found in searched(site, list(SEARCHES), node).items():
        if not set(SEARCHES[query]) & set(found[:2]):
            yield f"a search for {query!r} finds {found[:3]} and not {' or '.join(SEARCHES[query])}"

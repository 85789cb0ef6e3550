"""Every page of the site as plain Markdown, made from `docs` and from the source code.

A builder needs no plugins and no hooks for these pages. They contain the code of other files, the lists of names and
commands, the reference, links instead of references, and the drawn diagrams.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tools import command_page
from tools.website import names, reference
from tools.website.charts import chart
from tools.website.diagrams import sequence
from tools.website.flows import flow
from tools.website.links import linked

ROOT: Final = Path(__file__).resolve().parent.parent.parent
DOCS: Final = ROOT / "docs"
DRAWINGS: Final[Mapping[str, Callable[[str], str]]] = {"chart": chart, "flow": flow, "sequence": sequence}

DECISIONS: Final = "decisions"
"""The folder of pages for developers of the SDK, which are neither in the navigation nor in the search."""

_DECISIONS_MARK: Final = "<!-- decisions -->\n"
_NOT_SEARCHED: Final = "---\nsearch:\n  exclude: true\n---\n"
_SNIPPET: Final = re.compile(r'^([ ]*)--8<-- "([\w./-]+)(?::(\w+))?"[ ]*\n', re.MULTILINE)
_MARKER: Final = re.compile(r"^[ ]*<!-- (?:--8<-- \[\w+:\w+\]|vale [^>]*|\w+) -->\n", re.MULTILINE)
_DRAWN: Final = re.compile(rf"^([ ]*)```({'|'.join(DRAWINGS)})\n(.*?)^\1```[ ]*$", re.MULTILINE | re.DOTALL)
_ATTRIBUTES: Final = re.compile(r"[ ]\{ [#.:][^}\n]*\}")


@dataclass(frozen=True)
class Entry:
    """An entry of the navigation: a page, or a group of entries.

    Attributes:
        title: Title of the entry.
        page: Path of the page below `docs`; empty for a group.
        below: The entries of a group.
    """

    title: str
    page: str
    below: Sequence[Entry] = ()

    def pages(self) -> Iterator[str]:
        """Yield every page of the entry, in order."""
        if self.page:
            yield self.page
        for entry in self.below:
            yield from entry.pages()


def texts() -> dict[str, str]:
    """Return each page by its path below `docs`, with diagrams as text, for programs.

    Raises:
        ValueError: A reference has no target, or a file to insert does not exist.
        KeyError: A directive names an object that does not exist.
    """
    pages = {path.relative_to(DOCS).as_posix(): _expanded(path) for path in sorted(DOCS.rglob("*.md"))}
    return linked(pages, reference.canonical)


def drawn(page: str, text: str) -> str:
    """Return a page with its diagrams drawn, for a builder."""

    def draw(match: re.Match[str]) -> str:
        return f"{match[1]}{DRAWINGS[match[2]](textwrap.dedent(match[3]))}\n"

    drawing = _DRAWN.sub(draw, text)
    return f"{_NOT_SEARCHED}{drawing}" if page.startswith(f"{DECISIONS}/") else drawing


def write(target: Path, pages: Mapping[str, str]) -> None:
    """Write a project for a builder: pages, pictures, the theme, the configuration, and the twins.

    Args:
        target: A folder. Files of an earlier run are replaced.
        pages: The text of each page, as `texts` returns it.
    """
    nav = navigation()
    wanted = {f"docs/{page}": drawn(page, text).encode() for page, text in pages.items()}
    wanted |= {f"twins/{page}": twin(text).encode() for page, text in pages.items()}
    wanted["twins/llms.txt"] = llms(nav, pages).encode()
    wanted["twins/llms-full.txt"] = b"\n".join(wanted[f"twins/{page}"] for entry in nav for page in entry.pages())
    wanted["mkdocs.yml"] = (ROOT / "mkdocs.yml").read_bytes()
    for source, name in ((DOCS, "docs"), (Path(__file__).parent / "theme", "theme")):
        files = (path for path in source.rglob("*") if path.is_file() and path.suffix != ".md")
        wanted |= {f"{name}/{path.relative_to(source).as_posix()}": path.read_bytes() for path in files}
    _lay_out(target, wanted)


def twin(text: str) -> str:
    """Return a page for programs, without the syntax that only a builder understands."""
    front, body = _split(text)
    del front
    return _ATTRIBUTES.sub("", body).lstrip("\n")


def llms(nav: Sequence[Entry], pages: Mapping[str, str]) -> str:
    """Return `llms.txt`: a description of the site, and a list of its pages, each with its first sentence."""
    settings = configuration()
    lines = [f"# {settings['site_name']}", "", f"> {settings['site_description']}", ""]
    for entry in nav:
        lines += [f"## {entry.title}", ""]
        lines += [f"- [{_title(pages[page])}]({page}): {_first_sentence(pages[page])}" for page in entry.pages()]
        lines.append("")
    return "\n".join(lines)


def navigation() -> list[Entry]:
    """Return the navigation of the site."""
    return [_entry(each) for each in configuration()["nav"]]


def configuration() -> dict[str, Any]:
    """Return `mkdocs.yml`, which both builders read."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    return settings


def inserted(text: str) -> str:
    """Return a page with the content of the files, or parts of files, that it inserts.

    Raises:
        ValueError: The file or the part does not exist.
    """

    def insert(match: re.Match[str]) -> str:
        path, part = ROOT / match[2], match[3]
        if not path.is_file():
            raise ValueError(f"the file {match[2]} to insert does not exist")
        found = path.read_text("utf-8")
        if part:
            ends = [f"<!-- --8<-- [{end}:{part}] -->\n" for end in ("start", "end")]
            if any(end not in found for end in ends):
                raise ValueError(f"{match[2]} has no part {part!r} to insert")
            found = found.partition(ends[0])[2].partition(ends[1])[0]
        return textwrap.indent(found, match[1])

    return _SNIPPET.sub(insert, text)


def _expanded(path: Path) -> str:
    text = inserted(path.read_text("utf-8"))
    text = names.expand(text)
    text = command_page.expand(text)
    text = reference.expand(text)
    text = text.replace(_DECISIONS_MARK, "".join(_decisions()))
    return _MARKER.sub("", text)


def _decisions() -> Iterator[str]:
    for path in sorted((DOCS / DECISIONS).glob("[0-9]*.md")):
        title = _title(path.read_text("utf-8"))
        yield f"- [{title.partition('. ')[2]}]({path.name})\n"


def _entry(entry: dict[str, Any]) -> Entry:
    ((title, value),) = entry.items()
    return Entry(title, value) if isinstance(value, str) else Entry(title, "", [_entry(each) for each in value])


def _split(text: str) -> tuple[str, str]:
    """Return the front matter of a page, and the rest."""
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    return (match[1], text[match.end() :]) if match else ("", text)


def _title(text: str) -> str:
    match = re.search(r"^# (.+)$", _split(text)[1], re.MULTILINE)
    return match[1].replace("`", "") if match else ""


def _first_sentence(text: str) -> str:
    """Return the first sentence of a page."""
    for paragraph in re.split(r"\n\s*\n", _split(text)[1]):
        plain = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", " ".join(paragraph.split()))
        sentence = re.split(r"(?<=[.!?])\s", re.sub(r"^(?:\d+\.|-) ", "", plain))[0]
        if re.match(r"[\w`\"*]", plain) and len(sentence.split()) > 3:
            return sentence.rstrip(":")
    return ""


def _lay_out(target: Path, wanted: Mapping[str, bytes]) -> None:
    """Write only changed files and delete old files, so that a builder that watches the folder has little to do."""
    for name in ("docs", "theme", "twins"):
        for path in (target / name).rglob("*"):
            if path.is_file() and path.relative_to(target).as_posix() not in wanted:
                path.unlink()
    for name, data in wanted.items():
        path = target / name
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

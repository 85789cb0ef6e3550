"""The pages of the documentation and the blocks of code in them, for the tools and tests that run the blocks."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE: Final = re.compile(r"^( *)(?:<!-- (\w+) -->\n *)?```(\w+)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Line:
    """A line to type into a shell.

    Attributes:
        text: The line.
        output: The output that the page shows; empty if the page shows none.
    """

    text: str
    output: str = ""


@dataclass(frozen=True)
class Block:
    """A fence of a page.

    Attributes:
        page: The page, as a path within the project.
        number: The first line.
        language: The language of the block.
        marker: The word of the comment before the block; empty if there is none.
        text: The content of the block.
    """

    page: str
    number: int
    language: str
    marker: str
    text: str

    @property
    def name(self) -> str:
        """Page and line of the block."""
        return f"{self.page}:{self.number}"

    @property
    def lines(self) -> list[Line]:
        """The lines to type: all lines of a fence `sh`, and the lines after a `$` in a fence `console`."""
        if self.language == "sh":
            return [Line(line) for line in self.text.splitlines()]
        typed = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:] if self.language == "console" else []
        return [Line(line, output) for line, _, output in (one.partition("\n") for one in typed)]


def blocks(*languages: str, page: str = "") -> Iterator[Block]:
    """Return every block in one of these languages, of one page or of the whole documentation."""
    return (block for block in every_block() if block.language in languages and page in ("", block.page))


def every_block() -> Iterator[Block]:
    """Return every block of the documentation that names its language."""
    for path in PAGES:
        text = path.read_text("utf-8")
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            page = path.relative_to(ROOT).as_posix()
            yield Block(page, line, match[3], match[2] or "", textwrap.dedent(match[4]))


def lines_of(page: str) -> list[Line]:
    """Return every line of a page that a reader types into a shell, in order."""
    return [line for block in blocks("sh", "console", page=page) for line in block.lines]

"""The pages of the documentation, and the blocks of code in them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

import attrs

from tests.support.programs import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^( *)(?:<!-- (\w+) -->\n *)?```(\w+)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@attrs.frozen
class Block:
    """A fence of a page.

    Attributes:
        name: Its page and line.
        language: What it is written in.
        marker: What a comment before it says about it; empty if there is none.
        text: What is in it.
    """

    name: str
    language: str
    marker: str
    text: str


def blocks(*languages: str) -> Iterator[Block]:
    """Every block of the documentation in one of these languages."""
    return (block for block in every_block() if block.language in languages)


def every_block() -> Iterator[Block]:
    """Every block of the documentation whose language is named."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            name = f"{page.relative_to(ROOT)}:{line}"
            yield Block(name, match[3], match[2] or "", textwrap.dedent(match[4]))

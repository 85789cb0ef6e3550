"""Sequence diagrams as text: a fence ` ```sequence ` of the documentation becomes a picture in the page itself.

The theme of the site would load a drawing library from another server, and our pages load nothing from other servers.
The first line names the participants. Each further line is a message, a message that is lost, or a note::

    program, SDK, Launch
    SDK -> Launch: POST /projects
    Launch -x SDK: the answer
    SDK: looks it up by name
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Final

_MESSAGE: Final = re.compile(r"(?P<sender>[^:]+?) -(?P<end>[>x]) (?P<receiver>[^:]+?): (?P<text>.+)")
_NOTE: Final = re.compile(r"(?P<name>[^:]+?): (?P<text>.+)")
# Three columns fit a narrow screen and are readable there.
_COLUMN: Final = 160
_BOX: Final = 124
_WIDE: Final = 152
_ROW: Final = 44
_TOP: Final = 56
LABEL: Final = 'text-anchor="middle" font-size="14" fill="currentColor"'
# Words cover the line behind them, in the light and the dark theme.
HALO: Final = 'style="paint-order: stroke; stroke: var(--md-default-bg-color); stroke-width: 6px"'


def sequence(source: str) -> str:
    """Return the picture of a sequence as HTML with inline SVG, in the colours of the page.

    Raises:
        ValueError: A line is malformed, or names an unknown participant.
    """
    first, *steps = [line.strip() for line in source.strip().splitlines()]
    names = [name.strip() for name in first.split(",")]
    width, height = _COLUMN * len(names), _TOP + _ROW * len(steps) + 12
    parts = [_life_line(name, _place(names, name), height) for name in names]
    parts += [_step(names, line, _TOP + _ROW * row + 30) for row, line in enumerate(steps)]
    words = escape("; ".join(steps), quote=True)
    return (
        f'<div class="sequence"><svg role="img" aria-label="{words}" viewBox="0 0 {width} {height}" '
        f'style="width: 100%; min-width: {width * 3 // 4}px; max-width: {width}px; height: auto" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg></div>'
    )


def _life_line(name: str, x: int, height: int) -> str:
    return (
        f'<rect x="{x - _BOX // 2}" y="8" width="{_BOX}" height="32" rx="4" fill="none" stroke="currentColor"/>'
        f'<text x="{x}" y="29" font-weight="bold" {LABEL}>{escape(name)}</text>'
        f'<line x1="{x}" y1="40" x2="{x}" y2="{height}" stroke="currentColor" opacity="0.35"/>'
    )


def _step(names: Sequence[str], line: str, y: int) -> str:
    if message := _MESSAGE.fullmatch(line):
        start, end = _place(names, message["sender"]), _place(names, message["receiver"])
        return _arrow(start, end, y, message["text"], lost=message["end"] == "x")
    if note := _NOTE.fullmatch(line):
        x, size = _place(names, note["name"]), f'width="{_WIDE}" height="32" rx="4"'
        return (
            f'<rect x="{x - _WIDE // 2}" y="{y - 22}" {size} fill="var(--md-code-bg-color)"/>'
            f'<text x="{x}" y="{y - 1}" {LABEL}>{escape(note["text"])}</text>'
        )
    raise ValueError(f"neither a message nor a note: {line!r}")


def _arrow(start: int, end: int, y: int, text: str, *, lost: bool) -> str:
    way = 1 if end > start else -1
    tip = (start + end) // 2 + 40 * way if lost else end
    head = f"M{tip - 7} {y - 7}l14 14m0 -14l-14 14" if lost else f"M{tip} {y}l{-10 * way} -5v10z"
    ink = 'fill="none" stroke-width="2"' if lost else 'fill="currentColor"'
    dashes = ' stroke-dasharray="5 4"' if lost else ""
    return (
        f'<line x1="{start}" y1="{y}" x2="{tip}" y2="{y}" stroke="currentColor"{dashes}/>'
        f'<path d="{head}" stroke="currentColor" {ink}/>'
        f'<text x="{(start + end) // 2}" y="{y - 10}" {LABEL} {HALO}>{escape(text)}</text>'
    )


def _place(names: Sequence[str], name: str) -> int:
    if name not in names:
        raise ValueError(f"{name!r} is not one of the participants {', '.join(names)}")
    return _COLUMN * names.index(name) + _COLUMN // 2

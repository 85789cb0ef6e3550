"""Directed graphs as text: a fence ` ```flow ` of the documentation becomes boxes and arrows, drawn in the page itself.

Each line is an arrow, with or without words on it. An arrow points from a box to a box below::

    Ack-clocked -> Aligned burst: loses more than 7 %
    Aligned burst -> Ack-clocked with a bonus: refused
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from tools.website.diagrams import HALO, LABEL

_ARROW: Final = re.compile(r"(?P<above>[^:>]+?) -> (?P<below>[^:>]+?)(?:: (?P<words>.+))?")
_BOX: Final = (210, 36)
_COLUMN: Final = 250
_ROW: Final = 92


def flow(source: str) -> str:
    """Return the picture of a graph as HTML with inline SVG, in the colours of the page.

    Raises:
        ValueError: A line is not an arrow, or the arrows form a circle.
    """
    lines = [line.strip() for line in source.strip().splitlines()]
    arrows: list[tuple[str, str, str]] = []
    for line in lines:
        match = _ARROW.fullmatch(line)
        if match is None:
            raise ValueError(f"not an arrow: {line!r}")
        arrows.append((match["above"], match["below"], match["words"] or ""))
    places = _places(_ranks([(above, below) for above, below, _ in arrows]))
    width = max(x for x, _ in places.values()) + _COLUMN // 2
    height = max(y for _, y in places.values()) + _BOX[1] // 2 + 4
    parts = [_line(places[above], places[below]) for above, below, _ in arrows]
    parts += [_words(places[above], places[below], words) for above, below, words in arrows if words]
    parts += [_box(name, place) for name, place in places.items()]
    label = escape("; ".join(lines), quote=True)
    return (
        f'<div class="sequence"><svg role="img" aria-label="{label}" viewBox="0 0 {width} {height}" '
        f'style="width: 100%; min-width: {min(width, 340)}px; max-width: {width}px; height: auto" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg></div>'
    )


def _ranks(arrows: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the row of each box, as high as arrows allow. A box without incoming arrows is just above its target."""
    names = dict.fromkeys(name for arrow in arrows for name in arrow)
    ranks = dict.fromkeys(names, 0)
    for _ in names:
        for above, below in arrows:
            ranks[below] = max(ranks[below], ranks[above] + 1)
    if max(ranks.values()) >= len(names):
        raise ValueError("the arrows form a circle")
    pointed_at = {below for _, below in arrows}
    for name in names:
        if name not in pointed_at:
            ranks[name] = min(ranks[below] for above, below in arrows if above == name) - 1
    return ranks


def _places(ranks: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return the middle of each box. Each row is below the previous row, in the middle of the picture."""
    rows = [[name for name in ranks if ranks[name] == rank] for rank in range(max(ranks.values()) + 1)]
    widest = max(len(row) for row in rows)
    return {
        name: ((2 * column + 1 + widest - len(row)) * _COLUMN // 2, rank * _ROW + _BOX[1] // 2 + 4)
        for rank, row in enumerate(rows)
        for column, name in enumerate(row)
    }


def _box(name: str, place: tuple[int, int]) -> str:
    (x, y), (width, height) = place, _BOX
    return (
        f'<rect x="{x - width // 2}" y="{y - height // 2}" width="{width}" height="{height}" rx="4" '
        'fill="var(--md-code-bg-color)" stroke="currentColor"/>'
        f'<text x="{x}" y="{y + 5}" {LABEL}>{escape(name)}</text>'
    )


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x, y), (tip, bottom) = start, (end[0], end[1] - _BOX[1] // 2)
    return (
        f'<line x1="{x}" y1="{y}" x2="{tip}" y2="{bottom}" stroke="currentColor"/>'
        f'<path d="M{tip} {bottom}l-5 -10h10z" fill="currentColor"/>'
    )


def _words(start: tuple[int, int], end: tuple[int, int], words: str) -> str:
    # Near the end of the arrow, because arrows from one box are close to each other at their start.
    x, y = (2 * start[0] + 3 * end[0]) // 5, (start[1] + end[1]) // 2
    return f'<text x="{x}" y="{y + 4}" {LABEL} {HALO}>{escape(words)}</text>'

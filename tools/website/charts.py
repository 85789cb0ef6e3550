"""Figures as text: a fence ` ```chart ` of the documentation becomes lines on axes, drawn in the page itself.

The first line names the quantity and the x axis. The second line lists the x values, and each further line a series::

    accepted per second; seconds since the first request
    x: 5 10 15
    sliding window: 8.2 9.1 9.1
    token bucket: 8.2 10.0 10.0
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

_WIDTH: Final = 760
_HEIGHT: Final = 300
_LEFT: Final = 44
_RIGHT: Final = 16
_BOTTOM: Final = 56
_LEGEND: Final = 26
# Dashes distinguish the lines without colours; the colours have contrast on white and on slate.
_PENS: Final = (("#4f83e0", ""), ("#d9822b", "7 4"), ("#2f9e6e", "2 3"), ("#c05299", "10 3 2 3"))


def chart(source: str) -> str:
    """Return the picture of some figures as HTML with inline SVG, in the colours of the page.

    Raises:
        ValueError: A line has another number of figures than the x axis, or there are more lines than pens.
    """
    title, axis, *rows = [line.strip() for line in source.strip().splitlines()]
    counted, along = (part.strip() for part in title.split(";"))
    xs = _figures(axis)[1]
    lines = [_figures(row) for row in rows]
    if len(lines) > len(_PENS) or any(len(ys) != len(xs) for _, ys in lines):
        raise ValueError(f"each line needs {len(xs)} figures, and a chart has at most {len(_PENS)} lines: {title!r}")
    top = _LEGEND * (len(lines) + 1) + 18
    highest = max(max(ys) for _, ys in lines)
    step = _step(highest)
    ceiling = step * math.ceil(highest / step)
    parts = [_text(0, 18, counted, "start")]
    parts += [_legend(index, name) for index, (name, _) in enumerate(lines)]
    parts += [_rule(_y(value * step, ceiling, top), f"{value * step:g}") for value in range(round(ceiling / step) + 1)]
    parts += [_text(_x(x, xs), top + _HEIGHT + 22, f"{x:g}", "middle") for x in xs[:: max(1, len(xs) // 10)]]
    parts.append(_text(_WIDTH - _RIGHT, top + _HEIGHT + 46, along, "end"))
    for index, (_, ys) in enumerate(lines):
        points = " ".join(f"{_x(x, xs):.1f},{_y(y, ceiling, top):.1f}" for x, y in zip(xs, ys, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" {_pen(index)}/>')
    words = escape("; ".join([title, *rows]), quote=True)
    height = top + _HEIGHT + _BOTTOM
    return (
        f'<div class="sequence chart"><svg role="img" aria-label="{words}" viewBox="0 0 {_WIDTH} {height}" '
        f'style="width: 100%; min-width: 320px; max-width: {_WIDTH}px; height: auto" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg></div>'
    )


def _figures(line: str) -> tuple[str, list[float]]:
    name, _, figures = line.rpartition(":")
    return name.strip(), [float(figure) for figure in figures.split()]


def _step(highest: float) -> float:
    """Return a round distance between grid lines, so that four to ten of them are below the highest figure."""
    magnitude = 10.0 ** math.floor(math.log10(highest))
    return next(part * magnitude for part in (0.1, 0.2, 0.5, 1.0) if highest <= 10 * part * magnitude)


def _x(x: float, xs: Sequence[float]) -> float:
    return _LEFT + (x - xs[0]) / (xs[-1] - xs[0]) * (_WIDTH - _LEFT - _RIGHT)


def _y(y: float, ceiling: float, top: int) -> float:
    return top + _HEIGHT * (1 - y / ceiling)


def _rule(y: float, label: str) -> str:
    line = f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="currentColor" opacity="0.15"/>'
    return line + _text(_LEFT - 8, y + 4, label, "end")


def _legend(index: int, name: str) -> str:
    y = _LEGEND * (index + 1) + 14
    return f'<line x1="0" y1="{y}" x2="34" y2="{y}" {_pen(index)}/>' + _text(42, y + 4, name, "start")


def _pen(index: int) -> str:
    colour, dashes = _PENS[index]
    return f'stroke="{colour}" stroke-width="2.5"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def _text(x: float, y: float, words: str, anchor: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-size="13" fill="currentColor">{escape(words)}</text>'

"""Draw a result as plain SVG: a figure and a bar for each row, a line for the spread, and the goals below."""

from __future__ import annotations

import itertools
from typing import Any
from xml.sax.saxutils import escape

from benchmarks._report import figure

WIDTH, LABELS, STEP, BAR = 760, 290, 20, 13
# Put the figures between the names and the bars, so that a narrow screen shows them without scrolling.
FIGURE, NOTE = 64, 130
OURS, OTHERS, INK, FAINT = "#3f51b5", "#b0b7c3", "#4d5561", "#6b727d"


def picture(result: dict[str, Any]) -> str:
    """Return the SVG of a result."""
    shapes: list[str] = []
    y = 40
    for unit, group in itertools.groupby(result["rows"], key=lambda row: row["unit"]):
        rows = list(group)
        widest = max([max(row["samples"]) for row in rows] + [1e-9])
        start = LABELS + (NOTE if any(row.get("note") for row in rows) else FIGURE)
        shapes.append(_text(0, y, f"{unit}, {'more' if rows[0]['better'] == 'more' else 'less'} is better", FAINT))
        y += 8
        for row in rows:
            shapes += _bar(row, y, start, (WIDTH - start) / widest)
            y += STEP
        y += 24
    for mark in result["marks"]:
        verdict = "reached" if mark["reached"] else "missed"
        goal = "" if mark["goal"] is None else f" (goal {mark['goal']:g}: {verdict})"
        shapes.append(_text(0, y, f"{mark['what']}: {figure(mark['median'])} {mark['unit']}".rstrip() + goal, INK))
        y += 18
    head = _text(0, 16, f"{result['title']} ({result['machine']})", INK, bold=True)
    style = "font: 12px system-ui, sans-serif"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" style="{style}" role="img">\n'
        + "\n".join([head, *shapes])
        + "\n</svg>\n"
    )


def _bar(row: dict[str, Any], y: int, start: int, scale: float) -> list[str]:
    ours = any(word in row["name"] for word in ("launch_", "build_archive", "uploads.send", "client.wait", "emulator"))
    low, middle, high = (
        start + max(0.0, value) * scale for value in (min(row["samples"]), row["median"], max(row["samples"]))
    )
    line, width = y + BAR / 2, max(1.0, middle - start)
    figures = ", ".join(filter(None, (figure(row["median"]), row.get("note"))))
    return [
        _text(0, y + 11, row["name"], INK),
        _text(start - 10, y + 11, figures, INK, anchor="end"),
        f'<rect x="{start}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{OURS if ours else OTHERS}"/>',
        f'<path d="M{low:.1f} {line}H{high:.1f}" stroke="{INK}" stroke-width="1"/>',
    ]


def _text(x: int, y: int, text: str, fill: str, *, bold: bool = False, anchor: str = "start") -> str:
    weight = ' font-weight="600"' if bold else ""
    side = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x}" y="{y}" fill="{fill}"{weight}{side}>{escape(text)}</text>'

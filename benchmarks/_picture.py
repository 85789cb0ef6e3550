"""A picture of a result: a bar for each row, its spread as a line over it, and the marks below; plain SVG."""

from __future__ import annotations

import itertools
from typing import Any
from xml.sax.saxutils import escape

WIDTH, LABELS, STEP, BAR = 760, 290, 20, 13
FIGURE, NOTE = 90, 130
OURS, OTHERS, INK, FAINT = "#3f51b5", "#b0b7c3", "#5f6773", "#9aa1ac"


def picture(result: dict[str, Any]) -> str:
    """Return the SVG of a result."""
    shapes: list[str] = []
    y = 40
    for unit, group in itertools.groupby(result["rows"], key=lambda row: row["unit"]):
        rows = list(group)
        widest = max([max(row["samples"]) for row in rows] + [1e-9])
        room = NOTE if any(row.get("note") for row in rows) else FIGURE
        shapes.append(_text(0, y, f"{unit}, {'more' if rows[0]['better'] == 'more' else 'less'} is better", FAINT))
        y += 8
        for row in rows:
            shapes += _bar(row, y, (WIDTH - LABELS - room) / widest)
            y += STEP
        y += 24
    for mark in result["marks"]:
        goal = "" if mark["goal"] is None else f" (goal {mark['goal']:g}: {'reached' if mark['reached'] else 'missed'})"
        shapes.append(_text(0, y, f"{mark['what']}: {mark['median']:.3g} {mark['unit']}{goal}", INK))
        y += 18
    head = _text(0, 16, f"{result['title']} ({result['machine']})", INK, bold=True)
    style = "font: 12px system-ui, sans-serif"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" style="{style}" role="img">\n'
        + "\n".join([head, *shapes])
        + "\n</svg>\n"
    )


def _bar(row: dict[str, Any], y: int, scale: float) -> list[str]:
    ours = any(word in row["name"] for word in ("launch_", "build_archive", "uploads.send", "client.wait", "emulator"))
    low, middle, high = (
        LABELS + max(0.0, value) * scale for value in (min(row["samples"]), row["median"], max(row["samples"]))
    )
    line, width = y + BAR / 2, max(1.0, middle - LABELS)
    figure = f"{row['median']:,.4g}".replace(",", " ")
    return [
        _text(0, y + 11, row["name"], INK),
        f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{OURS if ours else OTHERS}"/>',
        f'<path d="M{low:.1f} {line}H{high:.1f}" stroke="{INK}" stroke-width="1"/>',
        _text(round(high) + 6, y + 11, ", ".join(filter(None, (figure, row.get("note")))), INK),
    ]


def _text(x: int, y: int, text: str, fill: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" fill="{fill}"{weight}>{escape(text)}</text>'

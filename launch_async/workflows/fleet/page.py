"""HTML of a plan, a selection and a report: one look for notebooks and for a file that CI keeps.

Nothing is told by colour alone, nothing is loaded from elsewhere, and everything that came from outside is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["STYLE", "cell", "section", "table"]

STYLE: Final = """
.launch-fleet { color-scheme: light dark; font: 14px/1.45 system-ui, sans-serif; max-width: 60rem; }
.launch-fleet h1 { font-size: 1.35em; margin: 0 0 .2em; }
.launch-fleet h2 { font-size: 1.05em; margin: 1.4em 0 .4em; }
.launch-fleet p { margin: .3em 0; }
.launch-fleet table { border-collapse: collapse; font-size: inherit; }
.launch-fleet th, .launch-fleet td { padding: .2em .8em .2em 0; text-align: left; vertical-align: top; }
.launch-fleet th { border-bottom: 1px solid currentColor; font-weight: 600; }
.launch-fleet td { border-bottom: 1px solid color-mix(in srgb, currentColor 18%, transparent); }
.launch-fleet .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.launch-fleet td:first-child { min-width: 14em; overflow-wrap: anywhere; }
.launch-fleet .state { white-space: nowrap; font-weight: 600; }
.launch-fleet .message { overflow-wrap: anywhere; }
.launch-fleet figure { margin: 0; overflow-x: auto; }
.launch-fleet svg { display: block; min-width: 42rem; width: 100%; height: auto; }
.launch-fleet svg text { fill: currentColor; font-family: system-ui, sans-serif; font-size: 12px; }
""".strip()


def section(body: str) -> str:
    """Return some HTML with the style that it needs, to stand inside any page."""
    return f'<style>{STYLE}</style><div class="launch-fleet">{body}</div>'


def cell(text: object, kind: str = "") -> str:
    """Return one cell of a table; `kind` is `number`, `state` or `message`."""
    shown = "" if text is None else html.escape(str(text))
    return f'<td class="{kind}">{shown}</td>' if kind else f"<td>{shown}</td>"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

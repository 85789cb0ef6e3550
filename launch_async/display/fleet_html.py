"""What HTML views of bulk operations share beside `_html`: the look of a state, and a page that stands by itself."""

from __future__ import annotations

import html
from typing import Final

from launch_async.display import html as _html
from launch_async.fleet.journal.journal import OperationState

__all__ = ["page", "scrolling", "state_badge", "time_span"]

_MOODS: Final = {
    OperationState.PLANNED: _html.Severity.IDLE,
    OperationState.INTENDED: _html.Severity.BUSY,
    OperationState.SENT: _html.Severity.BUSY,
    OperationState.SUCCEEDED: _html.Severity.GOOD,
    OperationState.FAILED: _html.Severity.BAD,
    OperationState.SKIPPED: _html.Severity.IDLE,
    OperationState.AMBIGUOUS: _html.Severity.WARNING,
}
_STYLE: Final = "body { margin: 1.5rem auto; padding: 0 1rem; max-width: 70rem; font: 14px/1.5 system-ui, sans-serif }"


def state_badge(state: OperationState, words: str = "") -> _html.Markup:
    """Return a state as HTML views show it, in other words if some are given."""
    return _html.badge(words or state, _MOODS[state])


def time_span(seconds: float | None) -> _html.Markup:
    """Return a length of time that no line break divides; nothing for None."""
    shown = _html.duration(seconds)
    return _html.Markup(shown and f'<span style="white-space:nowrap">{shown}</span>')


def scrolling(table: str) -> _html.Markup:
    """Return a table that keeps its columns readable where there is little room, and scrolls sideways instead."""
    return _html.Markup(f'<div style="overflow-x:auto"><div style="min-width:40rem">{table}</div></div>')


def page(title: str, body: str) -> str:
    """Return a whole page, in light or dark as the reader has it, that loads nothing."""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{html.escape(title)}</title><style>:root {{ color-scheme: light dark }} {_STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )

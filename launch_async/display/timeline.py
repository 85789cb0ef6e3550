"""The chart of a run: one bar for each target over time, wave by wave, as an SVG without other files.

The chart has the colour of the text around it, so that it is readable on light and dark pages and in print. States have
different patterns, and a text next to each bar names the state.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import attrs

from launch_async._text import duration, shortened
from launch_async.fleet.journal.journal import OperationState
from launch_async.fleet.report.outcome import TargetOutcome

__all__ = ["timeline"]

_WIDTH_PX: Final = 960
_LABEL_PX: Final = 250
_STATE_PX: Final = 150
_ROW_PX: Final = 18
_HEAD_PX: Final = 26
_MAX_TARGETS: Final = 60
_MAX_LABEL_LENGTH: Final = 35
_TICKS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
_PATTERNS: Final = """<defs>
<pattern id="launch-stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect width="3" height="6" fill="currentColor"/></pattern>
<pattern id="launch-dots" width="5" height="5" patternUnits="userSpaceOnUse">
<circle cx="1.5" cy="1.5" r="1.1" fill="currentColor"/></pattern>
</defs>"""
_FILLS: Final = {
    OperationState.SUCCEEDED: 'fill="currentColor" fill-opacity=".35"',
    OperationState.FAILED: 'fill="url(#launch-stripes)"',
    OperationState.AMBIGUOUS: 'fill="url(#launch-dots)"',
}


_LONG_PAUSE_S: Final = 60.0
"""Minimum seconds of a pause that the chart leaves out. It must also be longer than the time with running targets."""


@attrs.frozen
class _Bar:
    outcome: TargetOutcome
    start: float
    end: float


@attrs.frozen
class _Pause:
    """A time between two runs that the chart leaves out.

    Attributes:
        at: Its position, in seconds of the chart.
        start: When it began, in seconds since the start of the first target.
        seconds: Its duration.
    """

    at: float
    start: float
    seconds: float


def timeline(outcomes: Sequence[TargetOutcome]) -> str:
    """Return the chart; empty if no target was started.

    The chart shows at most 60 targets: first the targets that did not succeed, then the slowest targets. A note says
    how many targets it leaves out.
    """
    started = [one for one in outcomes if one.started_at is not None]
    if not started:
        return ""
    beginning = min(_started(one) for one in started)
    latest = max(one.ended_at or _started(one) for one in started)
    length = max(1.0, (latest - beginning).total_seconds())
    bars = [_bar(one, beginning, length) for one in started]
    pauses = _pauses(bars, length)
    bars = [attrs.evolve(bar, start=_without(bar.start, pauses), end=_without(bar.end, pauses)) for bar in bars]
    length = max(1.0, _without(length, pauses))
    ordered = sorted(bars, key=lambda bar: (bar.outcome.state is OperationState.SUCCEEDED, bar.start - bar.end))
    shown = ordered[:_MAX_TARGETS]
    shown.sort(key=lambda bar: (bar.outcome.wave, bar.start, bar.outcome.label))
    left_out = len(started) - len(shown)
    note = f"<figcaption>The table lists {left_out} more targets, which took less time.</figcaption>"
    picture = f"{_picture(shown, pauses, length)}{note if left_out else ''}"
    return f'<figure style="margin:.8em 0;overflow-x:auto">{picture}</figure>'


def _started(outcome: TargetOutcome) -> datetime:
    assert outcome.started_at is not None  # noqa: S101 - all callers pass outcomes that were started
    return outcome.started_at


def _bar(outcome: TargetOutcome, beginning: datetime, length: float) -> _Bar:
    start = (_started(outcome) - beginning).total_seconds()
    end = length if outcome.ended_at is None else (outcome.ended_at - beginning).total_seconds()
    return _Bar(outcome, start, max(start, end))


def _pauses(bars: Sequence[_Bar], length: float) -> list[_Pause]:
    """Return the long times without a running target, for example between a crash and the resumption."""
    busy = sorted((bar.start, bar.end if bar.outcome.ended_at is not None else bar.start) for bar in bars)
    idle: list[tuple[float, float]] = []
    until = busy[0][1]
    for start, end in busy[1:]:
        if start > until:
            idle.append((until, start - until))
        until = max(until, end)
    active = length - sum(seconds for _, seconds in idle)
    pauses: list[_Pause] = []
    for start, seconds in idle:
        if seconds > max(_LONG_PAUSE_S, active):
            pauses.append(_Pause(_without(start, pauses), start, seconds))
    return pauses


def _without(at: float, pauses: Sequence[_Pause]) -> float:
    return at - sum(min(pause.seconds, at - pause.start) for pause in pauses if at > pause.start)


def _picture(bars: Sequence[_Bar], pauses: Sequence[_Pause], length: float) -> str:
    lines: list[str] = []
    y, wave = _HEAD_PX, -1
    for bar in bars:
        if bar.outcome.wave != wave:
            wave = bar.outcome.wave
            lines.append(_wave(wave, y))
            y += _HEAD_PX
        lines += _row(bar, y, length)
        y += _ROW_PX
    grid = "".join(itertools.chain(_grid(length, y), *(_cut(pause, length, y) for pause in pauses)))
    return (
        f'<svg viewBox="0 0 {_WIDTH_PX} {y + 6}" role="img" aria-label="When each target was deployed" '
        'style="display:block;min-width:42rem;width:100%;height:auto;font:12px system-ui,sans-serif;fill:currentColor">'
        f"{_PATTERNS}{grid}{''.join(lines)}</svg>"
    )


def _wave(number: int, y: float) -> str:
    name = f"Wave {number}" if number else "In progress at the start"
    return (
        f'<text x="0" y="{y + 19}" font-weight="600">{name}</text>'
        f'<line x1="0" y1="{y + 24}" x2="{_WIDTH_PX}" y2="{y + 24}" stroke="currentColor" stroke-opacity=".3"/>'
    )


def _row(bar: _Bar, y: float, length: float) -> Iterator[str]:
    outcome, left, right = bar.outcome, _x(bar.start, length), _x(bar.end, length)
    label = outcome.label
    short = html.escape(shortened(label, _MAX_LABEL_LENGTH))
    seconds = "" if outcome.seconds is None else f" {outcome.seconds:.1f} s"
    fill = _FILLS.get(outcome.state, 'fill="none" stroke-dasharray="4 3"')
    title = f"{label}: {outcome.state}{seconds}"
    yield f"<g><title>{html.escape(title)}</title>"
    yield f'<text x="{_LABEL_PX - 8}" y="{y + 14}" text-anchor="end">{short}</text>'
    yield (
        f'<rect x="{left:.1f}" y="{y + 5}" width="{max(2.0, right - left):.1f}" height="{_ROW_PX - 7}" rx="2" '
        f'stroke="currentColor" {fill}/>'
    )
    weight = "" if outcome.state is OperationState.SUCCEEDED else ' font-weight="700"'
    yield f'<text x="{_WIDTH_PX - _STATE_PX + 10}" y="{y + 14}"{weight}>{outcome.state}{seconds}</text></g>'


def _grid(length: float, bottom: float) -> Iterator[str]:
    step = next((nice for nice in _TICKS_S if length / nice <= 8), _TICKS_S[-1])
    for tick in range(0, int(length) + 1, step):
        x = _x(tick, length)
        yield (
            f'<line x1="{x:.1f}" y1="16" x2="{x:.1f}" y2="{bottom}" stroke="currentColor" stroke-opacity=".18"/>'
            f'<text x="{x:.1f}" y="12" text-anchor="middle">{_shown_time(tick)}</text>'
        )


def _cut(pause: _Pause, length: float, bottom: float) -> Iterator[str]:
    x = _x(pause.at, length)
    words = f"no run for {duration(pause.seconds)}"
    yield (
        f'<g><title>{words}</title><line x1="{x:.1f}" y1="16" x2="{x:.1f}" y2="{bottom}" stroke="currentColor" '
        f'stroke-width="2" stroke-dasharray="2 3"/><text x="{x + 4:.1f}" y="{_HEAD_PX}">{words}</text></g>'
    )


def _shown_time(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds / 60:g} min"


def _x(seconds: float, length: float) -> float:
    return _LABEL_PX + seconds / length * (_WIDTH_PX - _LABEL_PX - _STATE_PX)

"""`FleetProgress`: shows a run while it goes, as a table in a terminal or a notebook, or as plain lines for a log.

Give it as `on_event`. It draws to what it was given or to standard output, and never changes the run.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, Self, TextIO, TypeAlias

from launch_async._text import duration, printable
from launch_async.display import html as _html
from launch_async.display.fleet import scrolling, state_badge, time_span
from launch_async.display.notebook import front_end, in_notebook
from launch_async.display.snapshot import Row, RunSnapshot
from launch_async.errors import ConfigurationError, InvalidArgumentError
from launch_async.fleet.run.events import FleetEvent, FleetEventKind

if TYPE_CHECKING:
    from launch_async.display.terminal import LiveTable

__all__ = ["FleetProgress", "ProgressMode"]

ProgressMode: TypeAlias = Literal["auto", "live", "lines", "notebook", "quiet"]
"""How a run is shown: `live` is a table that is redrawn in a terminal (extra `progress`), `lines` is one plain line for
each event, `notebook` a table in a Jupyter notebook, `quiet` nothing. `auto` takes what fits."""

_MODES: Final = ("auto", "live", "lines", "notebook", "quiet")
_NOTEBOOK_PAUSE: Final = 0.5


class FleetProgress:
    """Shows a run; give it as `on_event` to `fleet.run` or `fleet.resume`.

    Use it as a context manager where a run may be interrupted: it then gives the terminal back in any case.

    Args:
        mode: How; `auto` is a notebook's table in Jupyter, a live table in a terminal if rich is installed, and plain
            lines elsewhere.
        file: Where to; standard output by default.

    Raises:
        ConfigurationError: `live` was asked for and rich is not installed, or `notebook` and IPython is not.
        InvalidArgumentError: There is no such mode.
    """

    def __init__(self, mode: ProgressMode = "auto", *, file: TextIO | None = None) -> None:
        if mode not in _MODES:
            raise InvalidArgumentError("mode", f"{mode!r} is none of {', '.join(_MODES)}")
        self._file = file or sys.stdout
        self.mode: ProgressMode = _fitting(self._file) if mode == "auto" else mode
        self._snapshot = RunSnapshot()
        self._live: LiveTable | None = _live_table(self._snapshot, self._file) if self.mode == "live" else None
        self._show = _notebook() if self.mode == "notebook" else None
        self._redraw: Callable[[], object] | None = None
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, event: FleetEvent) -> None:
        """Show one event."""
        self._snapshot.take(event)
        match self.mode:
            case "live":
                self._draw(event)
            case "notebook":
                self._update(event)
            case "lines":
                self._file.write(f"{printable(str(event))}\n")
                self._file.flush()
            case _:
                pass

    def close(self) -> None:
        """Give the terminal back; calling it again does nothing."""
        if self._live is not None:
            self._live.stop()

    def _draw(self, event: FleetEvent) -> None:
        if self._live is None:
            return
        if event.kind is FleetEventKind.RUN_ENDED:
            self._live.stop()
        else:
            self._live.start()

    def _update(self, event: FleetEvent) -> None:
        """Show the table again, a few times a second at most."""
        now = time.monotonic()
        if self._redraw is None and self._show is not None:
            self._redraw = self._show(self)
        elif now - self._shown_at < _NOTEBOOK_PAUSE and event.kind is not FleetEventKind.RUN_ENDED:
            return
        elif self._redraw is not None:
            self._redraw()
        self._shown_at = now

    def _repr_html_(self) -> str:
        snapshot = self._snapshot
        bar = f'<progress max="{max(1, snapshot.total)}" value="{snapshot.done}"'
        bar += ' style="width:24em;max-width:100%"></progress>'
        rows = [*snapshot.failed, *snapshot.under_way]
        facts: dict[str, _html.Cell] = {
            "targets": ", ".join(f"{count} {name}" for name, count in snapshot.counts.items() if count),
            "wave": snapshot.wave or None,
            "took": duration(snapshot.seconds),
            "now": snapshot.note,
        }
        cells = functools.partial(_cells, now=snapshot.seconds)
        targets = (scrolling(_html.table("", rows, cells=cells)),) if rows else ()
        title = f"{snapshot.done} of {snapshot.total} done: {snapshot.title}"
        return _html.card(title, facts, _html.Markup(bar), *targets)


def _cells(row: Row, now: float) -> dict[str, _html.Cell]:
    return {
        "target": row.label,
        "state": state_badge(row.state, row.stage),
        "for": None if row.state.is_final else time_span(now - row.since),
        "what happens": row.words,
    }


def _fitting(file: TextIO) -> ProgressMode:
    if file is sys.stdout and in_notebook():
        return "notebook"
    is_terminal = file.isatty() and os.environ.get("TERM") != "dumb"
    return "live" if is_terminal and importlib.util.find_spec("rich") is not None else "lines"


def _live_table(snapshot: RunSnapshot, file: TextIO) -> LiveTable:
    try:
        from launch_async.display.terminal import LiveTable
    except ImportError as error:
        raise ConfigurationError(
            "a live table needs rich: install contentstack-launch[progress], or use mode='lines'"
        ) from error
    return LiveTable(snapshot, file)


def _notebook() -> Callable[[object], Callable[[], object]]:
    try:
        return front_end()
    except ImportError as error:
        raise ConfigurationError("a notebook view needs IPython, which every notebook has") from error

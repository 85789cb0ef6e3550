"""`FleetProgress`: the progress of a run, as a table in a terminal or a notebook, or as plain lines for a log.

Pass it as `on_event`. It writes to the given stream or to standard output, and never changes the run.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, TextIO, TypeAlias, cast

from launch_async._text import duration, printable
from launch_async.display import html as _html
from launch_async.display.fleet import scrolling, state_badge, time_span
from launch_async.display.live.output import Output
from launch_async.display.live.session import front_end, in_notebook
from launch_async.display.live.shown import Shown
from launch_async.display.live.snapshot import Row, RunSnapshot, RunStage
from launch_async.errors import ConfigurationError, InvalidArgumentError
from launch_async.fleet.run.events import FleetEvent

if TYPE_CHECKING:
    from launch_async.display.live.terminal import LiveTable

__all__ = ["FleetProgress", "ProgressMode"]

ProgressMode: TypeAlias = Literal["auto", "live", "lines", "notebook", "quiet"]
"""The form of the output: `live` is a live table in a terminal (extra `progress`), `lines` is one plain line for each
event, `notebook` is a table in a Jupyter notebook, `quiet` is no output. `auto` selects the best form that the output
supports."""

_MODES: Final = ("auto", "live", "lines", "notebook", "quiet")
_NOTEBOOK_PAUSE_S: Final = 0.5
_STATES: Final[dict[RunStage, _html.Severity]] = {
    "running": _html.Severity.BUSY,
    "paused": _html.Severity.WARNING,
    "stopping": _html.Severity.WARNING,
    "finished": _html.Severity.GOOD,
    "incomplete": _html.Severity.BAD,
    "interrupted": _html.Severity.WARNING,
}


class FleetProgress(Shown):
    """Shows the progress of a run. Pass it as `on_event` to `fleet.run` or `fleet.resume`.

    It never raises an error into the run. If it cannot write its output (the reader of a pipe has ended, or a disk is
    full), it logs one warning, and the run continues. An interrupted run reports the interruption itself. Use it as a
    context manager if other code in the block can raise an error: it then always restores the terminal.

    Args:
        mode: The form of the output; see `ProgressMode`. `auto` is a table in a Jupyter notebook, a live table in a
            terminal if rich is installed, and plain lines elsewhere.
        file: The stream to write to; standard output by default.

    Raises:
        ConfigurationError: The mode is `live` and rich is not installed, or `notebook` and IPython is not installed.
        InvalidArgumentError: The mode is unknown.
    """

    def __init__(self, mode: ProgressMode = "auto", *, file: TextIO | None = None) -> None:
        if mode not in _MODES:
            raise InvalidArgumentError("mode", f"must be one of {', '.join(_MODES)}, not {mode!r}")
        super().__init__()
        given = sys.stdout if file is None else file
        self._output = Output(given)
        self.mode: ProgressMode = _fitting(self._output, is_stdout=given is sys.stdout) if mode == "auto" else mode
        self._snapshot = RunSnapshot()
        self._has_events = False
        self._live: LiveTable | None = _live_table(self._snapshot, self._output) if self.mode == "live" else None
        self._show = _notebook() if self.mode == "notebook" else None
        self._redraw: Callable[[], object] | None = None
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(kind)

    def __call__(self, event: FleetEvent) -> None:
        """Show one event."""
        self._safely(lambda: self._take(event))

    def close(self) -> None:
        """Restore the terminal. A second call has no effect."""
        self.end()

    def end(self, kind: type[BaseException] | None = None) -> None:
        """Show the end of the run if no event has reported it, and restore the terminal.

        Args:
            kind: The class of the error that ended the run; None without an error.
        """
        self._safely(lambda: self._end(kind))
        self._stop_ticking()

    def _take(self, event: FleetEvent) -> None:
        self._has_events = True
        self._snapshot.take(event)
        match self.mode:
            case "live":
                self._draw()
            case "notebook":
                self._update()
            case "lines":
                self._write(str(event))
            case _:
                pass

    def _end(self, kind: type[BaseException] | None) -> None:
        if self._snapshot.is_running:
            self._snapshot.interrupt("interrupted" if kind is None else f"interrupted by {kind.__name__}")
            # A run that was refused before its start has no events, so there is no end to show.
            if self.mode == "lines" and self._has_events:
                self._write(f"[{self._snapshot.seconds:7.1f} s] {self._snapshot.note}")
            if self._redraw is not None:
                self._redraw()
        if self._live is not None:
            self._live.stop()

    def _write(self, line: str) -> None:
        self._output.write(f"{printable(line)}\n")
        self._output.flush()

    def _draw(self) -> None:
        if self._live is None:
            return
        if self._snapshot.is_running:
            self._live.start()
        else:
            self._live.stop()

    def _update(self) -> None:
        """Update the table, at most twice a second. The next tick shows the events in between."""
        now = time.monotonic()
        if self._redraw is None and self._show is not None:
            self._redraw = self._show(self)
            self._start_ticking()
        elif self._redraw is not None and (now - self._shown_at >= _NOTEBOOK_PAUSE_S or not self._snapshot.is_running):
            self._redraw()
        else:
            return
        if not self._snapshot.is_running:
            self._stop_ticking()
        self._shown_at = now

    def _tick(self) -> None:
        if self._redraw is not None:
            self._redraw()
            self._shown_at = time.monotonic()

    def _repr_html_(self) -> str:
        snapshot = self._snapshot
        bar = f'<progress max="{max(1, snapshot.total)}" value="{snapshot.done}"'
        bar += ' style="width:24em;max-width:100%"></progress>'
        rows = [*snapshot.failed, *snapshot.in_progress]
        facts: dict[str, _html.Cell] = {
            "targets": ", ".join(f"{count} {name}" for name, count in snapshot.counts.items() if count),
            "state": _html.badge(snapshot.state, _STATES[snapshot.state]),
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


def _fitting(output: Output, *, is_stdout: bool) -> ProgressMode:
    if is_stdout and in_notebook():
        return "notebook"
    is_terminal = output.isatty() and os.environ.get("TERM") != "dumb"
    return "live" if is_terminal and importlib.util.find_spec("rich") is not None else "lines"


def _live_table(snapshot: RunSnapshot, output: Output) -> LiveTable:
    try:
        from launch_async.display.live.terminal import LiveTable
    except ImportError as error:
        raise ConfigurationError(
            "A live table needs rich, which is not installed. Install it with: pip install "
            "'contentstack-launch[progress]'. Or pass mode='lines'"
        ) from error
    return LiveTable(snapshot, cast("TextIO", output))


def _notebook() -> Callable[[object], Callable[[], object]]:
    try:
        return front_end()
    except ImportError as error:
        raise ConfigurationError(
            "A notebook view needs IPython, which is not installed. Use this mode in a notebook, or pass mode='lines'"
        ) from error

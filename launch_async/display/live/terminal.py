"""The live table of a run in a terminal: first the totals, then the failed targets, then the running targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TextIO

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from launch_async._text import shortened
from launch_async.display.live.snapshot import Row, RunSnapshot
from launch_async.fleet.journal.journal import OperationState

__all__ = ["LiveTable"]

_OTHER_LINES: Final = 8
"""Number of lines for everything except the targets, with one line for the prompt."""
_MAX_ROWS: Final = 25
_MAX_FAILED_ROWS: Final = 8
_BAR_WIDTH: Final = 40
_STATE_WIDTH: Final = 9
_STYLES: Final[dict[str, str]] = {
    OperationState.SUCCEEDED: "green",
    OperationState.FAILED: "bold red",
    OperationState.AMBIGUOUS: "bold yellow",
}
_TIME_WIDTH: Final = 5
_ECHO_WIDTH: Final = 2
"""Free columns. A terminal writes `^C` there; in a full line the echo would start a new line and break the table."""


class LiveTable:
    """A live view of a snapshot."""

    def __init__(self, snapshot: RunSnapshot, file: TextIO) -> None:
        self._snapshot = snapshot
        self._console = Console(file=file)
        self._live = Live(
            console=self._console,
            get_renderable=lambda: self,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def start(self) -> None:
        """Start to draw. A second call has no effect."""
        if not self._live.is_started:
            self._live.start()

    def stop(self) -> None:
        """Draw the last state, and restore the terminal. A second call has no effect."""
        if self._live.is_started:
            self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the current lines, limited to the height of the terminal."""
        snapshot = self._snapshot
        room, width = max(3, min(_MAX_ROWS, console.height - _OTHER_LINES)), max(1, console.width - _ECHO_WIDTH)
        failed, in_progress = snapshot.failed, snapshot.in_progress
        shown_failed = failed[:_MAX_FAILED_ROWS]
        lines = Group(
            Text(snapshot.title, style="bold", no_wrap=True, overflow="ellipsis"),
            self._totals(width),
            self._counts(),
            *([Text(snapshot.note, style="bold")] if snapshot.note else []),
            self._rows([*shown_failed, *in_progress[: room - len(shown_failed)]], width),
            *self._rest(len(failed) - len(shown_failed), len(in_progress) - max(0, room - len(shown_failed))),
        )
        yield Constrain(lines, width)

    def _totals(self, width: int) -> Table:
        snapshot = self._snapshot
        bar = ProgressBar(
            total=max(1, snapshot.total),
            completed=snapshot.done,
            width=min(_BAR_WIDTH, width // 2),
            complete_style="green",
        )
        grid = Table.grid(padding=(0, 2))
        wave = f"wave {snapshot.wave}" if snapshot.wave else ""
        grid.add_row(bar, f"{snapshot.done}/{snapshot.total}", wave, _clock(snapshot.seconds))
        return grid

    def _counts(self) -> Text:
        parts = [
            Text(f"{count} {name}", _STYLES.get(name, "")) for name, count in self._snapshot.counts.items() if count
        ]
        return Text(", ").join(parts)

    def _rows(self, rows: Sequence[Row], width: int) -> Table:
        now = self._snapshot.seconds
        grid = Table.grid(padding=(0, 2), expand=True)
        labels = [shortened(row.label, width // 3) for row in rows]
        grid.add_column(no_wrap=True, min_width=max((len(label) for label in labels), default=0) + 2)
        grid.add_column(no_wrap=True, min_width=_STATE_WIDTH)
        grid.add_column(no_wrap=True, min_width=_TIME_WIDTH, justify="right")
        # A long message uses the remaining width and does not narrow the other columns.
        grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row, label in zip(rows, labels, strict=True):
            time_so_far = "" if row.state.is_final else _clock(now - row.since)
            grid.add_row(Text(f"  {label}"), Text(row.stage, _STYLES.get(row.state, "")), time_so_far, Text(row.words))
        return grid

    def _rest(self, failed: int, in_progress: int) -> list[Text]:
        counts = ((failed, "failed"), (in_progress, "in progress"))
        parts = [f"{count} more {what}" for count, what in counts if count > 0]
        return [Text(f"  ... and {' and '.join(parts)}")] if parts else []


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"

"""`Progress`: the progress of a deployment, as a card below a notebook's cell or as one line for each step."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self, TextIO, TypeAlias

from launch_async._text import count_of, duration, file_size, printable
from launch_async.display import html as _html
from launch_async.display.live.output import Output
from launch_async.display.live.session import front_end, in_notebook
from launch_async.display.live.shown import Shown
from launch_async.display.models import severity_of, text_line
from launch_async.errors import InvalidArgumentError
from launch_async.models.deployment import Deployment
from launch_async.models.log import LogLine

__all__ = ["Progress", "StepsMode"]

StepsMode: TypeAlias = Literal["auto", "notebook", "lines", "quiet"]
"""The form of the output: `notebook` is a card below the cell, `lines` is one line for each step, `quiet` is no output.
`auto` is a card in a notebook and no output elsewhere, so that the same code runs in a script."""

_MODES: Final = ("auto", "notebook", "lines", "quiet")
_TAIL_LINES: Final = 6


class Progress(Shown):
    """Shows the progress of a deployment. Its methods are callbacks for the client's calls.

        with Progress("night-sky") as progress:
            site = launch.create_site(
                "night-sky", "site", on_progress=progress.on_progress, on_log=progress.on_log
            )

    It never raises an error into the call. If it cannot write its output, it logs one warning.

    Args:
        title: Title of the card or of each line.
        every: Minimum seconds between two updates. The output is complete within a second, and at the end.
        mode: The form of the output; see `StepsMode`.
        file: The stream for lines; standard output by default.

    Raises:
        InvalidArgumentError: The mode is unknown.
    """

    def __init__(self, title: str, *, every: float = 0.2, mode: StepsMode = "auto", file: TextIO | None = None) -> None:
        if mode not in _MODES:
            raise InvalidArgumentError("mode", f"must be one of {', '.join(_MODES)}, not {mode!r}")
        super().__init__()
        self._title = title
        self._every = every
        self.mode: StepsMode = ("notebook" if in_notebook() else "quiet") if mode == "auto" else mode
        self._output = Output(sys.stdout if file is None else file)
        self._began = self._drawn = time.monotonic()
        self._step = "waiting"
        self._severity = _html.Severity.BUSY
        self._uploaded = 0
        self._site: str | None = None
        self._count = 0
        self._tail: deque[_html.TextLine] = deque(maxlen=_TAIL_LINES)
        self._show: Callable[[], object] | None = None

    def on_step(self, step: str) -> None:
        """Show the current step, such as `packing the files`."""
        self._begin(step, _html.Severity.BUSY)

    def on_progress(self, sent: int) -> None:
        """Show the number of bytes uploaded so far."""
        self._uploaded = sent
        self._begin("uploading", _html.Severity.BUSY)

    def on_log(self, line: LogLine) -> None:
        """Show a line of the build log."""
        self._count += 1
        self._tail.append(text_line(line))
        self._begin("building", _html.Severity.BUSY)

    def on_update(self, deployment: Deployment) -> None:
        """Show a state of the deployment, for example from `wait(..., on_update=...)`."""
        self._site = deployment.url
        self._begin(str(deployment.status), severity_of(deployment.status))

    def __enter__(self) -> Self:
        self._began = self._drawn = time.monotonic()
        if self.mode == "notebook":
            self._safely(self._appear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(kind)

    def end(self, kind: type[BaseException] | None = None) -> None:
        """Show the result: success, an error, or an interruption."""
        self._stop_ticking()
        if kind is None:
            # The last state of the deployment is more precise than 'done'.
            words, severity = self._step if self._severity is _html.Severity.GOOD else "done", _html.Severity.GOOD
        elif issubclass(kind, Exception):
            words, severity = kind.__name__, _html.Severity.BAD
        else:
            words, severity = "interrupted", _html.Severity.WARNING
        with self._drawing:
            is_news, self._step, self._severity = words != self._step, words, severity
            if is_news:
                self._write_line()
            self._draw()
            self._show = None

    def _begin(self, step: str, severity: _html.Severity) -> None:
        with self._drawing:
            is_news, self._step, self._severity = step != self._step, step, severity
            if is_news:
                self._write_line()
            if time.monotonic() - self._drawn >= self._every:
                self._draw()

    def _write_line(self) -> None:
        if self.mode == "lines":
            site = f": {self._site}" if self._site and self._severity is _html.Severity.GOOD else ""
            line = printable(f"[{time.monotonic() - self._began:7.1f} s] {self._title}: {self._step}{site}")
            self._output.write(f"{line}\n")
            self._output.flush()

    def _appear(self) -> None:
        self._show = front_end()(self)
        self._start_ticking()

    def _tick(self) -> None:
        self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        if self._show is not None:
            self._safely(self._show)

    def _repr_html_(self) -> str:
        badge = _html.badge(self._step, self._severity)
        facts: dict[str, _html.Cell] = {
            "status": _html.Markup(f"{badge} after {duration(self._drawn - self._began)}"),
            "uploaded": file_size(self._uploaded) if self._uploaded else None,
            "log": count_of(self._count, "line") if self._count else None,
            "site": _html.link(self._site),
        }
        return _html.card(self._title, facts, *([_html.log(list(self._tail))] if self._tail else []))

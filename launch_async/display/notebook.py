"""What a notebook shows while a deployment is going on: `Progress`, below the cell that runs it.

Nothing is shown outside a notebook, so that the same code runs in a script.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from launch_async._text import duration, file_size
from launch_async.display import html as _html
from launch_async.display.models import status_badge, text_line
from launch_async.models.deployment import Deployment
from launch_async.models.log import LogLine

__all__ = ["Progress", "front_end", "in_notebook"]

_TAIL: Final = 6


class Progress:
    """Shows how a deployment gets on; its methods are the callbacks of the client's calls.

        with Progress("night-sky") as progress:
            site = launch.create_site(
                "night-sky", "site", on_progress=progress.on_progress, on_log=progress.on_log
            )

    Args:
        title: What is deployed.
        every: Seconds between two changes of what is shown; the end is shown at once.
    """

    def __init__(self, title: str, *, every: float = 0.2) -> None:
        self._title = title
        self._every = every
        self._began = self._drawn = time.monotonic()
        self._badge = _html.badge("waiting", _html.Severity.BUSY)
        self._uploaded = 0
        self._site: str | None = None
        self._count = 0
        self._tail: deque[_html.TextLine] = deque(maxlen=_TAIL)
        self._show: Callable[[], object] | None = None

    def on_progress(self, sent: int) -> None:
        """Take in how many bytes were uploaded so far."""
        self._uploaded = sent
        self._badge = _html.badge("uploading", _html.Severity.BUSY)
        self._changed()

    def on_log(self, line: LogLine) -> None:
        """Take in a line of the build log."""
        self._count += 1
        self._tail.append(text_line(line))
        self._badge = _html.badge("building", _html.Severity.BUSY)
        self._changed()

    def on_update(self, deployment: Deployment) -> None:
        """Take in a state of the deployment, as from `wait(..., on_update=...)`."""
        self._badge = status_badge(deployment.status)
        self._site = deployment.url
        self._changed()

    def __enter__(self) -> Self:
        self._began = self._drawn = time.monotonic()
        self._show = front_end()(self) if in_notebook() else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._badge = _html.badge("done", _html.Severity.GOOD)
        elif issubclass(kind, Exception):
            self._badge = _html.badge(kind.__name__, _html.Severity.BAD)
        else:
            self._badge = _html.badge("interrupted", _html.Severity.WARNING)
        self._draw()
        self._show = None

    def _changed(self) -> None:
        if time.monotonic() - self._drawn >= self._every:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        if self._show is not None:
            self._show()

    def _repr_html_(self) -> str:
        facts: dict[str, _html.Cell] = {
            "status": _html.Markup(f"{self._badge} after {duration(self._drawn - self._began)}"),
            "uploaded": file_size(self._uploaded) if self._uploaded else None,
            "log": f"{self._count:,} lines" if self._count else None,
            "site": _html.link(self._site),
        }
        return _html.card(self._title, facts, *([_html.log(list(self._tail))] if self._tail else []))


def in_notebook() -> bool:
    """Return whether this program runs in a notebook, whose kernel has imported IPython long before."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def front_end() -> Callable[[object], Callable[[], object]]:
    """Return what shows an object in the notebook; that in turn returns what shows the object anew."""
    module = importlib.import_module("IPython.display")

    def show(shown: object) -> Callable[[], object]:
        handle = module.display(shown, display_id=True)
        return lambda: None if handle is None else handle.update(shown)

    return show

"""`Shown`: the base class of progress output. It updates every second, and a failure ends only the output."""

from __future__ import annotations

import contextvars
import logging
import threading
import weakref
from collections.abc import Callable
from typing import ClassVar, Final

__all__ = ["Shown"]

_LOG: Final = logging.getLogger(__name__)
_TICK_S: Final = 1.0


class Shown:
    """Shows progress. After a failure it logs one warning and shows no more output."""

    to_the_end: ClassVar[bool] = True
    """Whether `launch_sync` calls it for all events, also for events after a Ctrl-C."""

    def __init__(self) -> None:
        self._drawing = threading.RLock()
        self._has_failed = False
        self._ticker: threading.Event | None = None

    def _safely(self, show: Callable[[], object]) -> None:
        """Call `show`. After a failure, show no more output."""
        with self._drawing:
            if self._has_failed:
                return
            try:
                show()
            except Exception as error:
                self._has_failed = True
                _LOG.warning(
                    "Progress output stops, because it failed (%s: %s). The call continues", type(error).__name__, error
                )

    def _tick(self) -> None:
        """Show the current state. It is called every second between `_start_ticking` and `_stop_ticking`."""

    def _start_ticking(self) -> None:
        """Start the ticks in another thread. They end with `_stop_ticking`, or when this object is deleted."""
        if self._ticker is None:
            self._ticker = threading.Event()
            # IPython finds the cell of an output through the context variables.
            context, tick = contextvars.copy_context(), weakref.WeakMethod(self._tick_once)
            thread = threading.Thread(
                target=context.run, args=(_tick_until, self._ticker, tick), name="launch-progress", daemon=True
            )
            thread.start()

    def _stop_ticking(self) -> None:
        if self._ticker is not None:
            self._ticker.set()

    def _tick_once(self, stopped: threading.Event) -> None:
        with self._drawing:
            if not stopped.is_set():
                self._safely(self._tick)


def _tick_until(stopped: threading.Event, tick: weakref.WeakMethod[Callable[[threading.Event], None]]) -> None:
    while not stopped.wait(_TICK_S) and (tick_once := tick()) is not None:
        tick_once(stopped)
        del tick_once

"""`Shown`: the base of what shows something while it goes on. It ticks, and a failure to show ends only the showing."""

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
    """Shows something. After a failure it logs one warning and shows nothing more."""

    to_the_end: ClassVar[bool] = True
    """For `launch_sync`: it is called with everything, also with what comes after a Ctrl-C."""

    def __init__(self) -> None:
        self._drawing = threading.RLock()
        self._has_failed = False
        self._ticker: threading.Event | None = None

    def _safely(self, show: Callable[[], object]) -> None:
        """Show something, or be quiet from now on."""
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
        """Show what there is now: called every second between `_start_ticking` and `_stop_ticking`."""

    def _start_ticking(self) -> None:
        """Tick from now on, in another thread, until it is stopped or nobody has this object any more."""
        if self._ticker is None:
            self._ticker = threading.Event()
            # A notebook's outputs belong to a cell by the context.
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

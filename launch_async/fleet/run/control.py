"""`FleetControl`: pause, resume or stop a run from any thread."""

from __future__ import annotations

import asyncio
import threading

__all__ = ["FleetControl"]


class FleetControl:
    """Controls one run. Pass it to `fleet.run`, and call it from a callback, another task or another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paused = False
        self._stopped = ""
        self._wake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    @property
    def is_paused(self) -> bool:
        """Whether the run is paused."""
        return self._paused

    @property
    def stopped(self) -> str:
        """Why the run was stopped; empty while it runs."""
        return self._stopped

    def pause(self) -> None:
        """Send nothing new until `resume`. Operations that were sent continue."""
        self._set(paused=True)

    def resume(self) -> None:
        """Continue after `pause`."""
        self._set(paused=False)

    def cancel(self, reason: str = "cancelled") -> None:
        """Stop the run: send no new operations, and wait for those that were sent. The journal can resume the run."""
        self._set(stopped=reason)

    def changes(self) -> asyncio.Event:
        """Return an event of the running loop that is set at each change. The controlled run calls this."""
        event = asyncio.Event()
        with self._lock:
            self._wake = asyncio.get_running_loop(), event
        return event

    def _set(self, *, paused: bool | None = None, stopped: str | None = None) -> None:
        with self._lock:
            self._paused = self._paused if paused is None else paused
            self._stopped = self._stopped or stopped or ""
            wake = self._wake
        if wake is not None:
            loop, event = wake
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

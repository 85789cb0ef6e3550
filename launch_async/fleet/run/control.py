"""How a run is steered from outside while it goes: pause it, let it go on, or stop it; from any thread."""

from __future__ import annotations

import asyncio
import threading

__all__ = ["FleetControl"]


class FleetControl:
    """Steers one run: give it to `fleet.run`, keep it, and call it from a callback, another task or another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paused = False
        self._stopped = ""
        self._wake: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    @property
    def is_paused(self) -> bool:
        """Whether nothing new is sent for the time being."""
        return self._paused

    @property
    def stopped(self) -> str:
        """Why nothing more is sent; empty while the run goes on."""
        return self._stopped

    def pause(self) -> None:
        """Send nothing new until `resume`; what was sent goes on."""
        self._set(paused=True)

    def resume(self) -> None:
        """Go on after `pause`."""
        self._set(paused=False)

    def cancel(self, reason: str = "cancelled") -> None:
        """Send nothing more, finish what was sent, and end the run; its journal can be resumed."""
        self._set(stopped=reason)

    def changes(self) -> asyncio.Event:
        """Return the event that is set at each change, on the running loop; the run that is steered asks for it."""
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

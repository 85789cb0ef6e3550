"""The requests that a process may send while the store of the shared budget is unavailable."""

from __future__ import annotations

import random
import threading

__all__ = ["LocalShare"]


class LocalShare:
    """Requests at even intervals. The first request leaves at a random time within the first interval."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._lock = threading.Lock()
        self._next = 0.0

    def begin(self, now: float) -> None:
        """Start when the store becomes unavailable, at a random time, so that processes do not start together."""
        with self._lock:
            self._next = max(self._next, now + random.random() * self.interval)  # noqa: S311

    def turn_at(self, now: float) -> float:
        """Return the time at which the next request may leave."""
        with self._lock:
            return max(self._next, now)

    def take(self, now: float) -> bool:
        """Take the next turn if its time has come. Return whether it was taken."""
        with self._lock:
            if self._next > now:
                return False
            self._next = now + self.interval
            return True

    def delay(self, until: float) -> None:
        """Send nothing before a given time."""
        with self._lock:
            self._next = max(self._next, until)

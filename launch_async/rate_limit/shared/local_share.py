"""What a process may send while the store of the shared budget is gone."""

from __future__ import annotations

import random
import threading

__all__ = ["LocalShare"]


class LocalShare:
    """Requests at even intervals, in seconds, beginning somewhere in the first one."""

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._lock = threading.Lock()
        self._next = 0.0

    def begin(self, now: float) -> None:
        """The store is gone: the processes that notice it together do not begin together."""
        with self._lock:
            self._next = max(self._next, now + random.random() * self.interval)  # noqa: S311

    def turn_at(self, now: float) -> float:
        """Return when the next request may leave."""
        with self._lock:
            return max(self._next, now)

    def take(self, now: float) -> bool:
        """Take the next turn, if its time has come."""
        with self._lock:
            if self._next > now:
                return False
            self._next = now + self.interval
            return True

    def delay(self, until: float) -> None:
        """Let nothing leave before a moment."""
        with self._lock:
            self._next = max(self._next, until)

"""The service's clock, computed from the `Date` headers of its responses and the monotonic clock.

The SDK does not use this machine's clock, which may be wrong or may change during a call. A `Date` header has whole
seconds, and the service may use another clock for its resources. So the result is accurate to minutes, not to seconds.
"""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime
from typing import Final

from launch_async.wire.timestamps import parse_http_date

__all__ = ["ServiceClock", "note_change", "unchanged_since"]

CHANGING: Final = frozenset({"PUT", "PATCH", "DELETE"})
"""Methods that change something that exists. A POST only creates."""
_last_change = -math.inf


def note_change() -> None:
    """Record that this process has sent a request of a `CHANGING` method, or has received the response to one.

    A value that was read before that moment may be out of date.
    """
    global _last_change
    _last_change = time.monotonic()


def unchanged_since(moment: float) -> bool:
    """Return whether this process has changed nothing since a moment of the monotonic clock."""
    return _last_change < moment


class ServiceClock:
    """The offset of the service's clock from the event loop's clock, as a lower and an upper bound."""

    def __init__(self) -> None:
        self._least = -math.inf
        self._most = math.inf
        self._read: tuple[str, float] = "", 0.0
        self._is_missing = False

    @property
    def is_known(self) -> bool:
        """Whether a response had a valid Date header."""
        return self._most < math.inf

    @property
    def is_missing(self) -> bool:
        """Whether a response had no Date header, and no response had a valid one."""
        return self._is_missing and not self.is_known

    def observe(self, date: str | None, *, sent: float, received: float) -> None:
        """Narrow the bounds with the Date header of a response.

        Args:
            date: Value of the header; None if the response has no Date header.
            sent: Time of the request, on the event loop's clock.
            received: Time of the response, on the event loop's clock.
        """
        if date is None:
            self._is_missing = True
            return
        if date != self._read[0]:
            # Responses within one second have the same header, and parsing is slow.
            moment = parse_http_date(date)
            if moment is None:
                return
            self._read = date, moment.timestamp()
        # A Date header omits fractions of a second.
        least, most = self._read[1] - received, self._read[1] + 1.0 - sent
        if least > self._most or most < self._least:
            # The bounds contradict each other: a clock was set, or another machine has answered.
            self._least, self._most = least, most
        if least > self._least:
            self._least = least
        if most < self._most:
            self._most = most

    def at(self, moment: float) -> datetime | None:
        """Return the probable time of the service at a moment of the loop's clock; None if the offset is not known."""
        return datetime.fromtimestamp(moment + (self._least + self._most) / 2, UTC) if self.is_known else None

    def now(self) -> datetime | None:
        """Return the probable current time of the service; None if it is not known."""
        return self.at(asyncio.get_running_loop().time())

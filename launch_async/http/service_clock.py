"""The service's clock, as the `Date` of its answers tells it, carried on by the monotonic clock between two answers.

This machine's own clock is never asked: it may be wrong, and it may be set while a call is under way. A `Date` has
whole seconds, and the service may stamp what it creates by yet another clock: this is good for minutes, not for less.
"""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime
from typing import Final

from launch_async.wire.moments import parse_http_date

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
    """Whether this process has changed nothing since a moment of the monotonic clock."""
    return _last_change < moment


class ServiceClock:
    """How far the service's clock is ahead of the event loop's: somewhere between two bounds."""

    def __init__(self) -> None:
        self._least = -math.inf
        self._most = math.inf
        self._read: tuple[str, float] = "", 0.0
        self._is_missing = False

    @property
    def is_known(self) -> bool:
        """Whether an answer has told the time."""
        return self._most < math.inf

    @property
    def is_missing(self) -> bool:
        """Whether answers have come, and none of them has told the time."""
        return self._is_missing and not self.is_known

    def observe(self, date: str | None, *, sent: float, received: float) -> None:
        """Learn from the Date header of an answer.

        Args:
            date: The header's text.
            sent: When the request was sent, by the event loop's clock.
            received: When the answer was there.
        """
        if date is None:
            self._is_missing = True
            return
        if date != self._read[0]:
            # The answers of one second share its text, and it takes long to read.
            moment = parse_http_date(date)
            if moment is None:
                return
            self._read = date, moment.timestamp()
        # A Date is cut to its second.
        least, most = self._read[1] - received, self._read[1] + 1.0 - sent
        if max(least, self._least) > min(most, self._most):
            # The two cannot both be true: a clock was set, or another machine has answered.
            self._least, self._most = least, most
        else:
            self._least, self._most = max(least, self._least), min(most, self._most)

    def at(self, moment: float) -> datetime | None:
        """Return what the service's clock most likely showed at a moment of the event loop's; None if nothing tells."""
        return datetime.fromtimestamp(moment + (self._least + self._most) / 2, UTC) if self.is_known else None

    def now(self) -> datetime | None:
        """Return what the service's clock shows now, most likely; None if no answer has told."""
        return self.at(asyncio.get_running_loop().time())

"""The service's clock, as the `Date` of its answers tells it, carried on by the monotonic clock between two answers.

This machine's own clock is never asked: it may be wrong, and it may be set while a call is under way. A `Date` has
whole seconds, and the service may stamp what it creates by yet another clock: this is good for minutes, not for less.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from launch_async.wire.moments import parse_http_date

__all__ = ["ServiceClock"]

_LATEST: Final = 2.0
"""Seconds by which an answer may be behind the others; by more, and the clock was set back."""


class ServiceClock:
    """How far the service's clock is ahead of the event loop's, by its last answer."""

    def __init__(self) -> None:
        self._text = ""
        self._ahead: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether an answer has told the time."""
        return self._ahead is not None

    def observe(self, date: str | None, *, at: float) -> None:
        """Learn from the Date header of an answer.

        Args:
            date: The header's text.
            at: When the answer was there, by the event loop's clock.
        """
        # The answers of one second share its text, and it takes long to read.
        if date is None or date == self._text:
            return
        moment = parse_http_date(date)
        if moment is None:
            return
        self._text, ahead = date, moment.timestamp() - at
        # A Date is cut to its second, and an answer takes its time: of several, the one that is most ahead is nearest.
        if self._ahead is None or not self._ahead - _LATEST < ahead <= self._ahead:
            self._ahead = ahead

    def at(self, moment: float) -> datetime | None:
        """Return what the service's clock showed at a moment of the event loop's; None if no answer has told."""
        return None if self._ahead is None else datetime.fromtimestamp(moment + self._ahead, UTC)

    def now(self) -> datetime | None:
        """Return what the service's clock shows now; None if no answer has told."""
        return self.at(asyncio.get_running_loop().time())

"""The service's clock, as far as its answers tell: needed to know what was created since a request was sent.

A Date header has whole seconds, so one answer leaves a second of doubt; answers at different parts of a second leave
less and less. Only a lower bound is ever used: what is older than that is surely not what a request has created.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from launch_async.wire.moments import parse_http_date

__all__ = ["ServiceClock"]

_ENOUGH: Final = 0.02
_LITTLE: Final = 0.03
_RESOLUTION: Final = 0.001
"""The service cuts times of creation to milliseconds (FACTS §4)."""


class ServiceClock:
    """How far the service's clock is ahead of ours, in seconds: somewhere between two bounds."""

    def __init__(self) -> None:
        self._least = -math.inf
        self._most = math.inf
        self._read: tuple[str, float] = "", 0.0

    @property
    def is_known(self) -> bool:
        """Whether an answer has told anything."""
        return self.doubt < math.inf

    @property
    def offset(self) -> float:
        """How far it is ahead of ours, most likely: the middle of the two bounds, 0 while nothing is known."""
        return (self._least + self._most) / 2 if self.is_known else 0.0

    @property
    def wants_more(self) -> bool:
        """Whether another answer can still tell something worth knowing."""
        return self.doubt > _ENOUGH

    @property
    def doubt(self) -> float:
        """Seconds between the two bounds: in the end as long as a request and its answer are on their way."""
        return self._most - self._least

    def observe(self, date: str | None, *, sent: float, received: float) -> None:
        """Learn from the Date header of an answer.

        Args:
            date: The header's text.
            sent: When the request was sent, in seconds since the epoch by our clock.
            received: When the answer was there.
        """
        if date is None:
            return
        if date != self._read[0]:
            # The answers of one second share its text, and it takes long to read.
            moment = parse_http_date(date)
            if moment is None:
                return
            self._read = date, moment.timestamp()
        second = self._read[1]
        least, most = second - received, second + 1.0 - sent
        if max(least, self._least) > min(most, self._most):
            # The two cannot both be true: a clock was set, or another machine has answered.
            self._least, self._most = least, most
        else:
            self._least, self._most = max(least, self._least), min(most, self._most)

    def earliest(self, moment: datetime) -> datetime:
        """Return the earliest time that the service's clock may have shown at a moment of ours."""
        return moment + timedelta(seconds=(self._least if self.is_known else 0.0) - _RESOLUTION)

    def doubts(self, created: datetime, moment: datetime) -> bool:
        """Whether something was created so close to a moment of ours that it may have been before it or after."""
        if not _LITTLE <= self.doubt < math.inf:
            return False
        return self.earliest(moment) <= created < moment + timedelta(seconds=self._most)

    def until_tick(self) -> float:
        """Return the seconds until the service's second changes, most likely: an answer from then halves the doubt."""
        return -(time.time() + self.offset) % 1.0

    def now(self) -> datetime:
        """Return the earliest time that the service's clock may show now."""
        return self.earliest(datetime.now(UTC))

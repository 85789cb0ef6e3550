"""Pauses after a 429: all requests wait for the time that the service asks for, and then leave at even intervals."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from launch_async.rate_limit.types import Answer

__all__ = ["NO_PAUSE", "Pause", "pause_after"]

_MIN_PAUSE_S: Final = 0.05
_MAX_PAUSE_S: Final = 60.0
"""Bounds of a pause, for any value that the service asks for."""


class Pause(NamedTuple):
    """A time without requests, followed by a time with evenly spaced requests. Times are those of the loop's clock.

    Attributes:
        until: Time at which the first request may leave.
        spaced_until: Time until which requests leave at even intervals, because a server may accept only one request
            at the time that it named. In the past if the server named no time.
    """

    until: float
    spaced_until: float

    def merge(self, other: Pause) -> Pause:
        """Return a pause that covers both."""
        return Pause(max(self.until, other.until), max(self.spaced_until, other.spaced_until))


NO_PAUSE: Final = Pause(-math.inf, -math.inf)


def pause_after(answer: Answer, per: float) -> Pause | None:
    """Return the pause after an answer, for a period of `per` seconds; None if there is no pause."""
    asked = _requested_pause(answer, per)
    if asked is None and not answer.refused:
        return None
    until = answer.answered_at + min(max(asked or 0.0, _MIN_PAUSE_S * min(per, 1.0)), _MAX_PAUSE_S)
    return Pause(until, until + per if asked is not None and asked > 0 else -math.inf)


def _requested_pause(answer: Answer, per: float) -> float | None:
    """Return the seconds that the service asked to wait; None if it asked for no pause.

    Ignore a reset within one period if the request was accepted: slots are more precise than whole seconds.
    """
    if answer.refused:
        return answer.reset_after if answer.retry_after is None else answer.retry_after
    return answer.reset_after if answer.remaining == 0 and (answer.reset_after or 0.0) > per else None

"""`LogPace`: when to request a log, when to request the status, and when a log has settled. Pure rules, in seconds.

A build that writes lines is still running, so a request for its status would be wasted. The SDK requests the log while
new lines arrive. It requests the status when the log is silent for longer than its recent pauses, or for a whole poll.

It is not documented how late lines become readable, so the SDK learns the delay from the log. After the end of a build,
the SDK waits for the delay of earlier lines, but at least for a twentieth of the build time (at most 5 s). The minimum
is 1 s, as in the vendor's tool, and the maximum is 10 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import attrs

__all__ = ["LogPace"]

_MIN_INTERVAL_S: Final = 1.0
_FAST_INTERVAL_S: Final = 2.0
_MAX_INTERVAL_S: Final = 10.0
_MIN_SETTLING_S: Final = 1.0
_MAX_SETTLING_S: Final = 10.0
_SETTLING_SHARE: Final = 0.05
_MAX_SETTLING_BY_AGE_S: Final = 5.0


@attrs.define
class LogPace:
    """The pace of one follower of a log."""

    wants_status: bool = False
    """Whether the log is silent, so that the next request is for the status."""
    has_begun: bool = False
    """Whether the log had at least one line."""
    _silent_polls: int = 0
    _asked: float | None = None
    _latest: float | None = None
    _longest_gap: float = 0.0
    _lag: float | None = None
    _latency: float | None = None
    _late: float = 0.0

    def interval(self, age: float) -> float:
        """Return the seconds until the next poll; `age` is the age of the build in seconds."""
        first = min(max(0.15 * age, _MIN_INTERVAL_S), _FAST_INTERVAL_S)
        return min(first * 1.25**self._silent_polls, _MAX_INTERVAL_S)

    def settling(self, age: float) -> float:
        """Return the seconds after the end of a build of this age in which lines can still become readable."""
        by_age = min(_SETTLING_SHARE * age, _MAX_SETTLING_BY_AGE_S)
        return min(max(self._late, self._latency or 0.0, by_age, _MIN_SETTLING_S), _MAX_SETTLING_S)

    def saw_lines(self, count: int, stamps: Sequence[float], *, asked: float, now: float) -> None:
        """Record a poll of the log.

        Args:
            count: Number of new lines.
            stamps: The readable times of the new lines, in order, in seconds by the service's clock.
            asked: When the log was requested, by the same clock.
            now: When the response arrived, by the same clock.
        """
        before, self._asked = self._asked, asked
        if not count:
            self._silent_polls += 1
            self.wants_status = True
            return
        self._silent_polls, self.wants_status, self.has_begun = 0, False, True
        if not stamps:
            return
        earlier = stamps[0] if self._latest is None else self._latest
        gaps = [after - before for before, after in pairwise([min(earlier, stamps[0]), *stamps])]
        self._longest_gap = max(*gaps, 0.8 * self._longest_gap)
        latest = max(earlier, stamps[-1])
        lag = now - latest
        self._lag = lag if self._lag is None else min(lag, self._lag)
        if before is None:
            # Lines of the first poll do not show how late lines appear, because they can be of any age.
            self.wants_status = lag > max(_MAX_INTERVAL_S, 1.5 * self._longest_gap)
        else:
            # These lines were written before the previous poll, but were not readable at that time.
            self._late = max([self._late, *(now - stamp for stamp in stamps if stamp < min(earlier, before))])
            self._latency = lag if self._latency is None else min(lag, self._latency)
            self.wants_status = lag - self._lag > max(_FAST_INTERVAL_S, 1.5 * self._longest_gap)
        self._latest = latest

    def saw_status(self) -> None:
        """Record a poll of the status: the next request is for the log."""
        self.wants_status = False

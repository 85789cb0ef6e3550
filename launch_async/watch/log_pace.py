"""`LogPace`: when to ask for a log, when for the status instead, and when a log has settled: pure rules, in seconds.

While lines keep coming the build goes on, and asking for its status would be wasted. So the log is asked while it
flows, and the status when it has fallen silent: for longer than it has paused lately, or for a whole poll.

How late lines become readable is not documented (FACTS §7), so it is learnt from the log: a log settles after its
build's end for as long as its lines have been late before, for a twentieth of the time that the build took, and for a
second at least, as the vendor's tool waits. More than ten seconds nobody is kept waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import attrs

__all__ = ["LogPace"]

_SHORTEST: Final = 1.0
_BRISK: Final = 2.0
_CALM: Final = 10.0
_LEAST_SETTLING: Final = 1.0
_MOST_SETTLING: Final = 10.0
_PART: Final = 0.05
_MOST_BY_PART: Final = 5.0


@attrs.define
class LogPace:
    """How one follower of a log goes on."""

    wants_status: bool = False
    """Whether the log has fallen silent, so that the status is asked next."""
    has_begun: bool = False
    """Whether the log has had a line."""
    _quiet_looks: int = 0
    _asked: float | None = None
    _latest: float | None = None
    _longest_gap: float = 0.0
    _lag: float | None = None
    _latency: float | None = None
    _late: float = 0.0

    def interval(self, age: float) -> float:
        """Return the seconds until the next poll; `age` is the build's, in seconds."""
        brisk = min(max(0.15 * age, _SHORTEST), _BRISK)
        return min(brisk * 1.25**self._quiet_looks, _CALM)

    def settling(self, age: float) -> float:
        """Return the seconds after a build's end in which lines may still become readable; `age` is the build's."""
        by_age = min(_PART * age, _MOST_BY_PART)
        return min(max(self._late, self._latency or 0.0, by_age, _LEAST_SETTLING), _MOST_SETTLING)

    def saw_lines(self, count: int, stamps: Sequence[float], *, asked: float, now: float) -> None:
        """Take in a poll of the log.

        Args:
            count: New lines.
            stamps: Their times as far as they can be read, in order, in seconds by the service's clock.
            asked: When the log was asked for, by the same clock.
            now: When the answer was there.
        """
        before, self._asked = self._asked, asked
        if not count:
            self._quiet_looks += 1
            self.wants_status = True
            return
        self._quiet_looks, self.wants_status, self.has_begun = 0, False, True
        if not stamps:
            return
        earlier = stamps[0] if self._latest is None else self._latest
        gaps = [after - before for before, after in pairwise([min(earlier, stamps[0]), *stamps])]
        self._longest_gap = max(*gaps, 0.8 * self._longest_gap)
        latest = max(earlier, stamps[-1])
        lag = now - latest
        self._lag = lag if self._lag is None else min(lag, self._lag)
        if before is None:
            # What was there already tells nothing about how late lines are: they may be of yesterday.
            self.wants_status = lag > max(_CALM, 1.5 * self._longest_gap)
        else:
            # What came only now was not there at the poll before, although it had been written by then.
            self._late = max([self._late, *(now - stamp for stamp in stamps if stamp < min(earlier, before))])
            self._latency = lag if self._latency is None else min(lag, self._latency)
            self.wants_status = lag - self._lag > max(_BRISK, 1.5 * self._longest_gap)
        self._latest = latest

    def saw_status(self) -> None:
        """Take in a poll of the status: the log is next."""
        self.wants_status = False

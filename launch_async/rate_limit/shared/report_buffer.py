"""The reports that a worker sends with its next call: outcomes, requests without an answer, pauses, a stated limit.

A call can fail, and a server can lose its state. The buffer therefore keeps sent reports while they can still matter.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from launch_async.rate_limit.pause import NO_PAUSE, Pause, pause_after
from launch_async.rate_limit.round_trips import RoundTrips
from launch_async.rate_limit.shared.messages import ACCEPTED, AGAIN, EXTRA, LOST, OUT, REFUSED, UNUSED, Grant, Report
from launch_async.rate_limit.types import Answer

__all__ = ["ReportBatch", "ReportBuffer"]

_LONGEST_TRIP_S: Final = 5.0
"""Seconds after its period during which a request without an answer may still arrive."""
_TRIPS: Final = 100
"""Number of recent round trips of which the longest counts."""
_DUE_AFTER_PERIODS: Final = 0.8
"""Periods after the time of a slot, when other processes may soon need the slot again."""


class ReportBatch(NamedTuple):
    """The reports of one call. Times are those of the loop's clock.

    Attributes:
        reports: New reports, each with its time.
        repeated: Reports that were sent before.
        pause: The pause that all processes must keep.
    """

    reports: tuple[Report, ...]
    repeated: tuple[Report, ...]
    pause: Pause


class ReportBuffer:
    """The reports for a plan with a period of `per` seconds. Failed calls are repeated for `patience` seconds.

    A store that can lose its state needs `repeats`: the buffer then sends every report again while it can still matter.
    """

    def __init__(self, per: float, patience: float, *, repeats: bool = True) -> None:
        self.urgent: bool = False
        self.limit: int = 0
        self.refused: int = 0
        self.per: float = per
        self._kept_for = 2 * per + patience
        self._repeats = repeats
        self._reports: list[Report] = []
        self._reported: deque[tuple[int, float]] = deque()
        self._out: dict[int, float] = {}
        self._reported_at = 0.0
        self._needed_at = math.inf
        self._pause = NO_PAUSE
        self._trips = RoundTrips()
        self._latest_trips: deque[float] = deque(maxlen=_TRIPS)

    @property
    def shortest_trip(self) -> float:
        """Shortest recent round trip to the service; 0 during the cold start, when it is unknown."""
        return self._trips.shortest if self._trips.is_warm else 0.0

    @property
    def longest_trip(self) -> float:
        """Longest recent round trip to the service; 0 if unknown."""
        return max(self._latest_trips, default=0.0)

    @property
    def has_reports(self) -> bool:
        """Whether there are outcomes that were not sent yet."""
        return bool(self._reports)

    @property
    def due_at(self) -> float:
        """Time at which the next call is due even if no caller waits.

        A late report could free the slot of a slow request too early, or hold the slot of an answered request too long.
        """
        since = max(min(self._out.values(), default=math.inf), self._reported_at)
        return min(since + _DUE_AFTER_PERIODS * self.per, self._needed_at)

    def sent(self, grant: Grant) -> None:
        """Record a request that was sent."""
        if grant.number:
            self._out[grant.number] = grant.sent_at

    def unused(self, grant: Grant, now: float) -> None:
        """Record a slot without a request."""
        self._out.pop(grant.number, None)
        if grant.number:
            self._reports.append((grant.number, now, UNUSED))
            self.urgent = True

    def answered(self, grant: Grant, answer: Answer) -> Pause | None:
        """Record the outcome of a request. Return the pause that all processes must keep, or None."""
        self._out.pop(grant.number, None)
        code = REFUSED if answer.refused else LOST if answer.lost else ACCEPTED
        self._reports.append((grant.number, answer.answered_at, code if grant.number else EXTRA))
        self._needed_at = min(self._needed_at, grant.not_before + _DUE_AFTER_PERIODS * self.per)
        self._reports += [(0, answer.answered_at, EXTRA)] * (max(answer.sends, 1) - 1)
        if not answer.lost:
            trip = max(answer.answered_at - grant.sent_at, 0.0)
            self._trips.add(trip)
            self._latest_trips.append(trip)
        if answer.limit is not None and answer.limit >= 1:
            self.limit = int(answer.limit)
        self.refused += answer.refused
        pause = pause_after(answer, self.per)
        if pause is not None:
            self._pause = self._pause.merge(pause)
            self.urgent = True
        return pause

    def take(self, now: float) -> ReportBatch:
        """Return the reports for the next call. Call `restore` if the call fails."""
        self.urgent = False
        self._reported_at = now
        self._forget(now)
        batch = ReportBatch(
            reports=tuple(self._reports),
            repeated=tuple((number, at, AGAIN) for number, at in self._reported),
            pause=self._pause,
        )
        if self._repeats:
            self._reported.extend((number, at) for number, at, code in self._reports if number and code != UNUSED)
        self._reports = []
        self._needed_at = math.inf
        self._pause = NO_PAUSE
        return batch

    def unanswered(self) -> Sequence[Report]:
        """Return the requests without an answer. Their slots stay in use while the requests may still arrive."""
        return [(number, sent_at, OUT) for number, sent_at in self._out.items()]

    def restore(self, batch: ReportBatch, now: float) -> None:
        """Put the reports back after a failed call, because the store may not have processed them."""
        self._reports[:0] = [report for report in batch.reports if report[1] > now - self._kept_for]
        self._needed_at = now if self._reports else math.inf
        self._pause = self._pause.merge(batch.pause)
        self.urgent = self.urgent or batch.pause.until > now

    def _forget(self, now: float) -> None:
        """Drop reports that no longer matter, and requests whose callers never reported an outcome."""
        while self._reported and self._reported[0][1] < now - self._kept_for:
            self._reported.popleft()
        longest = self.per + _LONGEST_TRIP_S
        self._out = {number: sent_at for number, sent_at in self._out.items() if sent_at > now - longest}

"""What a worker has to tell with its next call: answers, requests that are still out, pauses, a stated limit.

A call may fail, and a server may forget: what was told stays at hand until nobody can count it any more.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs

from launch_async.rate_limit.pause import NO_PAUSE, Pause, pause_after
from launch_async.rate_limit.round_trips import RoundTrips
from launch_async.rate_limit.shared.messages import ACCEPTED, AGAIN, EXTRA, LOST, OUT, REFUSED, UNUSED, Grant, Report
from launch_async.rate_limit.types import Answer

__all__ = ["ReportBuffer", "Reported"]

_LONGEST_TRIP_S: Final = 5.0
_TRIPS: Final = 100
_WANTED_AFTER: Final = 0.8
"""Periods after its time at which a slot may soon be wanted again."""


@attrs.frozen(kw_only=True)
class Reported:
    """What one call tells; times by the loop's clock.

    Attributes:
        reports: What has not been told yet, with the time of each.
        repeated: What was told before.
        pause: When nobody may send, and until when requests leave evenly.
    """

    reports: tuple[Report, ...]
    repeated: tuple[Report, ...]
    pause: Pause


class ReportBuffer:
    """What is to be told, about a plan with a period of `per` seconds, in calls repeated for `patience` seconds.

    A store that may forget its state needs `repeats`: every report again until nobody can count it any more.
    """

    def __init__(self, per: float, patience: float, *, repeats: bool = True) -> None:
        self.urgent: bool = False
        self.limit: int = 0
        self.refused: int = 0
        self.per: float = per
        self._kept_for = 2 * per + patience
        self._repeats = repeats
        self._reports: list[Report] = []
        self._told: deque[tuple[int, float]] = deque()
        self._out: dict[int, float] = {}
        self._told_at = 0.0
        self._wanted_at = math.inf
        self._pause = NO_PAUSE
        self._trips = RoundTrips()
        self._latest_trips: deque[float] = deque(maxlen=_TRIPS)

    @property
    def shortest_trip(self) -> float:
        """The shortest round trip to the service of late; 0 if unknown: a cold start hides how fast it can be."""
        return self._trips.shortest if self._trips.is_warm else 0.0

    @property
    def longest_trip(self) -> float:
        """The longest one; 0 if unknown."""
        return max(self._latest_trips, default=0.0)

    @property
    def has_news(self) -> bool:
        """Whether something became of a request that is not told yet."""
        return bool(self._reports)

    @property
    def due_at(self) -> float:
        """When the next call is due even if nobody waits.

        No slot of a slow request is to be given again, and none of an answered one is to be held longer than it must.
        """
        since = max(min(self._out.values(), default=math.inf), self._told_at)
        return min(since + self.per / 2, self._wanted_at)

    def left(self, grant: Grant) -> None:
        """A request has left."""
        if grant.number:
            self._out[grant.number] = grant.sent_at

    def unused(self, grant: Grant, now: float) -> None:
        """No request has left, or will leave, with this slot."""
        self._out.pop(grant.number, None)
        if grant.number:
            self._reports.append((grant.number, now, UNUSED))
            self.urgent = True

    def answered(self, grant: Grant, answer: Answer) -> Pause | None:
        """A request was answered, refused or lost; return the pause that it asks everybody for."""
        self._out.pop(grant.number, None)
        code = REFUSED if answer.refused else LOST if answer.lost else ACCEPTED
        self._reports.append((grant.number, answer.answered_at, code if grant.number else EXTRA))
        self._wanted_at = min(self._wanted_at, grant.not_before + _WANTED_AFTER * self.per)
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
            self._pause = self._pause.and_then(pause)
            self.urgent = True
        return pause

    def tell(self, now: float) -> Reported:
        """Return what is to be told now; it counts as told unless it is `untold`."""
        self.urgent = False
        self._told_at = now
        self._forget(now)
        told = Reported(
            reports=tuple(self._reports),
            repeated=tuple((number, at, AGAIN) for number, at in self._told),
            pause=self._pause,
        )
        if self._repeats:
            self._told.extend((number, at) for number, at, code in self._reports if number and code != UNUSED)
        self._reports = []
        self._wanted_at = math.inf
        self._pause = NO_PAUSE
        return told

    def still_out(self) -> Sequence[Report]:
        """Return the requests without an answer: what they took is held for as long as they may arrive."""
        return [(number, sent_at, OUT) for number, sent_at in self._out.items()]

    def untold(self, told: Reported, now: float) -> None:
        """A call has failed: nobody knows whether it was heard."""
        self._reports[:0] = [report for report in told.reports if report[1] > now - self._kept_for]
        self._wanted_at = now if self._reports else math.inf
        self._pause = self._pause.and_then(told.pause)
        self.urgent = self.urgent or told.pause.until > now

    def _forget(self, now: float) -> None:
        """Drop what nobody can count any more, and requests whose callers never said what became of them."""
        while self._told and self._told[0][1] < now - self._kept_for:
            self._told.popleft()
        longest = self.per + _LONGEST_TRIP_S
        self._out = {number: sent_at for number, sent_at in self._out.items() if sent_at > now - longest}

"""How all processes of a shared budget learn its capacity together: the store counts answers, and each process judges.

Every process feeds the same counts to its own `Capacity`. Whoever comes to another figure proposes it, and the store
takes the first proposal for a version; the others adopt it.
"""

from __future__ import annotations

import math

from launch_async.rate_limit.capacity import Capacity
from launch_async.rate_limit.shared.messages import Learnt
from launch_async.rate_limit.types import RateLimit

__all__ = ["SharedLearning"]

_FRESH_PERIODS = 2.0
"""Counts that cover more than this are not judged: nobody knows when within that time the refusals came."""


class SharedLearning:
    """The capacity as one process sees it."""

    def __init__(self, rate_limit: RateLimit) -> None:
        self.proposal: Learnt | None = None
        self._capacity = Capacity(rate_limit)
        self._per = rate_limit.per
        self._known = Learnt()
        self._known_at = -math.inf

    def take_in(self, learnt: Learnt, now: float, usual_trip: float) -> None:
        """Take in what the store says after a call; the usual trip to the service and back is in seconds."""
        known, self._known = self._known, learnt
        is_fresh = now - self._known_at <= _FRESH_PERIODS * self._per
        self._known_at = now
        if learnt.version != known.version:
            self._capacity.adopt(learnt.figure, now)
            self.proposal = None
        elif is_fresh:
            before = self._capacity.now
            answers = [False] * (learnt.accepted - known.accepted) + [True] * (learnt.refused - known.refused)
            for refused in answers:
                self._capacity.learn(refused=refused, sent_at=now, now=now, safe=True, cycle=self._per + usual_trip)
            if self._capacity.now != before:
                self.proposal = Learnt(learnt.version, None if self._capacity.is_whole else self._capacity.now)

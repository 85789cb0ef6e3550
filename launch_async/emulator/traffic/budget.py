"""The rate limit of an organization: sliding second, clock second or token bucket.

It is not known how the real service counts requests, so an option chooses the method.
"""

import math
from collections import deque
from typing import Protocol

from attrs import frozen

from launch_async.emulator.clock import Clock
from launch_async.emulator.options import EmulatorOptions, RateWindow
from launch_async.emulator.state import Organization, State


@frozen
class Verdict:
    """The decision about one request, and the numbers for the headers."""

    granted: bool
    limit: int
    remaining: int
    wait: float

    def headers(self) -> dict[str, str]:
        """Return ``X-RateLimit-*``, and for a refusal ``Retry-After`` in whole seconds."""
        shown = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(math.ceil(self.wait)),
        }
        if not self.granted:
            shown["Retry-After"] = str(max(1, math.ceil(self.wait)))
        return shown


class Counter(Protocol):
    """A method of counting requests."""

    def count(self, now: float) -> Verdict:
        """Count a request that arrives at ``now`` (monotonic seconds), and grant or refuse it."""
        ...


class SlidingSecond:
    """At most ``limit`` requests in any second."""

    def __init__(self, limit: int, *, count_refused: bool) -> None:
        self._limit = limit
        self._count_refused = count_refused
        self._arrivals: deque[float] = deque()

    def count(self, now: float) -> Verdict:
        """Count a request that arrives at ``now``, and decide about it."""
        arrivals = self._arrivals
        while arrivals and arrivals[0] <= now - 1.0:
            arrivals.popleft()
        granted = len(arrivals) < self._limit
        if granted or self._count_refused:
            arrivals.append(now)
        wait = max(0.0, arrivals[-self._limit] + 1.0 - now) if len(arrivals) >= self._limit else 0.0
        return Verdict(granted, self._limit, max(0, self._limit - len(arrivals)), wait)


class ClockSecond:
    """At most ``limit`` requests within one second of the clock."""

    def __init__(self, limit: int, *, count_refused: bool) -> None:
        self._limit = limit
        self._count_refused = count_refused
        self._second = -1
        self._counted = 0

    def count(self, now: float) -> Verdict:
        """Count a request that arrives at ``now``, and decide about it."""
        second = math.floor(now)
        if second != self._second:
            self._second, self._counted = second, 0
        granted = self._counted < self._limit
        if granted or self._count_refused:
            self._counted += 1
        return Verdict(granted, self._limit, max(0, self._limit - self._counted), second + 1 - now)


class TokenBucket:
    """A bucket of ``limit`` tokens, refilled with ``limit`` tokens per second."""

    def __init__(self, limit: int, *, count_refused: bool) -> None:
        self._limit = limit
        self._count_refused = count_refused
        self._tokens = float(limit)
        self._at = -math.inf

    def count(self, now: float) -> Verdict:
        """Count a request that arrives at ``now``, and decide about it."""
        self._tokens = min(float(self._limit), self._tokens + (now - self._at) * self._limit)
        self._at = now
        granted = self._tokens >= 1.0
        if granted or (self._count_refused and self._tokens > 1.0 - self._limit):
            self._tokens -= 1.0
        wait = max(0.0, 1.0 - self._tokens) / self._limit
        return Verdict(granted, self._limit, max(0, int(self._tokens)), wait)


COUNTERS: dict[RateWindow, type[SlidingSecond] | type[ClockSecond] | type[TokenBucket]] = {
    "sliding": SlidingSecond,
    "fixed": ClockSecond,
    "bucket": TokenBucket,
}


class Budget:
    """The counters of all organizations: one for each, or two if reads and writes are counted separately."""

    def __init__(self, options: EmulatorOptions, state: State, clock: Clock) -> None:
        self._options = options
        self._state = state
        self._clock = clock
        self._counters: dict[tuple[str, bool], Counter] = {}

    @property
    def headers(self) -> bool:
        """Whether responses have headers about the rate limit."""
        return self._options.rate_headers

    def restart(self) -> None:
        """Start to count from zero with the current options, for every existing organization."""
        self._counters = {}
        for organization in list(self._state.organizations.values()):
            organization.rate_limit = self._options.rate_limit

    def count(self, organization: Organization, *, write: bool) -> Verdict | None:
        """Count a request of ``organization`` that arrives now, and grant or refuse it; None without a limit."""
        if organization.rate_limit is None:
            return None
        key = (organization.uid, write and self._options.split_rate)
        counter = self._counters.get(key)
        if counter is None:
            made = COUNTERS[self._options.rate_window]
            counter = made(organization.rate_limit, count_refused=self._options.count_refused)
            self._counters[key] = counter
        return counter.count(self._clock.ticks())

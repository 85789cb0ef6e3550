"""When to poll a deployment next: pure rules, in seconds, that neither sleep nor send.

The SDK polls a build seldom at its beginning, and often when its end is near. It learns the build time from earlier
builds of the environment. If no build time is known, the interval grows with the age of the build. All waits of a
client share the part of the budget that is left for polls. If this part is small, the SDK skips polls that would
probably find no change, and polls a build first when it has most likely ended.
"""

from __future__ import annotations

import math
from statistics import median
from typing import Final

import attrs

from launch_async.errors import (
    ClosedError,
    ConfigurationError,
    DeadlineExceeded,
    ForbiddenError,
    InvalidArgumentError,
    LaunchError,
    NotFoundError,
    UnauthorizedError,
)

__all__ = ["Durations", "FailureStreak", "fair_interval", "until_next_poll"]

_MIN_INTERVAL_S: Final = 1.0
_MAX_INTERVAL_S: Final = 15.0
_MAX_EARLY_INTERVAL_S: Final = 30.0
_NEAR_END_SHARE: Final = 0.8
_URGENT_NEAR_END_SHARE: Final = 0.9
_LATEST_SHARE: Final = 1.1
_EARLY_POLL_FACTOR: Final = 4
_OVERDUE_SHARE: Final = 1.5
_MIN_EARLY_INTERVAL_S: Final = 2.0
_MAX_FINAL_INTERVAL_S: Final = 10.0
_MIN_FAILURES: Final = 3
_MIN_FAILING_S: Final = 60.0
_FINAL_ERRORS: Final = (
    ClosedError,
    ConfigurationError,
    ForbiddenError,
    InvalidArgumentError,
    NotFoundError,
    UnauthorizedError,
)


def until_next_poll(age: float, expected: float | None, *, interval: float = 0.0, urgent: bool = False) -> float:
    """Return the seconds until the next poll of a build's status.

    Args:
        age: Seconds since the build was created.
        expected: Seconds that builds of its environment take from creation to end; None if no build time is known.
        interval: Seconds in which every build can be polled once, with the part of the budget that is left for polls.
        urgent: Whether other work waits for the end. The SDK then finds the end within a thirtieth of the build time,
            or within 1 s. It does not poll for early failures, because the work also waits for other builds.
    """
    if expected is None or age > expected * _OVERDUE_SHARE:
        return max(_clamped((0.015 if urgent else 0.15) * age, _MIN_INTERVAL_S, _MAX_INTERVAL_S), interval)
    near = min(expected * (_URGENT_NEAR_END_SHARE if urgent else _NEAR_END_SHARE) + interval, expected * _LATEST_SHARE)
    if age < near:
        # These polls find early failures. They become rarer with the age of the build, and need enough budget.
        early = (
            math.inf
            if urgent
            else max(_clamped(0.5 * age, _MIN_EARLY_INTERVAL_S, _MAX_EARLY_INTERVAL_S), _EARLY_POLL_FACTOR * interval)
        )
        return max(_MIN_INTERVAL_S, min(near - age, early))
    return max(_clamped((0.03 if urgent else 0.05) * expected, _MIN_INTERVAL_S, _MAX_FINAL_INTERVAL_S), interval)


def fair_interval(watched: int, rate: float) -> float:
    """Return the minimum seconds between two polls of one deployment, if `watched` share `rate` polls per second."""
    return watched / rate


class Durations:
    """The build time of one environment: the median of the last five builds.

    Attributes:
        are_current: Whether a listing has shown them, and no wait has used this listing yet.
    """

    def __init__(self) -> None:
        self.are_current = False
        self._known: dict[str, float] = {}

    def add(self, deployment_uid: str, seconds: float) -> None:
        """Record the build time of a deployment that went live."""
        self._known[deployment_uid] = seconds
        while len(self._known) > 5:
            del self._known[next(iter(self._known))]

    @property
    def expected(self) -> float | None:
        """Seconds from creation to end; None if no build time is known."""
        return median(self._known.values()) if self._known else None


@attrs.define
class FailureStreak:
    """Failed polls in a row, and whether to give up because of them.

    Attributes:
        last: The error of the last poll; None if the poll succeeded.
    """

    last: LaunchError | None = None
    _since: float | None = None
    _count: int = 0

    def clear(self) -> None:
        """Record a poll that succeeded."""
        self.last, self._since, self._count = None, None, 0

    def is_final(self, error: LaunchError, now: float) -> bool:
        """Record a poll that failed, and return whether to give up: immediately if another poll cannot help.

        A wait for the budget that was too long does not count as a failure, because no request was sent.
        """
        self.last = error
        if isinstance(error, _FINAL_ERRORS):
            return True
        if isinstance(error, DeadlineExceeded) and error.expected_wait is not None:
            return False
        self._since = now if self._since is None else self._since
        self._count += 1
        return self._count >= _MIN_FAILURES and now - self._since >= _MIN_FAILING_S

    @property
    def delay(self) -> float:
        """Seconds until the next poll after a failed one."""
        return _clamped(2.0**self._count, _MIN_EARLY_INTERVAL_S, _MAX_INTERVAL_S)


def _clamped(value: float, least: float, most: float) -> float:
    return max(least, min(value, most))

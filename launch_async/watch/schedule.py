"""When to poll a deployment next: pure rules, in seconds, that neither sleep nor send.

A build is polled seldom while nothing can be new, and often when its end is near. How long it takes is learnt from
earlier builds of its environment; where nothing is known, polls grow apart with its age. All waits of a client share
what the budget leaves to polls. Where that is little, a poll that would probably find nothing is not made: a build is
polled first when it has most likely ended.
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

_SHORTEST: Final = 1.0
_LONGEST: Final = 15.0
_FAR: Final = 30.0
_NEAR: Final = 0.8
_URGENT_NEAR: Final = 0.9
_LATE: Final = 1.1
_EARLY_ROUNDS: Final = 4
_OVERDUE: Final = 1.5
_BRISK: Final = 2.0
_CALM: Final = 10.0
_LASTING_FAILURES: Final = 3
_LASTING_SECONDS: Final = 60.0
_HOPELESS: Final = (
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
        expected: Seconds that builds of its environment take from creation to end; None if nothing is known.
        interval: Seconds that a poll of every build takes together, with what the budget leaves to polls.
        urgent: Whether much waits for its end: it is then found within a thirtieth of its time, or a second. Others are
            waited for beside it, so a build that fails early is not looked for.
    """
    if expected is None or age > expected * _OVERDUE:
        return max(_clamped((0.015 if urgent else 0.15) * age, _SHORTEST, _LONGEST), interval)
    near = min(expected * (_URGENT_NEAR if urgent else _NEAR) + interval, expected * _LATE)
    if age < near:
        # Early failures are found, too, but later and later, and only where polls are plenty.
        early = math.inf if urgent else max(_clamped(0.5 * age, _BRISK, _FAR), _EARLY_ROUNDS * interval)
        return max(_SHORTEST, min(near - age, early))
    return max(_clamped((0.03 if urgent else 0.05) * expected, _SHORTEST, _CALM), interval)


def fair_interval(watched: int, rate: float) -> float:
    """Return the least seconds between two polls of one deployment, where `watched` share `rate` polls per second."""
    return watched / rate


class Durations:
    """How long the builds of one environment take: the median of the last five."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}

    def add(self, deployment_uid: str, seconds: float) -> None:
        """Take in a build that went live."""
        self._known[deployment_uid] = seconds
        while len(self._known) > 5:
            del self._known[next(iter(self._known))]

    @property
    def expected(self) -> float | None:
        """Seconds from creation to end; None if nothing is known."""
        return median(self._known.values()) if self._known else None


@attrs.define
class FailureStreak:
    """Failed polls in a row, and whether they are reason enough to give up.

    Attributes:
        last: Why the last poll has failed; None if it has not.
    """

    last: LaunchError | None = None
    _since: float | None = None
    _count: int = 0

    def clear(self) -> None:
        """Take in a poll that succeeded."""
        self.last, self._since, self._count = None, None, 0

    def is_final(self, error: LaunchError, now: float) -> bool:
        """Take in a poll that failed; return whether to give up: at once where trying again cannot help.

        A wait for the budget that was too long is no failure: nothing was asked.
        """
        self.last = error
        if isinstance(error, _HOPELESS):
            return True
        if isinstance(error, DeadlineExceeded) and error.expected_wait is not None:
            return False
        self._since = now if self._since is None else self._since
        self._count += 1
        return self._count >= _LASTING_FAILURES and now - self._since >= _LASTING_SECONDS

    @property
    def delay(self) -> float:
        """Seconds until the next poll after a failed one."""
        return _clamped(2.0**self._count, _BRISK, _LONGEST)


def _clamped(value: float, least: float, most: float) -> float:
    return max(least, min(value, most))

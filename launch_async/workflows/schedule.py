"""When to look at a deployment next: pure rules, in seconds, that neither sleep nor send.

A build is looked at seldom while nothing can be new, and often when its end is near. How long it takes is learnt from
earlier builds of its environment; where nothing is known, looks grow apart with its age. All waits of a client share
the budget: with many of them each gets its part of four fifths of it, and the rest is left to other calls. A bulk
operation takes more, because it is done when the last of its builds is found to have ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
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

__all__ = ["Durations", "LogPace", "Setbacks", "fair_interval", "until_next_look"]

_PART: Final = 0.8
_PRESSING_PART: Final = 0.95
_SHORTEST: Final = 1.0
_LONGEST: Final = 15.0
_FAR: Final = 30.0
_NEAR: Final = 0.8
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


def until_next_look(age: float, expected: float | None, *, pressing: bool = False) -> float:
    """Return the seconds until the next look at a build's status.

    Args:
        age: Seconds since the build was created.
        expected: Seconds that builds of its environment take from creation to end; None if nothing is known.
        pressing: Whether much waits for its end: near it, only `fair_interval` bounds how often it is looked at.
    """
    if expected is None or age > expected * _OVERDUE:
        return _SHORTEST if pressing else _clamped(0.15 * age, _SHORTEST, _LONGEST)
    near = expected * _NEAR
    if age < near:
        # Early failures are found, too, but later and later.
        return max(_SHORTEST, min(near - age, _clamped(0.5 * age, _BRISK, _FAR)))
    return _SHORTEST if pressing else _clamped(0.05 * expected, _SHORTEST, _CALM)


def fair_interval(watched: int, rate: float, *, pressing: bool = False) -> float:
    """Return the least seconds between two looks at one deployment where `watched` of them share a budget.

    Args:
        watched: Deployments that are looked at.
        rate: Requests per second that the budget allows.
        pressing: Whether much waits for its end: all but a twentieth of the budget may then go to looks.
    """
    return watched / ((_PRESSING_PART if pressing else _PART) * rate)


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
class LogPace:
    """How one follower of a log goes on: with one request at a time, for the log or for the status.

    While lines keep coming the build goes on, and asking for its status would be wasted. So the log is asked while it
    flows, and the status once it has fallen silent: for longer than it has paused lately, or for a whole look.
    """

    _quiet_looks: int = 0
    _silent: bool = False
    _latest: float | None = None
    _longest_gap: float = 0.0
    _lag: float | None = None

    @property
    def wants_status(self) -> bool:
        """Whether the next look goes to the status."""
        return self._silent

    def interval(self, age: float) -> float:
        """Return the seconds until the next look; `age` is the build's, in seconds."""
        brisk = _clamped(0.15 * age, _SHORTEST, _BRISK)
        return min(brisk * 1.25**self._quiet_looks, _CALM)

    def saw_lines(self, count: int, stamps: Sequence[float], now: float) -> None:
        """Take in a look at the log.

        Args:
            count: New lines.
            stamps: Their times as far as they can be read, in order, in seconds since any beginning.
            now: When the answer was there, in seconds since another beginning: only differences count, so that the
                two clocks need not agree.
        """
        if not count:
            self._quiet_looks += 1
            self._silent = True
            return
        self._quiet_looks, self._silent = 0, False
        if not stamps:
            return
        earlier = stamps[0] if self._latest is None else self._latest
        gaps = [after - before for before, after in pairwise([min(earlier, stamps[0]), *stamps])]
        self._longest_gap = max(*gaps, 0.8 * self._longest_gap)
        self._latest = max(earlier, stamps[-1])
        lag = now - self._latest
        self._lag = lag if self._lag is None else min(lag, self._lag)
        self._silent = lag - self._lag > max(_BRISK, 1.5 * self._longest_gap)

    def saw_running(self) -> None:
        """Take in a look at the status: the build goes on, so the log is next."""
        self._silent = False


@attrs.define
class Setbacks:
    """Failed looks in a row, and whether they are reason enough to give up."""

    _since: float | None = None
    _count: int = 0

    def clear(self) -> None:
        """Take in a look that succeeded."""
        self._since, self._count = None, 0

    def is_final(self, error: LaunchError, now: float) -> bool:
        """Take in a look that failed; return whether to give up: at once where trying again cannot help.

        A wait for the budget that was too long is no failure: nothing was asked.
        """
        if isinstance(error, _HOPELESS):
            return True
        if isinstance(error, DeadlineExceeded) and error.expected_wait is not None:
            return False
        self._since = now if self._since is None else self._since
        self._count += 1
        return self._count >= _LASTING_FAILURES and now - self._since >= _LASTING_SECONDS

    @property
    def delay(self) -> float:
        """Seconds until the next look after a failed one."""
        return _clamped(2.0**self._count, _BRISK, _LONGEST)


def _clamped(value: float, least: float, most: float) -> float:
    return max(least, min(value, most))

"""Forecast of the requests that a run sends: those of each operation, the check of names, and polls of builds.

The forecast simulates the polls of a run by the rules of a real run: creations first, at the rate limit, then polls of
the builds that are due. A run with other options than the defaults may send a different number.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Sequence
from typing import Final, Self

import attrs

from launch_async.fleet.plan.actions import Action, Mixed, Redeploy, SetVariables, Task
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.plan.waves import STOP_ON_FAILURES, waves
from launch_async.watch.schedule import fair_interval, until_next_poll

__all__ = ["ASSUMED_BUILD_S", "forecast"]

ASSUMED_BUILD_S: Final = 60.0
"""Assumed seconds of a build if no earlier build is known."""
_MAX_POLL_SHARE: Final = 0.8
"""Maximum share of polls for any setting, as in `PollQueue`."""
_ANSWER_S: Final = 0.1
"""Assumed seconds until an answer arrives."""
_RETHINK_S: Final = 1.0
"""Seconds after which a waiting poller computes the time of its next poll again, as `PolledDeployment` does."""
_FIRST_POLL_SHARE: Final = 0.6
"""Share of the poll interval after which a build of unknown length is polled for the first time."""


def forecast(
    action: Action,
    operations: Sequence[PlannedOperation],
    *,
    rate: float,
    poll_rate: float,
    build_seconds: Sequence[float],
) -> int:
    """Return how many requests a run sends, if nothing fails.

    Args:
        action: The action of the plan.
        operations: The operations.
        rate: Requests per second that the rate limit allows.
        poll_rate: How many of them may be polls.
        build_seconds: Seconds of some builds, which stand for the builds of targets without a known build time.
    """
    if isinstance(action, Mixed):
        redeployments = [one for one in operations if isinstance(one.action, Redeploy)]
        requests = sum(one.action.requests for one in operations if isinstance(one.action, Task))
        if redeployments and redeployments[0].action is not None:
            requests += forecast(
                redeployments[0].action, redeployments, rate=rate, poll_rate=poll_rate, build_seconds=build_seconds
            )
        return requests
    busy = [one for one in operations if not one.is_idle(action)]
    requests = sum(_requests(action, one) for one in busy)
    # A run reads the names again, project by project.
    requests += len({one.target.project_uid for one in busy})
    if isinstance(action, Redeploy):
        others = itertools.cycle(build_seconds or [ASSUMED_BUILD_S])
        requests += action.source.kind == "files"
        for wave in waves(busy, size=None, stop_on_failures=STOP_ON_FAILURES):
            slowest_first = sorted((one.target.last_seconds or 0.0 for one in wave), reverse=True)
            lengths = [(seconds or next(others), seconds > 0) for seconds in slowest_first]
            requests += _polls(lengths, rate=rate, poll_rate=min(poll_rate, _MAX_POLL_SHARE * rate))
    return requests


def _requests(action: Action, operation: PlannedOperation) -> int:
    """Return how many requests one operation takes, without polls."""
    if isinstance(action, SetVariables):
        read = 2 if action.removed else 1
        changes = operation.change is None or operation.change.has_changes
        return read + 3 if changes else read  # read again, write, read back
    if isinstance(action, Redeploy) and action.when_busy != "queue":
        return 2  # list the deployments, deploy
    return 1


class _Pace:
    """The times at which a rate limit admits requests: `count` in any window of `seconds`. A count of 0 is no limit."""

    def __init__(self, count: int, seconds: float) -> None:
        self._window = seconds
        self._sent: deque[float] = deque([-math.inf] * count, maxlen=count)

    @classmethod
    def of(cls, rate: float, *, burst: bool) -> Self:
        """Return the pace of a rate per second, with or without a burst of one second's requests."""
        if not (math.isfinite(rate) and rate > 0):
            return cls(0, 0.0)
        count = max(1, int(rate)) if burst else 1
        return cls(count, count / rate)

    def send(self, now: float) -> float:
        """Return when a request that is ready now is sent."""
        if not self._sent:
            return now
        at = max(now, self._sent[0] + self._window)
        self._sent.append(at)
        return at


@attrs.define(eq=False)
class _Build:
    created: float
    seconds: float
    expected: float | None
    known_at: float | None = None

    def due(self, interval: float) -> float:
        """Return when the build is polled next, as `PolledDeployment.due` does."""
        if self.known_at is None:
            return self.created + _ANSWER_S
        part = 1.0 if self.expected is not None else _FIRST_POLL_SHARE
        age = self.known_at - self.created
        return self.known_at + until_next_poll(age, self.expected, interval=part * interval, urgent=True)


def _polls(lengths: Sequence[tuple[float, bool]], *, rate: float, poll_rate: float) -> int:
    """Return how many polls it takes to see all builds of a wave end.

    Args:
        lengths: Seconds of each build, in the order of their beginnings, and whether the run knows them.
        rate: Requests per second that the budget allows.
        poll_rate: How many of them may be polls.
    """
    budget, share = _Pace.of(rate, burst=True), _Pace.of(poll_rate, burst=False)
    now, polls, running = 0.0, 0, 0
    due: list[tuple[float, int]] = []
    builds: list[_Build] = []
    for number, (seconds, is_known) in enumerate(lengths):
        now = budget.send(now)
        build = _Build(now, seconds, seconds if is_known else None)
        builds.append(build)
        running += 1
        if fair_interval(running, poll_rate) >= _RETHINK_S:
            build.known_at = now
        heapq.heappush(due, (build.due(fair_interval(running, poll_rate)), number))
    while due:
        at, number = heapq.heappop(due)
        now, build = max(now, at), builds[number]
        later = build.due(fair_interval(running, poll_rate))
        if later > now:
            heapq.heappush(due, (min(later, now + _RETHINK_S), number))
            continue
        now = budget.send(share.send(now))
        polls += 1
        if now - build.created >= build.seconds:
            running -= 1
        else:
            build.known_at, build.expected = now + _ANSWER_S, build.seconds
            heapq.heappush(due, (build.due(fair_interval(running, poll_rate)), number))
    return polls

"""How many requests a run of a plan sends: what each operation asks, the names that are checked, the polls of builds.

Polls are counted by going through a run in thought, by the rules that a real one polls by: creations first, at the
pace of the budget, then whichever build is due. A run with other options than the default ones may take others.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs

from launch_async.fleet.plan.actions import Action, Redeploy, SetVariables
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.plan.waves import STOP_ON_FAILURES, waves
from launch_async.watch.schedule import fair_interval, until_next_poll

__all__ = ["ASSUMED_BUILD_S", "forecast"]

ASSUMED_BUILD_S: Final = 60.0
"""Seconds that a build is supposed to take where no earlier one tells."""
_ANSWER_S: Final = 0.1
"""Seconds until an answer is there."""
_RETHINK_S: Final = 1.0


def forecast(
    action: Action, operations: Sequence[PlannedOperation], *, rate: float, build_seconds: Sequence[float]
) -> int:
    """Return how many requests a run sends, if nothing fails.

    Args:
        action: What is done to each target.
        operations: The operations.
        rate: Requests per second that the budget allows.
        build_seconds: How long some builds took; those whose target does not tell are like these, in turn.
    """
    busy = [one for one in operations if not one.is_idle(action)]
    requests = sum(_requests(action, one) for one in busy)
    # A run looks at the names again, project by project.
    requests += len({one.target.project_uid for one in busy})
    if isinstance(action, Redeploy):
        others = itertools.cycle(build_seconds or [ASSUMED_BUILD_S])
        requests += action.source.kind == "files"
        for wave in waves(busy, size=None, stop_on_failures=STOP_ON_FAILURES):
            slowest_first = sorted((one.target.last_seconds or 0.0 for one in wave), reverse=True)
            requests += _polls([seconds or next(others) for seconds in slowest_first], rate)
    return requests


def _requests(action: Action, operation: PlannedOperation) -> int:
    """Return how many requests one operation takes, without polls."""
    if isinstance(action, SetVariables):
        read = 2 if action.removed else 1
        changes = operation.change is None or operation.change.has_changes
        return read + 3 if changes else read  # read again, write, read back
    if isinstance(action, Redeploy) and action.when_busy != "queue":
        return 2  # look, deploy
    return 1


@attrs.define(eq=False)
class _Build:
    created: float
    seconds: float
    polled_at: float = -math.inf
    pause: float = 0.0

    def plan(self, now: float) -> None:
        self.polled_at = now
        self.pause = until_next_poll(now - self.created, self.seconds, urgent=True)


class _Budget:
    """The budget as a sliding window of a second or, where that lets less than a request through, of one request."""

    def __init__(self, rate: float) -> None:
        count = max(1, int(rate)) if math.isfinite(rate) and rate > 0 else 0
        self._window = count / rate if count else 0.0
        self._sent: deque[float] = deque([-math.inf] * count, maxlen=count)

    def send(self, now: float) -> float:
        """Return when what is sent now leaves."""
        if not self._sent:
            return now
        at = max(now, self._sent[0] + self._window)
        self._sent.append(at)
        return at


def _polls(lengths: Sequence[float], rate: float) -> int:
    """Return how many polls it takes to see builds of these lengths end, which begin in this order."""
    budget, now, polls, going = _Budget(rate), 0.0, 0, 0
    due: list[tuple[float, int]] = []
    builds: list[_Build] = []
    for number, seconds in enumerate(lengths):
        now = budget.send(now)
        builds.append(_Build(now, seconds))
        going += 1
        if fair_interval(going, rate) >= _RETHINK_S:
            builds[-1].plan(now)
        heapq.heappush(due, (now + _ANSWER_S + builds[-1].pause, number))
    while due:
        at, number = heapq.heappop(due)
        now, build = max(now, at), builds[number]
        fair = build.polled_at + fair_interval(going, rate, urgent=True)
        if fair > now:
            heapq.heappush(due, (min(fair, now + _RETHINK_S), number))
            continue
        now = budget.send(now)
        polls += 1
        if now - build.created >= build.seconds:
            going -= 1
        else:
            build.plan(now + _ANSWER_S)
            heapq.heappush(due, (build.polled_at + build.pause, number))
    return polls

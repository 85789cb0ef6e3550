"""`tail`: a running server's log, window by window, every line once.

The service wants both ends of a window, in epoch milliseconds (FACTS §7). Each window begins a little before the end
of the one before it, because lines may become readable late, and what was given already is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Final

from launch_async.errors import InvalidArgumentError, LaunchError, ServerLogsUnavailable
from launch_async.models.deployment import DeploymentRef
from launch_async.models.log import ServerLogLine
from launch_async.watch.log_cursor import SeenLines, by_time
from launch_async.watch.poll_queue import PollQueue
from launch_async.watch.schedule import FailureStreak

__all__ = ["tail"]

_INTERVAL: Final = 3.0
_LOOK_BACK: Final = timedelta(seconds=15)
_LONGEST_WINDOW: Final = timedelta(hours=1)


async def tail(
    polls: PollQueue, ref: DeploymentRef, *, since: datetime | timedelta | None, until: datetime | None
) -> AsyncGenerator[ServerLogLine, None]:
    """Give the lines from `since` on, for ever or until a window has reached `until`."""
    _check_aware(since, until)
    seen: SeenLines[ServerLogLine] = SeenLines(lambda line: line.source or "", look_back=_LOOK_BACK, forget=True)
    failures, loop = FailureStreak(), asyncio.get_running_loop()
    begin = reached = since if isinstance(since, datetime) else polls.now - (since or timedelta())
    answered = False
    while True:
        now = polls.now
        start = max(begin, reached - _LOOK_BACK)
        end = min(start + _LONGEST_WINDOW, max(now, start))
        end = end if until is None else min(end, max(until, start))
        try:
            lines = await polls.server_log(ref, start, end)
        except LaunchError as error:
            # A static site answers 500 from the start; once there was a log, a 500 is a passing failure.
            hopeless = isinstance(error, ServerLogsUnavailable) and not answered
            if hopeless or failures.is_final(error, loop.time()):
                raise
            await asyncio.sleep(failures.delay)
            continue
        answered = True
        failures.clear()
        for _, line in by_time(seen.missing(lines), lambda line: line.timestamp):
            seen.add(line)
            yield line
        reached = end
        if until is not None and end >= until:
            return
        if end >= now:
            await asyncio.sleep(_INTERVAL)


def _check_aware(since: datetime | timedelta | None, until: datetime | None) -> None:
    for name, moment in {"since": since, "until": until}.items():
        if isinstance(moment, datetime) and moment.tzinfo is None:
            raise InvalidArgumentError(name, "has no time zone; use datetime.now(UTC) or give tzinfo")

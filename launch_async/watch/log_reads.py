"""`LogReads`: one request for a deployment's log, shared by all followers of the log at one client.

The follower whose poll is due first sends the request. The other followers take the lines since their own last poll
from the response. They measure their next interval from the response, so all polls are then due at the same time. The
response is kept only while there are several followers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import attrs

from launch_async.errors import LaunchError
from launch_async.models.deployment import DeploymentRef
from launch_async.models.log import LogLine
from launch_async.watch.poll_queue import PollQueue

__all__ = ["LogRead", "LogReads"]


@attrs.frozen
class LogRead:
    """The result of one request for a log.

    Attributes:
        asked_at: When the request was sent, in the loop's time.
        answered_at: When the response arrived, in the loop's time.
        asked: When the request was sent, by the service's clock.
        after: The moment after which lines were requested; None for the whole log.
        outcome: The lines, or the error of the request.
    """

    asked_at: float
    answered_at: float
    asked: datetime
    after: datetime | None
    outcome: Sequence[LogLine] | LaunchError

    def covers(self, after: datetime | None, since: float) -> bool:
        """Return whether it was sent later than `since`, and contains all lines after the moment `after`."""
        return self.asked_at > since and (self.after is None or (after is not None and self.after <= after))


class LogReads:
    """The requests for one deployment's log."""

    def __init__(self, polls: PollQueue, ref: DeploymentRef) -> None:
        self.followers = 0
        self._queue = polls
        self._ref = ref
        self._last: LogRead | None = None
        self._reading: asyncio.Event | None = None

    async def read(self, after: datetime | None, *, since: float) -> LogRead:
        """Return the log after a moment, from a request that was sent later than `since` (the loop's time)."""
        while True:
            if self._last is not None and self._last.covers(after, since):
                return self._last
            if self._reading is None:
                return await self._read(after)
            await self._reading.wait()

    async def _read(self, after: datetime | None) -> LogRead:
        reading = self._reading = asyncio.Event()
        loop = asyncio.get_running_loop()
        asked_at, asked = loop.time(), self._queue.now
        try:
            outcome: Sequence[LogLine] | LaunchError = await self._queue.log(self._ref, after)
        except LaunchError as error:
            outcome = error
        finally:
            self._reading = None
            reading.set()
        read = LogRead(asked_at, loop.time(), asked, after, outcome)
        self._last = read if self.followers > 1 else None
        return read

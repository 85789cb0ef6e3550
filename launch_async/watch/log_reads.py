"""`LogReads`: one request for a deployment's log serves all who follow it at the same client.

Whoever's poll is due first asks, and the others take what came since their own last poll. They count on from that
answer, so that from then on all are due together. What was read is kept only while there are several of them.
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
    """What one request for a log has brought.

    Attributes:
        asked_at: When it was sent, in the loop's time.
        answered_at: When the answer was there, in the loop's time.
        asked: When it was sent, by the service's clock.
        after: From which moment on lines were asked for; None for the whole log.
        outcome: The lines, or why there are none.
    """

    asked_at: float
    answered_at: float
    asked: datetime
    after: datetime | None
    outcome: Sequence[LogLine] | LaunchError

    def covers(self, after: datetime | None, since: float) -> bool:
        """Whether it was sent later than `since`, and brought all that asking for lines after `after` would have."""
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
        """Return the log after a moment, as it was later than `since` (the loop's time)."""
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

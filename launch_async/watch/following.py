"""`Following`: the states of one deployment and every line of its log, as they appear.

A line can become readable after newer lines, so the SDK reads the whole log again after the end of the deployment, when
the log has settled. The SDK skips this read if it has already read the whole log that late. A log that cannot be read
ends neither the iterator nor the wait; the SDK logs one warning.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncGenerator, Generator, Sequence
from datetime import datetime, timedelta
from typing import Final

from launch_async._breather import Breather
from launch_async.errors import LaunchError
from launch_async.models.deployment import Deployment, DeploymentRef, DeploymentStatus
from launch_async.models.log import LogLine
from launch_async.watch.deployment_poller import DeploymentPoller, PolledDeployment
from launch_async.watch.log_cursor import LogCursor, fresh_lines
from launch_async.watch.log_pace import LogPace
from launch_async.watch.log_reads import LogReads

__all__ = ["Following", "Logs"]

_LOG: Final = logging.getLogger(__name__)
_FINAL_READS: Final = 3
_FINAL_READ_PAUSE_S: Final = 2.0
_RARE_POLLS_S: Final = 5.0
_SMALL_LOG_LINES: Final = 500
_MAX_STAMPS: Final = 500
_OVERLAP: Final = timedelta(seconds=10)
"""Minimum time before the service's current time from which lines are requested again."""
_SAME_MOMENT_S: Final = 0.1
"""Maximum seconds between the moments at which two followers find that a log has settled."""


class Logs:
    """The logs that a client follows now."""

    def __init__(self, poller: DeploymentPoller) -> None:
        self.poller = poller
        self._reads: dict[DeploymentRef, LogReads] = {}

    @contextlib.contextmanager
    def reading(self, ref: DeploymentRef) -> Generator[LogReads, None, None]:
        """Share the requests for a log with all followers that are in this context."""
        if ref not in self._reads:
            self._reads[ref] = LogReads(self.poller.polls, ref)
        reads = self._reads[ref]
        reads.followers += 1
        try:
            yield reads
        finally:
            reads.followers -= 1
            if not reads.followers:
                del self._reads[ref]


class Following:
    """Follows one deployment. It sends requests only while the caller iterates."""

    def __init__(self, logs: Logs, target: Deployment | DeploymentRef, cursor: LogCursor) -> None:
        self._logs = logs
        self._poller = logs.poller
        self.last_error: LaunchError | None = None
        """The error of the last poll; None if the poll succeeded. It is set when the events end."""

        self._target = target
        self._cursor = cursor
        self._pace = LogPace()
        self._asked_at = -math.inf
        self._answered_at: float | None = None
        self._whole_at: datetime | None = None
        self._warned = False

    async def events(self) -> AsyncGenerator[Deployment | LogLine, None]:
        """Yield each new state and each new line. The last state comes before the last lines."""
        with (
            self._poller.watching(self._target) as watched,
            self._logs.reading(watched.ref) as reads,
            self._keeping_last_error(watched),
        ):
            seen, breather = 0, Breather()
            while True:
                if watched.deployment is not None and watched.version != seen:
                    seen = watched.version
                    yield watched.deployment
                if watched.is_over:
                    break
                for line in await self._poll(watched, reads, seen):
                    self._cursor.give(line)
                    yield line
                    await breather.breathe()
                if self._pace.wants_status and self._interval(watched) >= _RARE_POLLS_S:
                    # If polls are rare, the lines may already be the whole log. Only the status shows whether they are.
                    await self._poll_status(watched)
            if watched.failure is not None:
                raise watched.failure
            for line in await self._last_lines(watched, reads):
                self._cursor.give(line)
                yield line
                await breather.breathe()

    @contextlib.contextmanager
    def _keeping_last_error(self, watched: PolledDeployment) -> Generator[None]:
        try:
            yield
        finally:
            self.last_error = watched.last_error

    async def _poll(self, watched: PolledDeployment, reads: LogReads, seen: int) -> Sequence[LogLine]:
        """Wait until a poll is due, send it, and return the new lines."""
        if not self._may_have_lines(watched):
            await watched.next_state(seen)
            return []
        loop = asyncio.get_running_loop()
        interval = self._interval(watched)
        if self._answered_at is None:
            # A new deployment has no lines yet, so the first interval begins at its creation. If polls are frequent,
            # the first poll is due immediately.
            is_known = watched.deployment is not None and interval >= _RARE_POLLS_S
            self._answered_at = loop.time() - watched.age if is_known else -math.inf
        await watched.wait_for_change(seen, until=self._answered_at + interval)
        if watched.version != seen:
            return []
        if self._pace.wants_status:
            await self._poll_status(watched)
            return []
        # Any poll can be the last one, so each poll reads the whole log while the log is small.
        whole = self._cursor.lines < _SMALL_LOG_LINES and interval >= _RARE_POLLS_S
        return await self._new_lines(watched.ref, reads, None if whole else self._after())

    def _after(self) -> datetime | None:
        """Return the moment after which to request lines. A line with a future time must not hide later lines."""
        after = self._cursor.ask_after
        return None if after is None else min(after, self._poller.polls.now - _OVERLAP)

    async def _poll_status(self, watched: PolledDeployment) -> None:
        await watched.poll(since=self._asked_at)
        self._answered_at = asyncio.get_running_loop().time()
        self._pace.saw_status()

    def _interval(self, watched: PolledDeployment) -> float:
        return max(self._pace.interval(watched.age), self._poller.interval)

    def _may_have_lines(self, watched: PolledDeployment) -> bool:
        """Return whether to request the log: it has no lines before the build has begun.

        If polls are rare, the first poll reads the log, because the log also shows whether the build has begun.
        """
        if self._pace.has_begun or (math.isinf(watched.polled_at) and self._interval(watched) >= _RARE_POLLS_S):
            return True
        return watched.deployment is not None and watched.deployment.status is not DeploymentStatus.QUEUED

    async def _new_lines(self, ref: DeploymentRef, reads: LogReads, after: datetime | None) -> Sequence[LogLine]:
        read = await reads.read(after, since=self._asked_at)
        self._asked_at, self._answered_at = read.asked_at, read.answered_at
        lines: Sequence[LogLine] = []
        if isinstance(read.outcome, LaunchError):
            self._warn(ref, read.outcome)
        else:
            lines = await fresh_lines(self._cursor, read.outcome)
            self._whole_at = read.asked if read.after is None else self._whole_at
        stamps = [line.timestamp.timestamp() for line in lines[-_MAX_STAMPS:] if line.timestamp is not None]
        now = self._poller.polls.now.timestamp()
        self._pace.saw_lines(len(lines), stamps, asked=read.asked.timestamp(), now=now)
        return lines

    async def _last_lines(self, watched: PolledDeployment, reads: LogReads) -> Sequence[LogLine]:
        """Wait until the log has settled, and return the lines of the whole log that were not returned before."""
        settling = timedelta(seconds=self._pace.settling(watched.age))
        now, loop = self._poller.polls.now, asyncio.get_running_loop()
        # If the deployment changed after its end, this read only comes later than necessary.
        ended = (watched.deployment.updated_at if watched.deployment else None) or now
        if self._whole_at is not None and self._whole_at >= ended + settling:
            return []
        delay = min(ended + settling - now, settling).total_seconds()
        for pause in (max(0.0, delay), *[_FINAL_READ_PAUSE_S] * (_FINAL_READS - 1)):
            await asyncio.sleep(pause)
            read = await reads.read(None, since=loop.time() - _SAME_MOMENT_S)
            if not isinstance(read.outcome, LaunchError):
                return await fresh_lines(self._cursor, read.outcome)
            self._warn(watched.ref, read.outcome)
        return []

    def _warn(self, ref: DeploymentRef, error: LaunchError) -> None:
        if not self._warned:
            self._warned = True
            _LOG.warning(
                "The log of deployment %s cannot be read now; the SDK tries again: %s",
                ref.deployment_uid,
                error,
                extra={"deployment_uid": ref.deployment_uid, "operation": error.operation},
            )

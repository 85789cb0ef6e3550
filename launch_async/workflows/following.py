"""`Following`: what happens to one deployment, as it happens: its states, and its log with every line once.

The status is read before the log, and after the end the whole log is read once more, so that no last line and no late
line is missed (FACTS §7). A log that cannot be read never ends anything; it is reported once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from typing import Final

from launch_async.errors import LaunchError
from launch_async.models.deployment import Deployment, DeploymentRef, DeploymentStatus
from launch_async.models.log import LogLine
from launch_async.workflows.log_cursor import LogCursor
from launch_async.workflows.schedule import LogPace
from launch_async.workflows.statuses import Statuses, Watched

__all__ = ["Following"]

_LOG: Final = logging.getLogger("launch_async.logs")
_GRACE: Final = 0.5
_LAST_TRIES: Final = 3
_LAST_DELAY: Final = 2.0


class Following:
    """Follows one deployment, at the pull of whoever iterates.

    Args:
        statuses: Where its status is looked up, together with everybody else's.
        target: The deployment.
        cursor: Where to go on in its log; it moves along.
    """

    def __init__(self, statuses: Statuses, target: Deployment | DeploymentRef, cursor: LogCursor) -> None:
        self._statuses = statuses
        self._target = target
        self._cursor = cursor
        self._pace = LogPace()
        self._asked_at = float("-inf")
        self._warned = False

    async def events(self) -> AsyncGenerator[Deployment | LogLine, None]:
        """Give each new state and each new line; the last state comes before the last lines.

        Raises:
            LaunchError: The status cannot be read, for good.
        """
        with self._statuses.watching(self._target) as watched:
            seen = 0
            while True:
                if watched.deployment is not None and watched.version != seen:
                    seen = watched.version
                    yield watched.deployment
                if watched.is_over:
                    break
                for line in await self._look(watched, seen):
                    self._cursor.give(line)
                    yield line
            if watched.failure is not None:
                raise watched.failure
            for line in await self._last_lines(watched.ref):
                self._cursor.give(line)
                yield line

    async def _look(self, watched: Watched, seen: int) -> list[LogLine]:
        """Wait until something is due, ask once, and return the new lines that it brought."""
        if watched.deployment is None or watched.deployment.status is DeploymentStatus.QUEUED:
            # There is no log before the build has begun.
            await watched.next_state(seen)
            return []
        interval = max(self._pace.interval(watched.age), self._statuses.interval)
        await watched.rest(seen, until=self._asked_at + interval)
        if watched.version != seen:
            return []
        since, self._asked_at = self._asked_at, asyncio.get_running_loop().time()
        if self._pace.wants_status:
            await watched.look(since=since)
            self._pace.saw_running()
            return []
        return await self._new_lines(watched.ref)

    async def _new_lines(self, ref: DeploymentRef) -> list[LogLine]:
        try:
            lines = self._cursor.unseen(await self._statuses.polls.log(ref, self._cursor.ask_after))
        except LaunchError as error:
            self._warn(ref, error)
            lines = []
        stamps = [line.timestamp.timestamp() for line in lines if line.timestamp is not None]
        self._pace.saw_lines(len(lines), stamps, asyncio.get_running_loop().time())
        return lines

    async def _last_lines(self, ref: DeploymentRef) -> list[LogLine]:
        """Read the whole log: the last lines, and those that came too late to be found before."""
        for delay in (_GRACE, *[_LAST_DELAY] * (_LAST_TRIES - 1)):
            await asyncio.sleep(delay)
            try:
                return self._cursor.unseen(await self._statuses.polls.log(ref, None))
            except LaunchError as error:
                self._warn(ref, error)
        return []

    def _warn(self, ref: DeploymentRef, error: LaunchError) -> None:
        if not self._warned:
            self._warned = True
            _LOG.warning(
                "the log of deployment %s cannot be read at present, and is tried again: %s",
                ref.deployment_uid,
                error,
                extra={"deployment_uid": ref.deployment_uid, "operation": error.operation},
            )

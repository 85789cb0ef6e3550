"""`PollQueue`: the requests of all waits and followed logs, with a lower priority than all other calls.

At most 16 requests run at the same time, first come, first served. So a thousand waits do not starve each other. They
also do not fill the queue for the organization's budget, which refuses a call whose time-out it cannot meet.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Final

from launch_async.errors import AttemptTimeout
from launch_async.http.base import Response
from launch_async.http.metering import Meter, metered
from launch_async.http.pipeline import Pipeline
from launch_async.models.deployment import Deployment, DeploymentRef
from launch_async.models.log import LogLine, ServerLogLine
from launch_async.rate_limit.types import Priority
from launch_async.resources.deployments import Deployments, open_live_log

__all__ = ["PollQueue"]

_MAX_REQUESTS: Final = 16
_MAX_BUDGET_SHARE: Final = 0.8
_MAX_CLOCK_LAG_S: Final = 30.0
"""Seconds by which the loop's clock may be behind. On some systems this clock stops while the machine is suspended."""


class PollQueue:
    """The requests that waits and followed logs send to the service."""

    def __init__(self, pipeline: Pipeline, deployments: Deployments) -> None:
        self._pipeline = pipeline
        self._deployments = deployments
        self._places = asyncio.Semaphore(_MAX_REQUESTS)
        self._ahead = -math.inf
        """Seconds by which the machine's clock was ahead of the loop's clock at the last comparison."""

        self.offers_live: bool = pipeline.streams
        """Whether to try live server logs: False if the transport cannot stream, or the service has none."""

    @property
    def rate(self) -> float:
        """Polls per second that the organization's budget allows now: at most 80 % of its rate."""
        status = self._pipeline.limiter.status()
        return min(status.poll_rate, _MAX_BUDGET_SHARE * max(status.rate, 0.1))

    @property
    def now(self) -> datetime:
        """The service's current time from its responses; this machine's time before the first response."""
        if (known := self._pipeline.clock.now()) is not None:
            return known
        moment, ticks = time.time(), asyncio.get_running_loop().time()
        if moment - ticks - self._ahead > _MAX_CLOCK_LAG_S:
            self._ahead = moment - ticks
        return datetime.fromtimestamp(ticks + self._ahead, UTC)

    async def deployment(self, ref: DeploymentRef) -> Deployment:
        """Return one deployment."""
        async with self._place():
            return await self._deployments.get(ref.project_uid, ref.environment_uid, ref.deployment_uid)

    async def newest(
        self, project_uid: str, environment_uid: str, *, limit: int, response_timeout: float
    ) -> Sequence[Deployment]:
        """Return one page of an environment's deployments, probably the newest. The order is not documented.

        Raises:
            AttemptTimeout: The response took longer than `response_timeout` seconds, without the wait for the budget.
        """
        loop = asyncio.get_running_loop()
        async with self._place() as meter:
            scope = asyncio.timeout(None)
            meter.before_send = lambda: _begin(scope, loop.time() + response_timeout)
            try:
                async with scope:
                    return (await self._deployments.list(project_uid, environment_uid, limit=limit).page()).items
            except TimeoutError:
                if not scope.expired():
                    raise
        raise AttemptTimeout(
            f"The response to listDeployments did not arrive within {response_timeout:g} s", operation="listDeployments"
        )

    async def log(self, ref: DeploymentRef, after: datetime | None) -> Sequence[LogLine]:
        """Return the build log, or the part of it after a moment."""
        async with self._place():
            return await self._deployments.logs(ref.project_uid, ref.environment_uid, ref.deployment_uid, after=after)

    async def server_log(self, ref: DeploymentRef, start: datetime, end: datetime) -> Sequence[ServerLogLine]:
        """Return the lines of a server log between two moments."""
        async with self._place():
            return await self._deployments.server_logs(
                ref.project_uid, ref.environment_uid, ref.deployment_uid, start=start, end=end
            )

    async def live_log(self, ref: DeploymentRef, last_id: str) -> Response:
        """Open the live server log. The response has no stream if a middleware has read it."""
        async with self._place():
            return await open_live_log(self._pipeline, ref, last_id=last_id)

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncGenerator[Meter]:
        """Wait for one of the places. Requests that are sent in it have the lowest priority."""
        async with self._places:
            with metered(Meter(priority=Priority.POLL)) as meter:
                yield meter


def _begin(scope: asyncio.Timeout, when: float) -> None:
    """Set the end of a scope, unless it is already set."""
    if scope.when() is None:
        scope.reschedule(when)

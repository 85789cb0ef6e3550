"""The plainest way to watch one deployment: its state once a second, its log once more each time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from launch_async.errors import DeploymentFailed, WaitTimeout
from launch_async.models.deployment import Deployment, DeploymentRef
from launch_async.models.log import LogLine
from launch_async.resources.deployments import Deployments
from launch_async.workflows.report import DeploymentReport

__all__ = ["Watching"]


class Watching:
    """Waits for deployments."""

    def __init__(self, deployments: Deployments) -> None:
        self._deployments = deployments

    async def watch(
        self,
        ref: DeploymentRef,
        *,
        on_log: Callable[[LogLine], object] | None = None,
        on_update: Callable[[Deployment], object] | None = None,
        timeout: float = 3600.0,
    ) -> Deployment:
        """Return a deployment that has ended well, every line given before.

        Raises:
            DeploymentFailed: It ended otherwise.
            WaitTimeout: It did not end in time.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        seen: Counter[LogLine] = Counter()
        uids = (ref.project_uid, ref.environment_uid, ref.deployment_uid)
        while True:
            deployment = await self._deployments.get(*uids)
            lines = await self._deployments.logs(*uids)
            for line in (Counter(lines) - seen).elements():
                if on_log is not None:
                    on_log(line)
            seen |= Counter(lines)
            if on_update is not None:
                on_update(deployment)
            if deployment.status.is_success:
                return deployment
            if deployment.status.is_final:
                raise DeploymentFailed(DeploymentReport.of(deployment, lines))
            if loop.time() > end:
                raise WaitTimeout(f"deployment {deployment.uid} did not end in time", last=deployment)
            await asyncio.sleep(0.5)

"""What a run asks of its client."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime

import attrs

from launch_async.errors import NotFoundError
from launch_async.fleet.plan.targets import Target
from launch_async.http.pipeline import Pipeline
from launch_async.models.deployment import Deployment
from launch_async.resources._create.recent import created_since, recent_deployments
from launch_async.resources.deployments import Deployments
from launch_async.resources.environments import Environments
from launch_async.resources.projects import Projects
from launch_async.resources.uploads import Uploads
from launch_async.resources.usage import Usage
from launch_async.variables import Variables
from launch_async.watch.waiting import Watching

__all__ = ["FleetServices"]


@attrs.frozen
class FleetServices:
    """The parts of a client that bulk operations use."""

    pipeline: Pipeline
    host: str
    projects: Projects
    environments: Environments
    deployments: Deployments
    uploads: Uploads
    usage: Usage
    variables: Variables
    watching: Watching

    @property
    def settle_after(self) -> float:
        """Seconds after which a creation whose sender has died is no longer carried out."""
        return self.pipeline.retry.settle_after

    def now(self) -> datetime:
        """Return the earliest time that the service's clock may show."""
        return self.pipeline.clock.now()

    async def know_the_clock(self, target: Target) -> None:
        """Learn the service's clock before the first intent is written: a resumption compares with it."""
        if not self.pipeline.clock.is_known:
            with contextlib.suppress(NotFoundError):
                await self.environments.get(target.project_uid, target.environment_uid)

    async def recent(self, target: Target) -> Sequence[Deployment]:
        """Return the newest deployments of a target."""
        return await recent_deployments(self.deployments, target.project_uid, target.environment_uid)

    async def created_since(self, target: Target, since: datetime, commit: str | None) -> Sequence[Deployment]:
        """Return deployments of a target that an interrupted creation may have created."""
        return await created_since(
            self.deployments, target.project_uid, target.environment_uid, since, commit_hash=commit
        )

"""The parts of a client that bulk operations use."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

import attrs

from launch_async.errors import DecodeError, NotFoundError
from launch_async.fleet.plan.targets import Target
from launch_async.http.pipeline import Pipeline
from launch_async.models.deployment import Deployment
from launch_async.resources._create.reconciling import CreationOptions, ReconcilingCreate
from launch_async.resources.deployments import (
    Deployments,
    can_identify_new,
    deployment_creation,
    newest_deployments,
    note_number,
)
from launch_async.resources.domains import Domains
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
    domains: Domains
    uploads: Uploads
    usage: Usage
    variables: Variables
    watching: Watching

    def now(self) -> datetime:
        """Return the time by the service's clock; by this machine's clock if no answer has shown the time."""
        return self.pipeline.clock.now() or datetime.now(UTC)

    @property
    def service_time(self) -> datetime | None:
        """The time by the service's clock; None if no answer has shown it."""
        return self.pipeline.clock.now()

    async def ensure_service_time(self, target: Target) -> None:
        """Send a request that only reads, if no answer has shown the service's clock yet."""
        if not self.pipeline.clock.is_known:
            with contextlib.suppress(NotFoundError, DecodeError):
                if target.environment_uid:
                    await self.deployments.list(target.project_uid, target.environment_uid).page()
                else:
                    await self.projects.list(limit=1).page()

    async def recent(self, target: Target) -> Sequence[Deployment]:
        """Return the newest deployments of a target."""
        return await newest_deployments(self.deployments, target.project_uid, target.environment_uid)

    def recognizes_new(self, target: Target) -> bool:
        """Return whether the client can distinguish a new deployment of the target from existing ones."""
        return can_identify_new(self.deployments, target.environment_uid)

    def creation(
        self, target: Target, commit_hash: str | None, upload_uid: str | None, options: CreationOptions[Deployment]
    ) -> ReconcilingCreate[Deployment]:
        """Return the creation of a deployment of a target."""
        if target.last_number is not None:
            note_number(self.deployments, target.environment_uid, target.last_number)
        return deployment_creation(
            self.deployments,
            target.project_uid,
            target.environment_uid,
            commit_hash=commit_hash,
            upload_uid=upload_uid,
            options=options,
        )

    async def ended(self, deployment: Deployment, *, timeout: float) -> None:
        """Wait until a deployment has succeeded or failed."""
        await self.watching.wait_all([deployment], timeout=timeout, return_failures=True)

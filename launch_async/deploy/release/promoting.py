"""`promote`: deploy the commit or the ZIP of one environment to another.

The SDK reads nothing from the working folder. It does not upload a ZIP again if the service still has the upload.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from typing import Final

from launch_async._text import listed, printable
from launch_async.deploy.deadline import Deadline
from launch_async.deploy.release.check import CheckLike, OnFailure, check_on_failure, checks_of
from launch_async.deploy.release.copying import Copying, Place
from launch_async.deploy.release.releasing import Releasing
from launch_async.errors import InvalidArgumentError
from launch_async.http.operation import check_uid
from launch_async.models.deployment import Deployment
from launch_async.models.environment import Environment
from launch_async.resources.environments import Environments
from launch_async.watch.audience import Observers
from launch_async.watch.waiting import DeploymentLike, Watching

__all__ = ["Promoting", "differences"]

_LOG: Final = logging.getLogger(__name__)
_SETTINGS: Final = ("framework_preset", "build_command", "output_directory", "server_command", "is_streaming_enabled")


class Promoting:
    """Deploys the source of one environment to another."""

    def __init__(self, environments: Environments, watching: Watching, copying: Copying, releasing: Releasing) -> None:
        self._environments = environments
        self._watching = watching
        self._copying = copying
        self._releasing = releasing

    async def promote(
        self,
        source_ref: DeploymentLike,
        project_uid: str,
        environment_uid: str,
        *,
        verify: CheckLike | Iterable[CheckLike],
        on_failure: OnFailure,
        timeout: float,
        journal: str | os.PathLike[str] | None,
        observers: Observers,
    ) -> Deployment:
        """Implement `LaunchClient.promote`."""
        place = Place(check_uid("project_uid", project_uid), check_uid("environment_uid", environment_uid))
        checks = checks_of(verify)
        check_on_failure(on_failure, checks)
        deadline = Deadline.after(timeout, on_step=observers.on_step)
        async with deadline.enforced("promote"):
            deadline.begin("reading the source deployment")
            source = await self._watching.poll_once(source_ref)
            _check_source(source, place)
            await self._warn_of_differences(source, place)
        about = {"commit_hash": source.commit_hash or None}
        async with self._releasing.begun(place, checks, on_failure, deadline, journal, about, observers) as release:
            async with deadline.enforced("promote"):
                with release.creating("sends") as log:
                    created = await self._copying.copy(
                        source, place, deadline, reuse_upload=True, log=log, on_progress=observers.on_progress
                    )
            release.note(deployment=created.uid)
            return await self._releasing.ended(release, created, deadline.remaining)

    async def _warn_of_differences(self, source: Deployment, place: Place) -> None:
        one, other = await asyncio.gather(
            self._environments.get(source.project_uid, source.environment_uid),
            self._environments.get(place.project_uid, place.environment_uid),
        )
        if found := differences(one, other):
            _LOG.warning(
                "Environments %s and %s differ, so the same source may produce a different site: %s",
                printable(one.name or one.uid),
                printable(other.name or other.uid),
                "; ".join(found),
                extra={"environment_uid": other.uid},
            )


def differences(source: Environment, target: Environment) -> list[str]:
    """Return the names of settings and variables that differ between two environments, without values."""
    found = [
        f"{name} is {printable(str(getattr(source, name)))} in the source and "
        f"{printable(str(getattr(target, name)))} in the target"
        if name == "framework_preset"
        else f"{name} differs"
        for name in _SETTINGS
        if (getattr(source, name) or None) != (getattr(target, name) or None)
    ]
    mine = {one.key for one in source.environment_variables}
    theirs = {one.key for one in target.environment_variables}
    same = set(source.environment_variables) & set(target.environment_variables)
    groups = {
        "variables with different values": (mine & theirs) - {one.key for one in same},
        "variables only in the source": mine - theirs,
        "variables only in the target": theirs - mine,
    }
    return found + [f"{label}: {listed(sorted(map(printable, names)), 20)}" for label, names in groups.items() if names]


def _check_source(source: Deployment, place: Place) -> None:
    """Check that a deployment can be promoted.

    Raises:
        InvalidArgumentError: The deployment did not succeed, or belongs to the target environment.
    """
    if source.status.is_in_flight:
        state = f"is {source.status or 'without a status'}. Wait for it first with launch.wait(...)"
        raise InvalidArgumentError("source_ref", f"deployment {source.uid} {state}")
    if not source.status.is_success:
        raise InvalidArgumentError(
            "source_ref", f"deployment {source.uid} is {source.status}. Promote a deployment that succeeded"
        )
    if source.environment_uid == place.environment_uid:
        raise InvalidArgumentError(
            "environment_uid",
            "is the environment of the source deployment. Call launch.restore(..., to=...) to deploy it again there",
        )

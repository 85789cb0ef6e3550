"""`restore`: deploy the version that was live before the current one.

A second call must not bring the bad version back.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from launch_async.deploy.deadline import Deadline
from launch_async.deploy.release.copying import Copying, Place
from launch_async.deploy.release.serving import is_newer, newest_first, served_before, serving
from launch_async.errors import InvalidArgumentError, LaunchError
from launch_async.http.operation import check_uid
from launch_async.models.deployment import Deployment
from launch_async.resources._cache import CachePurges
from launch_async.resources.deployments import Deployments, newest_deployments, zip_hash_of
from launch_async.watch.audience import Observers
from launch_async.watch.waiting import Watching

__all__ = ["Restoring"]

_LOG: Final = logging.getLogger(__name__)


class Restoring:
    """Deploys previous versions again."""

    def __init__(self, deployments: Deployments, watching: Watching, copying: Copying, purges: CachePurges) -> None:
        self._deployments = deployments
        self._watching = watching
        self._copying = copying
        self._purges = purges

    async def restore(
        self,
        project_uid: str,
        environment_uid: str,
        *,
        to: Deployment | str | None,
        timeout: float,
        observers: Observers,
    ) -> Deployment:
        """Implement `LaunchClient.restore`."""
        check_uid("project_uid", project_uid)
        check_uid("environment_uid", environment_uid)
        wanted = to.uid if isinstance(to, Deployment) else to
        if wanted is not None:
            check_uid("to", wanted)
        place = Place(project_uid, environment_uid)
        deadline = Deadline.after(timeout, on_step=observers.on_step)
        async with deadline.enforced("restore"):
            deadline.begin("choosing the version to restore")
            recent = await newest_deployments(self._deployments, project_uid, environment_uid)
            now = serving(recent)
            if wanted is None:
                target = await self._predecessor(recent, now, place)
            else:
                target = await self._named(recent, wanted, place)
            if now is not None and target.uid == now.uid:
                _LOG.info("Deployment %s is already live, so there is nothing to restore", now.uid)
                observers.show(now)
                return now
            created = await self._on_its_way(recent, target, now)
            created = created or await self._copying.restore(target, place, deadline, on_progress=observers.on_progress)
        ended = await self._watching.watch(
            created, on_log=observers.on_log, on_update=observers.on_update, timeout=deadline.remaining
        )
        self._purges.deployed(ended.environment_uid)
        return ended

    async def _predecessor(self, recent: Sequence[Deployment], now: Deployment | None, place: Place) -> Deployment:
        """Return the last deployment before the live one that had another source.

        Raises:
            InvalidArgumentError: The live deployment was restored before, so the SDK cannot choose a version.
            LaunchError: There is no earlier version.
        """
        earlier = served_before(recent, now)
        if now is None and earlier:
            return earlier[0]
        for position, one in enumerate(earlier):
            if now is not None and await self._are_alike(one, now):
                continue
            for older in earlier[position + 1 : position + 2 if now and not now.commit_hash else None]:
                if now is not None and await self._are_alike(older, now):
                    raise InvalidArgumentError(
                        "to",
                        f"is required, because the live deployment {now.uid} has already restored {_source(older)}, "
                        f"and the version before it may be bad. Pass the deployment to restore, such as to={one.uid!r}",
                    )
            return one
        raise LaunchError(
            f"Environment {place.environment_uid} has no earlier live version with another commit or another ZIP, so "
            "there is nothing to restore. Deploy a working version",
            operation="restore",
        )

    async def _named(self, recent: Sequence[Deployment], uid: str, place: Place) -> Deployment:
        found = next((one for one in recent if one.uid == uid), None)
        target = found or await self._deployments.get(place.project_uid, place.environment_uid, uid)
        if not target.status.is_success:
            raise InvalidArgumentError(
                "to",
                f"deployment {uid} is {target.status or 'without a status'}, so it was never live. Pass a deployment "
                "that was live",
            )
        return target

    async def _on_its_way(
        self, recent: Sequence[Deployment], target: Deployment, now: Deployment | None
    ) -> Deployment | None:
        """Return a newer deployment in progress with the target's source, for example from an earlier call."""
        going = [one for one in newest_first(recent) if one.status.is_in_flight and (not now or is_newer(one, now))]
        if going and await self._are_alike(going[0], target):
            _LOG.info("Deployment %s already restores %s", going[0].uid, _source(target))
            return going[0]
        return None

    async def _are_alike(self, one: Deployment, other: Deployment) -> bool:
        """Return whether two deployments have the same commit or the same ZIP, as far as the SDK can determine."""
        if one.commit_hash or other.commit_hash:
            return one.commit_hash == other.commit_hash
        known = await zip_hash_of(self._deployments, one)
        return known is not None and known == await zip_hash_of(self._deployments, other)


def _source(deployment: Deployment) -> str:
    number = "" if deployment.deployment_number is None else f", number {deployment.deployment_number}"
    what = f"commit {deployment.commit_hash[:12]}" if deployment.commit_hash else "the ZIP"
    return f"{what} of deployment {deployment.uid}{number}"

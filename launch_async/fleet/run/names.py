"""The current names of environments. The names in a plan may be old, and an environment may have become protected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from launch_async.errors import NotFoundError
from launch_async.fleet.plan.selecting import batches, gather
from launch_async.fleet.plan.targets import Target
from launch_async.fleet.services import FleetServices

__all__ = ["names_now"]


async def names_now(services: FleetServices, targets: Sequence[Target]) -> Mapping[str, str]:
    """Return the names of environments by UID, with one request for each project. Deleted environments are left out.

    Raises:
        LaunchError: The names cannot be read.
    """
    projects: dict[str, list[Target]] = defaultdict(list)
    for target in targets:
        projects[target.project_uid].append(target)

    async def names(project_uid: str, some: Sequence[Target]) -> Mapping[str, str]:
        try:
            if len(some) == 1:
                found = [await services.environments.get(project_uid, some[0].environment_uid)]
            else:
                found = await services.environments.list(project_uid).to_list()
        except NotFoundError:
            return {}
        return {one.uid: one.name or "" for one in found}

    return {
        uid: name
        for batch in batches(list(projects.items()))
        for known in await gather(names(*item) for item in batch)
        for uid, name in known.items()
    }

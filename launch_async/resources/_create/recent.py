"""The newest deployments of an environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from launch_async.models.deployment import Deployment
from launch_async.resources.pager import Pager

__all__ = ["recent_deployments"]


class _Listing(Protocol):
    def list(
        self, project_uid: str, environment_uid: str, *, limit: int | None = None, skip: int = 0
    ) -> Pager[Deployment]: ...


async def recent_deployments(deployments: _Listing, project_uid: str, environment_uid: str) -> Sequence[Deployment]:
    """Return the newest deployments, whichever end of the listing they stand at (FACTS §11 row 22)."""
    first = await deployments.list(project_uid, environment_uid).page()
    rest = (first.total or 0) - len(first)
    if rest <= 0:
        return [*first]
    last = await deployments.list(project_uid, environment_uid, skip=max(rest, len(first))).page()
    return [*{one.uid: one for one in (*first, *last)}.values()]

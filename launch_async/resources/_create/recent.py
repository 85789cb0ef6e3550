"""The newest deployments of an environment, and those among them that an unanswered creation may have created."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from launch_async.models.deployment import Deployment
from launch_async.resources.pager import Pager

__all__ = ["created_since", "is_of_commit", "recent_deployments"]


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


async def created_since(
    deployments: _Listing, project_uid: str, environment_uid: str, since: datetime, *, commit_hash: str | None
) -> Sequence[Deployment]:
    """Return deployments that may have been created since a moment of the service's clock, of a commit if one is given.

    One whose time of creation is not known is among them.
    """
    return [
        one
        for one in await recent_deployments(deployments, project_uid, environment_uid)
        if (one.created_at is None or one.created_at >= since) and is_of_commit(one, commit_hash)
    ]


def is_of_commit(deployment: Deployment, commit_hash: str | None) -> bool:
    """Return whether a deployment may be of a commit, whichever of the two hashes is the short one."""
    if commit_hash is None or deployment.commit_hash is None:
        return True
    return deployment.commit_hash.startswith(commit_hash) or commit_hash.startswith(deployment.commit_hash)

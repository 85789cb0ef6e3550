"""The newest deployments of an environment."""

from __future__ import annotations

import itertools
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
    """Return the newest deployments, from either end of the listing: its order is not known (FACTS §11 row 22)."""
    page = await deployments.list(project_uid, environment_uid).page()
    first, rest = [*page], (page.total or 0) - len(page)
    if rest <= 0 or _is_newest_first(first):
        return first
    last = await deployments.list(project_uid, environment_uid, skip=max(rest, len(first))).page()
    return [*{deployment.uid: deployment for deployment in (*first, *last)}.values()]


def _is_newest_first(deployments: Sequence[Deployment]) -> bool:
    """Return whether the numbers only decrease, so that newer deployments would be listed before them."""
    numbers = [deployment.deployment_number for deployment in deployments if deployment.deployment_number is not None]
    return len(numbers) == len(deployments) and all(before > after for before, after in itertools.pairwise(numbers))

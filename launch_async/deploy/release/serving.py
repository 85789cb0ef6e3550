"""Find the live deployment of an environment and the ones that were live before, in a listing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from launch_async.models.deployment import Deployment

__all__ = ["is_newer", "newest_first", "served_before", "serving"]

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


def newest_first(deployments: Sequence[Deployment]) -> list[Deployment]:
    """Return deployments sorted by age, because the order of a listing is not documented."""
    return sorted(deployments, key=_age, reverse=True)


def serving(deployments: Sequence[Deployment]) -> Deployment | None:
    """Return the live deployment; None if there is none."""
    return next((one for one in newest_first(deployments) if one.status.is_serving), None)


def served_before(deployments: Sequence[Deployment], one: Deployment | None) -> list[Deployment]:
    """Return the deployments that were live before another one, the last one first; by default all."""
    served = [other for other in newest_first(deployments) if other.status.is_superseded]
    return [other for other in served if one is None or is_newer(one, other)]


def is_newer(one: Deployment, other: Deployment) -> bool:
    """Return whether a deployment was created after another one."""
    return one.uid != other.uid and _age(one) > _age(other)


def _age(deployment: Deployment) -> tuple[int, datetime]:
    return deployment.deployment_number or 0, deployment.created_at or _LONG_AGO

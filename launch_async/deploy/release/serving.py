"""Which deployment of an environment serves, and which ones served before: read off a listing, without a request."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from launch_async.models.deployment import Deployment

__all__ = ["is_newer", "newest_first", "served_before", "serving"]

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


def newest_first(deployments: Sequence[Deployment]) -> list[Deployment]:
    """Return deployments by their age; the order of a listing means nothing (FACTS §11 row 22)."""
    return sorted(deployments, key=_age, reverse=True)


def serving(deployments: Sequence[Deployment]) -> Deployment | None:
    """Return the deployment that serves; None if none does."""
    return next((one for one in newest_first(deployments) if one.status.is_serving), None)


def served_before(deployments: Sequence[Deployment], one: Deployment | None) -> list[Deployment]:
    """Return the deployments that served before another one was made, the last of them first; or all that served."""
    served = [other for other in newest_first(deployments) if other.status.is_superseded]
    return [other for other in served if one is None or is_newer(one, other)]


def is_newer(one: Deployment, other: Deployment) -> bool:
    """Return whether a deployment was made after another one."""
    return one.uid != other.uid and _age(one) > _age(other)


def _age(deployment: Deployment) -> tuple[int, datetime]:
    return deployment.deployment_number or 0, deployment.created_at or _LONG_AGO

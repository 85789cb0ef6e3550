"""Checks before an operation if the journal is a copy that may not contain the last steps of its run.

The run may have carried out operations that have not begun according to such a journal. The run compares variables
before each write, and a deletion can be repeated, so these need no check. For a deployment, the run checks the
environment's deployments since the journal's last step. A cache revalidation cannot be checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from launch_async.errors import AmbiguousOutcome
from launch_async.fleet.journal.file import EARLIEST
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.models.deployment import Deployment
from launch_async.resources._create.sending import SendRecord

__all__ = ["sends_of_missing_steps", "unknown_deployment", "unknown_revalidation"]


def sends_of_missing_steps(
    recent: Sequence[Deployment],
    since: datetime,
    *,
    step: datetime | None,
    planned: int | None,
    now: datetime | None,
) -> SendRecord | None:
    """Return when the run may have deployed after the journal's last step; None if there was no deployment since then.

    Args:
        recent: The newest deployments of an environment.
        since: A time that is certainly before the journal's last step.
        step: The most likely time of that step; None if unknown.
        planned: Number of the newest deployment when the plan was made; None if unknown.
        now: The time by the service's clock; None if unknown.
    """
    older = [
        one
        for one in recent
        if (one.created_at is not None and one.created_at < since)
        or (planned is not None and one.deployment_number is not None and one.deployment_number <= planned)
    ]
    if len(older) == len(recent):
        return None
    is_timed = since != EARLIEST
    return SendRecord(
        first=since if is_timed else None,
        last=now,
        known_number=max((one.deployment_number or 0 for one in older), default=planned),
        known_uids=frozenset(one.uid for one in older if one.deployment_number is None) if is_timed else None,
        is_listed=planned is not None,
        # If only the Date of answers shows the time, a creation may seem minutes later than it was.
        not_before=None if step is None or not is_timed else step + (step - since),
    )


def unknown_deployment(operation: PlannedOperation, cause: AmbiguousOutcome) -> AmbiguousOutcome:
    """Return the error for a deployment that the run or another program may have created."""
    return AmbiguousOutcome(
        "The journal is a copy, and may not contain the last steps of its run. The run or another program has deployed "
        f"{operation.target.label} since the journal's last step ({', '.join(cause.candidates)}), so nothing was sent. "
        "Check in Launch whether the environment already has the deployment that the plan asks for",
        candidates=cause.candidates,
        operation=cause.operation,
    )


def unknown_revalidation(operation: PlannedOperation) -> AmbiguousOutcome:
    """Return the error for a cache revalidation that may have been done after the journal's last step."""
    return AmbiguousOutcome(
        "The journal is a copy, and may not contain the last steps of its run. The run may have revalidated the cache "
        f"of {operation.target.label}, and the SDK cannot check this. Make a new plan if the cache is still old",
        operation="revalidateCdnCache",
    )

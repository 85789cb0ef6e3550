"""What to ask before an operation is carried out whose journal is a copy that may be older than what its run did.

Such a journal may call an operation untouched that was done. Variables are compared before they are written, and a
deletion may find that it was done: these need no question. A deployment is looked for among those of its environment
since the journal's last step. A revalidation cannot be looked up.
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
    """Return when a run may have deployed without the journal telling; None if nobody has deployed since its last step.

    Args:
        recent: The newest deployments of an environment.
        since: A time that was surely over when the journal's last step was written.
        step: The time of that step, as far as it is known.
        planned: Number of the newest deployment when the plan was made; None if it is not known.
        now: The time of the service; None if no answer has told.
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
        not_before=step if is_timed else None,
    )


def unknown_deployment(operation: PlannedOperation, cause: AmbiguousOutcome) -> AmbiguousOutcome:
    """Return the error for a deployment that may be the run's, or somebody else's."""
    return AmbiguousOutcome(
        f"the journal is a copy that may be older than what its run did, and {operation.target.label} was deployed "
        f"since its last step ({', '.join(cause.candidates)}): look whether that is what the plan says. Nothing was "
        "sent",
        candidates=cause.candidates,
        operation=cause.operation,
    )


def unknown_revalidation(operation: PlannedOperation) -> AmbiguousOutcome:
    """Return the error for a revalidation that a run may have made of which the journal does not tell."""
    return AmbiguousOutcome(
        f"the journal is a copy that may be older than what its run did, and a revalidation of "
        f"{operation.target.label} cannot be looked up: make a new plan if the cache is still old",
        operation="revalidateCdnCache",
    )

"""What to ask before an operation is carried out whose journal is a copy that may be older than what its run did.

Such a journal may call an operation untouched that was done. Variables are compared before they are written, and a
deletion may find that it was done: these need no question. A deployment is looked for among those of its environment
since the journal's last step. A revalidation cannot be looked up.
"""

from __future__ import annotations

from datetime import datetime

from launch_async.errors import AmbiguousOutcome
from launch_async.fleet.plan.actions import Redeploy
from launch_async.fleet.plan.plan import PlannedOperation
from launch_async.fleet.services import FleetServices
from launch_async.models.deployment import Deployment
from launch_async.resources._create.proof import CommitProof

__all__ = ["deployed_since", "unknown_revalidation"]


async def deployed_since(
    services: FleetServices, operation: PlannedOperation, action: Redeploy, since: datetime
) -> Deployment | None:
    """Return the deployment that a run has made of which the journal does not tell; None if it made none.

    Raises:
        AmbiguousOutcome: Somebody has deployed, and nothing proves that it was the run, or that it was not.
    """
    target, commit = operation.target, action.source.commit_hash
    recent = [one for one in await services.recent(target) if one.created_at is None or one.created_at >= since]
    candidates = recent if commit is None else list(filter(CommitProof(commit).fits, recent))
    if not candidates:
        return None
    if commit is not None and len(candidates) == 1 and candidates[0].commit_hash:
        return candidates[0]
    uids = [one.uid for one in candidates]
    raise AmbiguousOutcome(
        f"the journal is a copy that may be older than what its run did, and {target.label} was deployed since its "
        f"last step ({', '.join(uids)}): look whether that is what the plan says. Nothing was sent",
        candidates=uids,
        operation="createDeployment",
    )


def unknown_revalidation(operation: PlannedOperation) -> AmbiguousOutcome:
    """Return the error for a revalidation that a run may have made of which the journal does not tell."""
    return AmbiguousOutcome(
        f"the journal is a copy that may be older than what its run did, and a revalidation of "
        f"{operation.target.label} cannot be looked up: make a new plan if the cache is still old",
        operation="revalidateCdnCache",
    )

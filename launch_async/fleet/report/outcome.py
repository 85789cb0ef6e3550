"""The outcome of one target of a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import attrs

from launch_async.fleet.journal.journal import Entry, OperationState
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.plan.targets import Target
from launch_async.models.base import JSONValue

__all__ = ["TargetOutcome"]


@attrs.frozen(kw_only=True)
class TargetOutcome:
    """The outcome of one target.

    Attributes:
        target: The environment.
        what: The action, in a mixed plan; empty in other plans.
        state: State of the operation.
        wave: Number of the target's wave, from 1; 0 if it was in none.
        deployment_uid: UID of the deployment that was created, adopted or attached to.
        url: URL of the site, after a deployment.
        started_at: When the request was about to be sent.
        ended_at: When the operation ended.
        attempts: Number of attempts in all runs.
        requests: Number of requests in all runs, without polls that many targets share.
        waited: Seconds that these requests waited for the rate limit.
        message: The problem, or the reason why the target was skipped.
        error: Name of the error that ended the operation, such as `ConflictError`; empty if none did.
        report: The report of a failed deployment, as plain data.
    """

    target: Target
    state: OperationState
    what: str = ""
    wave: int = 0
    deployment_uid: str | None = None
    url: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    requests: int = 0
    waited: float = 0.0
    message: str = ""
    error: str = ""
    report: Mapping[str, JSONValue] | None = None

    @property
    def label(self) -> str:
        """The target's label and, in a mixed plan, the action."""
        return f"{self.target.label}: {self.what}" if self.what else self.target.label

    @property
    def seconds(self) -> float | None:
        """Seconds from the request to the end; None if the operation has not begun or not ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.started_at).total_seconds())

    @classmethod
    def of(cls, operation: PlannedOperation, entry: Entry) -> TargetOutcome:
        """Return the outcome of an operation from its entry in a journal."""
        detail = entry.detail
        return cls(
            target=operation.target,
            what="" if operation.action is None else str(operation.action),
            state=entry.state,
            wave=cast("int", detail.get("wave", 0)),
            deployment_uid=entry.deployment_uid,
            url=cast("str | None", detail.get("url")),
            started_at=entry.intended_at,
            ended_at=entry.ended_at,
            attempts=entry.attempts,
            requests=entry.requests,
            waited=cast("float", detail.get("waited", 0.0)),
            message=str(detail.get("message", "")),
            error=str(detail.get("error", "")),
            report=cast("Mapping[str, JSONValue] | None", detail.get("report")),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the outcome as plain data that JSON can express: one row of the report."""
        return {
            "project_uid": self.target.project_uid,
            "environment_uid": self.target.environment_uid,
            "project": self.target.project_name,
            "environment": self.target.environment_name,
            "what": self.what,
            "state": str(self.state),
            "wave": self.wave,
            "deployment_uid": self.deployment_uid,
            "url": self.url,
            "started_at": None if self.started_at is None else self.started_at.isoformat(),
            "ended_at": None if self.ended_at is None else self.ended_at.isoformat(),
            "seconds": self.seconds,
            "attempts": self.attempts,
            "requests": self.requests,
            "waited": self.waited,
            "message": self.message,
            "error": self.error,
        }

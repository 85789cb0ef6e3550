"""What a run did: totals, and the outcome of each target, as one object for code, terminal, notebook and CI."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

import attrs

from launch_async.models.base import JSONValue
from launch_async.workflows.fleet.journal import Entry, OperationState
from launch_async.workflows.fleet.plan import Plan
from launch_async.workflows.fleet.targets import Target

__all__ = ["FleetReport", "TargetOutcome"]

_SHOWN = 50


@attrs.frozen(kw_only=True)
class TargetOutcome:
    """What became of one target.

    Attributes:
        target: The environment.
        state: How its operation ended, or how far it is.
        wave: Number of the wave that it ran in, from 1; 0 if it did not.
        deployment_uid: The deployment that was created or attached to.
        url: Where the site is, after a deployment.
        started_at: When its request was about to be sent.
        ended_at: When it ended.
        attempts: How often it was tried, over all runs.
        requests: Requests that it took, over all runs; polls that are shared by many targets are not counted.
        waited: Seconds that its requests waited for the budget.
        message: What went wrong, or why it was skipped.
        report: The report of a deployment that failed, as plain data.
    """

    target: Target
    state: OperationState
    wave: int = 0
    deployment_uid: str | None = None
    url: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    requests: int = 0
    waited: float = 0.0
    message: str = ""
    report: Mapping[str, JSONValue] | None = None

    @property
    def seconds(self) -> float | None:
        """Seconds from the request to the end; None if it did not run or did not end."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.started_at).total_seconds())

    @classmethod
    def of(cls, target: Target, entry: Entry) -> TargetOutcome:
        """Return the outcome that a journal's entry tells of."""
        detail = entry.detail
        return cls(
            target=target,
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
            report=cast("Mapping[str, JSONValue] | None", detail.get("report")),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the outcome as plain data that JSON can express: one row of a table."""
        return {
            "project_uid": self.target.project_uid,
            "environment_uid": self.target.environment_uid,
            "project": self.target.project_name,
            "environment": self.target.environment_name,
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
        }


@attrs.frozen(kw_only=True)
class FleetReport:
    """What a run did.

    Attributes:
        plan: The plan that was run.
        outcomes: One for each operation, in the plan's order.
        seconds: How long this run took.
        requests: Requests that this run sent, polls included.
        waited: Seconds that its requests waited for the budget, added up over all of them.
        stopped: Why the run stopped before its end; empty if it did not.
    """

    plan: Plan
    outcomes: tuple[TargetOutcome, ...]
    seconds: float
    requests: int
    waited: float
    stopped: str = ""

    @property
    def totals(self) -> Mapping[OperationState, int]:
        """How many operations are in each state."""
        counts = Counter(outcome.state for outcome in self.outcomes)
        return {state: counts[state] for state in OperationState if counts[state]}

    @property
    def is_success(self) -> bool:
        """Whether every operation succeeded, or was skipped as the plan says."""
        return all(one.state in (OperationState.SUCCEEDED, OperationState.SKIPPED) for one in self.outcomes)

    @property
    def failures(self) -> Sequence[TargetOutcome]:
        """Targets whose operation failed, or may have been done without anybody knowing."""
        return [one for one in self.outcomes if one.state in (OperationState.FAILED, OperationState.AMBIGUOUS)]

    @property
    def unfinished(self) -> Sequence[TargetOutcome]:
        """Targets that are still to be done; `fleet.resume(journal)` does them."""
        return [one for one in self.outcomes if not one.state.is_final]

    @property
    def summary(self) -> str:
        """The totals in one line."""
        counts = ", ".join(f"{count} {state}" for state, count in self.totals.items())
        stop = f"; stopped: {self.stopped}" if self.stopped else ""
        return (
            f"{counts} in {self.seconds:.1f} s with {self.requests} requests "
            f"({self.waited:.1f} s of waiting for the budget){stop}"
        )

    def rows(self) -> list[dict[str, object]]:
        """Return one flat row for each target, as for a data frame."""
        return [outcome.to_dict() for outcome in self.outcomes]

    def to_json(self) -> str:
        """Return the report as JSON."""
        return json.dumps(
            {
                "plan": self.plan.uid,
                "action": str(self.plan.action),
                "totals": {str(state): count for state, count in self.totals.items()},
                "success": self.is_success,
                "seconds": self.seconds,
                "requests": self.requests,
                "waited": self.waited,
                "stopped": self.stopped,
                "targets": [{**outcome.to_dict(), "report": outcome.report} for outcome in self.outcomes],
            },
            indent=2,
            ensure_ascii=False,
        )

    def __str__(self) -> str:
        shown = sorted(self.outcomes, key=lambda one: one.state is OperationState.SUCCEEDED)[:_SHOWN]
        width = max((len(one.target.label) for one in shown), default=0)
        lines = [
            f"  {one.target.label:<{width}}  {one.state:<9}  "
            f"{'' if one.seconds is None else f'{one.seconds:7.1f} s'}  {one.message}".rstrip()
            for one in shown
        ]
        more = len(self.outcomes) - len(shown)
        return "\n".join([f"{self.plan.action}: {self.summary}", *lines, *([f"  ... and {more} more"] if more else [])])

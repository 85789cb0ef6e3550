"""The events of a run, for any kind of progress output."""

from __future__ import annotations

import enum

import attrs

from launch_async.fleet.journal.journal import OperationState
from launch_async.fleet.plan.targets import Target
from launch_async.fleet.report.report import FleetReport
from launch_async.models.deployment import Deployment

__all__ = ["FleetEvent", "FleetEventKind"]


class FleetEventKind(enum.StrEnum):
    """The kind of an event."""

    RUN_STARTED = "run_started"
    WAVE_STARTED = "wave_started"
    OPERATION = "operation"
    """An operation changed its state."""
    DEPLOYMENT = "deployment"
    """A deployment that an operation waits for changed its state."""
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPING = "stopping"
    """The run sends no new operations, and waits for those that it has sent."""
    RUN_ENDED = "run_ended"
    INTERRUPTED = "interrupted"
    """An error, Ctrl-C or a cancellation ended the run early. The message says how to resume the run."""


@attrs.frozen(kw_only=True)
class FleetEvent:
    """One event of a run.

    Attributes:
        kind: The kind of the event.
        at: Seconds since the run started.
        done: Operations that have ended.
        total: Operations of the plan.
        wave: Number of the wave, from 1; 0 before the first wave.
        target: The environment of the event; None for events of the whole run.
        state: State of the operation.
        deployment: State of its deployment.
        message: A description of the event, without secrets.
        report: The report of the run, only for `RUN_ENDED`.
    """

    kind: FleetEventKind
    at: float
    done: int
    total: int
    wave: int = 0
    target: Target | None = None
    state: OperationState | None = None
    deployment: Deployment | None = None
    message: str = ""
    report: FleetReport | None = None

    def __str__(self) -> str:
        """One plain line, for a log or a file."""
        about = f" {self.target.label}" if self.target is not None else ""
        what = self.message or (self.state.in_words if self.state else str(self.kind))
        return f"[{self.at:7.1f} s] {self.done}/{self.total}{about}: {what}"

"""What happens in a run, as a stream of events that any front end can draw."""

from __future__ import annotations

import enum

import attrs

from launch_async.fleet.journal.journal import OperationState
from launch_async.fleet.plan.targets import Target
from launch_async.fleet.report.report import FleetReport
from launch_async.models.deployment import Deployment

__all__ = ["FleetEvent", "FleetEventKind"]


class FleetEventKind(enum.StrEnum):
    """What kind of event it is."""

    RUN_STARTED = "run_started"
    WAVE_STARTED = "wave_started"
    OPERATION = "operation"
    """An operation changed its state."""
    DEPLOYMENT = "deployment"
    """A deployment that an operation waits for changed its state."""
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPING = "stopping"
    """Nothing more is sent; what was sent is finished."""
    RUN_ENDED = "run_ended"
    INTERRUPTED = "interrupted"
    """The run ends early, by an error, Ctrl-C or cancellation; the message says how to go on."""


@attrs.frozen(kw_only=True)
class FleetEvent:
    """One event of a run.

    Attributes:
        kind: What kind of event it is.
        at: Seconds since the run started.
        done: Operations that have ended.
        total: Operations of the plan.
        wave: Number of the wave, from 1; 0 outside of one.
        target: The environment that it is about.
        state: State of the operation.
        deployment: State of its deployment.
        message: What happened, in words, without a secret.
        report: The report, with the event `RUN_ENDED`.
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
        """One plain line, for a log or for output that is no terminal."""
        about = f" {self.target.label}" if self.target is not None else ""
        what = self.message or str(self.state or self.kind)
        return f"[{self.at:7.1f} s] {self.done}/{self.total}{about}: {what}"

"""The state of a run, built from its events: the running and failed targets, and the number of finished targets."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import attrs

from launch_async._text import printable
from launch_async.fleet.journal.journal import OperationState
from launch_async.fleet.run.events import FleetEvent, FleetEventKind

__all__ = ["Row", "RunSnapshot", "RunStage"]

RunStage: TypeAlias = Literal["running", "paused", "stopping", "finished", "incomplete", "interrupted"]
"""The state of a run."""


@attrs.frozen
class Row:
    """One target.

    Attributes:
        label: Its project and environment.
        state: State of its operation.
        stage: The state for readers, or the status of its deployment while the deployment is running.
        words: Why it failed, or other information.
        since: When its first event arrived, in seconds since the run started.
    """

    label: str
    state: OperationState
    stage: str
    words: str
    since: float


class RunSnapshot:
    """The state of a run, built from its events. Other threads can read it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, str], Row] = {}
        self._latest: tuple[float, float] | None = None
        self.state: RunStage = "running"
        self.title: str = ""
        self.note: str = ""
        self.wave: int = 0
        self.done: int = 0
        self.total: int = 0

    def take(self, event: FleetEvent) -> None:
        """Record the next event."""
        with self._lock:
            self.wave, self.done, self.total = event.wave, event.done, event.total
            self._latest = event.at, time.monotonic()
            match event.kind:
                case FleetEventKind.RUN_STARTED:
                    self.title = printable(event.message)
                case FleetEventKind.PAUSED:
                    self.state, self.note = "paused", "paused: the run sends no new operations"
                case FleetEventKind.RESUMED:
                    self.state, self.note = "running", ""
                case FleetEventKind.STOPPING:
                    self.state, self.note = "stopping", f"stopping: {printable(event.message)}"
                case FleetEventKind.RUN_ENDED:
                    all_done = event.report is None or event.report.is_success
                    self.state, self.note = "finished" if all_done else "incomplete", printable(event.message)
                case FleetEventKind.INTERRUPTED:
                    self.state, self.note = "interrupted", printable(event.message)
                case FleetEventKind.OPERATION | FleetEventKind.DEPLOYMENT:
                    self._take_target(event)
                case FleetEventKind.WAVE_STARTED:
                    pass

    def interrupt(self, words: str) -> None:
        """Record that no more events will arrive, although the run has not ended."""
        with self._lock:
            now = self.seconds
            self.state, self.note = "interrupted", f"{words}; {self.note}" if self.note else words
            self._latest = now, time.monotonic()

    @property
    def is_running(self) -> bool:
        """Whether the run has not ended."""
        return self.state in ("running", "paused", "stopping")

    @property
    def seconds(self) -> float:
        """Seconds since the run started, until it ended."""
        if self._latest is None:
            return 0.0
        at, arrived = self._latest
        return at if not self.is_running else at + time.monotonic() - arrived

    @property
    def in_progress(self) -> Sequence[Row]:
        """Targets that have begun and not ended, with the oldest first."""
        with self._lock:
            return [row for row in self._rows.values() if row.state in (OperationState.INTENDED, OperationState.SENT)]

    @property
    def failed(self) -> Sequence[Row]:
        """Targets that failed, and targets whose outcome is not known."""
        with self._lock:
            return [
                row for row in self._rows.values() if row.state in (OperationState.FAILED, OperationState.AMBIGUOUS)
            ]

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of targets in each state, for targets with events in this run."""
        with self._lock:
            found = Counter(row.state for row in self._rows.values())
        return {
            **{str(state): found[state] for state in OperationState if found[state] and state.is_final},
            "in progress": found[OperationState.INTENDED] + found[OperationState.SENT],
        }

    def _take_target(self, event: FleetEvent) -> None:
        if event.target is None:
            return
        target = event.target
        key = target.project_uid or target.project_name, target.environment_uid or target.environment_name
        known = self._rows.get(key)
        state = event.state or (known.state if known else OperationState.SENT)
        is_status = event.kind is FleetEventKind.DEPLOYMENT
        message = printable(event.message)
        self._rows[key] = Row(
            label=event.target.label,
            state=state,
            stage=message if is_status else state.in_words,
            words=message if not is_status else known.words if known else "",
            since=known.since if known else event.at,
        )

"""The state of a run's operations: written to the journal first, then kept in memory, then reported as events.

The states of an operation are planned -> intended -> (sent ->) ended. The journal contains each step before the next
step begins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, cast

import attrs

from launch_async.errors import DeploymentState
from launch_async.fleet.journal.file import FileJournal
from launch_async.fleet.journal.journal import Entry, Journal, OperationState, text_of
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.report.report import FleetReport
from launch_async.fleet.run.events import FleetEvent, FleetEventKind
from launch_async.fleet.run.totals import Totals
from launch_async.fleet.services import FleetServices
from launch_async.http.metering import Meter
from launch_async.models.deployment import Deployment
from launch_async.resources._create.sending import SendRecord
from launch_async.watch.report import build_seconds

__all__ = ["BrokenRunError", "RunState", "ended_at_of"]

_LOG: Final = logging.getLogger(__name__)


class BrokenRunError(Exception):
    """The run cannot continue, because its journal failed or its observer raised an error.

    Attributes:
        cause: The error.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class RunState:
    """The state of each operation of one run.

    Args:
        services: The client's services.
        journal: The open journal.
        on_event: Called with each event.
        meter: Counts the requests of the run.
    """

    def __init__(
        self,
        services: FleetServices,
        journal: Journal,
        on_event: Callable[[FleetEvent], object] | None,
        meter: Meter,
    ) -> None:
        self._services = services
        self._journal = journal
        self._on_event = on_event
        self._meter = meter
        self._entries = {entry.key: entry for entry in journal.entries()}
        self._begun = asyncio.get_running_loop().time()
        self._began_at = services.now()
        self._earlier = Totals.last_of(self._entries.values())
        # Only a journal in a file can be an older copy.
        kept = journal if isinstance(journal, FileJournal) else None
        self.missing_since: datetime | None = None if kept is None else kept.missing_since
        self.last_step_at: datetime | None = None if kept is None else kept.last_step_at
        self._settled = {entry.key: entry.state for entry in self._entries.values()}
        self._intended: dict[str, float] = {}
        self._costs: dict[str, tuple[int, float, Meter]] = {}
        self._ended = sum(entry.state.is_final for entry in self._entries.values())
        self.nothing_left: bool = self._ended == len(self._entries) and self._earlier.runs > 0
        self.wave = 0
        self.failed: int = 0

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return asyncio.get_running_loop().time() - self._begun

    @property
    def totals(self) -> Totals:
        """The totals of this run and earlier runs."""
        if self.nothing_left:
            return self._earlier
        return self._earlier.plus(
            now=self._began_at, seconds=self.seconds, requests=self._meter.requests, waited=self._meter.waited
        )

    @property
    def last_wave(self) -> int:
        """Number of the last wave of earlier runs; 0 without one."""
        return max((cast("int", entry.detail.get("wave", 0)) for entry in self._entries.values()), default=0)

    def entry(self, operation: PlannedOperation) -> Entry:
        """Return the entry of an operation."""
        return self._entries[operation.key]

    def may_be_done(self, operation: PlannedOperation) -> bool:
        """Return whether an operation without an entry may have been done, because the journal may be an older copy."""
        return self.missing_since is not None and self.entry(operation).state is OperationState.PLANNED

    def intend(self, operation: PlannedOperation, sends: SendRecord | None = None) -> None:
        """Record that a request is about to be sent and, for a creation, when it was sent before.

        If the service may have acted on an earlier request, this keeps its time, so that a resumption still finds the
        result.
        """
        entry = self.entry(operation)
        again = entry.state is OperationState.INTENDED and operation.key in self._intended
        since = entry.intended_at if entry.state is OperationState.INTENDED else None
        self._intended[operation.key] = asyncio.get_running_loop().time()
        facts = {"wave": self.wave} if sends is None else {"wave": self.wave, "sends": sends.to_dict()}
        self._write(
            attrs.evolve(
                entry,
                state=OperationState.INTENDED,
                intended_at=since or self._services.now(),
                attempts=entry.attempts + (not again),
                detail={**entry.detail, **facts},
            )
        )
        if not again:
            self.emit(FleetEventKind.OPERATION, operation, state=OperationState.INTENDED)

    def sends(self, operation: PlannedOperation) -> SendRecord:
        """Return when a creation without an answer was sent."""
        entry = self.entry(operation)
        known = entry.detail.get("sends")
        # Another implementation of a journal may store only the time of the intent.
        return SendRecord(entry.intended_at, entry.intended_at) if known is None else SendRecord.from_dict(known)

    def settled_state(self, operation: PlannedOperation) -> OperationState:
        """Return the state of an operation if the current request has no effect."""
        return self._settled[operation.key]

    def created(self, operation: PlannedOperation) -> Mapping[str, str]:
        """Return the UIDs that an operation has created, by the names of the calls' arguments."""
        return cast("Mapping[str, str]", self.entry(operation).detail.get("created", {}))

    def note_created(self, operation: PlannedOperation, uids: Mapping[str, str]) -> None:
        """Record what an operation has created before it ends."""
        entry = self.entry(operation)
        created = {**self.created(operation), **uids}
        self._write(attrs.evolve(entry, detail={**entry.detail, "created": created}))

    def settle(self, operation: PlannedOperation) -> None:
        """Record that the request had no effect and will have none."""
        self.leave_open(operation, OperationState.PLANNED, "")

    def unsend(self, operation: PlannedOperation) -> None:
        """Record that the request was never sent."""
        self.leave_open(operation, self.settled_state(operation), "")

    def sent(self, operation: PlannedOperation, deployment: Deployment, *, message: str = "") -> None:
        """Record which deployment was created, adopted or attached to."""
        entry = self.entry(operation)
        started = entry.intended_at or self._services.now()
        self._write(
            attrs.evolve(
                entry,
                state=OperationState.SENT,
                intended_at=started,
                deployment_uid=deployment.uid,
                detail={
                    "wave": self.wave,
                    **entry.detail,
                    "message": message,
                    "created_at": text_of(deployment.created_at),
                },
            )
        )
        self.emit(FleetEventKind.OPERATION, operation, state=OperationState.SENT, message=message)

    def end(
        self,
        operation: PlannedOperation,
        state: OperationState,
        detail: Mapping[str, object],
        *,
        ended_at: datetime | None = None,
    ) -> None:
        """Record how an operation ended, and when: by the service's times if known, otherwise now."""
        entry = self.entry(operation)
        if ended_at is None or (entry.intended_at is not None and ended_at < entry.intended_at):
            ended_at = self._now(entry)
        self._write(
            attrs.evolve(
                entry,
                state=state,
                ended_at=ended_at,
                detail={"wave": self.wave, **entry.detail, "message": "", **detail},
            )
        )
        self._ended += 1
        self.failed += state in (OperationState.FAILED, OperationState.AMBIGUOUS)
        self.emit(FleetEventKind.OPERATION, operation, state=state, message=str(detail.get("message", "")))

    def leave_open(self, operation: PlannedOperation, state: OperationState, message: str) -> None:
        """Record why an operation has not ended, and the state from which a resumption continues."""
        entry = self.entry(operation)
        self._settled[operation.key] = state
        self._intended.pop(operation.key, None)
        self._write(attrs.evolve(entry, state=state, detail={**entry.detail, "message": message}))
        self.emit(FleetEventKind.OPERATION, operation, state=state, message=message)

    @property
    def value_mark(self) -> Mapping[str, str] | None:
        """The hash of the values that the first run began with; None if there is none."""
        marks = (entry.detail.get("values") for entry in self._entries.values())
        return cast("Mapping[str, str] | None", next((mark for mark in marks if mark is not None), None))

    def keep_value_mark(self, mark: Mapping[str, str]) -> None:
        """Record the hash of the values before anything is sent."""
        first = next(iter(self._entries.values()))
        self._store(attrs.evolve(first, detail={**first.detail, "values": dict(mark)}))

    @property
    def is_resumed(self) -> bool:
        """Whether an earlier run has done something."""
        return self._earlier.runs > 0

    @property
    def checks(self) -> Sequence[str] | None:
        """Names of the checks that the first run began with; None if there are none."""
        names = (entry.detail.get("checks") for entry in self._entries.values())
        return cast("Sequence[str] | None", next((one for one in names if one is not None), None))

    def keep_checks(self, names: Sequence[str]) -> None:
        """Record the names of the checks before anything is sent."""
        first = next(iter(self._entries.values()))
        self._store(attrs.evolve(first, detail={**first.detail, "checks": list(names)}))

    def keep_totals(self) -> None:
        """Record the totals at the end of the run, also after an error."""
        if self.nothing_left or not self._entries:
            return
        first = next(iter(self._entries.values()))
        try:
            self._store(attrs.evolve(first, detail={**first.detail, "run": self.totals.to_dict()}))
        except BrokenRunError as error:
            _LOG.warning("The totals of the run could not be written to the journal: %s", error)

    def meter(self, operation: PlannedOperation, meter: Meter) -> None:
        """Count the requests of an operation from now on, for its entries in the journal."""
        entry = self.entry(operation)
        self._costs[operation.key] = entry.requests, cast("float", entry.detail.get("waited", 0.0)), meter

    def emit(
        self,
        kind: FleetEventKind,
        operation: PlannedOperation | None = None,
        *,
        state: OperationState | None = None,
        deployment: Deployment | None = None,
        message: str = "",
        report: FleetReport | None = None,
    ) -> None:
        """Pass an event to the observer. If the observer raises an error, the run ends without further events."""
        if self._on_event is None:
            return
        event = FleetEvent(
            kind=kind,
            at=self.seconds,
            done=self._ended,
            total=len(self._entries),
            wave=self.wave,
            target=None if operation is None else operation.target,
            state=state,
            deployment=deployment,
            message=message,
            report=report,
        )
        try:
            self._on_event(event)
        except Exception as error:
            self._on_event = None
            raise BrokenRunError(error) from error

    def emit_last(self, kind: FleetEventKind, *, message: str) -> None:
        """Pass the last event of an interrupted run to the observer. Log an error of the observer."""
        try:
            self.emit(kind, message=message)
        except BrokenRunError as error:
            _LOG.warning("The observer failed at the end of the run: %r", error.cause)

    @property
    def progress(self) -> str:
        """A text with the numbers of operations that have ended and that are in progress."""
        begun = sum(entry.state in (OperationState.INTENDED, OperationState.SENT) for entry in self._entries.values())
        verb = "is" if begun == 1 else "are"
        return f"{self._ended} of {len(self._entries)} operations have ended, and {begun} {verb} in progress"

    @property
    def is_unfinished(self) -> bool:
        """Whether the run has begun operations and has operations left."""
        begun = any(entry.state is not OperationState.PLANNED for entry in self._entries.values())
        return begun and self._ended < len(self._entries)

    def _write(self, entry: Entry) -> None:
        requests, waited, meter = self._costs[entry.key]
        detail = {**entry.detail, "waited": round(waited + meter.waited, 3), "run": self.totals.to_dict()}
        detail["service_time"] = text_of(self._services.service_time)
        if entry.state is not OperationState.INTENDED:
            detail.pop("sends", None)
        self._store(attrs.evolve(entry, requests=requests + meter.requests, detail=detail))

    def _store(self, entry: Entry) -> None:
        try:
            self._journal.write(entry)
        except Exception as error:
            raise BrokenRunError(error) from error
        self._entries[entry.key] = entry

    def _now(self, entry: Entry) -> datetime:
        """Return the current time by the clock of the operation's intent, even if that clock was corrected since."""
        began = self._intended.get(entry.key)
        if began is None or entry.intended_at is None:
            return self._services.now()
        return entry.intended_at + timedelta(seconds=asyncio.get_running_loop().time() - began)


def ended_at_of(deployment: DeploymentState) -> datetime | None:
    """Return when a deployment's build ended by the service's times; None if they do not show it."""
    if not isinstance(deployment, Deployment) or deployment.created_at is None:
        return None
    seconds = build_seconds(deployment)
    if seconds is None:
        return None
    return deployment.created_at + timedelta(seconds=seconds)

"""What a run knows of its operations: written to the journal first, then remembered, then told.

Each operation goes planned -> intended -> (sent ->) ended, and each step is in the journal before the next begins.
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
    """The run itself cannot go on, whatever its targets do: its journal or its observer has failed.

    Attributes:
        cause: Why.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class RunState:
    """The state of each operation of one run.

    Args:
        services: What a client offers.
        journal: Where it is written, open.
        on_event: Called with each event.
        meter: Counts what the run sends.
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
        # Only a file can be an older copy of itself.
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
        """What this run and those before it came to."""
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
        """Return what is known of an operation."""
        return self._entries[operation.key]

    def may_be_done(self, operation: PlannedOperation) -> bool:
        """Whether a run may have carried out an operation that looks untouched, because the journal may be older."""
        return self.missing_since is not None and self.entry(operation).state is OperationState.PLANNED

    def intend(self, operation: PlannedOperation, sends: SendRecord | None = None) -> None:
        """Write down that a request is about to be sent; where it creates something, when it was sent before.

        Where an earlier one may have been acted on, its time is kept: what it created must still be found.
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
            self.tell(FleetEventKind.OPERATION, operation, state=OperationState.INTENDED)

    def sends(self, operation: PlannedOperation) -> SendRecord:
        """Return when a creation without an answer was sent, as far as that is known."""
        entry = self.entry(operation)
        known = entry.detail.get("sends")
        # A journal of another make may know when it was intended, and no more.
        return SendRecord(entry.intended_at, entry.intended_at) if known is None else SendRecord.from_dict(known)

    def settled_state(self, operation: PlannedOperation) -> OperationState:
        """Return the state that an operation has if what it sends now has no effect."""
        return self._settled[operation.key]

    def created(self, operation: PlannedOperation) -> Mapping[str, str]:
        """Return the UIDs of what an operation has created, by the name that calls have for them."""
        return cast("Mapping[str, str]", self.entry(operation).detail.get("created", {}))

    def note_created(self, operation: PlannedOperation, uids: Mapping[str, str]) -> None:
        """Write down what an operation has created, which goes on."""
        entry = self.entry(operation)
        created = {**self.created(operation), **uids}
        self._write(attrs.evolve(entry, detail={**entry.detail, "created": created}))

    def settle(self, operation: PlannedOperation) -> None:
        """Write down that nothing came of what was sent, and nothing will."""
        self.leave_open(operation, OperationState.PLANNED, "")

    def unsend(self, operation: PlannedOperation) -> None:
        """Write down that what was about to be sent never left."""
        self.leave_open(operation, self.settled_state(operation), "")

    def sent(self, operation: PlannedOperation, deployment: Deployment, *, message: str = "") -> None:
        """Write down which deployment was created or attached to."""
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
        self.tell(FleetEventKind.OPERATION, operation, state=OperationState.SENT, message=message)

    def end(
        self,
        operation: PlannedOperation,
        state: OperationState,
        detail: Mapping[str, object],
        *,
        ended_at: datetime | None = None,
    ) -> None:
        """Write down how it ended, and when, if the service says so; otherwise it has ended now."""
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
        self.tell(FleetEventKind.OPERATION, operation, state=state, message=str(detail.get("message", "")))

    def leave_open(self, operation: PlannedOperation, state: OperationState, message: str) -> None:
        """Write down why it has not ended, and the state that a resumption goes on from."""
        entry = self.entry(operation)
        self._settled[operation.key] = state
        self._intended.pop(operation.key, None)
        self._write(attrs.evolve(entry, state=state, detail={**entry.detail, "message": message}))
        self.tell(FleetEventKind.OPERATION, operation, state=state, message=message)

    @property
    def value_mark(self) -> Mapping[str, str] | None:
        """The mark of the values that the first run began with; None where there is none."""
        marks = (entry.detail.get("values") for entry in self._entries.values())
        return cast("Mapping[str, str] | None", next((mark for mark in marks if mark is not None), None))

    def keep_value_mark(self, mark: Mapping[str, str]) -> None:
        """Write down the mark of the values that this run begins with, before anything is sent."""
        first = next(iter(self._entries.values()))
        self._store(attrs.evolve(first, detail={**first.detail, "values": dict(mark)}))

    @property
    def is_resumed(self) -> bool:
        """Whether an earlier run has done something."""
        return self._earlier.runs > 0

    @property
    def checks(self) -> Sequence[str] | None:
        """Names of the checks that the first run began with; None where there are none."""
        names = (entry.detail.get("checks") for entry in self._entries.values())
        return cast("Sequence[str] | None", next((one for one in names if one is not None), None))

    def keep_checks(self, names: Sequence[str]) -> None:
        """Write down which checks this run begins with, before anything is sent."""
        first = next(iter(self._entries.values()))
        self._store(attrs.evolve(first, detail={**first.detail, "checks": list(names)}))

    def keep_totals(self) -> None:
        """Write down what all runs came to, at the end of this one, however it ends."""
        if self.nothing_left or not self._entries:
            return
        first = next(iter(self._entries.values()))
        try:
            self._store(attrs.evolve(first, detail={**first.detail, "run": self.totals.to_dict()}))
        except BrokenRunError as error:
            _LOG.warning("The journal does not tell of the last seconds of the run: %s", error)

    def meter(self, operation: PlannedOperation, meter: Meter) -> None:
        """Count what it costs from now on: whatever is written down of it says so, too."""
        entry = self.entry(operation)
        self._costs[operation.key] = entry.requests, cast("float", entry.detail.get("waited", 0.0)), meter

    def tell(
        self,
        kind: FleetEventKind,
        operation: PlannedOperation | None = None,
        *,
        state: OperationState | None = None,
        deployment: Deployment | None = None,
        message: str = "",
        report: FleetReport | None = None,
    ) -> None:
        """Tell the observer; an error of it ends the run, and it is told nothing more."""
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

    def tell_last(self, kind: FleetEventKind, *, message: str) -> None:
        """Tell the observer as the run breaks off: that it breaks off counts, and not what the observer does."""
        try:
            self.tell(kind, message=message)
        except BrokenRunError as error:
            _LOG.warning("The observer of the run failed at its end: %r", error.cause)

    @property
    def progress(self) -> str:
        """How many operations have ended, in words."""
        under_way = sum(
            entry.state in (OperationState.INTENDED, OperationState.SENT) for entry in self._entries.values()
        )
        return f"{self._ended} of {len(self._entries)} operations have ended, {under_way} are under way"

    @property
    def is_under_way(self) -> bool:
        """Whether something was begun, and something is left to do."""
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
        """Return the time by the clock that its intent was written by, however that clock was corrected since."""
        began = self._intended.get(entry.key)
        if began is None or entry.intended_at is None:
            return self._services.now()
        return entry.intended_at + timedelta(seconds=asyncio.get_running_loop().time() - began)


def ended_at_of(deployment: DeploymentState) -> datetime | None:
    """Return when a deployment's build ended, by the service's own times; None where they do not tell."""
    if not isinstance(deployment, Deployment) or deployment.created_at is None:
        return None
    seconds = build_seconds(deployment)
    if seconds is None:
        return None
    return deployment.created_at + timedelta(seconds=seconds)

"""The run of a plan: waves, bounded concurrency, a journal before and after each request, and no operation twice.

Each operation goes planned -> intended -> (sent ->) ended, and each step is in the journal before the next begins. What
is found as intended was interrupted between the request and its outcome: it is looked up before anything is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from launch_async._metering import Meter, metered
from launch_async.errors import (
    AmbiguousOutcome,
    DeploymentFailed,
    LaunchError,
    NotFoundError,
    WaitTimeout,
)
from launch_async.models.deployment import Deployment, DeploymentRef
from launch_async.rate_limit import Priority
from launch_async.workflows.fleet.control import FleetControl
from launch_async.workflows.fleet.events import FleetEvent, FleetEventKind
from launch_async.workflows.fleet.journal import Entry, Journal, OperationState
from launch_async.workflows.fleet.plan import (
    DeleteEnvironments,
    Plan,
    PlannedOperation,
    Redeploy,
    RevalidateCache,
    SetVariables,
)
from launch_async.workflows.fleet.report import FleetReport, TargetOutcome
from launch_async.workflows.fleet.services import FleetServices
from launch_async.workflows.fleet.uploads import SharedUpload

__all__ = ["FleetRun", "RunOptions"]

_SENDERS: Final = 20
"""Operations that are being sent at the same time: enough for the budget, and none waits for it beyond its deadline."""


@attrs.frozen(kw_only=True)
class RunOptions:
    """How a plan is run; checked when it is made.

    Attributes:
        canary: Targets of a first wave, that must all succeed before anything else is sent.
        wave_size: Targets of each further wave; None for one wave.
        concurrency: Targets that are under way at the same time; None for as many as a wave has.
        stop_on_failures: Share of the plan's targets that may fail before nothing more is sent.
        timeout: Seconds for the whole run; None for no limit.
        deployment_timeout: Seconds that one deployment may take.
        variables: Values of the variables that a plan sets.
        on_event: Called with each event.
        control: Steers the run from outside.
    """

    canary: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    wave_size: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    concurrency: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))
    stop_on_failures: float = attrs.field(default=0.25, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)])
    timeout: float | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.gt(0)))
    deployment_timeout: float = attrs.field(default=3600.0, validator=attrs.validators.gt(0))
    variables: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    on_event: Callable[[FleetEvent], object] | None = None
    control: FleetControl = attrs.field(factory=FleetControl)


class _NotStartedError(LaunchError):
    """The run was stopped before this operation was sent: it stays planned."""

    def __init__(self) -> None:
        super().__init__("the run was stopped before this was sent")


class FleetRun:
    """One run of a plan, from its journal's state to the end.

    Args:
        services: What a client offers.
        plan: The plan.
        journal: Its journal, open.
        options: How it is run.
    """

    def __init__(self, services: FleetServices, plan: Plan, journal: Journal, options: RunOptions) -> None:
        self._services = services
        self._plan = plan
        self._journal = journal
        self._options = options
        self._entries = {entry.key: entry for entry in journal.entries()}
        self._meter = Meter(priority=Priority.WRITE)
        self._sending = asyncio.Semaphore(_SENDERS)
        self._ended = sum(entry.state.is_final for entry in self._entries.values())
        self._failed = 0
        self._wave = 0
        self._uploads = SharedUpload(services.uploads, plan.action)

    async def run(self) -> FleetReport:
        """Do what is left to do, and report.

        Cancelled, it sends nothing more, lets what is being sent be written down, and leaves the rest to a resumption.
        """
        self._begun = asyncio.get_running_loop().time()
        self._changed = self._options.control._begin()  # noqa: SLF001 - the run's own side of it
        self._tell(FleetEventKind.RUN_STARTED, message=f"{self._plan.action}: {len(self._plan.operations)} targets")
        deadline = asyncio.timeout(self._options.timeout)
        with metered(self._meter):
            try:
                async with deadline, self._uploads:
                    await self._run_waves()
            except TimeoutError:
                if not deadline.expired():
                    raise
                self._stop(f"the run's timeout of {self._options.timeout or 0:g} s ran out")
        report = self.report()
        self._tell(FleetEventKind.RUN_ENDED, message=report.summary)
        return report

    def report(self) -> FleetReport:
        """Return what is known now."""
        return FleetReport(
            plan=self._plan,
            outcomes=tuple(TargetOutcome.of(one.target, self._entries[one.key]) for one in self._plan.operations),
            seconds=asyncio.get_running_loop().time() - self._begun,
            requests=self._meter.requests,
            waited=self._meter.waited,
            stopped=self._options.control.stopped,
        )

    async def _run_waves(self) -> None:
        open_operations = [one for one in self._plan.operations if not self._entries[one.key].state.is_final]
        # What an earlier run has begun is finished first, and needs no wave.
        begun = [one for one in open_operations if self._entries[one.key].state is not OperationState.PLANNED]
        fresh = [one for one in open_operations if self._entries[one.key].state is OperationState.PLANNED]
        if begun:
            await self._run_wave(begun)
        for wave in _waves(fresh, self._options.canary, self._options.wave_size):
            if self._options.control.stopped:
                return
            failed_before = self._failed
            self._wave += 1
            self._tell(FleetEventKind.WAVE_STARTED, message=f"wave {self._wave}: {len(wave)} targets")
            await self._run_wave(wave)
            is_canary = self._options.canary > 0 and self._wave == 1
            if is_canary and self._failed > failed_before:
                self._stop("the canary failed")

    async def _run_wave(self, operations: Sequence[PlannedOperation]) -> None:
        places = asyncio.Semaphore(self._options.concurrency or len(operations))
        async with asyncio.TaskGroup() as group:
            for operation in operations:
                group.create_task(self._run_operation(operation, places))

    async def _run_operation(self, operation: PlannedOperation, places: asyncio.Semaphore) -> None:
        async with places:
            if not await self._may_start(operation):
                return
            meter = Meter(priority=Priority.WRITE)
            with metered(meter):
                try:
                    await self._carry_out(operation)
                except DeploymentFailed as error:
                    detail = {"message": error.report.summary, "report": error.report.to_dict()}
                    self._end(operation, OperationState.FAILED, detail)
                except AmbiguousOutcome as error:
                    detail = {"message": error.message, "candidates": list(error.candidates)}
                    self._end(operation, OperationState.AMBIGUOUS, detail)
                except WaitTimeout as error:
                    # It goes on at the service, and a resumption can wait for it again.
                    self._note(operation, {"message": error.message})
                    self._failed += 1
                except LaunchError as error:
                    self._end_with_error(operation, error)
                finally:
                    self._count(operation, meter)
            self._judge()

    async def _may_start(self, operation: PlannedOperation) -> bool:
        """Wait while the run is paused; return whether this operation is still to be sent."""
        control = self._options.control
        if control.is_paused:
            self._tell(FleetEventKind.PAUSED)
            while control.is_paused and not control.stopped:
                self._changed.clear()
                await self._changed.wait()
            self._tell(FleetEventKind.RESUMED)
        # What was sent by an earlier run is finished even when nothing more is sent.
        return not control.stopped or self._entries[operation.key].state is not OperationState.PLANNED

    async def _carry_out(self, operation: PlannedOperation) -> None:
        action = self._plan.action
        match action:
            case Redeploy():
                await self._redeploy(operation, action)
            case SetVariables():
                async with self._turn(operation):
                    await self._set_variables(operation, action)
            case RevalidateCache():
                await self._revalidate(operation, action)
            case DeleteEnvironments():
                async with self._turn(operation):
                    await self._delete(operation)

    async def _redeploy(self, operation: PlannedOperation, action: Redeploy) -> None:
        entry = self._entries[operation.key]
        if entry.state is OperationState.INTENDED:
            found = await self._look_up(operation, entry, action.source.commit)
            if found is not None:
                self._sent(operation, found)
        if self._entries[operation.key].state is not OperationState.SENT:
            if action.when_busy != "queue" and await self._was_busy(operation, action):
                if self._entries[operation.key].state.is_final:
                    return
            else:
                await self._deploy(operation, action)
        await self._finish_deployment(operation)

    async def _deploy(self, operation: PlannedOperation, action: Redeploy) -> None:
        """Send one creation and write down what came of it, even if the run is cancelled meanwhile."""
        target = operation.target

        async def send() -> None:
            upload_uid = await self._uploads.uid_for(target)
            await self._services.know_the_clock(target)
            try:
                created = await self._create(operation, action.source.commit, upload_uid)
            except LaunchError as error:
                if not self._uploads.was_refused(error):
                    raise
                created = await self._create(operation, None, await self._uploads.own_uid_for(target))
            self._sent(operation, created)

        async with self._sending:
            if self._options.control.stopped:
                raise _NotStartedError
            await _completed(send())

    async def _create(self, operation: PlannedOperation, commit: str | None, upload_uid: str | None) -> Deployment:
        target = operation.target
        with self._intended_when_sent(operation):
            return await self._services.deployments.create(
                target.project_uid, target.environment_uid, commit_hash=commit, upload_uid=upload_uid
            )

    async def _was_busy(self, operation: PlannedOperation, action: Redeploy) -> bool:
        """Attach to a running deployment, or skip the target; return False if there is none."""
        target = operation.target
        recent = await self._services.recent(target)
        running = [one for one in recent if one.status.is_in_flight]
        if not running:
            return False
        newest = max(running, key=lambda one: one.deployment_number or 0)
        if action.when_busy == "skip":
            message = f"deployment {newest.uid} is {newest.status} already"
            self._end(operation, OperationState.SKIPPED, {"message": message})
        else:
            self._intend(operation)
            self._sent(operation, newest, message=f"attached to running deployment {newest.uid}")
        return True

    async def _look_up(self, operation: PlannedOperation, entry: Entry, commit: str | None) -> Deployment | None:
        """Return what an interrupted creation has created; None if it created nothing.

        Raises:
            AmbiguousOutcome: Several deployments may be it.
        """
        target, since = operation.target, entry.intended_at or datetime.now(UTC)
        found: Sequence[Deployment] = ()
        for pause in (0.0, *self._services.look_up_delays):
            await asyncio.sleep(pause)
            found = await self._services.created_since(target, since, commit)
            long_ago = self._services.now() - since > timedelta(seconds=sum(self._services.look_up_delays))
            if found or long_ago:
                break
        if len(found) > 1:
            raise AmbiguousOutcome(
                f"an interrupted deployment of {target.label} may be any of {', '.join(one.uid for one in found)}: "
                "look at them before you deploy again",
                candidates=[one.uid for one in found],
                operation="createDeployment",
            )
        return found[0] if found else None

    async def _finish_deployment(self, operation: PlannedOperation) -> None:
        entry, target = self._entries[operation.key], operation.target
        ref = DeploymentRef(target.project_uid, target.environment_uid, entry.deployment_uid or "")

        def tell(deployment: Deployment) -> None:
            self._tell(
                FleetEventKind.DEPLOYMENT, operation, deployment=deployment, message=str(deployment.status or "unknown")
            )

        ended = await self._services.watching.wait(ref, timeout=self._options.deployment_timeout, on_update=tell)
        self._end(operation, OperationState.SUCCEEDED, {"url": ended.url})

    async def _set_variables(self, operation: PlannedOperation, action: SetVariables) -> None:
        target, given = operation.target, self._options.variables or {}
        desired = {name: given[name] for name in action.names}
        if action.removed:
            current = await self._services.variables.read(target.project_uid, target.environment_uid)
            desired = {**{name: value for name, value in current.items() if name not in action.removed}, **desired}
        diff = await self._services.variables.diff(
            target.project_uid, target.environment_uid, desired, remove=bool(action.removed)
        )
        if diff.has_changes:
            await self._services.variables.apply(diff)
        count = len(diff.added) + len(diff.changed) + len(diff.removed)
        message = f"{count} changed" if count else "nothing to change"
        self._end(operation, OperationState.SUCCEEDED, {"message": message})

    async def _revalidate(self, operation: PlannedOperation, action: RevalidateCache) -> None:
        target = operation.target
        if self._entries[operation.key].state is OperationState.INTENDED:
            raise AmbiguousOutcome(
                f"an interrupted revalidation of {target.label} may have been done, and cannot be looked up",
                operation="revalidateCdnCache",
            )
        async with self._turn(operation):
            try:
                await self._services.environments.revalidate_cache(
                    target.project_uid,
                    target.environment_uid,
                    path=action.path,
                    is_prefix=action.is_prefix,
                    cache_tags=action.cache_tags,
                    hostnames=action.hostnames,
                )
            except LaunchError as error:
                if error.ambiguous:
                    raise AmbiguousOutcome(error.message, operation="revalidateCdnCache") from error
                raise
            self._end(operation, OperationState.SUCCEEDED, {})

    async def _delete(self, operation: PlannedOperation) -> None:
        target, interrupted = operation.target, self._entries[operation.key].attempts > 1
        try:
            await self._services.environments.delete(target.project_uid, target.environment_uid)
        except NotFoundError:
            if not interrupted:
                raise
            # The interrupted attempt has deleted it.
        self._end(operation, OperationState.SUCCEEDED, {})

    @asynccontextmanager
    async def _turn(self, operation: PlannedOperation) -> AsyncGenerator[None]:
        """Wait for a turn to send; the operation is intended when its first request leaves."""
        async with self._sending:
            if self._options.control.stopped and self._entries[operation.key].state is OperationState.PLANNED:
                raise _NotStartedError
            with self._intended_when_sent(operation):
                yield

    @contextmanager
    def _intended_when_sent(self, operation: PlannedOperation) -> Generator[None]:
        """Write the intent when the budget lets a request through, and not while it waits: then nothing was sent."""
        intended = False

        def intend() -> None:
            nonlocal intended
            if not intended:
                intended = True
                self._intend(operation)

        with metered(Meter(before_send=intend)):
            yield

    def _intend(self, operation: PlannedOperation) -> None:
        entry = self._entries[operation.key]
        self._write(
            attrs.evolve(
                entry,
                state=OperationState.INTENDED,
                intended_at=self._services.now(),
                attempts=entry.attempts + 1,
                detail={**entry.detail, "wave": self._wave},
            )
        )
        self._tell(FleetEventKind.OPERATION, operation, state=OperationState.INTENDED)

    def _sent(self, operation: PlannedOperation, deployment: Deployment, *, message: str = "") -> None:
        entry = self._entries[operation.key]
        detail = {**entry.detail, "message": message} if message else entry.detail
        self._write(attrs.evolve(entry, state=OperationState.SENT, deployment_uid=deployment.uid, detail=detail))
        self._tell(FleetEventKind.OPERATION, operation, state=OperationState.SENT, message=message)

    def _end(self, operation: PlannedOperation, state: OperationState, detail: Mapping[str, object]) -> None:
        entry = self._entries[operation.key]
        self._write(
            attrs.evolve(
                entry, state=state, ended_at=self._services.now(), detail={**entry.detail, "wave": self._wave, **detail}
            )
        )
        self._ended += 1
        self._failed += state in (OperationState.FAILED, OperationState.AMBIGUOUS)
        self._tell(FleetEventKind.OPERATION, operation, state=state, message=str(detail.get("message", "")))

    def _end_with_error(self, operation: PlannedOperation, error: LaunchError) -> None:
        if isinstance(error, _NotStartedError):
            return
        state = OperationState.AMBIGUOUS if error.ambiguous else OperationState.FAILED
        if self._entries[operation.key].state is OperationState.SENT:
            # The deployment exists; only watching it failed, and a resumption can watch it again.
            self._note(operation, {"message": str(error)})
            self._failed += 1
            return
        self._end(operation, state, {"message": str(error)})

    def _note(self, operation: PlannedOperation, detail: Mapping[str, object]) -> None:
        entry = self._entries[operation.key]
        self._write(attrs.evolve(entry, detail={**entry.detail, **detail}))
        self._tell(FleetEventKind.OPERATION, operation, state=entry.state, message=str(detail.get("message", "")))

    def _count(self, operation: PlannedOperation, meter: Meter) -> None:
        entry = self._entries[operation.key]
        waited = float(str(entry.detail.get("waited", 0.0))) + meter.waited
        if meter.requests:
            detail = {**entry.detail, "waited": round(waited, 3)}
            self._write(attrs.evolve(entry, requests=entry.requests + meter.requests, detail=detail))

    def _write(self, entry: Entry) -> None:
        self._journal.write(entry)
        self._entries[entry.key] = entry

    def _judge(self) -> None:
        """Stop when too large a share of what has ended has failed."""
        if self._failed and self._failed > self._options.stop_on_failures * len(self._plan.operations):
            self._stop(f"{self._failed} of {len(self._plan.operations)} targets failed")

    def _stop(self, reason: str) -> None:
        if not self._options.control.stopped:
            self._options.control.cancel(reason)
            self._tell(FleetEventKind.STOPPING, message=reason)

    def _tell(
        self,
        kind: FleetEventKind,
        operation: PlannedOperation | None = None,
        *,
        state: OperationState | None = None,
        deployment: Deployment | None = None,
        message: str = "",
    ) -> None:
        if self._options.on_event is None:
            return
        self._options.on_event(
            FleetEvent(
                kind=kind,
                at=asyncio.get_running_loop().time() - self._begun,
                done=self._ended,
                total=len(self._entries),
                wave=self._wave,
                target=None if operation is None else operation.target,
                state=state,
                deployment=deployment,
                message=message,
            )
        )


def _waves(
    operations: Sequence[PlannedOperation], canary: int, size: int | None
) -> Generator[Sequence[PlannedOperation]]:
    """Cut operations into the canary and the waves after it."""
    if canary and operations:
        yield operations[:canary]
        operations = operations[canary:]
    for start in range(0, len(operations), size or max(1, len(operations))):
        yield operations[start : start + (size or len(operations))]


async def _completed(work: Coroutine[object, object, None]) -> None:
    """Await work that must not stop half-way: cancelled, it is finished first."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise

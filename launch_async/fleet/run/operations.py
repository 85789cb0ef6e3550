"""Carry out each operation exactly once, also after an interrupted run.

An operation that is `intended` in the journal was interrupted between its request and its outcome. The run checks
whether a deployment exists before it sends anything. It compares variables again, and repeats a deletion. It cannot
check a cache revalidation.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from launch_async.deploy.release.verifying import failures_in, verify
from launch_async.errors import (
    AmbiguousOutcome,
    APIError,
    ConcurrentChangeError,
    DecodeError,
    LaunchError,
    NotFoundError,
)
from launch_async.fleet.journal.journal import OperationState
from launch_async.fleet.plan.actions import (
    Action,
    DeleteEnvironments,
    Mixed,
    Redeploy,
    RevalidateCache,
    SetVariables,
    Task,
)
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.plan.targets import Target
from launch_async.fleet.run.control import FleetControl
from launch_async.fleet.run.events import FleetEventKind
from launch_async.fleet.run.older_copy import sends_of_missing_steps, unknown_deployment, unknown_revalidation
from launch_async.fleet.run.options import RunOptions
from launch_async.fleet.run.run_state import BrokenRunError, RunState, ended_at_of
from launch_async.fleet.run.uploads import SharedUpload
from launch_async.fleet.services import FleetServices
from launch_async.http.metering import Meter, metered
from launch_async.models.deployment import Deployment, DeploymentRef
from launch_async.resources._create.reconciling import C, CreationLog, CreationOptions, ReconcilingCreate, may_pass
from launch_async.resources._create.sending import SendRecord
from launch_async.watch.report import build_lengths

__all__ = ["NotStartedError", "Operations", "TaskWork"]

_LOG: Final = logging.getLogger(__name__)
_MAX_SENDING: Final = 20
"""Maximum number of operations that send at the same time. More of them would miss their deadlines."""
_CONTROL_CHECK_S: Final = 1.0
"""Seconds after which a wait notices that the run was paused or stopped."""


class NotStartedError(Exception):
    """The run was paused or stopped before this operation sent anything."""


class Operations:
    """Carries out the operations of one run.

    Args:
        services: The client's services.
        state: The state of the operations.
        uploads: The archive of the run.
        options: The options of the run.
    """

    def __init__(self, services: FleetServices, state: RunState, uploads: SharedUpload, options: RunOptions) -> None:
        self._services = services
        self._state = state
        self._uploads = uploads
        self._options = options
        self._control: FleetControl = options.control
        self._sending = asyncio.Semaphore(_MAX_SENDING)
        self._clock_lock = asyncio.Lock()
        self._listing = asyncio.Lock()
        self._clock_was_checked = False
        self._begun: dict[str, Deployment] = {}
        self._build_seconds: dict[str, float] = {}

    async def carry_out(self, operation: PlannedOperation, action: Action) -> None:
        """Carry out the remaining steps of an operation, and record its outcome.

        Raises:
            NotStartedError: The run is paused or stopped, and nothing was sent.
            LaunchError: The operation failed.
        """
        match action:
            case Redeploy():
                await self._redeploy(operation, action)
            case SetVariables():
                await self._in_turn(operation, lambda: self._set_variables(operation, action))
            case RevalidateCache():
                await self._revalidate(operation, action)
            case Task():
                await self._perform(operation)
            case Mixed():
                raise AssertionError("each operation of a mixed plan has a separate action")
            case DeleteEnvironments():
                entered = self._state.entry(operation).state
                interrupted = entered is OperationState.INTENDED or self._state.may_be_done(operation)
                await self._in_turn(operation, lambda: self._delete(operation, interrupted=interrupted))

    async def _redeploy(self, operation: PlannedOperation, action: Redeploy) -> None:
        if self._state.entry(operation).state is OperationState.INTENDED:
            await self._adopt_interrupted(operation, action)
        elif self._state.may_be_done(operation):
            await self._adopt_missing(operation, action)
        if self._state.entry(operation).state is not OperationState.SENT:
            await self._begin_deployment(operation, action)
        if self._state.entry(operation).state is OperationState.SENT:
            await self._finish_deployment(operation)

    async def _begin_deployment(self, operation: PlannedOperation, action: Redeploy) -> None:
        async with self._sending:
            self._check_not_held()
            if action.when_busy != "queue" and await self._was_busy(operation, action):
                return
            upload_uid = await self._uploads.shared_uid()
        try:
            await self._create(operation, action, upload_uid)
        except LaunchError as error:
            if not self._uploads.was_refused(error):
                raise
            await self._create(operation, action, await self._uploads.own_uid(operation.target))

    @contextlib.asynccontextmanager
    async def _turn_to_create(self, operation: PlannedOperation) -> AsyncGenerator[None]:
        """Wait for a turn to create a deployment, and hold it. List the existing deployments first if necessary."""
        async with self._sending:
            self._check_not_held()
            await self._list_existing(operation)
            yield

    async def _list_existing(self, operation: PlannedOperation) -> None:
        """List the target's deployments, unless the client can already distinguish new deployments from existing ones.

        The run must never adopt an existing deployment as a new one, even if it is recent.
        """
        async with self._listing:
            # One operation at a time: after the first answer to a creation, the others need no listing.
            if self._services.recognizes_new(operation.target):
                return
            try:
                await self._recent(operation)
            except (APIError, DecodeError) as error:
                if error.retryable:
                    raise
                _LOG.debug("The deployments of %s could not be listed: %s", operation.target.label, error.message)

    async def _recent(self, operation: PlannedOperation) -> Sequence[Deployment]:
        """Return the newest deployments of a target, and remember how long its builds take."""
        recent = await self._services.recent(operation.target)
        if (seconds := next(iter(build_lengths(recent).values()), None)) is not None:
            self._build_seconds[operation.key] = seconds
        return recent

    async def _create(self, operation: PlannedOperation, action: Redeploy, upload_uid: str | None) -> None:
        log = _JournalledCreation(operation, self._state, self._check_not_held)
        options = self._options_of(
            sha256=await self._uploads.sha256(), log=log, turn=lambda: self._turn_to_create(operation)
        )
        creation = self._services.creation(operation.target, action.source.commit_hash, upload_uid, options)

        async def create() -> None:
            self._sent(operation, await creation.once())

        self._check_not_held()
        await _finished(create(), unless=lambda: not log.is_in_flight)

    def _options_of(
        self,
        *,
        sha256: str | None,
        log: CreationLog | None = None,
        record: SendRecord | None = None,
        turn: Callable[[], AbstractAsyncContextManager[object]] = contextlib.nullcontext,
    ) -> CreationOptions[Deployment]:
        return CreationOptions(
            timeout=math.inf,
            sha256=sha256,
            record=record,
            turn=turn,
            sleep=self._sleep,
            follow=lambda found: self._services.ended(found, timeout=self._options.deployment_timeout),
            is_thorough=True,
            log=log or CreationLog(),
        )

    async def _sleep(self, seconds: float) -> None:
        """Wait. Raise an error if the run is paused or stopped, because a resumption can wait instead."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            self._check_not_held()
            left = until - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(min(_CONTROL_CHECK_S, left))

    def _sent(self, operation: PlannedOperation, deployment: Deployment, *, message: str = "") -> None:
        self._state.sent(operation, deployment, message=message)
        self._begun[operation.key] = deployment

    async def _was_busy(self, operation: PlannedOperation, action: Redeploy) -> bool:
        """Attach to a running deployment, or skip the target; return False if there is none."""
        running = [one for one in await self._recent(operation) if one.status.is_in_flight]
        if not running:
            return False
        newest = max(running, key=lambda one: one.deployment_number or 0)
        if action.when_busy == "skip":
            message = f"deployment {newest.uid} is already {newest.status}"
            self._state.end(operation, OperationState.SKIPPED, {"message": message})
        else:
            self._sent(operation, newest, message=f"attached to the running deployment {newest.uid}")
        return True

    async def _adopt_interrupted(self, operation: PlannedOperation, action: Redeploy) -> None:
        """Adopt the deployment of an interrupted creation, or make sure that it has no effect, now or later.

        Raises:
            AmbiguousOutcome: The run cannot find this out.
        """
        record = self._state.sends(operation)
        if self._state.missing_since is not None:
            # An earlier run may have sent the request again after the journal was copied.
            await self._ensure_service_time(operation)
            record.last = self._services.service_time
        options = self._options_of(sha256=record.sha256 or await self._uploads.sha256(), record=record)
        creation = self._services.creation(operation.target, action.source.commit_hash, None, options)
        found = await creation.resolved()
        if found is None:
            self._state.settle(operation)
        else:
            self._sent(operation, found, message=f"found deployment {found.uid} of an interrupted run")

    async def _adopt_missing(self, operation: PlannedOperation, action: Redeploy) -> None:
        """Adopt a deployment that an earlier run has created after the journal was copied.

        Raises:
            AmbiguousOutcome: It cannot be decided whether an earlier run has created a deployment.
        """
        assert self._state.missing_since is not None  # noqa: S101 - `may_be_done` has checked this
        async with self._sending:
            self._check_not_held()
            recent = await self._recent(operation)
        record = sends_of_missing_steps(
            recent,
            self._state.missing_since,
            step=self._state.last_step_at,
            planned=operation.target.last_number,
            now=self._services.service_time,
        )
        if record is None:
            return
        options = self._options_of(sha256=await self._uploads.sha256(), record=record)
        creation = self._services.creation(operation.target, action.source.commit_hash, None, options)
        try:
            found = await creation.resolved()
        except AmbiguousOutcome as error:
            raise unknown_deployment(operation, error) from error
        if found is not None:
            self._sent(operation, found, message=f"found deployment {found.uid}, which the journal does not contain")

    async def _finish_deployment(self, operation: PlannedOperation) -> None:
        target, uid = operation.target, self._state.entry(operation).deployment_uid or ""
        begun = self._begun.pop(operation.key, None)

        def notify(deployment: Deployment) -> None:
            status = str(deployment.status or "unknown")
            self._state.emit(FleetEventKind.DEPLOYMENT, operation, deployment=deployment, message=status)

        ended = await self._services.watching.wait(
            begun or DeploymentRef(target.project_uid, target.environment_uid, uid),
            timeout=self._options.deployment_timeout,
            on_update=notify,
            urgent=True,
            expected=target.last_seconds or self._build_seconds.get(operation.key),
        )
        state, detail = OperationState.SUCCEEDED, {"url": ended.url}
        if self._options.verify:
            results = await verify(ended.url, self._options.verify, self._services.pipeline.to_sites())
            if problem := failures_in(results):
                state, detail = OperationState.FAILED, {**detail, "message": problem}
        self._state.end(operation, state, detail, ended_at=ended_at_of(ended))

    async def _set_variables(self, operation: PlannedOperation, action: SetVariables) -> None:
        target, given = operation.target, self._options.variables or {}
        desired = {name: given[name] for name in action.names}
        if action.removed:
            current = await self._services.variables.read(target.project_uid, target.environment_uid)
            desired = {**{name: value for name, value in current.items() if name not in action.removed}, **desired}
        diff = await self._services.variables.diff(
            target.project_uid, target.environment_uid, desired, remove=bool(action.removed)
        )
        if others := sorted(set(diff.removed) - set(action.removed)):
            raise ConcurrentChangeError(
                f"Another program added {', '.join(others)} at the same time. Nothing was written. Make a new plan",
                keys=others,
            )
        if diff.has_changes:
            await self._services.variables.apply(diff)
        count = len(diff.added) + len(diff.changed) + len(diff.removed)
        message = f"{count} changed" if count else "nothing to change"
        self._state.end(operation, OperationState.SUCCEEDED, {"message": message})

    async def _revalidate(self, operation: PlannedOperation, action: RevalidateCache) -> None:
        target = operation.target
        if self._state.may_be_done(operation):
            raise unknown_revalidation(operation)
        if self._state.entry(operation).state is OperationState.INTENDED:
            raise AmbiguousOutcome(
                f"An interrupted cache revalidation of {target.label} may have taken effect, and the SDK cannot check "
                "this. Make a new plan if the cache is still old",
                operation="revalidateCdnCache",
            )

        async def purge() -> None:
            await self._services.environments.revalidate_cache(
                target.project_uid,
                target.environment_uid,
                path=action.path,
                is_prefix=action.is_prefix,
                cache_tags=action.cache_tags,
                hostnames=action.hostnames,
            )
            self._state.end(operation, OperationState.SUCCEEDED, {})

        await self._in_turn(operation, purge)

    async def _delete(self, operation: PlannedOperation, *, interrupted: bool) -> None:
        target = operation.target
        try:
            await self._services.environments.delete(target.project_uid, target.environment_uid)
        except NotFoundError:
            if not interrupted:
                raise
            # The interrupted run has deleted it, perhaps after the journal was copied.
        self._state.end(operation, OperationState.SUCCEEDED, {})

    async def _perform(self, operation: PlannedOperation) -> None:
        performer = self._options.performer
        assert performer is not None  # noqa: S101 - a run without a performer was refused
        await performer.perform(TaskWork(self, self._state, operation))

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait for a turn to send requests that change nothing, and hold it."""
        async with self._sending:
            self._check_not_held()
            yield

    async def sleep(self, seconds: float) -> None:
        """Wait. Raise an error if the run is paused or stopped."""
        await self._sleep(seconds)

    async def in_turn(self, operation: PlannedOperation, work: Callable[[], Coroutine[object, object, None]]) -> None:
        """Do repeatable work. Its intent is written into the journal before its first request."""
        await self._in_turn(operation, work)

    async def create(
        self, operation: PlannedOperation, creation_of: Callable[[CreationOptions[C]], ReconcilingCreate[C]]
    ) -> C:
        """Create something once, or adopt what an interrupted run has created.

        Raises:
            AmbiguousOutcome: The creation may have happened, and this cannot be decided.
        """

        def options(log: CreationLog, record: SendRecord | None = None) -> CreationOptions[C]:
            return CreationOptions(
                timeout=math.inf, record=record, turn=lambda: self._sending, sleep=self._sleep, log=log
            )

        record: SendRecord | None = None
        if self._state.entry(operation).state is OperationState.INTENDED:
            record = self._state.sends(operation)
            if self._state.missing_since is not None:
                record.last = self._services.service_time
        elif self._state.may_be_done(operation):
            record = SendRecord(first=self._state.missing_since, last=self._services.service_time)
        if record is not None:
            found = await creation_of(options(CreationLog(), record)).resolved()
            if found is not None:
                return found
            self._state.settle(operation)
        try:
            await self._ensure_service_time(operation)
        except LaunchError as error:
            # The run has sent only reads so far.
            error.retryable = may_pass(error)
            raise
        log = _JournalledCreation(operation, self._state, self._check_not_held)
        creation = creation_of(options(log))
        made: list[C] = []

        async def create() -> None:
            made.append(await creation.once())

        self._check_not_held()
        await _finished(create(), unless=lambda: not log.is_in_flight)
        return made[0]

    async def _ensure_service_time(self, operation: PlannedOperation) -> None:
        """Find out the service's time before the first intent is written, because a resumption needs this time."""
        async with self._clock_lock:
            if not self._clock_was_checked:
                self._clock_was_checked = True
                await self._services.ensure_service_time(operation.target)

    async def _in_turn(self, operation: PlannedOperation, work: Callable[[], Coroutine[object, object, None]]) -> None:
        async with self._sending:
            await self._journalled(operation, work)

    async def _journalled(
        self, operation: PlannedOperation, work: Callable[[], Coroutine[object, object, None]]
    ) -> None:
        """Do work, and write its intent when the rate limit admits its first request.

        Before that, nothing was sent, so a pause, stop or cancellation leaves no unknown outcome. After the first
        request, the run finishes the work and records the outcome, even if the run is cancelled.
        """
        is_sent = False

        def before_send() -> None:
            nonlocal is_sent
            if not is_sent:
                self._check_not_held()
                is_sent = True
                self._state.intend(operation)

        self._check_not_held()
        with metered(Meter(before_send=before_send)) as meter:
            try:
                await _finished(work(), unless=lambda: not is_sent)
            except (LaunchError, BrokenRunError, NotStartedError):
                raise
            except Exception:
                # A middleware may have raised this before anything was sent.
                if is_sent and not meter.maybe_done:
                    self._state.unsend(operation)
                raise

    def _check_not_held(self) -> None:
        if self._control.is_paused or self._control.stopped:
            raise NotStartedError


class TaskWork:
    """One task of a mixed plan, for the workflow that carries it out; see `performing.Work`."""

    def __init__(self, operations: Operations, state: RunState, operation: PlannedOperation) -> None:
        self._operations = operations
        self._state = state
        self._operation = operation

    @property
    def key(self) -> str:
        """See `Work.key`."""
        return self._operation.key

    @property
    def target(self) -> Target:
        """See `Work.target`."""
        return self._operation.target

    @property
    def created(self) -> Mapping[str, str]:
        """See `Work.created`."""
        return self._state.created(self._operation)

    def turn(self) -> AbstractAsyncContextManager[object]:
        """See `Work.turn`."""
        return self._operations.turn()

    async def in_turn(self, work: Callable[[], Coroutine[object, object, None]]) -> None:
        """See `Work.in_turn`."""
        await self._operations.in_turn(self._operation, work)

    async def create(self, creation: Callable[[CreationOptions[C]], ReconcilingCreate[C]]) -> C:
        """See `Work.create`."""
        return await self._operations.create(self._operation, creation)

    async def sleep(self, seconds: float) -> None:
        """See `Work.sleep`."""
        await self._operations.sleep(seconds)

    def note_created(self, **uids: str) -> None:
        """See `Work.note_created`."""
        self._state.note_created(self._operation, uids)

    def done(self, message: str, **uids: str) -> None:
        """See `Work.done`."""
        detail: dict[str, object] = {"message": message, **({"created": uids} if uids else {})}
        self._state.end(self._operation, OperationState.SUCCEEDED, detail)


class _JournalledCreation(CreationLog):
    """Writes the steps of a creation into the journal."""

    def __init__(self, operation: PlannedOperation, state: RunState, check: Callable[[], None]) -> None:
        self._operation = operation
        self._state = state
        self._check = check
        self.is_in_flight = False

    def sending(self, record: SendRecord) -> None:
        """Write the intent before each send, unless nothing may be sent now."""
        self._check()
        self._state.intend(self._operation, record)
        self.is_in_flight = True

    def unsent(self) -> None:
        """Write that nothing was sent."""
        self._state.unsend(self._operation)

    def lost(self) -> None:
        """Write nothing: an intent without an outcome already shows that a resumption must check the service."""
        self.is_in_flight = False

    def nothing_happened(self) -> None:
        """Write that the request may be sent again."""
        self._state.settle(self._operation)


async def _finished(work: Coroutine[object, object, None], *, unless: Callable[[], bool]) -> None:
    """Await work. If it has sent a request, a first cancellation waits until it ends, and a second one does not."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            if not unless():
                await asyncio.wait([task])
        finally:
            task.cancel()
            await _ended(task)
        raise


async def _ended(task: asyncio.Future[None]) -> None:
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()

"""How one operation is carried out, by what it does: once, and looked up first where an earlier run was interrupted.

What is found as intended was interrupted between the request and its outcome. A deployment is looked up before anything
is sent; variables are compared again; a deletion may find that it was done; a revalidation cannot be looked up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Final

from launch_async.errors import AmbiguousOutcome, ConcurrentChangeError, DecodeError, LaunchError, NotFoundError
from launch_async.fleet.journal.journal import OperationState
from launch_async.fleet.plan.actions import (
    Action,
    DeleteEnvironments,
    Redeploy,
    RevalidateCache,
    SetVariables,
)
from launch_async.fleet.plan.plan import PlannedOperation
from launch_async.fleet.run.control import FleetControl
from launch_async.fleet.run.events import FleetEventKind
from launch_async.fleet.run.older_copy import deployed_since, unknown_revalidation
from launch_async.fleet.run.options import RunOptions
from launch_async.fleet.run.run_state import RunState, ended_at_of
from launch_async.fleet.run.uploads import SharedUpload
from launch_async.fleet.services import FleetServices
from launch_async.http.metering import Meter, metered
from launch_async.models.deployment import Deployment, DeploymentRef

__all__ = ["HeldBackError", "Operations"]

_SENDERS: Final = 20
"""Operations that are being sent at the same time: enough for the budget, and none waits for it beyond its deadline."""
_HELD_BACK_WITHIN: Final = 1.0
"""Seconds after which a wait notices that the run was paused or stopped."""


class HeldBackError(Exception):
    """The run was paused or stopped before anything of this operation was sent."""


class Operations:
    """Carries out the operations of one run.

    Args:
        services: What a client offers.
        state: What is known of the operations.
        uploads: The archive of the run.
        options: How the plan is run.
    """

    def __init__(self, services: FleetServices, state: RunState, uploads: SharedUpload, options: RunOptions) -> None:
        self._services = services
        self._state = state
        self._uploads = uploads
        self._options = options
        self._control: FleetControl = options.control
        self._sending = asyncio.Semaphore(_SENDERS)
        self._clock_lock = asyncio.Lock()
        self._clock_was_asked = False
        self._begun: dict[str, Deployment] = {}

    async def carry_out(self, operation: PlannedOperation, action: Action) -> None:
        """Do what is left of an operation, and write down what came of it.

        Raises:
            HeldBackError: Nothing was sent, because the run is paused or stopped.
            LaunchError: It failed.
        """
        match action:
            case Redeploy():
                await self._redeploy(operation, action)
            case SetVariables():
                await self._in_turn(operation, lambda: self._set_variables(operation, action))
            case RevalidateCache():
                await self._revalidate(operation, action)
            case DeleteEnvironments():
                entered = self._state.entry(operation).state
                interrupted = entered is OperationState.INTENDED or self._state.may_be_done(operation)
                await self._in_turn(operation, lambda: self._delete(operation, interrupted=interrupted))

    async def _redeploy(self, operation: PlannedOperation, action: Redeploy) -> None:
        if self._state.entry(operation).state is OperationState.INTENDED:
            await self._adopt_interrupted(operation, action.source.commit_hash)
        elif self._state.may_be_done(operation):
            await self._adopt_missing(operation, action)
        if self._state.entry(operation).state is not OperationState.SENT:
            async with self._sending:
                await self._begin_deployment(operation, action)
        if self._state.entry(operation).state is OperationState.SENT:
            await self._finish_deployment(operation)

    async def _begin_deployment(self, operation: PlannedOperation, action: Redeploy) -> None:
        commit_hash = action.source.commit_hash
        self._check_not_held()
        if action.when_busy != "queue" and await self._was_busy(operation, action):
            return
        upload_uid = await self._uploads.shared_uid()
        await self._know_the_clock(operation)
        try:
            await self._once_sent(operation, lambda: self._create(operation, commit_hash, upload_uid))
        except LaunchError as error:
            if not self._uploads.was_refused(error):
                raise
            own_uid = await self._uploads.own_uid(operation.target)
            await self._once_sent(operation, lambda: self._create(operation, None, own_uid))

    async def _create(self, operation: PlannedOperation, commit_hash: str | None, upload_uid: str | None) -> None:
        target = operation.target
        created = await self._services.deployments.create(
            target.project_uid, target.environment_uid, commit_hash=commit_hash, upload_uid=upload_uid
        )
        self._sent(operation, created)

    def _sent(self, operation: PlannedOperation, deployment: Deployment, *, message: str = "") -> None:
        self._state.sent(operation, deployment, message=message)
        self._begun[operation.key] = deployment

    async def _was_busy(self, operation: PlannedOperation, action: Redeploy) -> bool:
        """Attach to a running deployment, or skip the target; return False if there is none."""
        running = [one for one in await self._services.recent(operation.target) if one.status.is_in_flight]
        if not running:
            return False
        newest = max(running, key=lambda one: one.deployment_number or 0)
        if action.when_busy == "skip":
            message = f"deployment {newest.uid} is {newest.status} already"
            self._state.end(operation, OperationState.SKIPPED, {"message": message})
        else:
            self._sent(operation, newest, message=f"attached to running deployment {newest.uid}")
        return True

    async def _adopt_interrupted(self, operation: PlannedOperation, commit: str | None) -> None:
        """Take over what an interrupted creation has created; leave the operation as it is if it created nothing.

        What the interrupted run has sent may still be on its way: nothing is sent again before that has settled.

        Raises:
            AmbiguousOutcome: Several deployments may be it, or they cannot be listed.
        """
        loop = asyncio.get_running_loop()
        found = await self._interrupted(operation, commit)
        passed = (self._services.now() - self._state.last_intended_at(operation)).total_seconds()
        settled = loop.time() + self._services.settle_after - max(0.0, passed)
        if found is None and loop.time() < settled:
            while loop.time() < settled:
                self._check_not_held()
                await asyncio.sleep(min(_HELD_BACK_WITHIN, settled - loop.time()))
            found = await self._interrupted(operation, commit)
        if found is not None:
            self._sent(operation, found, message=f"found deployment {found.uid} of an interrupted run")

    async def _interrupted(self, operation: PlannedOperation, commit: str | None) -> Deployment | None:
        target, since = operation.target, self._state.entry(operation).intended_at or datetime.now(UTC)
        try:
            async with self._sending:
                found = await self._services.created_since(target, since, commit)
        except DecodeError as error:
            raise AmbiguousOutcome(
                f"an interrupted deployment of {target.label} may exist, and cannot be looked up: {error.message}",
                operation="createDeployment",
            ) from error
        if len(found) > 1:
            raise AmbiguousOutcome(
                f"an interrupted deployment of {target.label} may be any of {', '.join(one.uid for one in found)}: "
                "look at them before you deploy again",
                candidates=[one.uid for one in found],
                operation="createDeployment",
            )
        return found[0] if found else None

    async def _adopt_missing(self, operation: PlannedOperation, action: Redeploy) -> None:
        """Take over what the run has created of which an older copy of its journal does not tell.

        Raises:
            AmbiguousOutcome: Nobody can tell.
        """
        assert self._state.missing_since is not None  # noqa: S101 - otherwise nothing may be missing
        async with self._sending:
            self._check_not_held()
            found = await deployed_since(self._services, operation, action, self._state.missing_since)
        if found is not None:
            self._sent(operation, found, message=f"found deployment {found.uid}, of which the journal does not tell")

    async def _finish_deployment(self, operation: PlannedOperation) -> None:
        target, uid = operation.target, self._state.entry(operation).deployment_uid or ""
        begun = self._begun.pop(operation.key, None)

        def tell(deployment: Deployment) -> None:
            status = str(deployment.status or "unknown")
            self._state.tell(FleetEventKind.DEPLOYMENT, operation, deployment=deployment, message=status)

        ended = await self._services.watching.wait(
            begun or DeploymentRef(target.project_uid, target.environment_uid, uid),
            timeout=self._options.deployment_timeout,
            on_update=tell,
            urgent=True,
            expected=target.last_seconds,
        )
        detail = {"url": ended.url}
        self._state.end(operation, OperationState.SUCCEEDED, detail, ended_at=ended_at_of(ended))

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
                f"somebody else added {', '.join(others)} at the same time, and nothing was written", keys=others
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
                f"an interrupted revalidation of {target.label} may have been done, and cannot be looked up",
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
            # The interrupted attempt has deleted it, or the run of which the journal is an older copy.
        self._state.end(operation, OperationState.SUCCEEDED, {})

    async def _know_the_clock(self, operation: PlannedOperation) -> None:
        """Learn the service's clock before the first intent is written, once: a resumption compares with it."""
        async with self._clock_lock:
            if not self._clock_was_asked:
                self._clock_was_asked = True
                await self._services.know_the_clock(operation.target)

    async def _in_turn(self, operation: PlannedOperation, work: Callable[[], Coroutine[object, object, None]]) -> None:
        async with self._sending:
            await self._once_sent(operation, work)

    async def _once_sent(
        self, operation: PlannedOperation, work: Callable[[], Coroutine[object, object, None]]
    ) -> None:
        """Do some work whose intent is written when the budget lets its first request through.

        Not before: while it waits, nothing was sent, and the run may still be paused, stopped or cancelled without a
        doubt. What was sent is finished and written down even if the run is cancelled meanwhile.
        """
        is_sent = False

        def before_send() -> None:
            nonlocal is_sent
            if not is_sent:
                self._check_not_held()
                is_sent = True
                self._state.intend(operation)

        self._check_not_held()
        with metered(Meter(before_send=before_send)):
            await _finished(work(), unless=lambda: not is_sent)

    def _check_not_held(self) -> None:
        if self._control.is_paused or self._control.stopped:
            raise HeldBackError


async def _finished(work: Coroutine[object, object, None], *, unless: Callable[[], bool]) -> None:
    """Await work that, cancelled, is finished first; `unless` it has not really begun, or is cancelled once more."""
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

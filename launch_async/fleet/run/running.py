"""The run of a plan: waves, limited concurrency, and a journal that prevents repeated operations.

An error of one target ends the operation of that target. An error of the whole run (refused credentials, a failed
upload, an exhausted quota) stops the run: it sends no new operations, waits for those that it has sent, and leaves the
rest planned.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import ClassVar, Final

import attrs

from launch_async._text import count_of
from launch_async._views import AUDIENCE
from launch_async.deploy.release.check import name_of
from launch_async.errors import (
    AmbiguousOutcome,
    ClosedError,
    ConfigurationError,
    DeadlineExceeded,
    DeploymentFailed,
    GitProviderError,
    InvalidArgumentError,
    LaunchError,
    NotFoundError,
    QuotaExceededError,
    UnauthorizedError,
    WaitTimeout,
)
from launch_async.fleet.journal.journal import Journal, OperationState
from launch_async.fleet.plan.actions import Redeploy, SetVariables, Task
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.plan.plan import Plan
from launch_async.fleet.plan.waves import waves
from launch_async.fleet.report.report import FleetReport
from launch_async.fleet.run.checks import check_names
from launch_async.fleet.run.events import FleetEventKind
from launch_async.fleet.run.kept_report import report_of
from launch_async.fleet.run.names import names_now
from launch_async.fleet.run.operations import NotStartedError, Operations
from launch_async.fleet.run.options import RunOptions
from launch_async.fleet.run.run_state import BrokenRunError, RunState, ended_at_of
from launch_async.fleet.run.uploads import SharedUpload, UploadFailedError
from launch_async.fleet.run.value_check import hash_of, is_hash_of
from launch_async.fleet.services import FleetServices
from launch_async.http.metering import Meter, metered
from launch_async.rate_limit.types import Priority

__all__ = ["FleetRun"]

_LOG: Final = logging.getLogger(__name__)
_TRIES: Final = 4
"""Maximum number of attempts of one operation in a run."""
_FIRST_PAUSE_S: Final = 1.0
_MAX_PAUSE_S: Final = 30.0


class _InterruptionLog:
    """Logs an interruption, in the thread in which the observer runs. `launch_sync` also calls it after a Ctrl-C."""

    to_the_end: ClassVar[bool] = True

    def __call__(self, words: str) -> None:
        _LOG.warning("The run was interrupted: %s", words)


class FleetRun:
    """One run of a plan, from the state in its journal to the end."""

    def __init__(
        self,
        services: FleetServices,
        plan: Plan,
        journal: Journal,
        options: RunOptions,
        *,
        resumption: str | None = "launch.state.resume(journal, state)",
    ) -> None:
        """Begin with a journal's state.

        Args:
            services: The client's services.
            plan: The plan.
            journal: The open journal.
            options: The options of the run.
            resumption: The call that resumes the run after an interruption; None if the run cannot be resumed.
        """
        self._services = services
        self._plan = plan
        self._options = options
        self._resumption = resumption
        self._control = options.control
        self._meter = Meter(priority=Priority.WRITE)
        self._state = RunState(services, journal, options.on_event, self._meter)
        self._uploads = SharedUpload(services.uploads, plan.action)
        self._operations = Operations(services, self._state, self._uploads, options)
        self._pause_was_reported = False

    async def run(self) -> FleetReport:
        """Carry out the remaining operations, and return the report.

        After a cancellation, the run sends no new operations, records the outcomes of those that it has sent, and
        leaves the rest to a resumption.
        """
        try:
            report = await self._whole_run()
            self._state.emit(FleetEventKind.RUN_ENDED, message=report.summary, report=report)
        except BrokenRunError as error:
            self._explain_resumption(error.cause)
            raise error.cause from None
        except BaseException as error:
            self._explain_resumption(error)
            raise
        return report

    async def _whole_run(self) -> FleetReport:
        self._changed = self._control.changes()
        deadline = asyncio.timeout(self._options.timeout)
        with metered(self._meter):
            try:
                self._check_values()
                self._check_checks()
                self._report_start()
                async with deadline, self._uploads:
                    await self._run_waves()
            except TimeoutError:
                if not deadline.expired():
                    raise
                self._stop(f"the run's timeout of {self._options.timeout or 0:g} s expired")
            finally:
                self._state.keep_totals()
        return self.report()

    def _explain_resumption(self, error: BaseException) -> None:
        """Show how to resume an interrupted run: in a note on the error, in an event and in the log."""
        words = self._state.progress
        if self._state.is_unfinished:
            if self._resumption is None:
                words += ". The run has no journal and cannot be resumed. Make a new plan for the remaining targets"
            else:
                words += f". Call {self._resumption} to finish the run"
            error.add_note(f"The run was interrupted: {words}")
        # The observer comes first: a live table restores the terminal, and an earlier log line would garble the table.
        self._state.emit_last(FleetEventKind.INTERRUPTED, message=f"interrupted: {words}")
        if not isinstance(error, Exception):
            AUDIENCE.get().deliver(_InterruptionLog())(words)

    def report(self) -> FleetReport:
        """Return the report of the current state."""
        return report_of(
            self._plan,
            self._state.entry,
            self._state.totals,
            stopped=self._control.stopped,
            nothing_left=self._state.nothing_left,
        )

    def _check_values(self) -> None:
        """Refuse values that differ from those that the plan's first run began with."""
        action, given = self._plan.action, self._options.variables
        if not isinstance(action, SetVariables) or not given or self._state.nothing_left:
            return
        values = {name: given[name] for name in action.names}
        mark = self._state.value_mark
        if mark is None:
            self._state.keep_value_mark(hash_of(values))
        elif not is_hash_of(values, mark):
            raise InvalidArgumentError(
                "variables",
                "differ from the values that the run began with, so targets would get different values. Pass the same "
                "values, or make a new plan",
            )

    def _check_checks(self) -> None:
        """Refuse checks that differ from those that the plan's first run began with: a canary needs the same checks."""
        if self._state.nothing_left:
            return
        given, known = [name_of(check) for check in self._options.verify], self._state.checks
        if given and not isinstance(self._plan.action, Redeploy):
            raise InvalidArgumentError("verify", "works only for redeployments, because other actions deploy nothing")
        if known is None and given and not self._state.is_resumed:
            self._state.keep_checks(given)
        elif given != [*(known or ())]:
            again = f"Pass {', '.join(known)} again" if known else "Leave it out"
            raise InvalidArgumentError("verify", f"differs from the checks of the first run. {again}")

    async def _check_names(self, operations: Sequence[PlannedOperation]) -> None:
        """Refuse targets that have become protected environments, before anything is sent."""
        if not self._options.protected or self._control.stopped:
            return
        # Tasks check the names themselves, right before they write.
        targets = [one.target for one in operations if one.action is None]
        try:
            names = await names_now(self._services, targets)
        except LaunchError as error:
            self._stop(f"the names of the targets could not be read again: {error.message}")
        else:
            check_names(targets, names, self._options.protected)

    def _report_start(self) -> None:
        message = f"{self._plan.what}: {count_of(len(self._plan.operations), 'target')}"
        self._state.emit(FleetEventKind.RUN_STARTED, message=message)

    async def _run_waves(self) -> None:
        left = [one for one in self._plan.operations if not self._state.entry(one).state.is_final]
        # Operations of an earlier run need no wave. They finish before the first wave, or together with the only wave.
        begun = [one for one in left if self._state.entry(one).state is not OperationState.PLANNED]
        fresh = self._without_idle([one for one in left if self._state.entry(one).state is OperationState.PLANNED])
        if fresh:
            await self._uploads.check()
            await self._check_names(fresh)
        self._state.wave = self._state.last_wave
        if self._options.canary or self._options.wave_size or self._control.stopped or not fresh:
            await self._run_wave(begun)
            begun = []
        rest = await self._run_canary(fresh)
        for wave in waves(rest, size=self._options.wave_size, stop_on_failures=self._options.stop_on_failures):
            await self._run_next_wave(wave, begun)
            begun = []

    def _without_idle(self, fresh: Sequence[PlannedOperation]) -> list[PlannedOperation]:
        """End operations whose targets already have the variables, without a request. Return the other operations."""
        action, values = self._plan.action, self._options.variables or {}
        idle = [] if self._control.stopped else [one for one in fresh if one.is_idle(action, values)]
        for operation in idle:
            self._state.meter(operation, Meter())
            self._state.end(operation, OperationState.SUCCEEDED, {"message": "nothing to change"})
        return [one for one in fresh if not self._state.entry(one).state.is_final]

    async def _run_canary(self, fresh: Sequence[PlannedOperation]) -> Sequence[PlannedOperation]:
        """Run the canary, and return the remaining operations. Skipped targets do not count for the canary."""
        missing, failed = self._options.canary, self._state.failed
        while missing > 0 and fresh and not self._control.stopped:
            tried, fresh = fresh[:missing], fresh[missing:]
            await self._run_next_wave(tried)
            missing -= sum(self._was_carried_out(one) for one in tried)
            if self._state.failed > failed:
                self._stop("the canary failed")
        return fresh

    def _was_carried_out(self, operation: PlannedOperation) -> bool:
        entry = self._state.entry(operation)
        return entry.state is OperationState.SUCCEEDED and entry.attempts > 0

    async def _run_next_wave(self, wave: Sequence[PlannedOperation], begun: Sequence[PlannedOperation] = ()) -> None:
        if self._control.stopped:
            return
        self._state.wave += 1
        self._state.emit(
            FleetEventKind.WAVE_STARTED, message=f"wave {self._state.wave}: {count_of(len(wave), 'target')}"
        )
        await self._run_wave([*begun, *wave])

    async def _run_wave(self, operations: Sequence[PlannedOperation]) -> None:
        for stage in sorted({one.stage for one in operations}):
            await self._run_stage([one for one in operations if one.stage == stage])

    async def _run_stage(self, operations: Sequence[PlannedOperation]) -> None:
        places = asyncio.Semaphore(self._options.concurrency or max(1, len(operations)))
        try:
            async with asyncio.TaskGroup() as group:
                for operation in sorted(operations, key=self._urgency):
                    group.create_task(self._run_operation(operation, places))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    def _urgency(self, operation: PlannedOperation) -> tuple[bool, float]:
        """Sort key: operations that have begun come first, then the slowest builds."""
        return self._state.entry(operation).state is OperationState.PLANNED, -(operation.target.last_seconds or 0.0)

    async def _run_operation(self, operation: PlannedOperation, places: asyncio.Semaphore) -> None:
        async with places:
            with metered(Meter(priority=Priority.WRITE)) as meter:
                self._state.meter(operation, meter)
                if self._is_ready(operation):
                    await self._try_operation(operation)
            self._check_failures()

    def _is_ready(self, operation: PlannedOperation) -> bool:
        """Return whether the operations before this one have succeeded. If one has failed, end this one as failed."""
        by_key = {one.key: one for one in self._plan.operations} if operation.after else {}
        needed = [by_key[key] for key in operation.after]
        missing = [one for one in needed if self._state.entry(one).state is not OperationState.SUCCEEDED]
        failed = [one for one in missing if self._state.entry(one).state.is_final]
        if failed and not self._control.stopped:
            message = f"not started, because an operation that it depends on has failed: {failed[0].label}"
            self._state.end(operation, OperationState.FAILED, {"message": message})
        return not missing

    async def _try_operation(self, operation: PlannedOperation) -> None:
        """Carry out an operation. Try again after a pause if it had no effect or can be repeated."""
        tries, action = 0, operation.action or self._plan.action
        while await self._may_start(operation):
            try:
                ready = self._with_uids(operation)
                await self._operations.carry_out(ready, action)
            except NotStartedError:
                continue
            except UploadFailedError as error:
                self._stop(f"the upload failed: {error.cause.message}")
            except LaunchError as error:
                tries += 1
                again = _had_no_effect(error) or (error.ambiguous and isinstance(action, SetVariables))
                if tries < _TRIES and again and not self._is_sent(operation):
                    self._state.leave_open(
                        operation, self._state.settled_state(operation), f"{error.message}. The run tries again"
                    )
                    pause = max(error.retry_after or 0.0, _FIRST_PAUSE_S * 2.0**tries)
                    await asyncio.sleep(min(pause, _MAX_PAUSE_S))
                    continue
                self._end_with(operation, error)
            return

    def _with_uids(self, operation: PlannedOperation) -> PlannedOperation:
        """Return an operation with the UIDs that operations before it have created."""
        target = operation.target
        if not operation.after or (target.project_uid and target.environment_uid):
            return operation
        needed = [(one.target, self._state.created(one)) for one in self._plan.operations if one.key in operation.after]
        projects = [uids["project_uid"] for _, uids in needed if "project_uid" in uids]
        environments = [
            uids["environment_uid"]
            for one, uids in needed
            if one.environment_name == target.environment_name and "environment_uid" in uids
        ]
        return attrs.evolve(
            operation,
            target=attrs.evolve(
                target,
                project_uid=target.project_uid or next(iter(projects), ""),
                environment_uid=target.environment_uid or next(iter(environments), ""),
            ),
        )

    async def _may_start(self, operation: PlannedOperation) -> bool:
        """Wait while the run is paused. Return whether to carry out this operation."""
        while self._control.is_paused and not self._control.stopped and not self._is_sent(operation):
            if not self._pause_was_reported:
                self._pause_was_reported = True
                self._state.emit(FleetEventKind.PAUSED)
            self._changed.clear()
            await self._changed.wait()
        if self._pause_was_reported and not self._control.is_paused:
            self._pause_was_reported = False
            self._state.emit(FleetEventKind.RESUMED)
        # A stopped run still waits for deployments that were sent.
        return not self._control.stopped or self._is_sent(operation)

    def _is_sent(self, operation: PlannedOperation) -> bool:
        return self._state.entry(operation).state is OperationState.SENT

    def _end_with(self, operation: PlannedOperation, error: LaunchError) -> None:
        """Record the outcome of an operation that ended with an error."""
        if isinstance(error, DeploymentFailed):
            detail = {"message": error.report.headline, "report": error.report.to_dict()}
            ended_at = ended_at_of(error.report.deployment)
            return self._state.end(operation, OperationState.FAILED, detail, ended_at=ended_at)
        if isinstance(error, AmbiguousOutcome):
            detail = {"message": error.message, "candidates": list(error.candidates)}
            return self._state.end(operation, OperationState.AMBIGUOUS, detail)
        if self._is_sent(operation):
            return self._end_sent_with(operation, error)
        if error.ambiguous:
            return self._state.end(operation, OperationState.AMBIGUOUS, {"message": str(error)})
        if _concerns_the_run(error):
            self._state.leave_open(operation, self._state.settled_state(operation), str(error))
            return self._stop(error.message)
        if _had_no_effect(error) or self._is_in_doubt(operation):
            self._state.failed += 1
            return self._state.leave_open(operation, self._state.settled_state(operation), str(error))
        detail = {"message": str(error), "error": type(error).__name__}
        return self._state.end(operation, OperationState.FAILED, detail)

    def _is_in_doubt(self, operation: PlannedOperation) -> bool:
        """Return whether an earlier run may have carried out the operation, and a check of this has failed."""
        if isinstance(operation.action, Task) and operation.action.is_repeatable:
            return False
        settled = self._state.settled_state(operation)
        return settled is OperationState.INTENDED or self._state.may_be_done(operation)

    def _end_sent_with(self, operation: PlannedOperation, error: LaunchError) -> None:
        """Record why the wait for an existing deployment failed. A resumption can wait again."""
        if isinstance(error, NotFoundError):
            return self._state.end(operation, OperationState.FAILED, {"message": str(error)})
        message = error.message if isinstance(error, WaitTimeout) else str(error)
        self._state.failed += 1
        self._state.leave_open(operation, OperationState.SENT, message)
        if _concerns_the_run(error):
            self._stop(error.message)
        return None

    def _check_failures(self) -> None:
        """Stop the run if too large a share of the plan's targets has failed."""
        failed, total, share = self._state.failed, len(self._plan.operations), self._options.stop_on_failures
        if share is not None and failed > share * total:
            self._stop(f"{failed} of {count_of(total, 'target')} failed")

    def _stop(self, reason: str) -> None:
        if not self._control.stopped:
            self._control.cancel(reason)
            self._state.emit(FleetEventKind.STOPPING, message=reason)


def _concerns_the_run(error: LaunchError) -> bool:
    """Return whether all other targets would get the same error."""
    if isinstance(error, GitProviderError):
        return False
    return isinstance(error, ClosedError | ConfigurationError | QuotaExceededError | UnauthorizedError)


def _had_no_effect(error: LaunchError) -> bool:
    """Return whether the service has done nothing, and a later try may succeed."""
    if isinstance(error, DeadlineExceeded):
        return not error.ambiguous
    return error.retryable and not error.ambiguous

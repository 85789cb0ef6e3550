"""From a `StatePlan` to a run of a fleet: confirmations, values and tokens are checked before anything is sent."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import attrs

from launch_async._text import listed
from launch_async.deploy.sources import ready_archive
from launch_async.errors import (
    ConfigurationError,
    InvalidArgumentError,
    JournalError,
    JournalInUse,
    MissingScopeError,
)
from launch_async.fleet.journal.file import FileJournal
from launch_async.fleet.journal.given import journal_of
from launch_async.fleet.journal.journal import Journal
from launch_async.fleet.journal.memory import MemoryJournal
from launch_async.fleet.plan.actions import Mixed, Redeploy, Task
from launch_async.fleet.plan.confirmation import is_protected
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.plan.plan import Plan
from launch_async.fleet.report.report import FleetReport
from launch_async.fleet.run.options import RunOptions
from launch_async.fleet.run.running import FleetRun
from launch_async.fleet.services import FleetServices
from launch_async.models.project import ProjectType
from launch_async.state.declarations import Declaration
from launch_async.state.document import State
from launch_async.state.plan import StatePlan, changes_of
from launch_async.state.resolving import resolve
from launch_async.state.run.journalled import operation_of, redeployment_of, step_of
from launch_async.state.run.performing import StatePerformer
from launch_async.state.steps import CREATIONS, Step, StepKind
from launch_async.state.values import Delete, UnresolvedError, VariableSource
from launch_async.wire.secret import Secret

__all__ = ["RedeployWhen", "applied", "resumed"]

RedeployWhen: TypeAlias = Literal["changed"]
"""Which environments are deployed again: those whose changes show only then."""

_UNCONFIRMED: Final = 20


async def applied(
    services: FleetServices,
    plan: StatePlan,
    *,
    journal: str | os.PathLike[str] | Journal | None,
    confirm: int | None,
    redeploy: RedeployWhen | None,
    options: RunOptions,
) -> FleetReport:
    """Do what `DeclaredState.apply` promises."""
    if redeploy not in (None, "changed"):
        raise InvalidArgumentError("redeploy", f"{redeploy!r} is neither None nor 'changed'")
    _check_owner(services, plan.host, plan.organization_uid)
    _check_confirmation(plan, confirm, options.protected)
    planned = _planned(services, plan, redeploy)
    values = await _checked(services, plan.steps, plan.state, planned.operations)
    steps = {operation.key: step for operation, step in zip(planned.operations, plan.steps, strict=False)}
    kept = journal_of(journal)
    if plan.is_empty and not (isinstance(kept, FileJournal) and kept.is_there):
        # There is nothing to write down, unless an earlier run was interrupted.
        kept = MemoryJournal()
    try:
        kept.open(planned, check=lambda one: _check_owner(services, one.host, one.organization_uid))
    except JournalInUse:
        raise
    except JournalError:
        match _fit(services, kept, planned):
            case "unfinished":
                return await resumed(services, kept, plan.state, options=options)
            case "over" if isinstance(kept, FileJournal):
                kept.set_aside()
                kept.open(planned, check=lambda one: _check_owner(services, one.host, one.organization_uid))
            case _:
                raise
    return await _run(services, planned, kept, steps, values, plan.state, options)


async def resumed(
    services: FleetServices,
    journal: str | os.PathLike[str] | Journal,
    state: State,
    *,
    options: RunOptions,
) -> FleetReport:
    """Do what `DeclaredState.resume` promises."""
    kept = journal_of(journal)
    planned = kept.open(None, check=lambda one: _check_owner(services, one.host, one.organization_uid))
    try:
        if not isinstance(planned.action, Mixed):
            raise JournalError("the journal is of a fleet's run: fleet.resume(journal) resumes it")
        states = {entry.key: entry.state for entry in kept.entries()}
        left = [one for one in planned.operations if not states[one.key].is_final]
        steps = {one.key: step_of(one, state) for one in left if isinstance(one.action, Task)}
        values = await _checked(services, list(steps.values()), state, left)
    except BaseException:
        kept.close()
        raise
    return await _run(services, planned, kept, steps, values, state, options)


async def _run(
    services: FleetServices,
    planned: Plan,
    kept: Journal,
    steps: Mapping[str, Step],
    values: Mapping[VariableSource, Secret],
    state: Declaration,
    options: RunOptions,
) -> FleetReport:
    """Run a plan whose journal is open, and close the journal."""
    assert isinstance(planned.action, Mixed)  # noqa: S101 - only these are made here
    try:
        performer = StatePerformer(
            services,
            steps,
            values,
            salt=planned.action.salt,
            protected=options.protected,
            folder=state.folder,
        )
        return await FleetRun(services, planned, kept, attrs.evolve(options, performer=performer)).run()
    finally:
        kept.close()


def _planned(services: FleetServices, plan: StatePlan, redeploy: RedeployWhen | None) -> Plan:
    """Return a plan of a fleet: the steps first, then the redeployments, each in its stage."""
    action = Mixed(title="apply declared state", salt=secrets.token_hex(16))
    operations = [operation_of(step, plan.steps, action.salt) for step in plan.steps]
    if redeploy == "changed":
        operations += [redeployment_of(step, plan.steps) for step in plan.steps if _shows_late(step)]
    budget = services.pipeline.limiter.status()
    return Plan.mixed(
        action,
        operations,
        host=services.host,
        organization_uid=services.pipeline.organization_uid,
        rate=budget.rate,
        poll_rate=budget.poll_rate,
        created_at=services.service_time,
    )


def _shows_late(step: Step) -> bool:
    return step.kind is StepKind.UPDATE_ENVIRONMENT and any(one.needs_redeploy for one in changes_of([step]))


def _fit(services: FleetServices, kept: Journal, planned: Plan) -> Literal["unfinished", "over", "foreign"]:
    """Return what a journal of another plan is to this one.

    An unfinished run of all that this plan does is gone on with. One that is over makes room. Anything else is foreign.
    """

    def check(earlier: Plan) -> None:
        _check_owner(services, earlier.host, earlier.organization_uid)
        if not isinstance(earlier.action, Mixed):
            raise JournalError("the journal is of something else")

    try:
        earlier = kept.open(None, check=check)
    except (JournalError, ConfigurationError):
        return "foreign"
    try:
        if all(entry.state.is_final for entry in kept.entries()):
            return "over"
        keys = {one.key for one in earlier.operations}
        return "unfinished" if {one.key for one in planned.operations} <= keys else "foreign"
    finally:
        kept.close()


async def _checked(
    services: FleetServices, steps: Sequence[Step], state: Declaration, operations: Iterable[PlannedOperation]
) -> dict[VariableSource, Secret]:
    """Return the values that some steps write, once all is known to be there that the run needs.

    Raises:
        InvalidArgumentError: References lead to no value.
        ArchiveError: Files of a new project or environment cannot be uploaded as they are.
        MissingScopeError: The token is an app's, which cannot do that.
    """
    _check_token(services, operations)
    found = await resolve(_sources(steps), state.folder)
    missing = [str(value) for value in found.values() if isinstance(value, UnresolvedError)]
    if missing:
        raise InvalidArgumentError("state", f"cannot be applied: {'; '.join(missing)}. Nothing was sent")
    for source in dict.fromkeys(step.source for step in steps if step.source is not None):
        async with ready_archive(state.folder / source, secrets="refuse"):
            pass
    return {source: value for source, value in found.items() if isinstance(value, Secret)}


def _sources(steps: Iterable[Step]) -> list[VariableSource]:
    return [
        source
        for step in steps
        for source in (*step.variables.values(), step.password)
        if source is not None and not isinstance(source, Delete)
    ]


def _check_token(services: FleetServices, operations: Iterable[PlannedOperation]) -> None:
    """Refuse what only a user may do, where the token is an app's."""
    if not services.pipeline.is_for_app:
        return
    names = [f"{one}" for one in StepKind if one in CREATIONS]
    refused = [
        one.label
        for one in operations
        if one.target.project_type == ProjectType.GITPROVIDER
        and (isinstance(one.action, Redeploy) or (isinstance(one.action, Task) and one.action.name in names))
    ]
    if refused:
        raise MissingScopeError(
            f"{listed(refused, 3)}: Git projects need a user's token, because an app (M2M) token cannot reach the Git "
            "account. Use an Authtoken or a user's OAuth token. Nothing was sent"
        )


def _check_owner(services: FleetServices, host: str, organization_uid: str | None) -> None:
    mine = services.pipeline.organization_uid
    if host != services.host:
        raise ConfigurationError(f"the plan was made for {host}, this client talks to {services.host}")
    if None not in (organization_uid, mine) and organization_uid != mine:
        raise ConfigurationError(f"the plan was made for organization {organization_uid}, this client is of {mine}")


def _check_confirmation(plan: StatePlan, confirm: int | None, protected: Sequence[str]) -> None:
    """Refuse a plan that wants a confirmation and has none, or a wrong one."""
    count = len(plan.changes)
    if confirm is not None and (isinstance(confirm, bool) or confirm != count):
        raise InvalidArgumentError("confirm", f"is {confirm}, and the plan has {count} changes; look at it again")
    guarded = [
        step.label
        for step in plan.steps
        if step.kind not in CREATIONS
        and step.environment
        and (
            step.protected
            or is_protected(step.environment_name, protected)
            or is_protected(step.environment, protected)
        )
        and step.environment_uid
    ]
    deletions = [
        step.label for step in plan.steps if step.kind in (StepKind.DELETE_ENVIRONMENT, StepKind.DELETE_PROJECT)
    ]
    reasons = [
        *([f"it makes more than {_UNCONFIRMED} changes"] if count > _UNCONFIRMED else []),
        *([f"it changes protected environments ({listed(guarded, 3)})"] if guarded else []),
        *([f"it deletes {listed(deletions, 3)}"] if deletions else []),
    ]
    if reasons and confirm is None:
        raise InvalidArgumentError("confirm", f"is needed, because {' and '.join(reasons)}: pass confirm={count}")

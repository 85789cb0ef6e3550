"""Convert a `StatePlan` to a run of a fleet, and check confirmations, values and tokens before the first request."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

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
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.plan.plan import Plan
from launch_async.fleet.report.report import FleetReport
from launch_async.fleet.run.options import RunOptions
from launch_async.fleet.run.running import FleetRun
from launch_async.fleet.services import FleetServices
from launch_async.models.project import ProjectType
from launch_async.state.declarations import Declaration
from launch_async.state.document import State
from launch_async.state.plan import StatePlan, changes_of, reasons_to_confirm
from launch_async.state.resolving import resolve
from launch_async.state.run.journalled import operation_of, redeployment_of, step_of
from launch_async.state.run.performing import StatePerformer
from launch_async.state.steps import CREATIONS, Step, StepKind
from launch_async.state.values import Delete, UnresolvedError, VariableSource
from launch_async.wire.secret import Secret

__all__ = ["RedeployWhen", "applied", "resumed"]

RedeployWhen: TypeAlias = Literal["changed"]
"""The environments to redeploy: those with changes that take effect only with a deployment."""


async def applied(
    services: FleetServices,
    plan: StatePlan,
    *,
    journal: str | os.PathLike[str] | Journal | None,
    confirm: int | None,
    redeploy: RedeployWhen | None,
    options: RunOptions,
) -> FleetReport:
    """Implement `DeclaredState.apply`."""
    if redeploy not in (None, "changed"):
        raise InvalidArgumentError("redeploy", f"must be None or 'changed', not {redeploy!r}")
    _check_owner(services, plan.host, plan.organization_uid)
    _check_confirmation(plan, confirm, options.protected)
    planned = _planned(services, plan, redeploy)
    values = await _checked(services, plan.steps, plan.state, planned.operations)
    steps = {operation.key: step for operation, step in zip(planned.operations, plan.steps, strict=False)}
    kept = journal_of(journal)
    if plan.is_empty and not (isinstance(kept, FileJournal) and kept.exists):
        # An empty plan needs no file, unless an earlier run was interrupted.
        kept = MemoryJournal()
    try:
        kept.open(planned, check=lambda one: _check_owner(services, one.host, one.organization_uid))
    except JournalInUse:
        raise
    except JournalError:
        match _relation(services, kept, planned):
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
    """Implement `DeclaredState.resume`."""
    kept = journal_of(journal)
    planned = kept.open(None, check=lambda one: _check_owner(services, one.host, one.organization_uid))
    try:
        if not isinstance(planned.action, Mixed):
            raise JournalError("The journal belongs to a bulk operation. Resume it with launch.fleet.resume(journal)")
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
    assert isinstance(planned.action, Mixed)  # noqa: S101 - this module makes only plans of this kind
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
    """Return the plan of a fleet with the steps and redeployments, each in its stage."""
    action = Mixed(title="apply declared state", salt=secrets.token_hex(16))
    operations = [operation_of(step, plan.steps, action.salt) for step in plan.steps]
    if redeploy == "changed":
        operations += [redeployment_of(step, plan.steps) for step in plan.steps if _needs_redeployment(step)]
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


def _needs_redeployment(step: Step) -> bool:
    return step.kind is StepKind.UPDATE_ENVIRONMENT and any(one.needs_redeploy for one in changes_of([step]))


def _relation(services: FleetServices, kept: Journal, planned: Plan) -> Literal["unfinished", "over", "foreign"]:
    """Return how the journal of another plan relates to this plan.

    An unfinished run with all operations of this plan can continue. A run that has ended can be replaced. All other
    journals are foreign.
    """

    def check(earlier: Plan) -> None:
        _check_owner(services, earlier.host, earlier.organization_uid)
        if not isinstance(earlier.action, Mixed):
            raise JournalError("The journal belongs to another kind of run")

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
    """Return the values that some steps write, after checking everything that the run needs.

    Raises:
        InvalidArgumentError: References have no value.
        ArchiveError: The SDK refuses the files of a new project or environment.
        MissingScopeError: An app's token cannot run these steps.
    """
    _check_token(services, operations)
    found = await resolve(_sources(steps), state.folder)
    missing = [str(value) for value in found.values() if isinstance(value, UnresolvedError)]
    if missing:
        raise InvalidArgumentError("state", f"has references without a value: {'; '.join(missing)}. Nothing was sent")
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
    """Refuse operations that need a user's token, if the token is an app's."""
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
        raise ConfigurationError(
            f"The plan was made for {host}, but this client uses {services.host}. Use a client of the same region"
        )
    if None not in (organization_uid, mine) and organization_uid != mine:
        raise ConfigurationError(
            f"The plan was made for organization {organization_uid}, but this client uses {mine}. Use a client "
            "of the same organization"
        )


def _check_confirmation(plan: StatePlan, confirm: int | None, protected: Sequence[str]) -> None:
    """Refuse a plan without its confirmation, or with a wrong one."""
    count = len(plan.changes)
    if confirm is not None and (isinstance(confirm, bool) or confirm != count):
        raise InvalidArgumentError(
            "confirm", f"is {confirm}, but the plan has {count} changes. Check the plan, then pass confirm={count}"
        )
    reasons = reasons_to_confirm(plan, protected)
    if reasons and confirm is None:
        raise InvalidArgumentError("confirm", f"is needed, because {' and '.join(reasons)}: pass confirm={count}")

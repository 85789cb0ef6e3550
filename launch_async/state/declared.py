"""`DeclaredState` (`launch.state`): pull a document from the service, show the drift, apply the document."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

import attrs

from launch_async.errors import InvalidArgumentError, NotFoundError, StateError
from launch_async.fleet.journal.journal import Journal
from launch_async.fleet.plan.confirmation import PROTECTED
from launch_async.fleet.plan.selecting import batches, gather
from launch_async.fleet.plan.targets import several
from launch_async.fleet.plan.waves import STOP_ON_FAILURES
from launch_async.fleet.report.report import FleetReport
from launch_async.fleet.run.control import FleetControl
from launch_async.fleet.run.events import FleetEvent
from launch_async.fleet.run.options import RunOptions
from launch_async.fleet.services import FleetServices
from launch_async.http.metering import Meter, metered
from launch_async.models.environment import Environment
from launch_async.models.project import Project
from launch_async.rate_limit.types import Priority
from launch_async.resources._resource import with_methods
from launch_async.resources.finding import matching, only
from launch_async.state.comparing import Comparison
from launch_async.state.declarations import Declaration
from launch_async.state.document import Reference, State
from launch_async.state.matching import ProjectSlot, environment_slots, project_slots
from launch_async.state.plan import StatePlan, changes_of
from launch_async.state.pulling import Pull
from launch_async.state.resolving import resolve, sources_of
from launch_async.state.run.applying import RedeployWhen, applied, resumed
from launch_async.watch.audience import showing_run

__all__ = ["DeclaredState"]


class DeclaredState:
    """Declared state: compare an organization with a document, and apply it. `pull` and `diff` only read."""

    def __init__(self, services: FleetServices) -> None:
        self._services = services

    def __repr__(self) -> str:
        return with_methods(self, self._services.pipeline.base_url)

    async def pull(self, projects: str | Iterable[str] | None = None) -> State:
        """Return a document of the current state. A comparison with this document shows no difference.

        Values of variables that look secret become references, such as `env:SHOP_PRODUCTION_API_TOKEN`; the document's
        `references` list them. The call takes one request per 100 projects, and one per project.

        Args:
            projects: Names, name patterns or UIDs of projects; all projects of the organization by default.

        Raises:
            NameNotFound: A name, pattern or UID matches no project.

        API: `listProjects`, `listEnvironments`; scope `launch.projects:read` or `launch:manage`.
        """
        with metered(Meter(priority=Priority.WRITE)):
            found = await self._services.projects.list()
            if projects is not None:
                wanted = several(projects)
                for one in wanted:
                    if not matching(found, [one]):
                        only("project", one, found, globs=True)
                found = matching(found, wanted)
            pull = Pull()
            for project, environments in await self._listings(sorted(found, key=_name)):
                pull.add(project, sorted(environments, key=_name))
        return pull.finished()

    async def diff(self, state: State) -> StatePlan:
        """Return the changes that a document needs, without writing anything.

        The call takes one request per 100 projects, and one for each project in the document. The SDK does not compare
        a reference without a value on this machine; the plan lists such references.

        Args:
            state: The document.

        Raises:
            StateError: The document cannot be applied, for example because a new project has no source. The error
                lists all problems.

        API: `listProjects`, `listEnvironments`; scope `launch.projects:read` or `launch:manage`.
        """
        if not isinstance(state, Declaration):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(
                "state", f"must be a State, not a {type(state).__name__}: load it with State.load(path)"
            )
        with metered(Meter(priority=Priority.WRITE)) as meter:
            slots = project_slots(state, await self._services.projects.list())
            there = [slot.actual for slot in slots if slot.actual is not None]
            listed = {project.uid: environments for project, environments in await self._listings(there)}
        # A project that was deleted since the listing has no environments.
        slots = [slot for slot in slots if slot.actual is None or slot.actual.uid in listed]
        comparison = await compared(state, slots, lambda slot: listed[slot.actual.uid] if slot.actual else ())
        if comparison.problems:
            raise StateError(sorted(comparison.problems, key=lambda one: one.line or 0))
        return StatePlan(
            changes=tuple(changes_of(comparison.steps)),
            unresolved=tuple(Reference(name, tuple(users)) for name, users in comparison.unresolved.items()),
            notes=tuple(comparison.notes),
            diff_requests=meter.requests,
            host=self._services.host,
            organization_uid=self._services.pipeline.organization_uid,
            created_at=self._services.now(),
            state=state,
            steps=tuple(comparison.steps),
        )

    async def apply(
        self,
        plan: StatePlan,
        *,
        journal: str | os.PathLike[str] | Journal | None = None,
        confirm: int | None = None,
        redeploy: RedeployWhen | None = None,
        protected: str | Iterable[str] = PROTECTED,
        canary: int = 0,
        wave_size: int | None = None,
        concurrency: int | None = None,
        stop_on_failures: float | None = STOP_ON_FAILURES,
        timeout: float | None = None,
        deployment_timeout: float = 3600.0,
        on_event: Callable[[FleetEvent], object] | None = None,
        progress: bool | None = None,
        control: FleetControl | None = None,
    ) -> FleetReport:
        """Make the changes of a plan as a bulk operation, with waves, a journal, a report and a stop on failures.

        The changes run in this order: projects, environments, settings and variables, redeployments, deletions. The SDK
        reads each object before it writes, and writes nothing if the object already has the declared values. If someone
        has changed the same settings or variables since the comparison, the SDK writes nothing and the target fails
        with `ConflictError`. A second `apply` sends no writes. `apply` waits for redeployments. The service deploys new
        environments for the first time, and `apply` does not wait for these deployments.

        If the journal belongs to an interrupted run with all changes of this plan, `apply` continues that run like
        `resume`. If that run has ended, `apply` renames the file to end in `.previous` and starts a new journal.

        Args:
            plan: The plan from `diff`.
            journal: File of the journal, or a journal object. Without a journal, an interrupted run cannot be resumed;
                compare again instead.
            confirm: The number of changes in the plan, as a confirmation. It is required for more than 20 changes, for
                changes of protected environments, and for deletions.
            redeploy: `changed` to redeploy the environments whose changes take effect only with a deployment; None for
                no redeployments.
            protected: Name patterns of environments that need `confirm`, as well as those that the document protects.
            canary: Changes of a first wave. This argument and all further arguments work as in `fleet.run`.
            wave_size: Changes of each further wave; None for waves that grow.
            concurrency: Targets in progress at the same time; None for all targets of a wave.
            stop_on_failures: Share of the targets, from 0 to 1, that may fail before the run stops.
            timeout: Seconds for the whole run; None for no limit.
            deployment_timeout: Seconds for each deployment.
            on_event: Called with each event.
            progress: Whether to show the progress of the run, as for `fleet.run`.
            control: Pauses, resumes or stops the run.

        Returns:
            The report. It contains the failures of single targets, which `apply` does not raise.

        Raises:
            InvalidArgumentError: A confirmation is missing, a reference has no value, or an option is out of range.
            ArchiveError: The SDK refuses the files of a new project or environment; nothing was sent.
            MissingScopeError: A Git project needs a user's token, and this is an app's token; nothing was sent.
            ConfigurationError: The plan was made for another organization or region.
            JournalError: The journal cannot be used and was not changed; `JournalInUse` if another run uses it.

        API: all operations of projects and environments; scope `launch:manage`, or `launch.projects:write` and, for
        deletions, `launch.projects:delete`.
        """
        if not isinstance(plan, StatePlan):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(
                "plan", f"must be a StatePlan, not a {type(plan).__name__}: compare a document with diff(state)"
            )
        options = RunOptions(
            canary=canary,
            wave_size=wave_size,
            concurrency=concurrency,
            stop_on_failures=stop_on_failures,
            timeout=timeout,
            deployment_timeout=deployment_timeout,
            protected=several(protected),
            on_event=on_event,
            control=control or FleetControl(),
        )
        with showing_run(progress, on_event) as shown:
            return await applied(
                self._services,
                plan,
                journal=journal,
                confirm=confirm,
                redeploy=redeploy,
                options=attrs.evolve(options, on_event=shown),
            )

    async def resume(
        self,
        journal: str | os.PathLike[str] | Journal,
        state: State,
        *,
        protected: str | Iterable[str] = PROTECTED,
        canary: int = 0,
        wave_size: int | None = None,
        concurrency: int | None = None,
        stop_on_failures: float | None = STOP_ON_FAILURES,
        timeout: float | None = None,
        deployment_timeout: float = 3600.0,
        on_event: Callable[[FleetEvent], object] | None = None,
        progress: bool | None = None,
        control: FleetControl | None = None,
    ) -> FleetReport:
        """Finish an interrupted `apply`. Each change is made exactly once.

        The run continues with its original plan. The SDK checks changes with an unknown outcome. A journal contains
        no values of variables, so the SDK reads them from the document. Failed targets are not retried: compare again.

        Args:
            journal: The journal of the run.
            state: The document of the run.
            protected: Name patterns of protected environments. This and all further arguments work as in `apply`.
            canary: Changes of a first wave of the targets that have not started.
            wave_size: Changes of each further wave; None for waves that grow.
            concurrency: Targets in progress at the same time; None for all targets of a wave.
            stop_on_failures: Share of the targets, from 0 to 1, that may fail before the run stops.
            timeout: Seconds for the rest of the run; None for no limit.
            deployment_timeout: Seconds for each deployment.
            on_event: Called with each event.
            progress: Whether to show the progress of the run, as for `fleet.run`.
            control: Pauses, resumes or stops the run.

        Returns:
            The report of the whole run, including the part before the interruption.

        Raises:
            InvalidArgumentError: The document no longer has a source for a value, a reference has no value, or an
                option is out of range.
            MissingScopeError: A Git project needs a user's token, and this is an app's token; nothing was sent.
            ConfigurationError: The plan was made for another organization or region.
            JournalError: The journal cannot be used and was not changed; `JournalInUse` if another run uses it.
        """
        options = RunOptions(
            canary=canary,
            wave_size=wave_size,
            concurrency=concurrency,
            stop_on_failures=stop_on_failures,
            timeout=timeout,
            deployment_timeout=deployment_timeout,
            protected=several(protected),
            on_event=on_event,
            control=control or FleetControl(),
        )
        with showing_run(progress, on_event) as shown:
            return await resumed(self._services, journal, state, options=attrs.evolve(options, on_event=shown))

    async def _listings(self, projects: Sequence[Project]) -> list[tuple[Project, Sequence[Environment]]]:
        """Return projects with their environments, without projects that were deleted since the listing."""
        found: list[tuple[Project, Sequence[Environment]]] = []
        for batch in batches(projects):
            listings = await gather(self._environments(project) for project in batch)
            found += [
                (project, environments)
                for project, environments in zip(batch, listings, strict=True)
                if environments is not None
            ]
        return found

    async def _environments(self, project: Project) -> Sequence[Environment] | None:
        try:
            return await self._services.environments.list(project.uid)
        except NotFoundError:
            return None


def _name(one: Project | Environment) -> str:
    return one.name or ""


async def compared(
    state: State, slots: Sequence[ProjectSlot], environments_of: Callable[[ProjectSlot], Sequence[Environment]]
) -> Comparison:
    """Compare a document with listings."""
    pairs = [(slot, environment_slots(state, slot, environments_of(slot))) for slot in slots]
    wanted = [environment.wanted for _, environments in pairs for environment in environments]
    comparison = Comparison(state, await resolve(sources_of(wanted), state.folder))
    for slot, environments in pairs:
        comparison.compare(slot, environments, environments_of(slot))
    comparison.sort()
    return comparison

"""`DeclaredState`: `launch.state`. Pull a document from the service, show the drift, apply the document."""

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
    """Declared state: a document says what a fleet should be. `pull` and `diff` only read."""

    def __init__(self, services: FleetServices) -> None:
        self._services = services

    def __repr__(self) -> str:
        return with_methods(self, self._services.pipeline.base_url)

    async def pull(self, projects: str | Iterable[str] | None = None) -> State:
        """Return a document that says what is there: comparing it shows no difference.

        Values of variables that look secret become references, such as `env:SHOP_PRODUCTION_API_TOKEN`; the document's
        `references` list what to set. It takes a request for each 100 projects, and one for each project.

        Args:
            projects: Names, name patterns or UIDs of projects; all of the organization by default.

        Raises:
            NameNotFound: A name, pattern or UID fits no project.

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
        """Return what applying a document would change; nothing is written.

        It takes a request for each 100 projects, and one for each project that the document is about: listings hold all
        that is compared. A reference that leads to no value here is compared with nothing, and the plan lists it.

        Args:
            state: The document.

        Raises:
            StateError: The document cannot be applied as it is, such as a new project without a source; all problems
                at once.

        API: `listProjects`, `listEnvironments`; scope `launch.projects:read` or `launch:manage`.
        """
        if not isinstance(state, Declaration):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(
                "state", f"expected a State, not {type(state).__name__}: State.load(path) reads one"
            )
        with metered(Meter(priority=Priority.WRITE)) as meter:
            slots = project_slots(state, await self._services.projects.list())
            there = [slot.actual for slot in slots if slot.actual is not None]
            listed = {project.uid: environments for project, environments in await self._listings(there)}
        # A project that is gone since it was listed has no listing.
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
        """Make the changes of a plan, as a run of a fleet: in waves, with a journal, a report and a stop on failures.

        Each change is made after what it needs: a project before its environments, these before their variables, then
        redeployments, then deletions. Before each write the same thing is read. What is as it should be already is not
        written. Where somebody else changed the same thing since the comparison, nothing is written, and the target
        fails with `ConflictError`. A second apply sends no write.

        A journal of an interrupted run that included all changes of this plan is gone on with, as by `resume`. One
        whose run is over makes room: its file gets `.previous` at the end of its name.

        Args:
            plan: What `diff` returned.
            journal: File of the journal, or a journal of your own. Without one, an interrupted run cannot be resumed;
                compare again instead.
            confirm: How many changes you mean to make. It must be given, and be right, for more than 20 changes, for
                changes of protected environments, and for deletions.
            redeploy: `changed` to deploy each environment again whose changes show only then, and to wait for it; None
                for no deployments but the first ones of new environments, which are not waited for.
            protected: Name patterns of environments that need `confirm`, beside those that the document protects.
            canary: As for `fleet.run`, like all further arguments.
            wave_size: Changes of each further wave; None for waves that grow.
            concurrency: Targets that are under way at the same time; None for as many as a wave has.
            stop_on_failures: Share of the targets that may fail, 0 to 1, before nothing more is sent.
            timeout: Seconds for the whole run; None for no limit.
            deployment_timeout: Seconds that one deployment may take.
            on_event: Called with each event.
            progress: Whether to show the progress of the run, as for `fleet.run`.
            control: Pauses, resumes or stops the run from outside.

        Returns:
            The report; failures of single targets are in it and are not raised.

        Raises:
            InvalidArgumentError: A confirmation is missing, a reference leads to no value, or an option is out of its
                range.
            ArchiveError: Files of a new project or environment cannot be uploaded as they are; nothing was sent.
            MissingScopeError: The token is an app's, and a Git project needs a user's; nothing was sent.
            ConfigurationError: The plan was made for another organization or region.
            JournalError: The journal cannot be used; it was left as it was. `JournalInUse` if another run has it.

        API: all operations of projects and environments; scope `launch:manage`, or `launch.projects:write` and, for
        deletions, `launch.projects:delete`.
        """
        if not isinstance(plan, StatePlan):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(
                "plan", f"expected a StatePlan, not {type(plan).__name__}: diff(state) makes one"
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
        """Finish an interrupted `apply`: do what is missing, look up what is unknown, and nothing twice.

        The changes are those of the plan that the run began with. A journal holds no value of a variable: these come
        from the document again. What has failed stays failed: compare again.

        Args:
            journal: The journal of the run.
            state: The document that the run began with.
            protected: As for `apply`, like all further arguments.
            canary: Targets of a first wave of what was not begun.
            wave_size: Changes of each further wave; None for waves that grow.
            concurrency: Targets that are under way at the same time; None for as many as a wave has.
            stop_on_failures: Share of the targets that may fail, 0 to 1, before nothing more is sent.
            timeout: Seconds for the rest of the run; None for no limit.
            deployment_timeout: Seconds that one deployment may take.
            on_event: Called with each event.
            progress: Whether to show the progress of the run, as for `fleet.run`.
            control: Pauses, resumes or stops the run from outside.

        Returns:
            The report of everything, what was done before included.

        Raises:
            InvalidArgumentError: The document does not say any more where a value comes from, a reference leads to no
                value, or an option is out of range.
            MissingScopeError: The token is an app's, and a Git project needs a user's; nothing was sent.
            ConfigurationError: The plan was made for another organization or region.
            JournalError: The journal cannot be used; it was left as it was. `JournalInUse` if another run has it.
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
        """Return projects with their environments; those that are gone are left out."""
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
    """Return what it takes to make what is listed what a document says."""
    pairs = [(slot, environment_slots(state, slot, environments_of(slot))) for slot in slots]
    wanted = [environment.wanted for _, environments in pairs for environment in environments]
    comparison = Comparison(state, await resolve(sources_of(wanted), state.folder))
    for slot, environments in pairs:
        comparison.compare(slot, environments, environments_of(slot))
    comparison.sort()
    return comparison

"""`DeclaredState`: `launch.state`. Pull a document from the service, show the drift, apply the document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from launch_async.errors import InvalidArgumentError, NotFoundError, StateError
from launch_async.fleet.plan.selecting import batches, gather
from launch_async.fleet.plan.targets import several
from launch_async.fleet.services import FleetServices
from launch_async.http.metering import Meter, metered
from launch_async.models.environment import Environment
from launch_async.models.project import Project
from launch_async.rate_limit.types import Priority
from launch_async.resources._resource import with_methods
from launch_async.resources.finding import matching, only
from launch_async.state.comparing import Comparison
from launch_async.state.declarations import Declaration, DeclaredSettings
from launch_async.state.document import Reference, State
from launch_async.state.matching import ProjectSlot, environment_slots, project_slots
from launch_async.state.plan import StatePlan, changes_of
from launch_async.state.pulling import Pull
from launch_async.state.values import Delete, UnresolvedError, VariableSource, resolved
from launch_async.wire.secret import Secret

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
    comparison = Comparison(state, await resolve(wanted, state))
    for slot, environments in pairs:
        comparison.compare(slot, environments, environments_of(slot))
    comparison.sort()
    return comparison


async def resolve(
    settings: Iterable[DeclaredSettings], state: Declaration
) -> dict[VariableSource, Secret | UnresolvedError]:
    """Return what the sources of some settings lead to, or why they lead nowhere; each is asked once."""
    folder = state.origin.folder if state.origin is not None else State().folder
    found: dict[VariableSource, Secret | UnresolvedError] = {}
    for one in settings:
        password = None if one.password_protection is None else one.password_protection.password
        for source in (*one.variables.values(), password):
            if source is not None and not isinstance(source, Delete) and source not in found:
                try:
                    found[source] = await resolved(source, folder)
                except UnresolvedError as error:
                    found[source] = error
    return found

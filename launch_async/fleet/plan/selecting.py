"""Selection: the environments of an organization that match some criteria."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar, cast

import attrs

from launch_async.errors import InvalidArgumentError, LaunchError, NotFoundError
from launch_async.fleet.plan.reading import Reading, ReadingClock
from launch_async.fleet.plan.targets import Selection, Target, matches, several
from launch_async.fleet.services import FleetServices
from launch_async.http.metering import Meter, metered
from launch_async.http.operation import check_uid, is_uid
from launch_async.models.deployment import Deployment
from launch_async.models.domain import Domain
from launch_async.models.environment import Environment
from launch_async.models.framework_preset import FrameworkPreset
from launch_async.models.project import Project
from launch_async.rate_limit.types import Priority
from launch_async.resources._certificates import host_of
from launch_async.resources.finding import matching, only
from launch_async.variables import values_of
from launch_async.watch.report import build_lengths

__all__ = [
    "Criteria",
    "batches",
    "find_all",
    "gather",
    "look_up_newest",
    "read_targets",
    "sampled",
    "select",
    "target_of",
    "with_readings",
]

T = TypeVar("T")

_LOG: Final = logging.getLogger("launch_async.fleet")
_MAX_REQUESTS: Final = 20
"""Maximum number of requests that run at the same time."""
_SAMPLED_TARGETS: Final = 5
"""Number of targets whose earlier builds a forecast reads."""


def _several(given: str | Iterable[str] | None) -> tuple[str, ...] | None:
    return None if given is None else several(given)


def _set(given: str | Iterable[str] | None) -> frozenset[str] | None:
    return None if given is None else frozenset(several(given))


def _hosts(given: str | Iterable[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(pattern.lower() for pattern in several(given))


def _check_uids(_: Criteria, field: attrs.Attribute[frozenset[str] | None], uids: frozenset[str] | None) -> None:
    for uid in uids or ():
        check_uid(field.name, uid)


@attrs.frozen(kw_only=True)
class Criteria:
    """The criteria of `Fleet.select`. Criteria that are None match everything."""

    projects: tuple[str, ...] | None = attrs.field(default=None, converter=_several)
    environments: tuple[str, ...] | None = attrs.field(default=None, converter=_several)
    project_uids: frozenset[str] | None = attrs.field(default=None, converter=_set, validator=_check_uids)
    environment_uids: frozenset[str] | None = attrs.field(default=None, converter=_set, validator=_check_uids)
    git_branch: str | None = None
    framework_preset: FrameworkPreset | str | None = None
    last_status: frozenset[str] | None = attrs.field(default=None, converter=_set)
    idle_for: timedelta | None = None
    domains: tuple[str, ...] | None = attrs.field(default=None, converter=_hosts)

    @property
    def reads_deployments(self) -> bool:
        """Whether the selection must read the newest deployment of each environment, with one request each."""
        return self.last_status is not None or self.idle_for is not None

    def matching_projects(self, projects: Sequence[Project]) -> list[Project]:
        """Return the projects that may contain targets."""
        named = projects if self.projects is None else matching(projects, self.projects)
        return [project for project in named if self.project_uids is None or project.uid in self.project_uids]

    def matching_environments(self, environments: Sequence[Environment]) -> list[Environment]:
        """Return the environments of a project that may be targets."""
        named = environments if self.environments is None else matching(environments, self.environments)
        return [
            environment
            for environment in named
            if (self.environment_uids is None or environment.uid in self.environment_uids)
            and (self.git_branch is None or matches(environment.git_branch, (self.git_branch,)))
            and (self.framework_preset is None or environment.framework_preset == self.framework_preset)
        ]

    def matches_domains(self, domains: Iterable[Domain]) -> bool:
        """Return whether one of an environment's domains matches."""
        names = {name for one in domains if one.url for name in (one.url.lower(), host_of(one.url))}
        return self.domains is None or any(matches(name, self.domains) for name in names)

    def matches_deployment(self, newest: Deployment | None, now: datetime) -> bool:
        """Return whether an environment with this newest deployment matches."""
        if newest is None:
            return self.last_status is None
        is_old = self.idle_for is None or newest.created_at is None or now - newest.created_at >= self.idle_for
        return is_old and (self.last_status is None or str(newest.status) in self.last_status)


async def select(services: FleetServices, criteria: Criteria) -> Selection:
    """Return the matching environments, with the number of requests."""
    considered, began = 0, ReadingClock()
    targets: list[Target] = []
    with metered(Meter(priority=Priority.WRITE)) as meter:
        projects = criteria.matching_projects(await services.projects.list())
        for batch in batches(projects):
            listings = await gather(_environments(services, project) for project in batch)
            for project, environments in zip(batch, listings, strict=True):
                considered += len(environments)
                fitting = criteria.matching_environments(environments)
                targets += [
                    target_of(project, one, began)
                    for one in await _with_matching_domain(services, criteria, project, fitting)
                ]
        if criteria.reads_deployments:
            targets = await _with_matching_deployment(services, criteria, targets)
    targets.sort(key=lambda target: (target.project_name, target.environment_name, target.environment_uid))
    return Selection(tuple(targets), considered, meter.requests)


async def _with_matching_domain(
    services: FleetServices, criteria: Criteria, project: Project, environments: Sequence[Environment]
) -> Sequence[Environment]:
    """Return the environments of a project with a matching domain.

    Every environment has a domain. If a listing shows none, this reads the domains of each environment.
    """
    if criteria.domains is None:
        return environments

    async def domains_of(environment: Environment) -> Sequence[Domain]:
        if environment.domains:
            return environment.domains
        try:
            return await services.domains.list(project.uid, environment.uid).to_list()
        except NotFoundError:
            # The environment was deleted after it was listed.
            return []

    found: list[Environment] = []
    for batch in batches(environments):
        pairs = zip(batch, await gather(domains_of(environment) for environment in batch), strict=True)
        found += [environment for environment, domains in pairs if criteria.matches_domains(domains)]
    return found


async def _with_matching_deployment(
    services: FleetServices, criteria: Criteria, targets: Sequence[Target]
) -> list[Target]:
    """Return the targets whose newest deployment matches, with facts about it."""
    return [
        _with_newest(target, deployments)
        for target, deployments in await _recent(services, targets)
        if deployments is not None and criteria.matches_deployment(_newest(deployments), services.now())
    ]


async def look_up_newest(services: FleetServices, targets: Sequence[Target]) -> list[Target]:
    """Return the targets with facts about their newest deployments. Known and deleted targets stay unchanged."""
    unknown = [target for target in targets if target.last_status is None]
    with metered(Meter(priority=Priority.WRITE)):
        found = await _recent(services, unknown)
    informed = {one.environment_uid: _with_newest(one, deployments) for one, deployments in found if deployments}
    return [informed.get(target.environment_uid, target) for target in targets]


async def with_readings(services: FleetServices, targets: Sequence[Target]) -> list[Target]:
    """Return the targets with their variables. Targets with a recent reading are not read again."""
    unread = [one for one in targets if one.reading is None or not one.reading.is_recent]
    found: dict[str, Target] = {}
    with metered(Meter(priority=Priority.WRITE)):
        for batch in batches(unread):
            began = ReadingClock()
            values = await gather(services.variables.read(one.project_uid, one.environment_uid) for one in batch)
            for target, variables in zip(batch, values, strict=True):
                found[target.environment_uid] = attrs.evolve(target, reading=Reading(variables, began))
    return [found.get(one.environment_uid, one) for one in targets]


async def sampled(services: FleetServices, targets: Sequence[Target]) -> tuple[list[Target], tuple[float, ...]]:
    """Read the deployments of a few targets whose build times are not known.

    Returns:
        All targets, a few of them with the number of their newest deployment, and the seconds of some builds. If the
        deployments cannot be read, the targets unchanged and no builds.
    """
    unknown = [target for target in targets if target.last_seconds is None]
    count = min(_SAMPLED_TARGETS, len(unknown))
    sample = [unknown[number * len(unknown) // count] for number in range(count)]
    try:
        with metered(Meter(priority=Priority.WRITE)):
            found = await _recent(services, sample)
    except LaunchError as error:
        _LOG.info("The deployments could not be listed, so the forecast assumes a build time: %s", error.message)
        return [*targets], ()
    numbers = {one.environment_uid: _number(deployments) for one, deployments in found if deployments is not None}
    lengths = tuple(seconds for _, several in found for seconds in list(build_lengths(several or ()).values())[:1])
    return [
        attrs.evolve(one, last_number=numbers[one.environment_uid]) if one.environment_uid in numbers else one
        for one in targets
    ], lengths


async def _recent(
    services: FleetServices, targets: Sequence[Target]
) -> list[tuple[Target, Sequence[Deployment] | None]]:
    """Return each target with its newest deployments; None if the target was deleted in the meantime."""

    async def read(target: Target) -> tuple[Target, Sequence[Deployment] | None]:
        try:
            return target, await services.recent(target)
        except NotFoundError:
            return target, None

    return [pair for batch in batches(targets) for pair in await gather(read(target) for target in batch)]


def _newest(deployments: Sequence[Deployment]) -> Deployment | None:
    return max(deployments, key=lambda one: one.deployment_number or 0, default=None)


def _number(deployments: Sequence[Deployment]) -> int | None:
    """Return the highest number of deployments; 0 if there are none, None if they show no numbers."""
    numbers = [one.deployment_number for one in deployments if one.deployment_number is not None]
    return max(numbers) if numbers else None if deployments else 0


def _with_newest(target: Target, deployments: Sequence[Deployment]) -> Target:
    newest = _newest(deployments)
    return attrs.evolve(
        target,
        last_status=None if newest is None else newest.status,
        last_deployed_at=None if newest is None else newest.created_at,
        last_number=_number(deployments),
        last_seconds=next(iter(build_lengths(deployments).values()), None),
    )


async def read_targets(services: FleetServices, path: str | os.PathLike[str]) -> Selection:
    """Return the targets in a file. Names are resolved to UIDs."""
    with metered(Meter(priority=Priority.WRITE)) as meter:
        listed = await asyncio.to_thread(_read, path)
        pairs = [one for one in listed if not isinstance(one, Target)]
        found = iter([Target(project_uid=pair[0], environment_uid=pair[1]) for pair in await find_all(services, pairs)])
        targets = tuple(one if isinstance(one, Target) else next(found) for one in listed)
    return Selection(targets, len(targets), meter.requests)


def _read(path: str | os.PathLike[str]) -> list[Target | tuple[str, str]]:
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError("file", f"{os.fspath(path)} cannot be read: {error}") from error
    try:
        if text.lstrip().startswith("["):
            return [_entry(entry) for entry in cast("list[object]", json.loads(text))]
        return [_line(number, line) for number, line in enumerate(text.splitlines(), 1) if _content(line)]
    except InvalidArgumentError:
        raise
    except ValueError as error:
        raise InvalidArgumentError("file", f"{os.fspath(path)} does not contain a list of targets: {error}") from error


def _entry(entry: object) -> Target | tuple[str, str]:
    if not isinstance(entry, dict):
        return Target.from_dict(entry)
    fields = cast("dict[str, object]", entry)
    project, environment = fields.get("project"), fields.get("environment")
    return (
        (project, environment)
        if isinstance(project, str) and isinstance(environment, str)
        else Target.from_dict(fields)
    )


def _content(line: str) -> list[str]:
    return line.partition("#")[0].replace(",", " ").replace("/", " ").split()


def _line(number: int, line: str) -> tuple[str, str]:
    words = _content(line)
    if len(words) != 2:
        raise InvalidArgumentError("file", f"line {number} must contain a project and an environment, by UID or name")
    return words[0], words[1]


async def find_all(services: FleetServices, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the UIDs of environments that are given by names or UIDs, without globs.

    Names take a listing of the projects and one of each project's environments.
    """
    by_name = {project for project, _ in pairs if not is_uid(project)}
    projects = await services.projects.list() if by_name else []
    uids = {project: project if is_uid(project) else only("project", project, projects).uid for project, _ in pairs}
    unlisted = list(dict.fromkeys(uids[project] for project, environment in pairs if not is_uid(environment)))
    environments: dict[str, Sequence[Environment]] = {}
    for batch in batches(unlisted):
        listings = await gather(services.environments.list(uid).to_list() for uid in batch)
        environments.update(zip(batch, listings, strict=True))
    return [
        (uids[project], _environment_uid(project, environment, environments.get(uids[project], ())))
        for project, environment in pairs
    ]


def _environment_uid(project: str, wanted: str, environments: Sequence[Environment]) -> str:
    return wanted if is_uid(wanted) else only(f"environment of project {project}", wanted, environments).uid


def target_of(project: Project, environment: Environment, read_at: ReadingClock) -> Target:
    """Return an environment as a target.

    An answer without variables may have left them out, so it is not a reading.
    """
    preset, variables = environment.framework_preset, values_of(environment)
    return Target(
        project_uid=project.uid,
        environment_uid=environment.uid,
        project_name=project.name or "",
        environment_name=environment.name or "",
        project_type=str(project.project_type or ""),
        git_branch=environment.git_branch,
        framework_preset=None if preset is None else str(preset),
        reading=Reading(variables, read_at) if variables else None,
    )


async def gather(calls: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """Return the results of several concurrent calls. The first error cancels the others."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _environments(services: FleetServices, project: Project) -> Sequence[Environment]:
    try:
        return await services.environments.list(project.uid).to_list()
    except NotFoundError:
        # The project was deleted after it was listed.
        return []


def batches(items: Sequence[T]) -> Iterable[Sequence[T]]:
    """Split items into batches. The rate limit admits the requests of one batch before their deadline."""
    return (items[start : start + _MAX_REQUESTS] for start in range(0, len(items), _MAX_REQUESTS))

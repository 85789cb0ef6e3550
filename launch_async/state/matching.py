"""Match the entries of a document with the projects and environments of an organization."""

from __future__ import annotations

import fnmatch
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import attrs

from launch_async.errors import StateError, StateProblem
from launch_async.models.environment import Environment
from launch_async.models.project import Project
from launch_async.state.declarations import (
    SWITCHES,
    TEXTS,
    Declaration,
    DeclaredEnvironment,
    DeclaredGroup,
    DeclaredProject,
    DeclaredSettings,
)
from launch_async.state.file.lines import KeyPath
from launch_async.state.file.reading import problem_at

__all__ = [
    "EnvironmentSlot",
    "ProjectSlot",
    "environment_slots",
    "inherited",
    "is_same",
    "is_unmanaged",
    "project_slots",
]


@attrs.frozen(kw_only=True)
class ProjectSlot:
    """A declared project with the existing one.

    Attributes:
        name: The declared name.
        declared: The entry of the document; None if the document does not name the project.
        actual: The existing project; None if it does not exist.
    """

    name: str
    declared: DeclaredProject | None
    actual: Project | None

    @property
    def path(self) -> KeyPath:
        """Path of the entry in the document."""
        return ("projects", self.name)


@attrs.frozen(kw_only=True)
class EnvironmentSlot:
    """A declared environment with the existing one.

    Attributes:
        project: Its project.
        name: The declared name.
        declared: The entry of the document; None if only groups match the environment.
        actual: The existing environment; None if it does not exist.
        wanted: Its declared settings, including inherited ones.
    """

    project: ProjectSlot
    name: str
    declared: DeclaredEnvironment | None
    actual: Environment | None
    wanted: DeclaredSettings

    @property
    def path(self) -> KeyPath:
        """Path of the entry in the document."""
        return (*self.project.path, "environments", self.name)


def project_slots(state: Declaration, projects: Iterable[Project]) -> list[ProjectSlot]:
    """Return every project that the document names or a group matches.

    Raises:
        StateError: Two entries of the document match one project.
    """
    matched = _matched(state, ("projects",), state.projects, projects)
    found = [
        ProjectSlot(name=name, declared=declared, actual=actual)
        for name, declared, actual in matched
        if declared is not None or any(_fits(name, group.projects, actual) for group in state.groups.values())
    ]
    return [
        slot
        for slot in found
        if not is_unmanaged(state, slot.name) and not (slot.actual and is_unmanaged(state, slot.actual.name or ""))
    ]


def environment_slots(
    state: Declaration, project: ProjectSlot, environments: Iterable[Environment]
) -> list[EnvironmentSlot]:
    """Return every environment of a project that the document names or a group matches.

    Raises:
        StateError: Two entries of the document match one environment.
    """
    named = {} if project.declared is None else project.declared.environments
    slots: list[EnvironmentSlot] = []
    for name, declared, actual in _matched(state, (*project.path, "environments"), named, environments):
        names = (name, name if actual is None else actual.name or "")
        if any(is_unmanaged(state, project.name, one) for one in names):
            continue
        groups = list(_groups(state, project.name, name, project.actual, actual))
        if declared is not None or groups:
            wanted = inherited([state.defaults, *groups, *([] if declared is None else [declared])])
            slots.append(EnvironmentSlot(project=project, name=name, declared=declared, actual=actual, wanted=wanted))
    return slots


def wanted_of(state: Declaration, project: str, environment: str) -> DeclaredSettings:
    """Return the declared settings of an environment, by its name."""
    declared = state.projects.get(project, DeclaredProject()).environments.get(environment)
    groups = _groups(state, project, environment, None, None)
    return inherited([state.defaults, *groups, *([] if declared is None else [declared])])


def inherited(settings: Sequence[DeclaredSettings]) -> DeclaredSettings:
    """Merge settings. Later settings take precedence, and variables are merged by name."""
    merged = DeclaredSettings()
    for one in settings:
        for name in (*TEXTS, *SWITCHES, "password_protection", "protected"):
            value = getattr(one, name)
            if value is not None:
                setattr(merged, name, value)
        merged.variables.update(one.variables)
    return merged


def is_unmanaged(state: Declaration, project: str, environment: str | None = None) -> bool:
    """Return whether a document excludes a project or an environment by `unmanaged`."""
    names = [project] if environment is None else [project, environment, f"{project}/{environment}"]
    return any(_fits(name, state.unmanaged, None) for name in names)


def is_same(name: str, other: str | None) -> bool:
    """Return whether two names are equal after Unicode normalization: `ü` has two spellings."""
    return other is not None and unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other)


def _groups(
    state: Declaration, project: str, environment: str, actual_project: Project | None, actual: Environment | None
) -> Iterator[DeclaredGroup]:
    for group in state.groups.values():
        if _fits(project, group.projects, actual_project) and _fits(environment, group.environments, actual):
            yield group


def _fits(name: str, patterns: Iterable[str], actual: Project | Environment | None) -> bool:
    plain = unicodedata.normalize("NFC", name)
    return any(
        pattern == name
        or (actual is not None and pattern == actual.uid)
        or fnmatch.fnmatchcase(plain, unicodedata.normalize("NFC", pattern))
        for pattern in patterns
    )


D = TypeVar("D", bound=DeclaredProject | DeclaredEnvironment)
A = TypeVar("A", bound=Project | Environment)


def _matched(
    state: Declaration, path: KeyPath, declared: Mapping[str, D], actual: Iterable[A]
) -> list[tuple[str, D | None, A | None]]:
    """Pair declared with existing objects: by a declared UID that exists, otherwise by name.

    Raises:
        StateError: Two entries of the document match one object.
    """
    left = {one.uid: one for one in actual}
    by_uid = {name: left[one.uid] for name, one in declared.items() if one.uid is not None and one.uid in left}
    problems: list[StateProblem] = []
    pairs: list[tuple[str, D | None, A | None]] = []
    taken: dict[str, str] = {}
    for name, one in declared.items():
        exact = (item for item in left.values() if item.name == name)
        same = (item for item in left.values() if is_same(name, item.name))
        found = by_uid.get(name) or next(exact, None) or next(same, None)
        if found is not None and found.uid in taken:
            problems.append(
                problem_at(
                    state.origin,
                    (*path, name),
                    f"is {found.uid}, which the entry {taken[found.uid]!r} also declares: remove one of them",
                )
            )
        if found is not None:
            taken[found.uid] = name
        pairs.append((name, one, found))
    if problems:
        raise StateError(problems)
    return [*pairs, *((one.name or "", None, one) for one in left.values() if one.uid not in taken)]

"""Which projects and environments of an organization a document is about, and what it wants of each."""

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
    """A project as it is declared and as it is.

    Attributes:
        name: The name that it should have.
        declared: What the document says; None if it does not name the project.
        actual: The project; None if it is not there.
    """

    name: str
    declared: DeclaredProject | None
    actual: Project | None

    @property
    def path(self) -> KeyPath:
        """Where the document names it."""
        return ("projects", self.name)


@attrs.frozen(kw_only=True)
class EnvironmentSlot:
    """An environment as it is declared and as it is.

    Attributes:
        project: Its project.
        name: The name that it should have.
        declared: What the document says; None if only groups fit it.
        actual: The environment; None if it is not there.
        wanted: Its settings, with what it inherits.
    """

    project: ProjectSlot
    name: str
    declared: DeclaredEnvironment | None
    actual: Environment | None
    wanted: DeclaredSettings

    @property
    def path(self) -> KeyPath:
        """Where the document names it."""
        return (*self.project.path, "environments", self.name)


def project_slots(state: Declaration, projects: Iterable[Project]) -> list[ProjectSlot]:
    """Return every project that the document names or that a group fits.

    Raises:
        StateError: Two names of the document mean one project.
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
    """Return every environment of a project that the document names or that a group fits.

    Raises:
        StateError: Two names of the document mean one environment.
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
    """Return what a document wants of the environment of a name."""
    declared = state.projects.get(project, DeclaredProject()).environments.get(environment)
    groups = _groups(state, project, environment, None, None)
    return inherited([state.defaults, *groups, *([] if declared is None else [declared])])


def inherited(settings: Sequence[DeclaredSettings]) -> DeclaredSettings:
    """Return settings as one; what stands later wins, and variables are merged by name."""
    merged = DeclaredSettings()
    for one in settings:
        for name in (*TEXTS, *SWITCHES, "password_protection", "protected"):
            value = getattr(one, name)
            if value is not None:
                setattr(merged, name, value)
        merged.variables.update(one.variables)
    return merged


def is_unmanaged(state: Declaration, project: str, environment: str | None = None) -> bool:
    """Return whether a document says never to touch a project, or an environment."""
    names = [project] if environment is None else [project, environment, f"{project}/{environment}"]
    return any(_fits(name, state.unmanaged, None) for name in names)


def is_same(name: str, other: str | None) -> bool:
    """Return whether two names are one, however Unicode spells it: `u` with a mark is one letter or two."""
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
    """Pair what is declared with what is there: by UID where one is declared and there, else by name.

    Raises:
        StateError: Two names of the document mean the same.
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
                    state.origin, (*path, name), f"means {found.uid}, and so does {taken[found.uid]!r}: delete one"
                )
            )
        if found is not None:
            taken[found.uid] = name
        pairs.append((name, one, found))
    if problems:
        raise StateError(problems)
    return [*pairs, *((one.name or "", None, one) for one in left.values() if one.uid not in taken)]

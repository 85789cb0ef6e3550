"""Compare a document with listings, and return the steps to apply the document. This module sends no requests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from launch_async.errors import InvalidArgumentError, StateProblem
from launch_async.http.operation import check_text
from launch_async.models.base import JSONValue
from launch_async.models.environment import Environment
from launch_async.models.framework_preset import FrameworkPreset
from launch_async.models.project import ProjectType
from launch_async.resources._inputs import MAX_DESCRIPTION, MAX_NAME, check_preset, check_variables
from launch_async.state.declarations import (
    SWITCHES,
    TEXTS,
    Declaration,
    DeclaredPasswordProtection,
    DeclaredProject,
    DeclaredSettings,
)
from launch_async.state.file.lines import KeyPath
from launch_async.state.file.reading import problem_at
from launch_async.state.matching import EnvironmentSlot, ProjectSlot, is_same
from launch_async.state.steps import STAGES, Step, StepKind
from launch_async.state.values import Delete, UnresolvedError, VariableSource, described
from launch_async.wire.secret import Secret

__all__ = ["Comparison", "Resolved", "mark_of", "password_of", "settings_of", "variables_of"]

Resolved: TypeAlias = Mapping[VariableSource, "Secret | UnresolvedError"]
"""The values of sources, or the reasons why they have none."""

_AFTER_CREATION: Final = ("password_protection", "has_lytics_enabled", "is_cache_priming_enabled")
"""Settings that the API does not accept in a creation. An update sets them after it."""


def settings_of(environment: Environment) -> dict[str, JSONValue]:
    """Return the settings of an environment by their names in a document; None for empty settings."""
    protection = environment.password_protection
    preset = environment.framework_preset
    return {
        "name": environment.name,
        **{name: getattr(environment, name) or None for name in TEXTS},
        "framework_preset": None if preset is None else str(preset),
        **{name: getattr(environment, name) for name in SWITCHES},
        "password_protection": None
        if protection is None
        else {"is_enabled": protection.is_enabled, "username": protection.username},
    }


def variables_of(environment: Environment) -> dict[str, str]:
    """Return the variables of an environment; tracebacks do not show them."""
    return {one.key: Secret(one.value) for one in environment.environment_variables}


def mark_of(environment: Environment) -> str:
    """Return a mark of all values in an environment that a document can declare. Any change produces another mark."""
    protection = environment.password_protection
    facts = [
        settings_of(environment),
        sorted(variables_of(environment).items()),
        None if protection is None else protection.password,
    ]
    # The UID is the salt, so that equal environments have different marks.
    return hashlib.blake2b(json.dumps(facts).encode(), key=environment.uid.encode()[:64], digest_size=6).hexdigest()


@attrs.define
class Comparison:
    """Collects the steps, the references that cannot be compared, and the problems.

    Attributes:
        state: The document.
        values: The values of its sources.
        steps: The steps, in order.
        unresolved: References without a value, with their uses.
        notes: Remarks for the user.
        problems: Reasons why the document cannot be applied.
    """

    state: Declaration
    values: Resolved = attrs.field(repr=False)
    steps: list[Step] = attrs.field(factory=list[Step], init=False)
    unresolved: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]], init=False)
    notes: list[str] = attrs.field(factory=list[str], init=False)
    problems: list[StateProblem] = attrs.field(factory=list[StateProblem], init=False)

    def compare(
        self, project: ProjectSlot, environments: Sequence[EnvironmentSlot], listed: Sequence[Environment]
    ) -> None:
        """Add the steps for one project.

        Args:
            project: The project.
            environments: The environments in the document.
            listed: All environments of the project.
        """
        declared, actual = project.declared, project.actual
        if declared is not None and declared.delete:
            if actual is not None:
                step = self._step(StepKind.DELETE_PROJECT, project)
                protected = any(slot.wanted.protected for slot in environments)
                marks = {one.uid: mark_of(one) for one in listed}
                self.steps.append(attrs.evolve(step, seen=marks, protected=protected))
            return
        if actual is None:
            self._create_project(project, [one for one in environments if not _is_deleted(one)])
            return
        if declared is not None:
            self._update_project(project, declared)
        for slot in environments:
            if _is_deleted(slot):
                if slot.actual is not None:
                    step = self._step(StepKind.DELETE_ENVIRONMENT, project, slot)
                    self.steps.append(attrs.evolve(step, seen={slot.actual.uid: mark_of(slot.actual)}))
            elif slot.actual is None:
                self._create_environment(project, slot)
            else:
                self._update_environment(project, slot, slot.actual)

    def sort(self) -> None:
        """Sort the steps by their order and by name."""
        self.steps.sort(key=lambda step: (STAGES.index(step.kind), step.project, step.environment))

    def _create_project(self, project: ProjectSlot, environments: Sequence[EnvironmentSlot]) -> None:
        declared = project.declared or DeclaredProject()
        self._check(project.path, "name", project.name, MAX_NAME)
        if declared.description:
            self._check((*project.path, "description"), "description", declared.description, MAX_DESCRIPTION)
        if not environments:
            return self._wrong(
                project.path, "does not exist and cannot be created without an environment: declare the first one"
            )
        first, *others = environments
        source = _source_of(first, declared)
        if declared.repository is None and source is None:
            return self._wrong(
                project.path, "does not exist and cannot be created without a `repository`, or a `source` to upload"
            )
        kind = ProjectType.FILEUPLOAD if declared.repository is None else ProjectType.GITPROVIDER
        after = {**self._new_settings(first, kind), "project_description": declared.description or None}
        self.steps.append(
            attrs.evolve(
                self._step(StepKind.CREATE_PROJECT, project, first, kind),
                after=after,
                variables=self._new_variables(first),
                repository=declared.repository,
                source=source,
            )
        )
        self._follow_creation(project, first)
        for slot in others:
            self._create_environment(project, slot, kind)
        return None

    def _update_project(self, project: ProjectSlot, declared: DeclaredProject) -> None:
        actual = project.actual
        before: dict[str, JSONValue] = {}
        after: dict[str, JSONValue] = {}
        assert actual is not None  # noqa: S101 - a project that does not exist gets a creation
        if not is_same(project.name, actual.name):
            self._check(project.path, "name", project.name, MAX_NAME)
            before["name"], after["name"] = actual.name, project.name
        if declared.description is not None and declared.description != (actual.description or ""):
            if declared.description:
                self._check((*project.path, "description"), "description", declared.description, MAX_DESCRIPTION)
            before["description"], after["description"] = actual.description or None, declared.description or None
        if after:
            step = self._step(StepKind.UPDATE_PROJECT, project)
            self.steps.append(attrs.evolve(step, before=before, after=after))
        self._compare_repository(project, declared)
        if declared.uid is not None and declared.uid != actual.uid:
            self.notes.append(
                f"{project.name}: no project has the UID {declared.uid}; the project with this name has the UID "
                f"{actual.uid}"
            )

    def _compare_repository(self, project: ProjectSlot, declared: DeclaredProject) -> None:
        actual = None if project.actual is None else project.actual.repository
        if declared.repository is None or actual is None or actual.repository_name is None:
            return
        wanted = declared.repository.repository_name
        if actual.repository_name != wanted:
            self.notes.append(
                f"{project.name}: the repository is {actual.repository_name}, not {wanted}; only the console can "
                "change it"
            )

    def _create_environment(self, project: ProjectSlot, slot: EnvironmentSlot, kind: ProjectType | None = None) -> None:
        declared = project.declared or DeclaredProject()
        source = _source_of(slot, declared)
        if kind is None:
            kind = ProjectType.GITPROVIDER if project.actual is None else project.actual.project_type
        if kind is ProjectType.FILEUPLOAD and source is None:
            return self._wrong(
                slot.path, "does not exist and cannot be created without a `source`, a folder or .zip to upload"
            )
        self.steps.append(
            attrs.evolve(
                self._step(StepKind.CREATE_ENVIRONMENT, project, slot, kind),
                after=self._new_settings(slot, kind),
                variables=self._new_variables(slot),
                source=source if kind is ProjectType.FILEUPLOAD else None,
            )
        )
        self._follow_creation(project, slot)
        return None

    def _new_settings(self, slot: EnvironmentSlot, kind: ProjectType | None) -> dict[str, JSONValue]:
        """Return the settings for the creation of an environment."""
        self._check(slot.path, "name", slot.name, MAX_NAME)
        wanted = slot.wanted
        self._check_preset(slot, wanted.framework_preset)
        after: dict[str, JSONValue] = {
            name: getattr(wanted, name)
            for name in (*TEXTS, *SWITCHES)
            if name not in _AFTER_CREATION and getattr(wanted, name) not in (None, "")
        }
        after.setdefault("framework_preset", str(FrameworkPreset.OTHER))
        if kind is ProjectType.FILEUPLOAD:
            after.pop("git_branch", None)
            after.pop("auto_deploy_on_push", None)
        elif "git_branch" not in after:
            self._wrong(slot.path, "does not exist and cannot be created without a `git_branch`")
        return after

    def _new_variables(self, slot: EnvironmentSlot) -> dict[str, VariableSource]:
        sources: dict[str, VariableSource] = {
            name: one for name, one in slot.wanted.variables.items() if not isinstance(one, Delete)
        }
        for name, source in sources.items():
            self._note_unresolved(slot, name, source)
        self._check_variables(slot, sources, {})
        return sources

    def _follow_creation(self, project: ProjectSlot, slot: EnvironmentSlot) -> None:
        """Add an update with the settings that the API does not accept in a creation."""
        after: dict[str, JSONValue] = {
            name: getattr(slot.wanted, name) for name in _AFTER_CREATION[1:] if getattr(slot.wanted, name) is not None
        }
        protection = slot.wanted.password_protection
        if protection is not None:
            after["password_protection"] = {"is_enabled": protection.is_enabled, "username": protection.username}
        if after:
            password = None if protection is None else protection.password
            if password is not None:
                self._note_unresolved(slot, "password", password)
            step = self._step(StepKind.UPDATE_ENVIRONMENT, project, slot)
            self.steps.append(attrs.evolve(step, after=after, password=password))

    def _update_environment(self, project: ProjectSlot, slot: EnvironmentSlot, actual: Environment) -> None:
        have, wanted = settings_of(actual), slot.wanted
        want: dict[str, JSONValue] = {
            "name": actual.name if slot.declared is None or is_same(slot.name, actual.name) else slot.name,
            **{name: getattr(wanted, name) or None for name in TEXTS if getattr(wanted, name) is not None},
            **{name: getattr(wanted, name) for name in SWITCHES if getattr(wanted, name) is not None},
        }
        after = {name: value for name, value in want.items() if have[name] != value}
        if "name" in after:
            self._check(slot.path, "name", slot.name, MAX_NAME)
        if "framework_preset" in after:
            self._check_preset(slot, wanted.framework_preset)
        password = None
        if wanted.password_protection is not None:
            changed, password = self._compare_protection(slot, wanted.password_protection, actual)
            after.update(changed)
        variables = dict(self._changed_variables(slot, wanted, variables_of(actual)))
        if after or variables or password is not None:
            current = variables_of(actual)
            self.steps.append(
                attrs.evolve(
                    self._step(StepKind.UPDATE_ENVIRONMENT, project, slot),
                    before={name: have[name] for name in after},
                    after=after,
                    variables=variables,
                    known={name: current.get(name) for name in variables},
                    password=password,
                    known_password=password_of(actual),
                )
            )

    def _compare_protection(
        self, slot: EnvironmentSlot, wanted: DeclaredPasswordProtection, actual: Environment
    ) -> tuple[dict[str, JSONValue], VariableSource | None]:
        """Return the changed protection, and the source of a changed password."""
        have = actual.password_protection
        enabled, username = (None, None) if have is None else (have.is_enabled, have.username)
        want: dict[str, JSONValue] = {
            "is_enabled": enabled if wanted.is_enabled is None else wanted.is_enabled,
            "username": username if wanted.username is None else wanted.username,
        }
        is_other = want != {"is_enabled": enabled, "username": username}
        value = None if wanted.password is None else self.values[wanted.password]
        shown = password_of(actual)
        is_new = wanted.password is not None and (is_other or (isinstance(value, str) and shown not in (None, value)))
        if wanted.password is not None and (is_new or isinstance(value, UnresolvedError)):
            self._note_unresolved(slot, "password", wanted.password)
        if is_other:
            return {"password_protection": want}, wanted.password
        return {}, wanted.password if is_new else None

    def _changed_variables(
        self, slot: EnvironmentSlot, wanted: DeclaredSettings, current: Mapping[str, str]
    ) -> Iterator[tuple[str, VariableSource]]:
        changed: dict[str, VariableSource] = {}
        for name, source in wanted.variables.items():
            if isinstance(source, Delete):
                if name in current:
                    changed[name] = source
                continue
            self._note_unresolved(slot, name, source)
            value = self.values[source]
            if name not in current if isinstance(value, UnresolvedError) else current.get(name) != value:
                changed[name] = source
        if changed:
            self._check_variables(slot, changed, current)
        yield from changed.items()

    def _check_variables(
        self, slot: EnvironmentSlot, sources: Mapping[str, VariableSource], current: Mapping[str, str]
    ) -> None:
        """Check the complete list of variables. A value that is not known yet counts as one character."""
        values = {name: "?" if isinstance(one, UnresolvedError) else one for name, one in self._values_of(sources)}
        kept = {name: value for name, value in current.items() if name not in sources}
        try:
            check_variables({**kept, **values})
        except InvalidArgumentError as error:
            self._wrong((*slot.path, "variables"), error.message.removeprefix("environment_variables: "))

    def _values_of(self, sources: Mapping[str, VariableSource]) -> Iterator[tuple[str, Secret | UnresolvedError]]:
        for name, source in sources.items():
            if not isinstance(source, Delete):
                yield name, self.values[source]

    def _note_unresolved(self, slot: EnvironmentSlot, name: str, source: VariableSource) -> None:
        if isinstance(self.values[source], UnresolvedError):
            users = self.unresolved.setdefault(described(source), [])
            if (user := f"{slot.project.name}/{slot.name} {name}") not in users:
                users.append(user)

    def _check_preset(self, slot: EnvironmentSlot, preset: str | None) -> None:
        try:
            check_preset(preset or FrameworkPreset.OTHER)
        except InvalidArgumentError as error:
            self._wrong((*slot.path, "framework_preset"), error.message.removeprefix("framework_preset: "))

    def _check(self, path: KeyPath, what: str, text: str, longest: int) -> None:
        try:
            check_text(what, text, longest=longest)
        except InvalidArgumentError as error:
            self._wrong(path, error.message)

    def _step(
        self,
        kind: StepKind,
        project: ProjectSlot,
        slot: EnvironmentSlot | None = None,
        type_: ProjectType | None = None,
    ) -> Step:
        """Return a step without its changes."""
        actual, environment = project.actual, None if slot is None else slot.actual
        type_ = type_ or (None if actual is None else actual.project_type)
        return Step(
            kind=kind,
            project=project.name,
            environment="" if slot is None else slot.name,
            project_uid="" if actual is None else actual.uid,
            environment_uid="" if environment is None else environment.uid,
            project_name=project.name if actual is None else actual.name or "",
            environment_name="" if slot is None else slot.name if environment is None else environment.name or "",
            project_type=str(type_ or ""),
            protected=slot is not None and bool(slot.wanted.protected),
        )

    def _wrong(self, path: KeyPath, message: str) -> None:
        self.problems.append(problem_at(self.state.origin, path, message))


def password_of(environment: Environment) -> str | None:
    """Return the password of a site if the service returns it; tracebacks do not show it."""
    protection = environment.password_protection
    return None if protection is None or protection.password is None else Secret(protection.password)


def _is_deleted(slot: EnvironmentSlot) -> bool:
    return slot.declared is not None and slot.declared.delete


def _source_of(slot: EnvironmentSlot, project: DeclaredProject) -> str | None:
    own = None if slot.declared is None else slot.declared.source
    return own or project.source

"""Write the current state of an organization to a document, with references in place of values that look secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from launch_async.http.operation import is_encodable, is_uid
from launch_async.models.environment import Environment
from launch_async.models.project import GitProvider, Project
from launch_async.state.declarations import (
    SWITCHES,
    TEXTS,
    DeclaredEnvironment,
    DeclaredPasswordProtection,
    DeclaredProject,
    DeclaredRepository,
)
from launch_async.state.document import State
from launch_async.state.file.secret_values import looks_secret
from launch_async.state.values import LiteralValue, VariableSource, is_reference

__all__ = ["Pull"]

_NO_TEXT: Final = "contains characters that TOML cannot contain"


class Pull:
    """Builds a document from the current state, project by project.

    Attributes:
        state: The document so far.
    """

    def __init__(self) -> None:
        self.state: State = State()
        self._notes: list[str] = []
        self._references: set[str] = set()

    def add(self, project: Project, environments: Iterable[Environment]) -> None:
        """Add a project with its environments."""
        name = project.name
        if not name or not is_encodable(name):
            return self._leave_out(
                f"project {project.uid}", "its name is empty" if not name else f"its name {_NO_TEXT}"
            )
        if name in self.state.projects:
            return self._leave_out(f"project {project.uid}", f"another project has the same name {name!r}")
        declared = DeclaredProject(
            uid=project.uid if is_uid(project.uid) else None,
            description=self._text(f"{name} description", project.description),
            repository=_repository(project),
        )
        for environment in environments:
            self._add_environment(name, declared, environment)
        self.state.projects[name] = declared
        return None

    def finished(self) -> State:
        """Return the document."""
        self.state.notes = tuple(self._notes)
        return self.state

    def _add_environment(self, project: str, declared: DeclaredProject, environment: Environment) -> None:
        name = environment.name
        label = f"environment {environment.uid} of {project}"
        if not name or not is_encodable(name):
            return self._leave_out(label, "its name is empty" if not name else f"its name {_NO_TEXT}")
        if name in declared.environments:
            return self._leave_out(label, f"another environment has the same name {name!r}")
        label = f"{project}/{name}"
        one = DeclaredEnvironment(uid=environment.uid if is_uid(environment.uid) else None)
        for field in TEXTS:
            setattr(one, field, self._text(f"{label} {field}", getattr(environment, field)))
        for field in SWITCHES:
            setattr(one, field, getattr(environment, field))
        one.password_protection = self._protection(label, environment)
        for variable in environment.environment_variables:
            if not is_encodable(variable.key) or not is_encodable(variable.value):
                self._leave_out(f"a variable of {label}", f"it {_NO_TEXT}")
            else:
                one.variables[variable.key] = self._source([project, name, variable.key], variable.value)
        declared.environments[name] = one
        return None

    def _protection(self, label: str, environment: Environment) -> DeclaredPasswordProtection | None:
        protection = environment.password_protection
        if protection is None or (protection.is_enabled is None and protection.username is None):
            return None
        password = None if protection.password is None else self._reference([*label.split("/", 1), "password"])
        username = self._text(f"{label} username", protection.username)
        return DeclaredPasswordProtection(is_enabled=protection.is_enabled, username=username, password=password)

    def _source(self, names: Sequence[str], value: str) -> VariableSource:
        if looks_secret(names[-1], value):
            return self._reference(names)
        return LiteralValue(value) if is_reference(value) else value

    def _reference(self, names: Sequence[str]) -> str:
        """Return a reference to an environment variable that the document does not use yet."""
        words = [re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") for name in names]
        plain = "_".join(filter(None, words)) or "SECRET"
        plain = f"_{plain}" if plain[0].isdigit() else plain
        name, number = plain, 1
        while name in self._references:
            number += 1
            name = f"{plain}_{number}"
        self._references.add(name)
        return f"env:{name}"

    def _text(self, what: str, text: str | None) -> str | None:
        if text and not is_encodable(text):
            self._leave_out(what, f"it {_NO_TEXT}")
            return None
        return text or None

    def _leave_out(self, what: str, why: str) -> None:
        self._notes.append(f"{what} is left out: {why}")


def _repository(project: Project) -> DeclaredRepository | None:
    """Return the repository of a project, if the service returns enough to create the project again."""
    known = project.repository
    if known is None or not (known.repository_name and known.username and known.repository_url):
        return None
    texts = known.repository_name, known.username, known.repository_url
    provider = GitProvider(known.git_provider or GitProvider.GITHUB)
    if not provider.is_known or not all(map(is_encodable, texts)):
        return None
    return DeclaredRepository(
        repository_name=texts[0], username=texts[1], repository_url=texts[2], git_provider=str(provider)
    )

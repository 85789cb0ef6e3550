"""Steps: the changes that a document needs, one step for each project or environment.

A step contains values, and some of them are secret. It never leaves the process; `StateChange` is its public view.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import attrs

from launch_async.models.base import JSONValue
from launch_async.state.declarations import DeclaredRepository
from launch_async.state.values import VariableSource

__all__ = ["Step", "StepKind", "Values"]

Values = Mapping[str, JSONValue]
"""Settings by name."""


class StepKind(enum.StrEnum):
    """The kind of a step."""

    CREATE_PROJECT = "create_project"
    UPDATE_PROJECT = "update_project"
    CREATE_ENVIRONMENT = "create_environment"
    UPDATE_ENVIRONMENT = "update_environment"
    REDEPLOY = "redeploy"
    DELETE_ENVIRONMENT = "delete_environment"
    DELETE_PROJECT = "delete_project"


STAGES: Final = tuple(StepKind)
"""The order in which steps run."""
CREATIONS: Final = (StepKind.CREATE_PROJECT, StepKind.CREATE_ENVIRONMENT)
"""Steps that must not run twice."""


@attrs.frozen(kw_only=True)
class Step:
    """One step.

    Attributes:
        kind: The kind of the step.
        project: Declared name of the project.
        environment: Declared name of the environment; empty for a step about a project.
        project_uid: UID of the project; empty if it does not exist yet.
        environment_uid: UID of the environment; empty if it does not exist yet.
        project_name: Current name of the project.
        environment_name: Current name of the environment.
        project_type: `GITPROVIDER` or `FILEUPLOAD`.
        before: Current values of the settings that change.
        after: Declared values of the settings that change.
        variables: Sources of the variables that change.
        known: Current values of these variables; None for a variable that does not exist.
        marks: Marks of these values, for a step from a journal, which contains no values.
        password: Source of the site's password, if the step writes it.
        known_password: The current password; None if the service does not return it.
        password_mark: A mark of the password, for a step from a journal.
        repository: Repository of a new project.
        source: Files of a new project or environment.
        seen: Marks of the environments that a deletion deletes, by UID, as they were at the comparison.
        protected: Whether the document requires a confirmation.
    """

    kind: StepKind
    project: str
    environment: str = ""
    project_uid: str = ""
    environment_uid: str = ""
    project_name: str = ""
    environment_name: str = ""
    project_type: str = ""
    before: Values = attrs.field(factory=dict[str, JSONValue], repr=False)
    after: Values = attrs.field(factory=dict[str, JSONValue], repr=False)
    variables: Mapping[str, VariableSource] = attrs.field(factory=dict[str, VariableSource], repr=False)
    known: Mapping[str, str | None] = attrs.field(factory=dict[str, "str | None"], repr=False)
    marks: Mapping[str, str | None] = attrs.field(factory=dict[str, "str | None"], repr=False)
    password: VariableSource | None = attrs.field(default=None, repr=False)
    known_password: str | None = attrs.field(default=None, repr=False)
    password_mark: str | None = attrs.field(default=None, repr=False)
    repository: DeclaredRepository | None = None
    source: str | None = None
    seen: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    protected: bool = False

    @property
    def label(self) -> str:
        """`project` or `project/environment`."""
        return f"{self.project}/{self.environment}" if self.environment else self.project

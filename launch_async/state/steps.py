"""Steps: what it takes to make a fleet what a document says, one for each project or environment that changes.

A step holds values, some of them secret: it never leaves the process. `StateChange` is what people see of it.
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
    """What a step does."""

    CREATE_PROJECT = "create_project"
    UPDATE_PROJECT = "update_project"
    CREATE_ENVIRONMENT = "create_environment"
    UPDATE_ENVIRONMENT = "update_environment"
    REDEPLOY = "redeploy"
    DELETE_ENVIRONMENT = "delete_environment"
    DELETE_PROJECT = "delete_project"


STAGES: Final = tuple(StepKind)
"""The order of steps: what must come first stands first."""
CREATIONS: Final = (StepKind.CREATE_PROJECT, StepKind.CREATE_ENVIRONMENT)
"""Steps that must not be done twice."""


@attrs.frozen(kw_only=True)
class Step:
    """One step.

    Attributes:
        kind: What it does.
        project: Name of the project, as it should be.
        environment: Name of the environment, as it should be; empty for a step about a project.
        project_uid: UID of the project; empty if it is not there yet.
        environment_uid: UID of the environment; empty if it is not there yet.
        project_name: Name that the project has now.
        environment_name: Name that the environment has now.
        project_type: `GITPROVIDER` or `FILEUPLOAD`.
        before: Settings that change, as they are.
        after: Settings that change, as they should be.
        variables: Where the values of the variables that change come from.
        known: Values of these variables, as they are; None for one that is not there.
        marks: Marks of these values, where a journal holds no more.
        password: Where the password of a site comes from, if it is written.
        known_password: The password as it is; None where the service does not show it.
        password_mark: A mark of it, where a journal holds no more.
        repository: Repository of a new project.
        source: Files of a new project or environment.
        seen: What is deleted with it, as it was when it was compared: marks by UID.
        protected: Whether it needs a confirmation by what the document says.
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

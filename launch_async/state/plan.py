"""`StatePlan`: what applying a document would change, as data; the values of variables are in none of its views."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

import attrs

from launch_async._text import first_lines, printable
from launch_async._views import MARKDOWN, Displayable
from launch_async.models.base import JSONValue
from launch_async.state.document import Reference, State
from launch_async.state.steps import Step, StepKind
from launch_async.state.values import Delete

__all__ = ["ChangeKind", "StateChange", "StatePlan"]

HIDDEN: Final = "[hidden]"
"""What stands in place of a secret."""
_SHOWN: Final = 40
_NOTES_SHOWN: Final = 10
_SHOWS_AT_ONCE: Final = ("name", "description", "auto_deploy_on_push")
"""Settings that a site does not depend on."""
_LONGEST_VALUE: Final = 60


class ChangeKind(enum.StrEnum):
    """What a change does."""

    CREATE = "create"
    """A project or an environment that is not there."""
    UPDATE = "update"
    """A setting of one that is there."""
    SET = "set"
    """A variable, new or with another value."""
    REMOVE = "remove"
    """A variable."""
    DELETE = "delete"
    """A project or an environment."""


_SIGNS: Final[Mapping[ChangeKind, str]] = {
    ChangeKind.CREATE: "+",
    ChangeKind.UPDATE: "~",
    ChangeKind.SET: "~",
    ChangeKind.REMOVE: "-",
    ChangeKind.DELETE: "-",
}


@attrs.frozen(kw_only=True)
class StateChange:
    """One change.

    Attributes:
        kind: What it does.
        project: Name of the project, as it should be.
        environment: Name of the environment, as it should be; empty for a change of a project.
        field: The setting or the variable; empty for what is created or deleted as a whole.
        before: What it is; None if it is not there. A secret, like the value of any variable, is `[hidden]`.
        after: What it should be, likewise. For a creation: its settings, and the names of its variables.
        project_uid: UID of the project; empty if it is not there yet.
        environment_uid: UID of the environment; empty if it is not there yet.
        protected: Whether the document says that the environment is protected.
        requests: Requests that it adds. Changes of one environment share a read and a write: the first has both.
        needs_redeploy: Whether it shows only after the next deployment.
    """

    kind: ChangeKind
    project: str
    environment: str = ""
    field: str = ""
    before: JSONValue = attrs.field(default=None, hash=False)
    after: JSONValue = attrs.field(default=None, hash=False)
    project_uid: str = ""
    environment_uid: str = ""
    protected: bool = False
    requests: int = 0
    needs_redeploy: bool = False

    @property
    def target(self) -> str:
        """`project` or `project/environment`, on one line, without control characters."""
        return printable(f"{self.project}/{self.environment}" if self.environment else self.project)

    @property
    def sign(self) -> str:
        """`+`, `~` or `-`."""
        return "+" if self.kind is ChangeKind.SET and self.before is None else _SIGNS[self.kind]

    def to_dict(self) -> dict[str, object]:
        """Return the change as plain data that JSON can express, without a secret."""
        return {**attrs.asdict(self), "kind": str(self.kind)}

    def __str__(self) -> str:
        return f"{self.sign} {self.target}{f'  {self.detail}' if self.detail else ''}"

    @property
    def detail(self) -> str:
        """What changes, in words: `git_branch: "main" -> "release"`, `set API_URL (new)`."""
        match self.kind:
            case ChangeKind.UPDATE:
                return f"{self.field}: {_shown(self.before)} -> {_shown(self.after)}"
            case ChangeKind.SET:
                return f"set {printable(self.field)}{' (new)' if self.before is None else ''}"
            case ChangeKind.REMOVE:
                return f"remove {printable(self.field)}"
            case ChangeKind.CREATE:
                return f"create the {'environment' if self.environment else 'project'}"
            case ChangeKind.DELETE:
                return f"delete the {'environment' if self.environment else 'project, with all that is in it'}"


@attrs.frozen(kw_only=True)
class StatePlan(Displayable):
    """What applying a document would change. Printing it is the dry run; `launch.state.apply(plan)` does it.

    Attributes:
        changes: The changes: what must come first stands first, then by name.
        unresolved: References that lead to no value here. What has a value at the service counts as it should be.
        notes: What else is to be known, such as what the API cannot change.
        diff_requests: Requests that the comparison took.
        host: Host of the Launch API that it was made for.
        organization_uid: Organization that it was made for; None if the client does not know.
        created_at: When it was made, by the service's clock.
        state: The document.
        steps: What `apply` does, with the values that were read: not for display.
    """

    changes: tuple[StateChange, ...]
    unresolved: tuple[Reference, ...] = ()
    notes: tuple[str, ...] = ()
    diff_requests: int = attrs.field(default=0, eq=False)
    host: str
    organization_uid: str | None
    created_at: datetime = attrs.field(eq=False)
    state: State = attrs.field(repr=False, eq=False)
    steps: tuple[Step, ...] = attrs.field(repr=False, eq=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be changed."""
        return not self.changes

    @property
    def requests(self) -> int:
        """Requests that `apply` takes at the least, without redeployments."""
        return sum(change.requests for change in self.changes)

    @property
    def summary(self) -> str:
        """The number of changes of each kind, in one line."""
        if self.is_empty:
            return "no changes"
        counts = Counter(change.kind for change in self.changes)
        return ", ".join(f"{counts[kind]} to {kind}" for kind in ChangeKind if counts[kind])

    def rows(self) -> list[dict[str, object]]:
        """Return one flat row for each change, as for a data frame."""
        return [change.to_dict() for change in self.changes]

    def to_json(self) -> str:
        """Return the plan as JSON, without a secret: the same for the same drift."""
        return json.dumps(
            {
                "host": self.host,
                "organization_uid": self.organization_uid,
                "is_empty": self.is_empty,
                "requests": self.requests,
                "changes": self.rows(),
                "unresolved": [{"name": one.name, "used_by": list(one.used_by)} for one in self.unresolved],
                "notes": list(self.notes),
            },
            indent=2,
            ensure_ascii=False,
        )

    def to_markdown(self) -> str:
        """Return a summary for CI in GitHub's Markdown."""
        return MARKDOWN(self)

    def __str__(self) -> str:
        head = f"State: {self.summary}" + ("" if self.is_empty else f", at least {self.requests} requests")
        unresolved = [f"not set here, and not compared: {one}" for one in self.unresolved]
        ending = [] if self.is_empty else ["Nothing has been sent; launch.state.apply(plan) does it."]
        notes = [f"  note: {note}" for note in (*self.notes, *unresolved)]
        lines = [*first_lines([f"  {change}" for change in self.changes], _SHOWN), *first_lines(notes, _NOTES_SHOWN)]
        return "\n".join(map(printable, [head, *lines, *ending]))


def changes_of(steps: Iterable[Step]) -> Iterator[StateChange]:
    """Return what people see of some steps."""
    for step in steps:
        cost = requests_of(step)
        for change in _changes_of(step):
            yield attrs.evolve(
                change,
                project_uid=step.project_uid,
                environment_uid=step.environment_uid,
                protected=step.protected and change.environment == step.environment,
                requests=cost,
            )
            cost = 0


def requests_of(step: Step) -> int:
    """Return how many requests a step takes at the least."""
    upload = int(step.source is not None)  # a signed URL
    match step.kind:
        case StepKind.CREATE_PROJECT:
            return 2 + upload  # create, look for the environment
        case StepKind.CREATE_ENVIRONMENT:
            return 1 + upload
        case StepKind.DELETE_PROJECT:
            return 3  # read, list its environments, delete
        case _:
            return 2  # read, write


def _changes_of(step: Step) -> Iterator[StateChange]:
    match step.kind:
        case StepKind.CREATE_PROJECT:
            description = step.after.get("project_description")
            yield StateChange(
                kind=ChangeKind.CREATE,
                project=step.project,
                after={} if description is None else {"description": description},
            )
            yield StateChange(
                kind=ChangeKind.CREATE, after=_created(step), project=step.project, environment=step.environment
            )
        case StepKind.CREATE_ENVIRONMENT:
            yield StateChange(
                kind=ChangeKind.CREATE, after=_created(step), project=step.project, environment=step.environment
            )
        case StepKind.DELETE_PROJECT | StepKind.DELETE_ENVIRONMENT:
            yield StateChange(kind=ChangeKind.DELETE, project=step.project, environment=step.environment)
        case _:
            yield from _updates(step)


def _created(step: Step) -> JSONValue:
    settings = {name: value for name, value in step.after.items() if name != "project_description"}
    return {**settings, "variables": [*step.variables]}


def _updates(step: Step) -> Iterator[StateChange]:
    for field in sorted(step.after):
        yield StateChange(
            kind=ChangeKind.UPDATE,
            field=field,
            before=step.before.get(field),
            after=step.after[field],
            needs_redeploy=bool(step.environment) and field not in _SHOWS_AT_ONCE,
            project=step.project,
            environment=step.environment,
        )
    if step.password is not None:
        yield StateChange(
            kind=ChangeKind.UPDATE,
            field="password_protection.password",
            before=HIDDEN,
            after=HIDDEN,
            needs_redeploy=True,
            project=step.project,
            environment=step.environment,
        )
    for name in sorted(step.variables):
        is_removed = isinstance(step.variables[name], Delete)
        yield StateChange(
            kind=ChangeKind.REMOVE if is_removed else ChangeKind.SET,
            field=name,
            before=None if step.known.get(name) is None else HIDDEN,
            after=None if is_removed else HIDDEN,
            needs_redeploy=True,
            project=step.project,
            environment=step.environment,
        )


def _shown(value: JSONValue) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."

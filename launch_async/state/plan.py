"""`StatePlan`: the changes that a document needs, as data. No view of a plan shows values of variables."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs

from launch_async._text import first_lines, listed, printable
from launch_async._views import MARKDOWN, Displayable
from launch_async.fleet.plan.confirmation import PROTECTED, is_protected
from launch_async.models.base import JSONValue
from launch_async.state.document import Reference, State
from launch_async.state.steps import CREATIONS, Step, StepKind
from launch_async.state.values import Delete

__all__ = ["ChangeKind", "StateChange", "StatePlan", "reasons_to_confirm"]

HIDDEN: Final = "[hidden]"
"""Text in place of a secret."""
_SHOWN: Final = 40
_NOTES_SHOWN: Final = 10
_NEEDS_NO_REDEPLOYMENT: Final = ("name", "description", "auto_deploy_on_push")
"""Settings that do not affect the site, so they need no redeployment."""
_LONGEST_VALUE: Final = 60
_UNCONFIRMED: Final = 20
"""Maximum number of changes that need no confirmation."""


class ChangeKind(enum.StrEnum):
    """The kind of a change."""

    CREATE = "create"
    """Create a project or an environment."""
    UPDATE = "update"
    """Change a setting of a project or an environment."""
    SET = "set"
    """Set a new variable, or another value of a variable."""
    REMOVE = "remove"
    """Delete a variable."""
    DELETE = "delete"
    """Delete a project or an environment."""


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
        kind: The kind of the change.
        project: Declared name of the project.
        environment: Declared name of the environment; empty for a change of a project.
        field: The setting or the variable; empty for a creation or a deletion.
        before: The current value; None if there is none. Secrets and values of variables are `[hidden]`.
        after: The declared value, hidden in the same way. For a creation: the settings and the names of the variables.
        project_uid: UID of the project; empty if it does not exist yet.
        environment_uid: UID of the environment; empty if it does not exist yet.
        protected: Whether the document declares the environment as protected.
        requests: Requests for this change. The changes of one environment share a read and a write, which count for
            the first change.
        needs_redeploy: Whether the change takes effect only with the next deployment.
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
        """Return the change as plain data for JSON, without secrets."""
        return {**attrs.asdict(self), "kind": str(self.kind)}

    def __str__(self) -> str:
        return f"{self.sign} {self.target}{f'  {self.detail}' if self.detail else ''}"

    @property
    def detail(self) -> str:
        """The change in words: `git_branch: "main" -> "release"`, `set API_URL (new)`."""
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
                return f"delete the {'environment' if self.environment else 'project with everything in it'}"


@attrs.frozen(kw_only=True)
class StatePlan(Displayable):
    """The changes that a document needs. Print the plan as a dry run; `launch.state.apply(plan)` makes the changes.

    Attributes:
        changes: The changes, in the order in which `apply` makes them, then by name.
        unresolved: References without a value on this machine. A variable that exists at the service counts as
            unchanged.
        notes: Remarks, such as differences that the API cannot change.
        diff_requests: Requests of the comparison.
        host: Host of the Launch API.
        organization_uid: UID of the organization; None if the client does not know it.
        created_at: When the plan was made, by the service's clock.
        state: The document.
        steps: The steps of `apply`, with values; not for display.
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
        """Whether there is nothing to change."""
        return not self.changes

    @property
    def requests(self) -> int:
        """Minimum number of requests of `apply`, without redeployments."""
        return sum(change.requests for change in self.changes)

    @property
    def call(self) -> str:
        """The call that makes the changes, with the confirmation if `apply` needs one."""
        confirm = f", confirm={len(self.changes)}" if reasons_to_confirm(self, PROTECTED) else ""
        return f"launch.state.apply(plan{confirm})"

    @property
    def summary(self) -> str:
        """The number of changes of each kind, in one line."""
        if self.is_empty:
            return "no changes"
        counts = Counter(change.kind for change in self.changes)
        return ", ".join(f"{counts[kind]} to {kind}" for kind in ChangeKind if counts[kind])

    def rows(self) -> list[dict[str, object]]:
        """Return one flat row for each change, for example for a data frame."""
        return [change.to_dict() for change in self.changes]

    def to_json(self) -> str:
        """Return the plan as JSON, without secrets. The same drift produces the same JSON."""
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
        unresolved = [f"not compared, because it has no value on this machine: {one}" for one in self.unresolved]
        ending = [] if self.is_empty else [f"Nothing has been sent. {self.call} makes the changes."]
        notes = [f"  note: {note}" for note in (*self.notes, *unresolved)]
        lines = [*first_lines([f"  {change}" for change in self.changes], _SHOWN), *first_lines(notes, _NOTES_SHOWN)]
        return "\n".join(map(printable, [head, *lines, *ending]))


def changes_of(steps: Iterable[Step]) -> Iterator[StateChange]:
    """Return the public view of some steps."""
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


def reasons_to_confirm(plan: StatePlan, protected: Sequence[str]) -> list[str]:
    """Return why a plan needs a confirmation; empty if it needs none.

    Args:
        plan: The plan.
        protected: Name patterns of protected environments, in addition to those that the document protects.
    """
    guarded = [step.label for step in plan.steps if _is_guarded(step, protected)]
    kinds = (StepKind.DELETE_ENVIRONMENT, StepKind.DELETE_PROJECT)
    deletions = [step.label for step in plan.steps if step.kind in kinds]
    return [
        *([f"the plan makes more than {_UNCONFIRMED} changes"] if len(plan.changes) > _UNCONFIRMED else []),
        *([f"the plan changes protected environments ({listed(guarded, 3)})"] if guarded else []),
        *([f"the plan deletes {listed(deletions, 3)}"] if deletions else []),
    ]


def _is_guarded(step: Step, protected: Sequence[str]) -> bool:
    """Return whether a step changes an existing environment that is protected."""
    if step.kind in CREATIONS or not step.environment or not step.environment_uid:
        return False
    names = step.environment_name, step.environment
    return step.protected or any(is_protected(name, protected) for name in names)


def requests_of(step: Step) -> int:
    """Return the minimum number of requests of a step."""
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
            needs_redeploy=bool(step.environment) and field not in _NEEDS_NO_REDEPLOYMENT,
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

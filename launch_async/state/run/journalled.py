"""Convert steps to the operations of a journal, without values of variables, and back with the document.

A journal contains names, settings that are not secret, and marks of values: short hashes that detect a change, but do
not identify a value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Final, Literal, cast

import attrs

from launch_async.errors import InvalidArgumentError
from launch_async.fleet.plan.actions import PlannedSource, Redeploy, Task
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.plan.plan import key_by_name
from launch_async.fleet.plan.targets import Target
from launch_async.models.base import JSONValue
from launch_async.models.project import ProjectType
from launch_async.state.declarations import Declaration, DeclaredRepository
from launch_async.state.matching import wanted_of
from launch_async.state.plan import requests_of
from launch_async.state.steps import CREATIONS, STAGES, Step, StepKind
from launch_async.state.values import DELETE, Delete, VariableSource

__all__ = ["operation_of", "redeployment_of", "step_of", "value_mark"]

_MARK_BYTES: Final = 3


def value_mark(salt: str, name: str, value: str | None) -> str | None:
    """Return a mark of a variable's value. Many values share a mark, so the mark does not reveal the value."""
    if value is None:
        return None
    text = json.dumps([name, value]).encode()
    return hashlib.blake2b(text, key=salt.encode(), digest_size=_MARK_BYTES).hexdigest()


def operation_of(step: Step, steps: Sequence[Step], salt: str) -> PlannedOperation:
    """Return a step as an operation of a fleet's plan.

    Args:
        step: The step.
        steps: All steps of the plan, including those that this step depends on.
        salt: The salt of this plan for marks.
    """
    repository = step.repository
    details: dict[str, JSONValue] = {
        "before": dict(step.before),
        "after": dict(step.after),
        "set": [name for name, source in step.variables.items() if not isinstance(source, Delete)],
        "removed": [name for name, source in step.variables.items() if isinstance(source, Delete)],
        "marks": {name: value_mark(salt, name, value) for name, value in step.known.items()},
        "password": step.password is not None,
        "password_mark": value_mark(salt, "", step.known_password),
        "repository": None if repository is None else attrs.asdict(repository),
        "source": step.source,
        "seen": dict(step.seen),
        "protected": step.protected,
    }
    target = _target_of(step)
    action = Task(
        name=str(step.kind),
        details=details,
        requests=requests_of(step),
        is_repeatable=step.kind not in CREATIONS,
    )
    return PlannedOperation(
        key=key_by_name(action, target),
        target=target,
        action=action,
        stage=STAGES.index(step.kind),
        after=_keys_before(step, steps),
    )


def redeployment_of(step: Step, steps: Sequence[Step]) -> PlannedOperation:
    """Return the redeployment of an environment that a step changes."""
    kind: Literal["latest_commit", "previous_upload"] = (
        "previous_upload" if step.project_type == ProjectType.FILEUPLOAD else "latest_commit"
    )
    action, target = Redeploy(source=PlannedSource(kind=kind)), _target_of(step)
    return PlannedOperation(
        key=key_by_name(action, target),
        target=target,
        action=action,
        stage=STAGES.index(StepKind.REDEPLOY),
        after=(*_keys_before(step, steps), key_by_name(Task(name=str(step.kind)), target)),
    )


def step_of(operation: PlannedOperation, state: Declaration) -> Step:
    """Return the step of a journal's operation, with the sources of its values from the document.

    Raises:
        InvalidArgumentError: The document no longer has a source for a value.
    """
    target, task = operation.target, operation.action
    assert isinstance(task, Task)  # noqa: S101 - only these are asked for
    details = task.details
    wanted = wanted_of(state, target.project_name, target.environment_name)
    names = cast("list[str]", details["set"])
    sources = {name: source for name in names if (source := wanted.variables.get(name, DELETE)) is not DELETE}
    protection = wanted.password_protection
    password = None if protection is None else protection.password
    missing = [name for name in names if name not in sources]
    missing += ["the password"] if details["password"] and password is None else []
    if missing:
        raise InvalidArgumentError(
            "state",
            f"has no value for {', '.join(missing)} of {target.label} any more: pass the document that the run began "
            "with",
        )
    repository = cast("dict[str, str] | None", details["repository"])
    removed = cast("list[str]", details["removed"])
    return Step(
        kind=StepKind(task.name),
        project=target.project_name,
        environment=target.environment_name,
        project_uid=target.project_uid,
        environment_uid=target.environment_uid,
        project_type=target.project_type,
        before=cast("Mapping[str, JSONValue]", details["before"]),
        after=cast("Mapping[str, JSONValue]", details["after"]),
        marks=cast("Mapping[str, str | None]", details["marks"]),
        password_mark=cast("str | None", details["password_mark"]),
        variables={**sources, **dict[str, VariableSource].fromkeys(removed, DELETE)},
        password=password if details["password"] else None,
        repository=None if repository is None else DeclaredRepository(**repository),
        source=cast("str | None", details["source"]),
        seen=cast("Mapping[str, str]", details["seen"]),
        protected=bool(details["protected"]),
    )


def _target_of(step: Step) -> Target:
    return Target(
        project_uid=step.project_uid,
        environment_uid=step.environment_uid,
        project_name=step.project,
        environment_name=step.environment,
        project_type=step.project_type,
    )


def _keys_before(step: Step, steps: Sequence[Step]) -> tuple[str, ...]:
    first = [one for one in steps if _must_come_first(one, step)]
    return tuple(key_by_name(Task(name=str(one.kind)), _target_of(one)) for one in first)


def _must_come_first(one: Step, step: Step) -> bool:
    """Return whether a step depends on another step: an environment on its project, a change on its environment."""
    if one is step or one.project != step.project or STAGES.index(one.kind) >= STAGES.index(step.kind):
        return False
    return one.kind is StepKind.CREATE_PROJECT or one.environment == step.environment

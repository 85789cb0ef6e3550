"""A plan: the action and the environments of a run, as data that you can read, save and compare before the run.

A plan contains no values of variables, no tokens and no signed URLs. You can show its JSON to anyone who may know
the names of the environments. The key of an operation depends only on its action and its environment.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final, Self, cast

import attrs

from launch_async._text import count_of, duration, first_lines, printable
from launch_async._views import Displayable
from launch_async.errors import InvalidArgumentError
from launch_async.fleet.plan.actions import (
    ACTIONS,
    Action,
    Mixed,
    PlannedSource,
    Redeploy,
    SetVariables,
    Task,
    VariableChange,
)
from launch_async.fleet.plan.confirmation import PROTECTED, reasons_to_confirm
from launch_async.fleet.plan.forecast import ASSUMED_BUILD_S, forecast
from launch_async.fleet.plan.operation import PlannedOperation
from launch_async.fleet.plan.targets import Cost, Target

__all__ = ["Plan", "PlanDiff", "key_by_name"]

_FORMAT: Final = "contentstack-launch/fleet-plan"
_VERSION: Final = 1
_SHOWN: Final = 20
"""Number of operations that the text of a plan lists."""


@attrs.frozen(kw_only=True)
class PlanDiff:
    """The differences between this plan and another one, by operation key.

    Attributes:
        added: Operations that only the other plan has.
        removed: Operations that only this plan has.
        kept: Operations that both plans have.
    """

    added: tuple[PlannedOperation, ...]
    removed: tuple[PlannedOperation, ...]
    kept: tuple[PlannedOperation, ...]

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{len(self.added)} added, {len(self.removed)} removed, {len(self.kept)} kept",
                *(f"  + {operation.target.label}" for operation in self.added),
                *(f"  - {operation.target.label}" for operation in self.removed),
            ]
        )


@attrs.frozen(kw_only=True)
class Plan(Displayable):
    """The action and the environments of a run. `print(plan)` is the dry run, and `fleet.run(plan)` runs the plan.

    Attributes:
        uid: UID of this plan. A journal belongs to one plan.
        host: Host of the Launch API.
        organization_uid: UID of the organization; None if the client does not know it.
        created_at: When the plan was made.
        is_service_time: Whether `created_at` is by the service's clock. Otherwise it is by this machine's clock.
        action: The action for each target.
        operations: One operation for each target.
        rate: Requests per second that the rate limit allowed when the plan was made.
        poll_rate: How many of them may be polls.
        build_seconds: Seconds that builds of a few targets took, for the targets whose build times are not known.
    """

    uid: str
    host: str
    organization_uid: str | None
    created_at: datetime
    action: Action
    operations: tuple[PlannedOperation, ...]
    is_service_time: bool = False
    rate: float = math.inf
    poll_rate: float = math.inf
    build_seconds: tuple[float, ...] = ()

    @classmethod
    def make(
        cls,
        action: Action,
        targets: Sequence[Target],
        *,
        host: str,
        organization_uid: str | None,
        rate: float,
        poll_rate: float = math.inf,
        changes: Mapping[str, VariableChange] | None = None,
        build_seconds: Sequence[float] = (),
        created_at: datetime | None = None,
    ) -> Self:
        """Return a new plan.

        Args:
            action: The action for each target.
            targets: The environments.
            host: Host of the Launch API.
            organization_uid: UID of the organization; None if unknown.
            rate: Requests per second that the rate limit allows.
            poll_rate: How many of them may be polls.
            changes: Changes of variables, by environment UID.
            build_seconds: Seconds that builds of a few targets took.
            created_at: The time by the service's clock; None if unknown.

        Raises:
            InvalidArgumentError: There is no target, or a target is listed twice.
        """
        _check_targets(targets)
        operations = tuple(
            PlannedOperation(
                key=_key(action, target), target=target, change=(changes or {}).get(target.environment_uid)
            )
            for target in targets
        )
        return cls(
            uid=uuid.uuid4().hex,
            host=host,
            organization_uid=organization_uid,
            created_at=created_at or datetime.now(UTC),
            is_service_time=created_at is not None,
            action=action,
            operations=operations,
            rate=rate,
            poll_rate=poll_rate,
            build_seconds=tuple(build_seconds),
        )

    @classmethod
    def mixed(
        cls,
        action: Mixed,
        operations: Sequence[PlannedOperation],
        *,
        host: str,
        organization_uid: str | None,
        rate: float,
        poll_rate: float = math.inf,
        created_at: datetime | None = None,
    ) -> Self:
        """Return a new plan with a separate action for each target. It may be empty.

        Args:
            action: The purpose of the plan.
            operations: The operations, each with its own action, in the order of their stages.
            host: Host of the Launch API.
            organization_uid: UID of the organization; None if unknown.
            rate: Requests per second that the rate limit allows.
            poll_rate: How many of them may be polls.
            created_at: The time by the service's clock; None if unknown.
        """
        return cls(
            uid=uuid.uuid4().hex,
            host=host,
            organization_uid=organization_uid,
            created_at=created_at or datetime.now(UTC),
            is_service_time=created_at is not None,
            action=action,
            operations=tuple(operations),
            rate=rate,
            poll_rate=poll_rate,
        )

    def split(self, size: int) -> tuple[Self, ...]:
        """Return this plan as parts of at most `size` operations, for separate workers with separate journals.

        The `uid` of a part depends only on this plan and the part's operations. Any process that splits the same plan
        again can resume the journals of the parts. `FleetReport.joined` combines their reports.

        Raises:
            InvalidArgumentError: `size` is less than 1, or the plan is a mixed plan.
        """
        if isinstance(self.action, Mixed):
            raise InvalidArgumentError(
                "plan", "is a mixed plan and cannot be split, because its operations depend on each other"
            )
        if size < 1:
            raise InvalidArgumentError("size", f"must be at least 1, not {size}")
        pieces = [self.operations[start : start + size] for start in range(0, len(self.operations), size)]
        return tuple(
            attrs.evolve(
                self,
                uid=hashlib.sha256("\n".join([self.uid, *(one.key for one in piece)]).encode()).hexdigest()[:32],
                operations=piece,
            )
            for piece in pieces
        )

    @property
    def what(self) -> str:
        """Description of the action. A redeployment without a source names the default source of the projects."""
        if not isinstance(self.action, Redeploy) or self.action.source.kind not in ("latest_commit", "previous_upload"):
            return str(self.action)
        types = Counter(one.target.project_type for one in self.operations)
        sources = {"GITPROVIDER": "latest commit", "FILEUPLOAD": "previous upload"}
        if len(types) > 1 or not types.keys() <= sources.keys():
            counts = [f"{name} ({types[kind]})" if types[kind] else name for kind, name in sources.items()]
            return self.action.in_words(" or ".join(counts))
        return self.action.in_words(*(sources[kind] for kind in types))

    @property
    def cost(self) -> Cost:
        """The estimated cost of a run with the default options, if nothing fails."""
        requests = forecast(
            self.action,
            self.operations,
            rate=self.rate,
            poll_rate=self.poll_rate,
            build_seconds=self.build_seconds,
        )
        return Cost.of(requests, rate=self.rate)

    @property
    def outlook(self) -> str:
        """The cost of a run, the time of the slowest build, and the number of busy environments, if known."""
        noun = "operation" if isinstance(self.action, Mixed) else "environment"
        parts = [f"{count_of(len(self.operations), noun)}, about {self.cost}"]
        if isinstance(self.action, Redeploy):
            targets = [one.target for one in self.operations]
            known = [one.last_seconds for one in targets if one.last_seconds is not None]
            busy = sum(one.last_status is not None and one.last_status.is_in_flight for one in targets)
            if len(known) < len(targets):
                usual = median(self.build_seconds or [ASSUMED_BUILD_S])
                why = "the median of a few earlier builds" if self.build_seconds else "an assumption"
                parts[0] += f" if builds take {duration(usual)} ({why})"
            parts += [f"the slowest build took {duration(max(known))} last time"] if known else []
            parts += [f"{busy} already deploying"] if busy else []
        return "; ".join(parts)

    @property
    def call(self) -> str:
        """The call that runs this plan, with the confirmation that it needs and without values of variables."""
        if isinstance(self.action, Mixed):
            return "launch.state.apply(plan)"
        targets = [one.target for one in self.operations]
        arguments = ["plan"]
        if isinstance(self.action, SetVariables) and self.action.names:
            arguments.append("variables=variables")
        if reasons_to_confirm(self.action, targets, PROTECTED):
            arguments.append(f"confirm={len(targets)}")
        return f"launch.fleet.run({', '.join(arguments)})"

    def diff(self, other: Plan) -> PlanDiff:
        """Return the differences between this plan and another one."""
        mine = {operation.key for operation in self.operations}
        theirs = {operation.key for operation in other.operations}
        return PlanDiff(
            added=tuple(operation for operation in other.operations if operation.key not in mine),
            removed=tuple(operation for operation in self.operations if operation.key not in theirs),
            kept=tuple(operation for operation in self.operations if operation.key in theirs),
        )

    def to_json(self) -> str:
        """Return the plan as JSON, without values of variables."""
        return json.dumps(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "uid": self.uid,
                "host": self.host,
                "organization_uid": self.organization_uid,
                "created_at": self.created_at.isoformat(),
                "is_service_time": self.is_service_time,
                "action": _action_document(self.action),
                "cost": attrs.asdict(self.cost),
                "rate": _figure(self.rate),
                "poll_rate": _figure(self.poll_rate),
                "build_seconds": self.build_seconds,
                "operations": [
                    {
                        "key": operation.key,
                        "target": operation.target.to_dict(),
                        "change": None if operation.change is None else attrs.asdict(operation.change),
                        **({} if operation.action is None else _own(operation, operation.action)),
                    }
                    for operation in self.operations
                ],
            },
            indent=2,
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the plan that `to_json` wrote.

        Raises:
            InvalidArgumentError: The text is not a plan, has another version, or was edited.
        """
        try:
            return cls._from_document(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
            if isinstance(error, InvalidArgumentError):
                raise
            raise InvalidArgumentError("plan", f"is not a fleet plan: {error}") from error

    @classmethod
    def _from_document(cls, document: dict[str, object]) -> Self:
        if document.get("format") != _FORMAT or document.get("version") != _VERSION:
            raise InvalidArgumentError(
                "plan",
                f"has the format {document.get('format')!r} version {document.get('version')!r}, but this SDK reads "
                f"{_FORMAT!r} version {_VERSION}. Make a new plan",
            )
        action = _read_action(cast("dict[str, object]", document["action"]))
        plan = cls(
            uid=str(document["uid"]),
            host=str(document["host"]),
            organization_uid=cast("str | None", document["organization_uid"]),
            created_at=datetime.fromisoformat(str(document["created_at"])),
            is_service_time=document.get("is_service_time") is True,
            action=action,
            operations=tuple(_read_operation(one) for one in cast("list[dict[str, object]]", document["operations"])),
            rate=_read_figure(document["rate"]),
            poll_rate=_read_figure(document["poll_rate"]),
            build_seconds=tuple(float(one) for one in cast("list[float]", document["build_seconds"])),
        )
        if plan.created_at.tzinfo is None:
            raise InvalidArgumentError("plan", "is not a fleet plan: its time of creation has no time zone")
        if not isinstance(action, Mixed):
            _check_targets([one.target for one in plan.operations])
        edited = [one.target.label for one in plan.operations if one.key != _key_of(action, one)]
        if edited:
            raise InvalidArgumentError(
                "plan",
                f"was edited: the key of {', '.join(edited[:5])} does not match its target and action. Make a new plan",
            )
        return plan

    def save(self, path: str | Path) -> None:
        """Write the plan to a file."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the plan in a file.

        Raises:
            InvalidArgumentError: The file cannot be read, or is not a plan.
        """
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidArgumentError("path", f"{path} cannot be read: {error}") from error
        try:
            return cls.from_json(text)
        except InvalidArgumentError as error:
            problem = error.message.removeprefix(f"{error.parameter}: ")
            raise InvalidArgumentError("path", f"the plan in {path} {problem}") from error

    def __str__(self) -> str:
        lines = [f"  {one.label}{f'  {one.change}' if one.change is not None else ''}" for one in self.operations]
        shown = [
            f"Plan {self.uid[:8]} (dry run): {self.what}",
            self.outlook,
            *first_lines(lines, _SHOWN),
            "Nothing has been sent. This call runs the plan (with await in launch_async):",
            self.call,
        ]
        return "\n".join(map(printable, shown))


def _check_targets(targets: Sequence[Target]) -> None:
    if not targets:
        raise InvalidArgumentError("targets", "the selection matches no environment, so there is nothing to plan")
    counts = Counter(target.environment_uid for target in targets)
    twice = sorted({target.label for target in targets if counts[target.environment_uid] > 1})
    if twice:
        raise InvalidArgumentError("targets", f"contain duplicates: {', '.join(twice[:5])}. List each target once")


def _figure(rate: float) -> float | None:
    return rate if math.isfinite(rate) else None


def _read_figure(rate: object) -> float:
    return math.inf if rate is None else float(cast("float", rate))


def _key_of(action: Action, operation: PlannedOperation) -> str:
    return (
        _key(action, operation.target) if operation.action is None else key_by_name(operation.action, operation.target)
    )


def key_by_name(action: Action, target: Target) -> str:
    """Return the key of an operation of a mixed plan, whose target has names but perhaps no UID yet."""
    what = action.name if isinstance(action, Task) else action.kind
    identity = [what, target.project_name, target.environment_name]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]


def _key(action: Action, target: Target) -> str:
    identity = [_action_document(action), target.project_uid, target.environment_uid]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


def _action_document(action: Action) -> dict[str, object]:
    return attrs.asdict(action)


def _read_action(document: dict[str, object]) -> Action:
    fields: dict[str, Any] = {
        name: tuple(cast("list[str]", value)) if isinstance(value, list) else value for name, value in document.items()
    }
    if "source" in fields:
        fields["source"] = PlannedSource(**fields["source"])
    return ACTIONS[fields["kind"]](**fields)


def _own(operation: PlannedOperation, action: Action) -> dict[str, object]:
    return {"action": _action_document(action), "stage": operation.stage, "after": list(operation.after)}


def _read_operation(document: dict[str, object]) -> PlannedOperation:
    change = cast("dict[str, list[str]] | None", document["change"])
    action = cast("dict[str, object] | None", document.get("action"))
    return PlannedOperation(
        key=str(document["key"]),
        target=Target.from_dict(document["target"], exists=action is None),
        change=None if change is None else VariableChange(**{name: tuple(keys) for name, keys in change.items()}),
        action=None if action is None else _read_action(action),
        stage=cast("int", document.get("stage", 0)),
        after=tuple(cast("list[str]", document.get("after", ()))),
    )

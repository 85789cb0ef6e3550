"""A plan: what is to be done to which environments, as data that can be read, saved and compared before it runs.

A plan holds no value of a variable, no token and no signed URL: its JSON may be shown to anybody who may know the
names of the environments. Every operation has a key that depends on nothing but what is done to which environment.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias, cast

import attrs

from launch_async.errors import InvalidArgumentError
from launch_async.workflows.fleet.targets import Cost, Target

__all__ = [
    "Action",
    "DeleteEnvironments",
    "Plan",
    "PlanDiff",
    "PlannedOperation",
    "PlannedSource",
    "Redeploy",
    "RevalidateCache",
    "SetVariables",
    "VariableChange",
    "WhenBusy",
]

_FORMAT: Final = "contentstack-launch/fleet-plan"
_VERSION: Final = 1
_SHOWN: Final = 20

WhenBusy: TypeAlias = Literal["queue", "attach", "skip"]
"""What to do with an environment that is deploying already: queue another deployment behind it, wait for the running
one instead, or leave it alone."""


@attrs.frozen(kw_only=True)
class PlannedSource:
    """What a redeployment is made from.

    Attributes:
        kind: `latest_commit`, `commit`, `previous_upload` or `files`.
        commit: Full hash, for `commit`.
        path: Folder or .zip, for `files`.
        content_hash: What the files were when the plan was made: other files are refused when it runs.
    """

    kind: Literal["latest_commit", "commit", "previous_upload", "files"]
    commit: str | None = None
    path: str | None = None
    content_hash: str | None = None

    def __str__(self) -> str:
        what = {"commit": f"commit {self.commit}", "files": f"files of {self.path}"}
        return what.get(self.kind, self.kind.replace("_", " "))


@attrs.frozen(kw_only=True)
class Redeploy:
    """Deploy each environment once.

    Attributes:
        source: What from.
        when_busy: What to do with an environment that is deploying already.
    """

    source: PlannedSource
    when_busy: WhenBusy = "queue"
    kind: Literal["redeploy"] = "redeploy"

    def __str__(self) -> str:
        return f"redeploy from {self.source} (busy environments: {self.when_busy})"


@attrs.frozen(kw_only=True)
class VariableChange:
    """What applying would do to the variables of one environment, when the plan was made: names only.

    Attributes:
        added: Names that are new.
        changed: Names whose value is another.
        removed: Names that go.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __str__(self) -> str:
        signs = {"+": self.added, "~": self.changed, "-": self.removed}
        return " ".join(f"{sign}{name}" for sign, names in signs.items() for name in names) or "nothing to change"


@attrs.frozen(kw_only=True)
class SetVariables:
    """Set variables in each environment, and remove others; the next deployment applies them.

    Attributes:
        names: Names of the variables that are set; their values are given when the plan runs.
        removed: Names of the variables that are removed.
    """

    names: tuple[str, ...]
    removed: tuple[str, ...] = ()
    kind: Literal["set_variables"] = "set_variables"

    def __str__(self) -> str:
        removal = f", remove {', '.join(self.removed)}" if self.removed else ""
        return f"set {', '.join(self.names) or 'nothing'}{removal}"


@attrs.frozen(kw_only=True)
class RevalidateCache:
    """Purge each environment's CDN cache, by exactly one of a path, tags or host names (FACTS §8).

    Attributes:
        path: Path to purge.
        is_prefix: Whether everything below the path is purged, too.
        cache_tags: Tags to purge.
        hostnames: Host names to purge.
    """

    path: str | None = None
    is_prefix: bool = False
    cache_tags: tuple[str, ...] | None = None
    hostnames: tuple[str, ...] | None = None
    kind: Literal["revalidate_cache"] = "revalidate_cache"

    def __str__(self) -> str:
        what = self.path or ", ".join(self.cache_tags or self.hostnames or ())
        return f"revalidate the cache of {what}{' and below' if self.is_prefix else ''}"


@attrs.frozen(kw_only=True)
class DeleteEnvironments:
    """Delete environments that were listed by UID; always wants a confirmation."""

    kind: Literal["delete_environments"] = "delete_environments"

    def __str__(self) -> str:
        return "delete environments"


Action: TypeAlias = Redeploy | SetVariables | RevalidateCache | DeleteEnvironments
"""What a plan does to each of its targets."""

_ACTIONS: Final[dict[str, type[Action]]] = {
    "redeploy": Redeploy,
    "set_variables": SetVariables,
    "revalidate_cache": RevalidateCache,
    "delete_environments": DeleteEnvironments,
}


@attrs.frozen(kw_only=True)
class PlannedOperation:
    """One operation of a plan.

    Attributes:
        key: Depends on nothing but what is done to which environment.
        target: The environment.
        change: What it would change, for variables.
    """

    key: str
    target: Target
    change: VariableChange | None = None


@attrs.frozen(kw_only=True)
class PlanDiff:
    """How another plan differs from this one, by operation key.

    Attributes:
        added: Operations that only the other plan has.
        removed: Operations that only this plan has.
        kept: Operations that both have.
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
class Plan:
    """What is to be done to which environments. Printing it is the dry run; `fleet.run(plan)` does it.

    Attributes:
        uid: Names this plan; a journal belongs to one.
        host: Host of the Launch API that it was made for.
        organization_uid: Organization that it was made for; None if the client does not know.
        created_at: When it was made.
        action: What is done to each target.
        operations: One for each target.
        cost: What it costs at the least.
    """

    uid: str
    host: str
    organization_uid: str | None
    created_at: datetime
    action: Action
    operations: tuple[PlannedOperation, ...]
    cost: Cost

    @classmethod
    def make(
        cls,
        action: Action,
        targets: Sequence[Target],
        *,
        host: str,
        organization_uid: str | None,
        rate: float,
        changes: Mapping[str, VariableChange] | None = None,
    ) -> Self:
        """Return a new plan.

        Args:
            action: What is done to each target.
            targets: The environments.
            host: Host of the Launch API.
            organization_uid: The organization, if it is known.
            rate: Requests per second that the budget allows.
            changes: What would change, by environment UID, for variables.

        Raises:
            InvalidArgumentError: There is no target, or one is there twice.
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
            created_at=datetime.now(UTC),
            action=action,
            operations=operations,
            cost=Cost.of(_requests(action) * len(operations), rate=rate),
        )

    def diff(self, other: Plan) -> PlanDiff:
        """Return how another plan differs from this one."""
        mine = {operation.key for operation in self.operations}
        theirs = {operation.key for operation in other.operations}
        return PlanDiff(
            added=tuple(operation for operation in other.operations if operation.key not in mine),
            removed=tuple(operation for operation in self.operations if operation.key not in theirs),
            kept=tuple(operation for operation in self.operations if operation.key in theirs),
        )

    def to_json(self) -> str:
        """Return the plan as JSON, without any value of a variable."""
        return json.dumps(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "uid": self.uid,
                "host": self.host,
                "organization_uid": self.organization_uid,
                "created_at": self.created_at.isoformat(),
                "action": _action_document(self.action),
                "cost": attrs.asdict(self.cost),
                "operations": [
                    {
                        "key": operation.key,
                        "target": operation.target.to_dict(),
                        "change": None if operation.change is None else attrs.asdict(operation.change),
                    }
                    for operation in self.operations
                ],
            },
            indent=2,
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            InvalidArgumentError: It is not a plan, is of another version, or was edited so that a key no longer fits.
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
                "plan", f"is {document.get('format')!r} version {document.get('version')!r}, not {_FORMAT} {_VERSION}"
            )
        action = _read_action(cast("dict[str, object]", document["action"]))
        cost = cast("dict[str, float]", document["cost"])
        plan = cls(
            uid=str(document["uid"]),
            host=str(document["host"]),
            organization_uid=cast("str | None", document["organization_uid"]),
            created_at=datetime.fromisoformat(str(document["created_at"])),
            action=action,
            operations=tuple(_read_operation(one) for one in cast("list[dict[str, object]]", document["operations"])),
            cost=Cost(int(cost["requests"]), float(cost["seconds"])),
        )
        if plan.created_at.tzinfo is None:
            raise InvalidArgumentError("plan", "is not a fleet plan: its time of creation has no time zone")
        _check_targets([one.target for one in plan.operations])
        edited = [one.target.label for one in plan.operations if one.key != _key(action, one.target)]
        if edited:
            raise InvalidArgumentError(
                "plan", f"was edited: the key of {', '.join(edited[:5])} does not fit; plan anew"
            )
        return plan

    def save(self, path: str | Path) -> None:
        """Write the plan to a file."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a plan from a file.

        Raises:
            InvalidArgumentError: It cannot be read, or is not a plan.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidArgumentError("path", f"{path} cannot be read: {error}") from error
        return cls.from_json(text)

    def __str__(self) -> str:
        lines = [
            f"  {one.target.label}{f'  {one.change}' if one.change is not None else ''}"
            for one in self.operations[:_SHOWN]
        ]
        more = len(self.operations) - len(lines)
        return "\n".join(
            [
                f"Plan {self.uid[:8]} (dry run): {self.action}",
                f"{len(self.operations)} environments, at least {self.cost}",
                *lines,
                *([f"  ... and {more} more"] if more > 0 else []),
                "Nothing has been sent; fleet.run(plan) does it.",
            ]
        )


def _check_targets(targets: Sequence[Target]) -> None:
    if not targets:
        raise InvalidArgumentError("targets", "are empty: nothing was selected")
    twice = sorted(uid for uid, count in Counter(target.environment_uid for target in targets).items() if count > 1)
    if twice:
        raise InvalidArgumentError("targets", f"contain {', '.join(twice[:5])} more than once")


def _requests(action: Action) -> int:
    """Return how many requests one operation takes at the least."""
    if isinstance(action, SetVariables):
        return 5 if action.removed else 4  # read (and once more to remove), read again, write, read back
    if isinstance(action, Redeploy) and action.when_busy != "queue":
        return 2  # look, deploy
    return 1


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
    return _ACTIONS[fields["kind"]](**fields)


def _read_operation(document: dict[str, object]) -> PlannedOperation:
    change = cast("dict[str, list[str]] | None", document["change"])
    return PlannedOperation(
        key=str(document["key"]),
        target=Target.from_dict(document["target"]),
        change=None if change is None else VariableChange(**{name: tuple(keys) for name, keys in change.items()}),
    )

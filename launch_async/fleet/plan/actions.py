"""Actions: what a plan does to each of its targets, as plain data without a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, Self, TypeAlias

import attrs

from launch_async.archive.archive import SecretFiles
from launch_async.models.base import JSONValue

__all__ = [
    "ACTIONS",
    "Action",
    "DeleteEnvironments",
    "Mixed",
    "PlannedSource",
    "Redeploy",
    "RevalidateCache",
    "SetVariables",
    "Task",
    "VariableChange",
    "WhenBusy",
]

WhenBusy: TypeAlias = Literal["queue", "attach", "skip"]
"""How to treat an environment that is already deploying: queue a new deployment after the running one, attach to the
running one, or skip the environment."""


@attrs.frozen(kw_only=True)
class PlannedSource:
    """The source of a redeployment.

    Attributes:
        kind: `latest_commit`, `commit`, `previous_upload` or `files`.
        commit_hash: Full hash, for `commit`.
        path: Folder or .zip, for `files`.
        content_hash: Hash of the files when the plan was made. The run refuses other files.
        secrets: How to treat files that contain secrets: `refuse`, `drop` or `send`.
    """

    kind: Literal["latest_commit", "commit", "previous_upload", "files"]
    commit_hash: str | None = None
    path: str | None = None
    content_hash: str | None = None
    secrets: SecretFiles = "refuse"

    def __str__(self) -> str:
        what = {"commit": f"commit {self.commit_hash}", "files": f"files of {self.path}"}
        return what.get(self.kind, self.kind.replace("_", " "))


@attrs.frozen(kw_only=True)
class Redeploy:
    """Deploy each environment once.

    Attributes:
        source: The source to deploy.
        when_busy: How to treat an environment that is already deploying.
    """

    source: PlannedSource
    when_busy: WhenBusy = "queue"
    kind: Literal["redeploy"] = "redeploy"

    def in_words(self, source: str) -> str:
        """Return a description of the action. `source` describes the source."""
        return f"redeploy from {source} (busy environments: {self.when_busy})"

    def __str__(self) -> str:
        return self.in_words(str(self.source))


@attrs.frozen(kw_only=True)
class VariableChange:
    """Names of the variables of one environment that would change, at the time of the plan.

    Attributes:
        added: Names of new variables.
        changed: Names of variables with another value.
        removed: Names of variables that would be removed.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @classmethod
    def between(cls, current: Mapping[str, str], values: Mapping[str, str], removed: Iterable[str]) -> Self:
        """Return the difference between current variables and the values to set and names to remove."""
        return cls(
            added=tuple(name for name in values if name not in current),
            changed=tuple(name for name in values if name in current and current[name] != values[name]),
            removed=tuple(name for name in removed if name in current),
        )

    @property
    def has_changes(self) -> bool:
        """Whether any variable would change."""
        return bool(self.added or self.changed or self.removed)

    def __str__(self) -> str:
        signs = {"+": self.added, "~": self.changed, "-": self.removed}
        return " ".join(f"{sign}{name}" for sign, names in signs.items() for name in names) or "nothing to change"


@attrs.frozen(kw_only=True)
class SetVariables:
    """Set variables in each environment, and remove others. The next deployment applies them.

    Attributes:
        names: Names of the variables to set. Pass their values when the plan runs.
        removed: Names of the variables to remove.
    """

    names: tuple[str, ...]
    removed: tuple[str, ...] = ()
    kind: Literal["set_variables"] = "set_variables"

    def __str__(self) -> str:
        removal = f", remove {', '.join(self.removed)}" if self.removed else ""
        return f"set {', '.join(self.names) or 'nothing'}{removal}"


@attrs.frozen(kw_only=True)
class RevalidateCache:
    """Purge each environment's CDN cache, by a path, tags or host names (exactly one of them).

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
    """Delete environments. A run of this action always needs a confirmation."""

    kind: Literal["delete_environments"] = "delete_environments"

    def __str__(self) -> str:
        return "delete environments"


@attrs.frozen(kw_only=True)
class Task:
    """One operation of a mixed plan. The workflow that made the plan carries it out.

    Attributes:
        name: Name of the operation, such as `update_environment`.
        details: Input of the operation, as plain data without secrets.
        requests: Minimum number of requests.
        is_repeatable: Whether the operation may run again, for example because it reads before it writes.
    """

    name: str
    details: Mapping[str, JSONValue] = attrs.field(factory=dict[str, JSONValue], repr=False, hash=False)
    requests: int = 0
    is_repeatable: bool = False
    kind: Literal["task"] = "task"

    def __str__(self) -> str:
        return self.name.replace("_", " ")


@attrs.frozen(kw_only=True)
class Mixed:
    """Different actions for different targets, in the order of the operations' stages.

    Attributes:
        title: Purpose of the plan.
        salt: Random text of this plan, for the keyed hashes of secrets in it.
    """

    title: str
    salt: str = attrs.field(default="", repr=False)
    kind: Literal["mixed"] = "mixed"

    def __str__(self) -> str:
        return self.title


Action: TypeAlias = Redeploy | SetVariables | RevalidateCache | DeleteEnvironments | Task | Mixed
"""The action of a plan."""

ACTIONS: Final[dict[str, type[Action]]] = {
    "redeploy": Redeploy,
    "set_variables": SetVariables,
    "revalidate_cache": RevalidateCache,
    "delete_environments": DeleteEnvironments,
    "task": Task,
    "mixed": Mixed,
}
"""Actions by the `kind` in their JSON."""

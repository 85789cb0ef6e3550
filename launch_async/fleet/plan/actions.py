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
"""What to do with an environment that is deploying already: queue another deployment behind it, wait for the running
one instead, or leave it alone."""


@attrs.frozen(kw_only=True)
class PlannedSource:
    """What a redeployment is made from.

    Attributes:
        kind: `latest_commit`, `commit`, `previous_upload` or `files`.
        commit_hash: Full hash, for `commit`.
        path: Folder or .zip, for `files`.
        content_hash: What the files were when the plan was made: other files are refused when it runs.
        secrets: What to do about files that hold secrets: `refuse`, `drop` or `send`.
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
        source: What from.
        when_busy: What to do with an environment that is deploying already.
    """

    source: PlannedSource
    when_busy: WhenBusy = "queue"
    kind: Literal["redeploy"] = "redeploy"

    def in_words(self, source: str) -> str:
        """Return what is done, with the source in other words."""
        return f"redeploy from {source} (busy environments: {self.when_busy})"

    def __str__(self) -> str:
        return self.in_words(str(self.source))


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

    @classmethod
    def between(cls, current: Mapping[str, str], values: Mapping[str, str], removed: Iterable[str]) -> Self:
        """Return what setting values and removing names does to the current variables."""
        return cls(
            added=tuple(name for name in values if name not in current),
            changed=tuple(name for name in values if name in current and current[name] != values[name]),
            removed=tuple(name for name in removed if name in current),
        )

    @property
    def has_changes(self) -> bool:
        """Whether anything changes."""
        return bool(self.added or self.changed or self.removed)

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


@attrs.frozen(kw_only=True)
class Task:
    """One operation of a mixed plan, which whoever made the plan knows how to carry out.

    Attributes:
        name: What it does, such as `update_environment`.
        details: What is to be known of it, as plain data without a secret.
        requests: Requests that it takes at the least.
        is_repeatable: Whether it may be done again, as what reads before it writes: then nothing about it is in doubt.
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
    """Something else for each target, as its operation says, in the order of the operations' stages.

    Attributes:
        title: What all of it is for.
        salt: A text of this plan's own, for marks of secrets in it.
    """

    title: str
    salt: str = attrs.field(default="", repr=False)
    kind: Literal["mixed"] = "mixed"

    def __str__(self) -> str:
        return self.title


Action: TypeAlias = Redeploy | SetVariables | RevalidateCache | DeleteEnvironments | Task | Mixed
"""What a plan does to each of its targets."""

ACTIONS: Final[dict[str, type[Action]]] = {
    "redeploy": Redeploy,
    "set_variables": SetVariables,
    "revalidate_cache": RevalidateCache,
    "delete_environments": DeleteEnvironments,
    "task": Task,
    "mixed": Mixed,
}
"""Actions by the `kind` that their JSON has."""

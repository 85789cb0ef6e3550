"""Targets: the environments of a bulk operation, and the cost of a run."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Self, cast, overload

import attrs

from launch_async._text import count_of, first_lines, printable
from launch_async._views import Displayable
from launch_async.fleet.plan.reading import Reading
from launch_async.http.operation import check_uid
from launch_async.models.deployment import DeploymentStatus
from launch_async.wire.timestamps import parse_iso

__all__ = ["Cost", "Selection", "Target", "matches", "several"]

_SHOWN = 20
"""Number of targets that the text of a selection lists."""


@attrs.frozen(kw_only=True)
class Target:
    """One environment, with the facts that a selection or plan has read.

    Attributes:
        project_uid: UID of the project. Empty in a mixed plan if the project does not exist yet.
        environment_uid: UID of the environment. Empty in a mixed plan if the environment does not exist yet, and for an
            operation on a project.
        project_name: Name of the project; empty if unknown.
        environment_name: Name of the environment; empty if unknown.
        project_type: `GITPROVIDER` or `FILEUPLOAD`; empty if unknown.
        git_branch: Branch of the environment.
        framework_preset: Framework preset of the environment.
        last_status: Status of the newest deployment; None if unknown.
        last_deployed_at: When the newest deployment was created; None if unknown.
        last_number: Number of the newest deployment; None if unknown. Deployments of the run have higher numbers.
        last_seconds: Seconds that the build of the live deployment took; None if unknown. A run orders builds by it.
        reading: The environment's variables, if they were read. They stay in this process.
    """

    project_uid: str
    environment_uid: str
    project_name: str = ""
    environment_name: str = ""
    project_type: str = ""
    git_branch: str | None = None
    framework_preset: str | None = None
    last_status: DeploymentStatus | None = None
    last_deployed_at: datetime | None = None
    last_number: int | None = None
    last_seconds: float | None = None
    reading: Reading | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def label(self) -> str:
        """`project/environment`, by name if it is known, on one line and without control characters."""
        parts = self.project_name or self.project_uid, self.environment_name or self.environment_uid
        return printable("/".join(filter(None, parts)))

    def to_dict(self) -> dict[str, object]:
        """Return the target as plain data that JSON can express."""
        moment = self.last_deployed_at
        return {
            **attrs.asdict(self, filter=lambda field, _: field.name != "reading"),
            "last_status": None if self.last_status is None else str(self.last_status),
            "last_deployed_at": None if moment is None else moment.isoformat(),
        }

    @classmethod
    def from_dict(cls, document: object, *, exists: bool = True) -> Self:
        """Return the target that `to_dict` wrote.

        Args:
            document: Result of `to_dict`.
            exists: Whether the environment exists, so that both UIDs are required.

        Raises:
            ValueError: The document is not a target.
        """
        if not isinstance(document, dict):
            raise ValueError("a target must be an object with project_uid and environment_uid")
        fields = cast("dict[str, object]", document)
        known = {field.name for field in attrs.fields(cls)} - {"reading"}
        texts: dict[str, Any] = {
            name: value for name, value in fields.items() if name in known and isinstance(value, str)
        }
        missing = {"project_uid", "environment_uid"} - texts.keys()
        if missing:
            raise ValueError(f"a target has no {' and no '.join(sorted(missing))}")
        status, moment = texts.pop("last_status", None), texts.pop("last_deployed_at", None)
        number, seconds = fields.get("last_number"), fields.get("last_seconds")
        uids = {name: texts.pop(name) for name in ("project_uid", "environment_uid")}
        for name, uid in uids.items():
            if exists or uid:
                check_uid(name, uid)
        return cls(
            **uids,
            **texts,
            last_status=None if status is None else DeploymentStatus(status),
            last_deployed_at=None if moment is None else parse_iso(moment),
            last_number=number if isinstance(number, int) else None,
            last_seconds=float(seconds) if isinstance(seconds, int | float) else None,
        )


@attrs.frozen
class Cost:
    """The estimated cost of a run.

    Attributes:
        requests: Requests that count against the organization's rate limit, including polls of builds.
        seconds: Seconds that the rate limit needs for these requests.
    """

    requests: int
    seconds: float

    @classmethod
    def of(cls, requests: int, *, rate: float) -> Self:
        """Return the cost of some requests at a rate per second."""
        return cls(requests, requests / rate if math.isfinite(rate) and rate > 0 else 0.0)

    def __str__(self) -> str:
        if self.seconds < 90:
            return f"{count_of(self.requests, 'request')} ({self.seconds:.0f} s at the rate limit)"
        return f"{count_of(self.requests, 'request')} ({self.seconds / 60:.1f} min at the rate limit)"


@attrs.frozen
class Selection(Displayable, Sequence[Target]):
    """Matching targets, in the order of project and environment names.

    Attributes:
        targets: The targets.
        considered: Number of environments that the selection has read.
        requests: Number of requests that the selection took.
    """

    targets: tuple[Target, ...]
    considered: int = 0
    requests: int = 0

    def __len__(self) -> int:
        return len(self.targets)

    def __iter__(self) -> Iterator[Target]:
        return iter(self.targets)

    @overload
    def __getitem__(self, index: int) -> Target: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Target]: ...
    def __getitem__(self, index: int | slice) -> Target | Sequence[Target]:
        return self.targets[index]

    def __str__(self) -> str:
        head = (
            f"{len(self.targets)} of {count_of(self.considered, 'environment')} selected with "
            f"{count_of(self.requests, 'request')}"
        )
        lines = [f"  {target.label}  {target.last_status or ''}".rstrip() for target in self.targets]
        return "\n".join([head, *first_lines(lines, _SHOWN)])


def matches(name: str | None, patterns: Iterable[str]) -> bool:
    """Return whether a name equals or matches one of the patterns."""
    return any(name == pattern or fnmatch.fnmatchcase(name or "", pattern) for pattern in patterns)


def several(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return a tuple of texts. A single text is one item."""
    return (given,) if isinstance(given, str) else tuple(given)

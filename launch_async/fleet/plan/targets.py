"""Targets: the environments that a bulk operation is about, and what it would cost."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Self, cast, overload

import attrs

from launch_async._text import first_lines, printable
from launch_async._views import Displayable
from launch_async.fleet.plan.reading import Reading
from launch_async.http.operation import check_uid
from launch_async.models.deployment import DeploymentStatus
from launch_async.wire.moments import parse_iso

__all__ = ["Cost", "Selection", "Target", "counted", "matches", "several"]

_SHOWN = 20


@attrs.frozen(kw_only=True)
class Target:
    """One environment, with what is known of it.

    Attributes:
        project_uid: UID of the project; empty, in a mixed plan, for one that is not there yet.
        environment_uid: UID of the environment; likewise, and for what is done to a project.
        project_name: Name of the project; empty if it was not looked up.
        environment_name: Name of the environment; empty if it was not looked up.
        project_type: `GITPROVIDER` or `FILEUPLOAD`; empty if it is not known.
        git_branch: Branch that is deployed.
        framework_preset: How the site is built.
        last_status: Status of the newest deployment, if it was looked up.
        last_deployed_at: When the newest deployment was created, if it was looked up.
        last_number: Number of the newest deployment when the plan was made, if it is known: a run's own are newer.
        last_seconds: How long the build that serves took, if it was looked up: a run orders builds by it.
        reading: Its variables, if they were read; in this process only.
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
        """`project/environment`, by name where it is known; on one line, without control characters."""
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
    def from_dict(cls, document: object, *, is_there: bool = True) -> Self:
        """Read what `to_dict` wrote.

        Args:
            document: What `to_dict` wrote.
            is_there: Whether it must have both UIDs.

        Raises:
            ValueError: It is not such an object.
        """
        if not isinstance(document, dict):
            raise ValueError("a target is an object with project_uid and environment_uid")
        fields = cast("dict[str, object]", document)
        known = {field.name for field in attrs.fields(cls)} - {"reading"}
        texts: dict[str, Any] = {
            name: value for name, value in fields.items() if name in known and isinstance(value, str)
        }
        missing = {"project_uid", "environment_uid"} - texts.keys()
        if missing:
            raise ValueError(f"a target without {' and '.join(sorted(missing))}")
        status, moment = texts.pop("last_status", None), texts.pop("last_deployed_at", None)
        number, seconds = fields.get("last_number"), fields.get("last_seconds")
        uids = {name: texts.pop(name) for name in ("project_uid", "environment_uid")}
        for name, uid in uids.items():
            if is_there or uid:
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
    """What a run of a plan will probably cost.

    Attributes:
        requests: Requests against the organization's budget, polls of running builds included.
        seconds: Seconds that the budget needs for them.
    """

    requests: int
    seconds: float

    @classmethod
    def of(cls, requests: int, *, rate: float) -> Self:
        """Return the cost of some requests at a rate per second."""
        return cls(requests, requests / rate if math.isfinite(rate) and rate > 0 else 0.0)

    def __str__(self) -> str:
        if self.seconds < 90:
            return f"{self.requests} requests, {self.seconds:.0f} s of the budget"
        return f"{self.requests} requests, {self.seconds / 60:.1f} min of the budget"


@attrs.frozen
class Selection(Displayable, Sequence[Target]):
    """Targets that fit, in the order of project and environment name.

    Attributes:
        targets: The targets.
        considered: How many environments were looked at.
        requests: How many requests the selection took.
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
        head = f"{len(self.targets)} of {self.considered} environments selected with {self.requests} requests"
        lines = [f"  {target.label}  {target.last_status or ''}".rstrip() for target in self.targets]
        return "\n".join([head, *first_lines(lines, _SHOWN)])


def counted(count: int) -> str:
    """Return `1 target`, or a number of targets."""
    return "1 target" if count == 1 else f"{count} targets"


def matches(name: str | None, patterns: Iterable[str]) -> bool:
    """Whether a name is one of the patterns, or fits one."""
    return any(name == pattern or fnmatch.fnmatchcase(name or "", pattern) for pattern in patterns)


def several(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return texts as they were given, one or more: a text is not taken for its letters."""
    return (given,) if isinstance(given, str) else tuple(given)

"""`Preview`: an environment with a time to live, as the SDK read it; and the names of previews."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from numbers import Real
from pathlib import Path
from typing import Final, cast

import attrs

from launch_async._views import Displayable
from launch_async.deploy.previews.marker import Marker
from launch_async.errors import InvalidArgumentError
from launch_async.http.operation import check_text
from launch_async.models.base import JSONValue
from launch_async.models.deployment import Deployment
from launch_async.models.environment import Environment
from launch_async.resources._inputs import MAX_NAME

__all__ = ["Preview", "is_protected", "lifetime", "preview_name"]

PROTECTED: Final = ("production", "prod", "main", "live")
_MAX_SLUG_LENGTH: Final = 60


@attrs.frozen(kw_only=True)
class Preview(Displayable):
    """A preview environment.

    Attributes:
        project_uid: UID of its project.
        environment_uid: UID of its environment.
        name: Name of its environment.
        source: Description of the deployed source, such as `branch feature/moon`.
        owner: The name given to `create`, or else the UID of the user who created it; empty if unknown.
        expires_at: When the preview ends, by the service's clock.
        created_at: When the environment was created; None if the service does not return it.
        seen_at: When the SDK read the environment, by the service's clock.
        url: Absolute URL of its site. Only `create` sets it; otherwise None.
        deployment: The deployment that `create` created; otherwise None.
    """

    project_uid: str
    environment_uid: str
    name: str
    source: str
    owner: str
    expires_at: datetime
    created_at: datetime | None
    seen_at: datetime
    url: str | None = None
    deployment: Deployment | None = None

    @property
    def age(self) -> timedelta | None:
        """Age at `seen_at`; None if the service does not return the creation time."""
        return None if self.created_at is None else self.seen_at - self.created_at

    @property
    def time_left(self) -> timedelta:
        """Time left at `seen_at`; negative if the preview had expired."""
        return self.expires_at - self.seen_at

    @property
    def is_over(self) -> bool:
        """Whether the preview had expired at `seen_at`. A sweep deletes expired previews."""
        return self.expires_at <= self.seen_at

    def to_dict(self) -> dict[str, JSONValue]:
        """Return the preview as plain data for JSON."""
        return {
            "project_uid": self.project_uid,
            "environment_uid": self.environment_uid,
            "name": self.name,
            "source": self.source,
            "owner": self.owner,
            "expires_at": self.expires_at.isoformat(),
            "created_at": None if self.created_at is None else self.created_at.isoformat(),
            "is_over": self.is_over,
            "url": self.url,
        }

    @classmethod
    def of(cls, environment: Environment, now: datetime, deployment: Deployment | None = None) -> Preview | None:
        """Return the preview of an environment; None if the environment is not a preview."""
        marker = Marker.of(environment.description)
        if marker is None:
            return None
        return cls(
            project_uid=environment.project_uid,
            environment_uid=environment.uid,
            name=environment.name or "",
            source=marker.source,
            owner=marker.owner or environment.created_by or "",
            expires_at=marker.expires_at,
            created_at=environment.created_at,
            seen_at=now,
            url=None if deployment is None else deployment.url,
            deployment=deployment,
        )


def preview_name(name: str | None, branch: str | None, source: object) -> str:
    """Return the name of a preview's environment: `name`, or a name made from the branch or the folder.

    If the name cannot contain all characters of the branch, it ends with a hash, so that two branches never share a
    preview.

    Raises:
        InvalidArgumentError: The name is protected, or the source has no name.
    """
    if name is None:
        if branch is not None:
            known = branch
        elif isinstance(source, str | os.PathLike):
            known = Path(cast("str | os.PathLike[str]", source)).resolve().name
        else:
            raise InvalidArgumentError("name", "is required, because the source is neither a branch nor a path")
        slug = re.sub(r"[^a-z0-9]+", "-", known.lower()).strip("-")[:_MAX_SLUG_LENGTH]
        mark = "" if slug == known else f"-{hashlib.sha256(known.encode('utf-8', 'replace')).hexdigest()[:6]}"
        name = f"preview-{slug}{mark}"
    check_text("name", name, longest=MAX_NAME)
    if is_protected(name, PROTECTED):
        raise InvalidArgumentError(
            "name", f"{name!r} is a protected name, and a preview cannot have it. Choose another name"
        )
    return name


def is_protected(name: str | None, patterns: Sequence[str]) -> bool:
    """Return whether a name matches one of the patterns, ignoring case. An environment without a name is protected."""
    return not name or any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in patterns)


def lifetime(ttl: timedelta | float) -> timedelta:
    """Return the time to live of a preview.

    Raises:
        InvalidArgumentError: The time is not between 1 s and 10 years.
    """
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if isinstance(seconds, bool) or not isinstance(seconds, Real):
        raise InvalidArgumentError("ttl", f"must be a timedelta or a number of seconds, not {ttl!r:.80}")
    if not 1 <= seconds <= 3.2e8:
        raise InvalidArgumentError("ttl", f"must be from 1 s to 10 years, not {seconds:g} s")
    return timedelta(seconds=float(seconds))

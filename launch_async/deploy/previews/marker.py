"""The marker of a preview: the beginning of its environment's description, with the time at which the preview ends.

    [contentstack-launch preview; expires=2026-12-01T10:00:00Z; owner=alice] branch feature/moon

An environment without a marker is not a preview, regardless of its name.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, unquote

import attrs

from launch_async._text import printable
from launch_async.resources._inputs import MAX_DESCRIPTION
from launch_async.wire.timestamps import parse_iso

__all__ = ["Marker"]

_MARKER: Final = re.compile(
    r"\[contentstack-launch preview; expires=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ); owner=([^\s;\]]*)\](?: (.*))?",
    re.DOTALL,
)
_MAX_OWNER_LENGTH: Final = 60


@attrs.frozen
class Marker:
    """The content of a preview's description.

    Attributes:
        expires_at: End of the preview, by the service's clock, in whole seconds.
        owner: Name of the owner; empty if not given.
        source: Description of the deployed source, such as `branch feature/moon`.
    """

    expires_at: datetime
    owner: str = ""
    source: str = ""

    @property
    def text(self) -> str:
        """The description, cut to the length that the service accepts."""
        owner = re.sub("%.?$", "", quote(self.owner, safe="@._-+", errors="replace")[:_MAX_OWNER_LENGTH])
        moment = self.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        marker = f"[contentstack-launch preview; expires={moment}; owner={owner}]"
        return f"{marker} {printable(self.source)}".rstrip()[:MAX_DESCRIPTION]

    @classmethod
    def of(cls, description: str | None) -> Marker | None:
        """Parse the description of an environment; None if it has no marker."""
        found = _MARKER.match(description or "")
        if found is None:
            return None
        try:
            return cls(parse_iso(found[1]), unquote(found[2]), found[3] or "")
        except ValueError:
            return None

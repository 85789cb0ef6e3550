"""When a creation was sent, and what was known by then: all that a look-up needs, also in another process."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final, Self, cast

import attrs

from launch_async.http.service_clock import ServiceClock
from launch_async.wire.moments import parse_iso

__all__ = ["SendRecord"]

CLOCKS_APART: Final = timedelta(minutes=5)
"""The service may stamp answers by one clock and what it creates by another: no time of creation is more precise."""


@attrs.define
class SendRecord:
    """The sends of one creation.

    Attributes:
        first: When it was sent first, by the service's clock; None where no answer had told the time by then.
        last: When it was sent last.
        known_number: Highest number of its kind that was known before the first send; None where none was.
        sha256: SHA-256 of the ZIP that it deploys; None where it deploys none, or it is not known.
        first_at: When it was sent first, by the event loop's clock; None for a send of another process.
        last_at: When it was sent last.
    """

    first: datetime | None = None
    last: datetime | None = None
    known_number: int | None = None
    sha256: str | None = None
    first_at: float | None = None
    last_at: float | None = None

    def note(self, clock: ServiceClock) -> None:
        """Note that it is being sent now."""
        now = asyncio.get_running_loop().time()
        if self.last_at is None and self.last is None:
            self.first_at, self.first = now, clock.at(now)
        self.last_at, self.last = now, clock.at(now)

    def window(self, clock: ServiceClock, settle_after: float) -> tuple[datetime, datetime] | None:
        """Return the times between which it may have been acted on, by the service's clock; None if time tells nothing.

        Where a clock was set between the send and now, both of its readings count.
        """
        firsts, lasts = self._readings(clock, self.first, self.first_at), self._readings(clock, self.last, self.last_at)
        if not firsts or not lasts:
            return None
        return min(firsts) - CLOCKS_APART, max(lasts) + timedelta(seconds=settle_after) + CLOCKS_APART

    def to_dict(self) -> dict[str, object]:
        """Return it as plain data that JSON can express, for a journal."""
        return {
            "first": None if self.first is None else self.first.isoformat(),
            "last": None if self.last is None else self.last.isoformat(),
            "known_number": self.known_number,
            "sha256": self.sha256,
        }

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read what `to_dict` wrote; whatever else it is, nothing was known."""
        fields = cast("dict[str, object]", document) if isinstance(document, dict) else {}
        number, sha256 = fields.get("known_number"), fields.get("sha256")
        return cls(
            first=_moment(fields.get("first")),
            last=_moment(fields.get("last")),
            known_number=number if isinstance(number, int) else None,
            sha256=sha256 if isinstance(sha256, str) else None,
        )

    @staticmethod
    def _readings(clock: ServiceClock, then: datetime | None, at: float | None) -> list[datetime]:
        now = None if at is None else clock.at(at)
        return [moment for moment in (then, now) if moment is not None]


def _moment(text: object) -> datetime | None:
    return parse_iso(text) if isinstance(text, str) else None

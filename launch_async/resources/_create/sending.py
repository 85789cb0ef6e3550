"""When a creation was sent, and what was known by then: all that a look-up needs, also in another process."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final, Self, cast

import attrs

from launch_async.http.service_clock import ServiceClock
from launch_async.wire.moments import parse_iso

__all__ = ["CreationClock", "SendRecord"]

CLOCKS_APART: Final = timedelta(minutes=5)
"""The service may stamp answers by one clock and what it creates by another: no time of creation is more precise."""
_PRECISION: Final = timedelta(seconds=5)
"""How far a time of creation may be off, by the clock behind `createdAt` alone."""


@attrs.define
class SendRecord:
    """The sends of one creation.

    Attributes:
        first: When it was sent first, by the service's clock; None where no answer had told the time by then.
        last: When it was sent last.
        known_number: Highest number that was known in its place before the first send; None if none was known.
        known_uids: UIDs of everything without a number that was listed in its place before the first send; None if
            nothing was listed.
        is_listed: Whether its place was listed right before the first send, so that everything else is new.
        not_before: What the service's clock of creations showed at least at the first send; None if not known.
        sha256: SHA-256 of the ZIP that it deploys; None where it deploys none, or it is not known.
        seen_first: UIDs of everything that the first look of this process showed; None before it.
        first_at: When it was sent first, by the event loop's clock; None for a send of another process.
        last_at: When it was sent last.
    """

    first: datetime | None = None
    last: datetime | None = None
    known_number: int | None = None
    known_uids: frozenset[str] | None = None
    is_listed: bool = False
    not_before: datetime | None = None
    sha256: str | None = None
    seen_first: frozenset[str] | None = None
    first_at: float | None = None
    last_at: float | None = None

    @property
    def was_sent(self) -> bool:
        """Whether it was sent before."""
        return self.last_at is not None or self.last is not None

    def note(self, clock: ServiceClock) -> None:
        """Note that it is being sent now."""
        now = asyncio.get_running_loop().time()
        if not self.was_sent:
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

    def is_unknown(self, uid: str, number: int | None) -> bool | None:
        """Return whether something is none of what was known before the first send; None if nothing was known."""
        if number is not None:
            return None if self.known_number is None else number > self.known_number
        return None if self.known_uids is None else uid not in self.known_uids

    def is_earlier(self, created_at: datetime | None, *, by_date: bool) -> bool | None:
        """Return whether a time of creation seems to be before the first send; None if nothing shows it.

        It is no proof: somebody may have set the service's clock back.

        Args:
            created_at: The time of creation.
            by_date: Whether the clock behind `Date` counts if the clock behind `createdAt` was not known.
        """
        began = self.not_before or (self.first if by_date else None)
        return None if created_at is None or began is None else created_at < began - _PRECISION

    def to_dict(self) -> dict[str, object]:
        """Return it as plain data that JSON can express, for a journal."""
        return {
            "first": None if self.first is None else self.first.isoformat(),
            "last": None if self.last is None else self.last.isoformat(),
            "known_number": self.known_number,
            "known_uids": None if self.known_uids is None else sorted(self.known_uids),
            "is_listed": self.is_listed,
            "not_before": None if self.not_before is None else self.not_before.isoformat(),
            "sha256": self.sha256,
        }

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read what `to_dict` wrote; whatever else it is, nothing was known."""
        fields = cast("dict[str, object]", document) if isinstance(document, dict) else {}
        number, sha256, uids = fields.get("known_number"), fields.get("sha256"), fields.get("known_uids")
        return cls(
            first=_moment(fields.get("first")),
            last=_moment(fields.get("last")),
            known_number=number if isinstance(number, int) else None,
            known_uids=frozenset(map(str, cast("list[object]", uids))) if isinstance(uids, list) else None,
            is_listed=fields.get("is_listed") is True,
            not_before=_moment(fields.get("not_before")),
            sha256=sha256 if isinstance(sha256, str) else None,
        )

    @staticmethod
    def _readings(clock: ServiceClock, then: datetime | None, at: float | None) -> list[datetime]:
        now = None if at is None else clock.at(at)
        return [moment for moment in (then, now) if moment is not None]


class CreationClock:
    """The clock behind `createdAt`, as the last answered creation showed it, carried on by the monotonic clock."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None

    def observe(self, created_at: datetime | None) -> None:
        """Learn from something that was created just now."""
        if created_at is not None:
            self._last = created_at, asyncio.get_running_loop().time()

    def now(self) -> datetime | None:
        """Return what the clock shows at least; None if no creation was answered."""
        if self._last is None:
            return None
        created_at, answered_at = self._last
        return created_at + timedelta(seconds=asyncio.get_running_loop().time() - answered_at)


def _moment(text: object) -> datetime | None:
    return parse_iso(text) if isinstance(text, str) else None

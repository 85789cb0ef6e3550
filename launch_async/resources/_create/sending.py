"""The sends of a creation and the objects that were known before, as the input of a look-up in any process."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final, Self, cast

import attrs

from launch_async.http.service_clock import ServiceClock
from launch_async.wire.timestamps import parse_iso

__all__ = ["CreationClock", "SendRecord"]

CLOCKS_APART: Final = timedelta(minutes=5)
"""The service may use one clock for responses and another for `createdAt`, and the two may differ by this much."""
_PRECISION: Final = timedelta(seconds=5)
"""Maximum error of a time of creation, by the clock of `createdAt` alone."""


@attrs.define
class SendRecord:
    """The sends of one creation.

    Attributes:
        first: When the request was first sent, by the service's clock; None if no response had shown the time by then.
        last: When the request was last sent, by the service's clock.
        known_number: Highest known number at its place before the first send; None if no number was known.
        known_uids: UIDs of the objects without a number that were listed at its place before the first send; None if
            there was no listing.
        is_listed: Whether its place was listed right before the first send, so that all other objects are new.
        not_before: Earliest time that the clock of `createdAt` can have shown at the first send; None if not known.
        sha256: SHA-256 of the ZIP to deploy; None if there is no ZIP, or the SHA-256 is not known.
        seen_first: UIDs of all objects that the first look-up of this process showed; None before this look-up.
        first_at: When the request was first sent, by the event loop's clock; None for a send of another process.
        last_at: When the request was last sent, by the event loop's clock.
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
        """Whether the request was sent before."""
        return self.last_at is not None or self.last is not None

    def note(self, clock: ServiceClock) -> None:
        """Record that the request is sent now."""
        now = asyncio.get_running_loop().time()
        if not self.was_sent:
            self.first_at, self.first = now, clock.at(now)
        self.last_at, self.last = now, clock.at(now)

    def window(self, clock: ServiceClock, settle_after: float) -> tuple[datetime, datetime] | None:
        """Return the period in which the service may have acted, by its clock; None if the times are not known.

        If the clock was set between the send and now, the period contains both readings.
        """
        firsts, lasts = self._readings(clock, self.first, self.first_at), self._readings(clock, self.last, self.last_at)
        if not firsts or not lasts:
            return None
        return min(firsts) - CLOCKS_APART, max(lasts) + timedelta(seconds=settle_after) + CLOCKS_APART

    def is_unknown(self, uid: str, number: int | None) -> bool | None:
        """Return whether an object was not known before the first send; None if no objects were known."""
        if number is not None:
            return None if self.known_number is None else number > self.known_number
        return None if self.known_uids is None else uid not in self.known_uids

    def is_earlier(self, created_at: datetime | None, *, by_date: bool) -> bool | None:
        """Return whether a time of creation seems to be before the first send; None if it is not known.

        The result is not a proof, because the service's clock may have been set back.

        Args:
            created_at: The time of creation.
            by_date: Whether the clock of `Date` counts if the clock of `createdAt` was not known.
        """
        began = self.not_before or (self.first if by_date else None)
        return None if created_at is None or began is None else created_at < began - _PRECISION

    def is_later(self, created_at: datetime | None) -> bool:
        """Return whether a time of creation is after the first send, by the clock of `createdAt`."""
        return created_at is not None and self.not_before is not None and created_at >= self.not_before

    def to_dict(self) -> dict[str, object]:
        """Return the record as JSON data, for a journal."""
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
        """Read the output of `to_dict`. For any other document, return an empty record."""
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
    """The clock of `createdAt`: the time of the last answered creation, continued by the monotonic clock."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None

    def observe(self, created_at: datetime | None) -> None:
        """Set the clock from an object that was created just now."""
        if created_at is not None:
            self._last = created_at, asyncio.get_running_loop().time()

    def now(self) -> datetime | None:
        """Return the earliest time that the clock can show; None before the first response to a creation."""
        if self._last is None:
            return None
        created_at, answered_at = self._last
        return created_at + timedelta(seconds=asyncio.get_running_loop().time() - answered_at)


def _moment(text: object) -> datetime | None:
    return parse_iso(text) if isinstance(text, str) else None

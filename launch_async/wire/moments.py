"""Moments as the service writes them: ISO 8601 in documents, RFC 9110 dates in headers, milliseconds in some logs.

Whatever names no zone is UTC, because the service writes UTC throughout (FACTS §4). Every moment that is read is aware,
and within the calendar of UTC: a moment of the year 9999 that is later by UTC becomes the last one that there is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["format_iso", "parse_epoch_ms", "parse_http_date", "parse_iso"]


def parse_iso(text: str) -> datetime:
    """Read a moment in ISO 8601.

    Raises:
        ValueError: The text is something else.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment if 1 < moment.year < 9999 else _in_utc(moment)


def parse_epoch_ms(milliseconds: float) -> datetime:
    """Read a moment that is given as milliseconds since 1970.

    Raises:
        ValueError: The number is beyond what a calendar holds.
    """
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError):
        raise ValueError("beyond the calendar") from None


def parse_http_date(text: str | None) -> datetime | None:
    """Read a header that is a date; None where it cannot be read."""
    try:
        moment = parsedate_to_datetime((text or "").strip())
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def format_iso(moment: datetime) -> str:
    """Return an aware moment as the service writes it: ISO 8601 in UTC, with milliseconds and `Z`."""
    return _in_utc(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return (datetime.max if moment.year > 1 else datetime.min).replace(tzinfo=UTC)

"""Read and write times in the formats of the service.

Documents contain ISO 8601, headers contain RFC 9110 dates, and some logs contain milliseconds since 1970. A time
without a time zone is in UTC, because the service always uses UTC. The functions return aware datetimes that can be
converted to UTC: a time that is after the year 9999 in UTC becomes `datetime.max`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["format_iso", "parse_epoch_ms", "parse_http_date", "parse_iso"]


def parse_iso(text: str) -> datetime:
    """Read a time in ISO 8601.

    Raises:
        ValueError: The text is not an ISO 8601 time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment if 1 < moment.year < 9999 else _in_utc(moment)


def parse_epoch_ms(milliseconds: float) -> datetime:
    """Read a time in milliseconds since 1970.

    Raises:
        ValueError: The time is outside the range of `datetime`.
    """
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, OSError):
        raise ValueError("the time is outside the range of datetime") from None


def parse_http_date(text: str | None) -> datetime | None:
    """Return the date in a header; None if the header is not a date."""
    try:
        moment = parsedate_to_datetime((text or "").strip())
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def format_iso(moment: datetime) -> str:
    """Return an aware datetime in the format of the service: ISO 8601 in UTC, with milliseconds and `Z`."""
    return _in_utc(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return (datetime.max if moment.year > 1 else datetime.min).replace(tzinfo=UTC)

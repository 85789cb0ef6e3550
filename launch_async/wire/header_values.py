"""Read numbers and dates in the headers of a response. For invalid values, the functions return None."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from launch_async.wire.timestamps import parse_http_date

__all__ = ["parse_number", "parse_reset", "parse_retry_after"]

_EPOCH_FROM_S: Final = 1e9
_MAX_RESET_S: Final = 3600.0
_MAX_WAIT_S: Final = 365 * 86400.0


def parse_retry_after(value: str | None, *, date: str | None = None) -> float | None:
    """Read a Retry-After header, in seconds or as a date, and return seconds; None if it is invalid.

    The result is from 0 s to 365 days, so callers can calculate with it safely.

    Args:
        value: Text of the header.
        date: Date header of the same response. A date in `value` is compared with it, because the server's clock may
            differ from the local clock.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        moment = parse_http_date(value)
        if moment is None:
            return None
        seconds = (moment - (parse_http_date(date) or datetime.now(UTC))).total_seconds()
    return None if math.isnan(seconds) else min(max(0.0, seconds), _MAX_WAIT_S)


def parse_reset(value: str | None, *, date: str | None = None) -> float | None:
    """Read an X-RateLimit-Reset header, and return the seconds until the reset; None if it is invalid or over an hour.

    Args:
        value: Text of the header: seconds until the reset, or the time of the reset in seconds since 1970.
        date: Date header of the same response: the current time of the server, if `value` is a time since 1970.
    """
    seconds = parse_number(value)
    if seconds is not None and seconds > _EPOCH_FROM_S:
        seconds -= (parse_http_date(date) or datetime.now(UTC)).timestamp()
    return max(0.0, seconds) if seconds is not None and seconds <= _MAX_RESET_S else None


def parse_number(value: str | None) -> float | None:
    """Return the number in a header; None if the header is not a finite number."""
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None

"""Numbers and dates in the headers of an answer, whatever stands there."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

from launch_async.wire.moments import parse_http_date

__all__ = ["parse_number", "parse_reset", "parse_retry_after"]

_EPOCH_FROM_S: Final = 1e9
_MAX_RESET_S: Final = 3600.0
_MAX_WAIT_S: Final = 365 * 86400.0


def parse_retry_after(value: str | None, *, date: str | None = None) -> float | None:
    """Read a Retry-After header, in seconds or as a date; None where it cannot be read.

    Never negative, and a year at most, so that whoever gets the figure can calculate with it.

    Args:
        value: The header's text.
        date: The Date header of the same answer, which a date is compared with: the two clocks may differ.
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
    """Read an X-RateLimit-Reset header: seconds until then, or since the epoch; None where it makes no sense.

    Args:
        value: The header's text.
        date: The Date header of the same answer, for a time since the epoch.
    """
    seconds = parse_number(value)
    if seconds is not None and seconds > _EPOCH_FROM_S:
        seconds -= (parse_http_date(date) or datetime.now(UTC)).timestamp()
    return max(0.0, seconds) if seconds is not None and seconds <= _MAX_RESET_S else None


def parse_number(value: str | None) -> float | None:
    """Read a header that is a number; None where it is not, or not a finite one."""
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None

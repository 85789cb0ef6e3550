"""The emulator's time: the time of this machine, plus the seconds that ``advance`` has added."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache

_MAX_S = datetime(9000, 12, 31, tzinfo=UTC).timestamp()


class Clock:
    """A clock in seconds since the epoch that never runs backwards and can be moved forward.

    Builds, log lines, tokens, signed URLs and the revalidation quota follow this clock. The rate limit and the ledger
    follow ``ticks``, which `advance` does not move.

    Args:
        ticks: Function that returns monotonic seconds. With the ``time`` of an event loop, the emulator runs in the
            time of that loop.
        advanced: Seconds by which the clock is ahead from the start.

    Attributes:
        ticks: The function that returns monotonic seconds.
        advanced: Seconds by which the clock is ahead.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic, *, advanced: float = 0.0) -> None:
        self.ticks: Callable[[], float] = ticks
        self._origin = time.time() - ticks()
        self.advanced: float = advanced

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return self._origin + self.ticks() + self.advanced

    def advance(self, seconds: float) -> None:
        """Move the clock forward by ``seconds``.

        Raises:
            ValueError: ``seconds`` is negative, or the new time is after the year 9000.
        """
        if not seconds >= 0:
            raise ValueError(f"The clock cannot move by {seconds!r} seconds: it only moves forward, by 0 s or more")
        if self.now() + seconds > _MAX_S:
            raise ValueError(f"The clock cannot move by {seconds!r} seconds: it ends with the year 9000")
        self.advanced += seconds


def milliseconds(seconds: float) -> int:
    """Return epoch seconds as whole epoch milliseconds, the resolution of the service."""
    return int(seconds * 1000)


def iso(seconds: float) -> str:
    """Return epoch seconds as ISO 8601 with milliseconds and ``Z``, the form of all times of the API."""
    return iso_milliseconds(milliseconds(seconds))


def iso_milliseconds(stamp: int) -> str:
    """Return epoch milliseconds as ISO 8601 with milliseconds and ``Z``."""
    whole, rest = divmod(stamp, 1000)
    return f"{_iso_second(whole)}.{rest:03d}Z"


@lru_cache(maxsize=4096)
def _iso_second(whole: int) -> str:
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"


@lru_cache(maxsize=16)
def http_date(whole: int) -> str:
    """Return whole epoch seconds in the form of the header ``Date``."""
    return formatdate(whole, usegmt=True)


def parse_iso(text: str) -> int | None:
    """Return an ISO 8601 instant as epoch milliseconds; None for another text. Without an offset, it is UTC."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return round(instant.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None

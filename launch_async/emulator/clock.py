"""The emulator's time: the wall clock, plus whatever ``advance`` has added to it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache

_END = datetime(9000, 12, 31, tzinfo=UTC).timestamp()


class Clock:
    """Seconds since the epoch that never run backwards and can be moved forward at once.

    Builds, log lines, tokens, signed URLs and the revalidation quota live in this time. The request budget and the
    ledger count ``ticks``, which `advance` does not move.

    Args:
        ticks: gives monotonic seconds; an event loop's ``time`` makes the emulator run in the time of that loop.
        advanced: seconds by which the clock is ahead from the start.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic, *, advanced: float = 0.0) -> None:
        self.ticks: Callable[[], float] = ticks
        self._origin = time.time() - ticks()
        self.advanced: float = advanced

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._origin + self.ticks() + self.advanced

    def advance(self, seconds: float) -> None:
        """Move forward by ``seconds``.

        Raises:
            ValueError: for a negative figure, and for one beyond the dates that there are.
        """
        if not seconds >= 0:
            raise ValueError(f"time only moves forward, got {seconds!r} seconds")
        if self.now() + seconds > _END:
            raise ValueError(f"time ends with the year 9000, and {seconds!r} seconds lead beyond it")
        self.advanced += seconds


def milliseconds(seconds: float) -> int:
    """Epoch seconds as whole epoch milliseconds, the service's resolution."""
    return int(seconds * 1000)


def iso(seconds: float) -> str:
    """Epoch seconds as ISO 8601 with milliseconds and ``Z`` (FACTS §4)."""
    return iso_milliseconds(milliseconds(seconds))


def iso_milliseconds(stamp: int) -> str:
    """Epoch milliseconds as ISO 8601 with milliseconds and ``Z``."""
    whole, rest = divmod(stamp, 1000)
    return f"{_iso_second(whole)}.{rest:03d}Z"


@lru_cache(maxsize=4096)
def _iso_second(whole: int) -> str:
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}"


@lru_cache(maxsize=16)
def http_date(whole: int) -> str:
    """Whole epoch seconds as the header ``Date`` has them."""
    return formatdate(whole, usegmt=True)


def parse_iso(text: str) -> int | None:
    """Epoch milliseconds of an ISO 8601 instant; None if it is not one. Without an offset it is UTC."""
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return round(instant.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None

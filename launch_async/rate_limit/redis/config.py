"""What all workers of one shared budget have in common: where Redis is, and what may be sent while it is gone."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Protocol

import attrs

from launch_async.errors import LaunchError
from launch_async.rate_limit.redis.script import Script
from launch_async.rate_limit.types import RateLimit

__all__ = ["Client", "Config", "LocalShare"]


class Client(Protocol):
    """What is used of a `redis.asyncio` client."""

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: str | bytes) -> object:
        """Run a script that the server knows."""
        ...

    async def eval(self, script: str, numkeys: int, *keys_and_args: str | bytes) -> object:
        """Run a script, and have the server know it from now on."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class LocalShare:
    """What a process may send while Redis is gone: evenly, beginning somewhere in the first interval.

    Args:
        interval: Seconds between two requests.
    """

    def __init__(self, interval: float) -> None:
        self.interval = interval
        self._lock = threading.Lock()
        self._next = 0.0

    def begin(self, now: float) -> None:
        """Redis is gone: the processes that notice it together do not begin together."""
        with self._lock:
            self._next = max(self._next, now + random.random() * self.interval)  # noqa: S311

    def turn_at(self, now: float) -> float:
        """Return when the next request may leave."""
        with self._lock:
            return max(self._next, now)

    def take(self, now: float) -> bool:
        """Take the next place, if its time has come."""
        with self._lock:
            if self._next > now:
                return False
            self._next = now + self.interval
            return True

    def delay(self, until: float) -> None:
        """Let nothing leave before a moment."""
        with self._lock:
            self._next = max(self._next, until)


@attrs.frozen(kw_only=True)
class Config:
    """What all workers of a limiter have in common.

    Attributes:
        script: The budget's script.
        connect: Makes a client of Redis.
        rate_limit: What the plan allows.
        patience: Seconds without Redis before it counts as gone.
        share: What may be sent then; None for nothing.
        unavailable: Makes the error of calls that are refused for that.
    """

    script: Script
    connect: Callable[[], Client]
    rate_limit: RateLimit
    patience: float
    share: LocalShare | None
    unavailable: Callable[[str], LaunchError]

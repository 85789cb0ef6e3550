"""Meters that count the requests and waits of a block of code, and that can lower the priority of its requests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Final

from launch_async.rate_limit.types import Priority

__all__ = ["METERS", "Meter", "metered"]


class Meter:
    """Counts the requests that are sent while the meter is active.

    Attributes:
        priority: The most urgent priority that the requests can have. More urgent requests get this priority instead.
        requests: Number of attempts that were sent.
        waited: Seconds that the attempts waited for the rate limit.
        maybe_done: Whether the service may have acted on a request that ended in an error.
        before_send: Called right before each send, after the wait for the rate limit.
    """

    def __init__(
        self, *, priority: Priority = Priority.INTERACTIVE, before_send: Callable[[], None] | None = None
    ) -> None:
        self.priority: Priority = priority
        self.requests: int = 0
        self.waited: float = 0.0
        self.maybe_done: bool = False
        self.before_send: Callable[[], None] | None = before_send


METERS: Final[ContextVar[tuple[Meter, ...]]] = ContextVar("launch_async_meters", default=())
"""The active meters, the innermost last."""


@contextlib.contextmanager
def metered(meter: Meter) -> Generator[Meter]:
    """Count the requests of this task, and of the tasks that it starts in the block."""
    token = METERS.set((*METERS.get(), meter))
    try:
        yield meter
    finally:
        METERS.reset(token)

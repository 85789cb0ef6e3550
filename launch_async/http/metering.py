"""What a piece of work costs: requests and waits are counted for whoever meters, and its priority lowered if asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Final

import attrs

from launch_async.rate_limit.types import Priority

__all__ = ["METERS", "Meter", "metered"]


@attrs.define
class Meter:
    """Counts what is sent while it is in force.

    Attributes:
        priority: The least urgent priority that its requests keep; more urgent ones are lowered to it.
        requests: Attempts that were sent.
        waited: Seconds that they waited for the budget.
        maybe_done: Whether the service may have acted on a request that ended in an error.
        before_send: Called when the budget has let a request through, right before it is sent.
    """

    priority: Priority = Priority.INTERACTIVE
    requests: int = 0
    waited: float = 0.0
    maybe_done: bool = False
    before_send: Callable[[], None] | None = None


METERS: Final[ContextVar[tuple[Meter, ...]]] = ContextVar("launch_async_meters", default=())
"""The meters in force, the innermost last."""


@contextlib.contextmanager
def metered(meter: Meter) -> Generator[Meter]:
    """Count what this task, and the tasks that it starts meanwhile, send."""
    token = METERS.set((*METERS.get(), meter))
    try:
        yield meter
    finally:
        METERS.reset(token)

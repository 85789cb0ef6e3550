"""Time-outs that share one timer for each event loop.

`asyncio.timeout` arms a timer and cancels it again, and a call needs two of them: with fifty calls in flight
`projects.get` reaches 0.57 of aiohttp by hand with them, and 0.70 with what is here (`benchmarks/calls.py`). Most calls
end long before their deadline. So a deadline only stands in a set, and one timer looks at the set when the earliest of
them may have come. A deadline is met as exactly, and cancels its task in the same way.
"""

from __future__ import annotations

import asyncio
import math
import threading
from types import TracebackType
from typing import Final, Self

__all__ = ["Deadline"]


class Deadline:
    """A context manager that ends with TimeoutError what takes longer than it may, as `asyncio.timeout` does.

    Args:
        seconds: How long it may take; None for no limit.

    Attributes:
        when: When it must end, by the loop's clock; infinity for no limit.
        expired: Whether that time has come meanwhile.
    """

    __slots__ = ("_cancelling", "_seconds", "_task", "_watch", "expired", "when")

    def __init__(self, seconds: float | None) -> None:
        self.when: float = math.inf
        self.expired: bool = False
        self._seconds = seconds

    def __enter__(self) -> Self:
        loop, watch = asyncio.get_running_loop(), _here.watch
        if watch is None or watch.loop is not loop:
            watch = _here.watch = _Watch(loop)
        self._watch = watch
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("a deadline needs a task that it can cancel")
        self._task = task
        self._cancelling = task.cancelling()
        if self._seconds is not None:
            self.when = loop.time() + self._seconds
            watch.entered.add(self)
            if self.when < watch.looks_at:
                watch.look_at(self.when)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._watch.entered.discard(self)
        if self.expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            # Nobody else has asked for this cancellation.
            raise TimeoutError from error

    def come(self) -> None:
        """Cancel the task, because the time has come."""
        self.expired = True
        self._watch.entered.discard(self)
        self._task.cancel()


class _Watch:
    """The deadlines on one event loop, and when they are looked at next; infinity for never."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.entered: set[Deadline] = set()
        self.looks_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def look_at(self, when: float) -> None:
        """Look at that time, instead of the time that was set before."""
        if self._timer is not None:
            self._timer.cancel()
        self.looks_at = when
        self._timer = self.loop.call_at(when, self._look)

    def _look(self) -> None:
        now, self._timer, self.looks_at = self.looks_at, None, math.inf
        for deadline in [one for one in self.entered if one.when <= now]:
            deadline.come()
        nearest = min((deadline.when for deadline in self.entered), default=math.inf)
        if nearest < math.inf:
            self.look_at(nearest)


class _Here(threading.local):
    """The deadlines on the loop that this thread used last."""

    watch: _Watch | None = None


_here: Final = _Here()

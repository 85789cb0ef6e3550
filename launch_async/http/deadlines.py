"""Many deadlines, one timer: what limits calls and exchanges without arming a timer for each of them.

`asyncio.timeout` arms a timer and cancels it again, and with fifty calls in flight that costs a tenth of a call. Most
calls end long before their deadline, so here they only stand in a set, and one timer looks at the set when the earliest
of them may have come. A deadline is met as exactly, and cancels its task in the same way.
"""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Self

__all__ = ["Deadline", "Deadlines", "Watch"]


class Deadlines:
    """The deadlines of whoever needs many of them; they may be on several event loops."""

    def __init__(self) -> None:
        self._watch: Watch | None = None

    def of(self, loop: asyncio.AbstractEventLoop) -> Watch:
        """Return the deadlines on the running loop."""
        watch = self._watch
        if watch is None or watch.loop is not loop:
            watch = self._watch = Watch(loop)
        return watch


class Deadline:
    """A context manager that ends with TimeoutError what takes longer than it may, by cancelling the task.

    While it is in force, one part at a time of what its task does may have a shorter limit of its own.

    Args:
        watch: Who watches it.
        seconds: How long it is from now; None for no limit.

    Attributes:
        when: Time of the loop's clock; infinity for no limit.
        part_ends: The same for the part; infinity while there is none.
        expired: Whether it has come meanwhile.
    """

    __slots__ = ("_cancelling", "_part_expired", "_task", "_watch", "expired", "part_ends", "when")

    def __init__(self, watch: Watch, seconds: float | None) -> None:
        self.when: float = math.inf if seconds is None else watch.loop.time() + seconds
        self.part_ends: float = math.inf
        self.expired: bool = False
        self._part_expired = False
        self._watch = watch

    def __enter__(self) -> Self:
        watch = self._watch
        task = asyncio.current_task(watch.loop)
        if task is None:
            raise RuntimeError("a deadline needs a task that it can cancel")
        self._task = task
        self._cancelling = task.cancelling()
        watch.entered.add(self)
        if self.when < watch.looks_at:
            watch.look_at(self.when)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.leave()
        if self.expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            # Nobody else has asked for this cancellation.
            raise TimeoutError from error

    def leave(self) -> None:
        """Be watched no longer."""
        self._watch.entered.discard(self)

    def begin_part(self, seconds: float | None) -> None:
        """Cancel the task, too, if the part that begins now takes longer than so many seconds."""
        if seconds is not None:
            self.part_ends = ends = self._watch.loop.time() + seconds
            if ends < self._watch.looks_at:
                self._watch.look_at(ends)

    def end_part(self) -> bool:
        """Lift the part's limit; return whether it has come, and nobody else has asked for the cancellation."""
        self.part_ends = math.inf
        if not self._part_expired:
            return False
        self._part_expired = False
        return self._task.uncancel() <= self._cancelling

    def come(self, now: float) -> None:
        """Cancel the task, because the deadline or the part's limit has come."""
        if self.when <= now:
            self.expired = True
            self.leave()
        else:
            self._part_expired, self.part_ends = True, math.inf
        self._task.cancel()


class Watch:
    """The deadlines that were entered on one event loop.

    Attributes:
        loop: The loop.
        entered: The deadlines.
        looks_at: When they are looked at next; infinity for never.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self.entered: set[Deadline] = set()
        self.looks_at: float = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def look_at(self, when: float) -> None:
        """Look at that time, instead of the time that was set before."""
        if self._timer is not None:
            self._timer.cancel()
        self.looks_at = when
        self._timer = self.loop.call_at(when, self._look)

    def _look(self) -> None:
        now = self.looks_at
        for deadline in [one for one in self.entered if one.when <= now or one.part_ends <= now]:
            deadline.come(now)
        self._timer, self.looks_at = None, math.inf
        nearest = min((min(deadline.when, deadline.part_ends) for deadline in self.entered), default=math.inf)
        if nearest < math.inf:
            self.look_at(nearest)

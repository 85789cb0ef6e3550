"""The queue of waiting callers: by priority, first come, first served within a priority. No priority starves."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Generic, TypeVar

from launch_async.rate_limit.types import Priority

__all__ = ["FairQueue", "Waiter", "choose_priority"]

_GUARANTEED_EVERY: Final = 10
"""Each priority with waiting callers gets at least one of this number of permits in a row."""


class Waiter:
    """One waiting caller.

    Attributes:
        priority: Priority of the caller.
        ticket: Position among the callers of this priority, assigned when the caller first joins the queue.
    """

    def __init__(self, priority: Priority) -> None:
        self.priority: Priority = priority
        self.ticket: int = -1


W = TypeVar("W", bound=Waiter)
P = TypeVar("P", bound=int)


class FairQueue(Generic[W]):
    """The callers without a permit."""

    def __init__(self) -> None:
        self._tickets = itertools.count()
        self._waiting: dict[Priority, list[W]] = {priority: [] for priority in Priority}
        self._passed_over = [0] * len(Priority)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __iter__(self) -> Iterator[W]:
        for waiters in self._waiting.values():
            yield from tuple(waiters)

    @property
    def counts(self) -> Mapping[Priority, int]:
        """Number of waiting callers, by priority."""
        return {priority: len(waiters) for priority, waiters in self._waiting.items()}

    def join(self, waiter: W) -> None:
        """Add a caller to the end of its priority. A caller that returns gets its old position."""
        if waiter.ticket < 0:
            waiter.ticket = next(self._tickets)
        bisect.insort(self._waiting[waiter.priority], waiter, key=lambda other: other.ticket)

    def leave(self, waiter: W) -> None:
        """Remove a caller, if it is in the queue."""
        if waiter in self._waiting[waiter.priority]:
            self._waiting[waiter.priority].remove(waiter)

    def next(self, can_use: Callable[[W], bool], preferred: Priority | None = None) -> W | None:
        """Remove and return the next caller that can use a permit now; None if there is no such caller.

        The queue serves the `preferred` priority if it has waiting callers: a shared budget chooses the priority.
        """
        first = {
            priority: waiter
            for priority, waiters in self._waiting.items()
            if (waiter := next(filter(can_use, waiters), None)) is not None
        }
        if not first:
            return None
        chosen = (
            preferred if preferred is not None and preferred in first else choose_priority(first, self._passed_over)
        )
        self._waiting[chosen].remove(first[chosen])
        return first[chosen]

    def position_of_new(self, priority: Priority) -> int:
        """Return the number of permits that other callers get before a new caller gets one."""
        before = sum(len(waiters) for other, waiters in self._waiting.items() if other <= priority)
        return _position(before, len(self._waiting[priority]))

    def positions(self) -> Iterator[tuple[W, int]]:
        """Yield every caller with the number of permits that other callers get before it."""
        before = 0
        for waiters in self._waiting.values():
            for place, waiter in enumerate(tuple(waiters)):
                yield waiter, _position(before + place, place)
            before += len(waiters)


def choose_priority(waiting: Iterable[P], passed_over: list[int]) -> P:
    """Return the waiting priority to serve next, and count in `passed_over` how often each was passed over."""
    waiting = list(waiting)
    starved = [priority for priority in waiting if passed_over[priority] >= _GUARANTEED_EVERY - 2]
    chosen = max(starved) if starved else min(waiting)
    for priority in waiting:
        passed_over[priority] += 1
    passed_over[chosen] = 0
    return chosen


def _position(before: int, place: int) -> int:
    """Return the permits before a caller's: one for each caller before it, or fewer by its priority's guarantee."""
    return min(before, _GUARANTEED_EVERY * (place + 1) - 1)

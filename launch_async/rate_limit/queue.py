"""Who is served next: the most urgent first, and within a priority whoever came first; no priority starves."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Generic, TypeVar

import attrs

from launch_async.rate_limit.types import Priority

__all__ = ["FairQueue", "Waiter", "choose"]

_SHARE: Final = 10
"""Of so many permits in a row at least one goes to each priority that waits."""


@attrs.define(eq=False)
class Waiter:
    """One caller that waits.

    Attributes:
        priority: Its priority.
        ticket: Its place among those of its priority, given when it first joins the queue.
    """

    priority: Priority
    ticket: int = attrs.field(default=-1, init=False)


W = TypeVar("W", bound=Waiter)
P = TypeVar("P", bound=int)


class FairQueue(Generic[W]):
    """The callers that have no permit yet."""

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
        """How many wait, by priority."""
        return {priority: len(waiters) for priority, waiters in self._waiting.items()}

    def join(self, waiter: W) -> None:
        """Put a caller behind those of its priority; one that was here before, where it stood."""
        if waiter.ticket < 0:
            waiter.ticket = next(self._tickets)
        bisect.insort(self._waiting[waiter.priority], waiter, key=lambda other: other.ticket)

    def leave(self, waiter: W) -> None:
        """Take a caller out, if it is there."""
        if waiter in self._waiting[waiter.priority]:
            self._waiting[waiter.priority].remove(waiter)

    def next(self, can_use: Callable[[W], bool], preferred: Priority | None = None) -> W | None:
        """Take out the caller whose turn it is, of those that can use a permit now; None if there is none.

        Who knows more than this queue names the priority that is served, if somebody of it waits.
        """
        first = {
            priority: waiter
            for priority, waiters in self._waiting.items()
            if (waiter := next(filter(can_use, waiters), None)) is not None
        }
        if not first:
            return None
        chosen = preferred if preferred is not None and preferred in first else choose(first, self._passed_over)
        self._waiting[chosen].remove(first[chosen])
        return first[chosen]

    def turn_of_new(self, priority: Priority) -> int:
        """Return how many permits are given before a new caller has one."""
        before = sum(len(waiters) for other, waiters in self._waiting.items() if other <= priority)
        return _turn(before, len(self._waiting[priority]))

    def turns(self) -> Iterator[tuple[W, int]]:
        """Yield every caller with the number of permits that are given before it has one."""
        before = 0
        for waiters in self._waiting.values():
            for place, waiter in enumerate(tuple(waiters)):
                yield waiter, _turn(before + place, place)
            before += len(waiters)


def choose(waiting: Iterable[P], passed_over: list[int]) -> P:
    """Return which of the priorities that wait is served next, and note which were passed over, by priority."""
    waiting = list(waiting)
    starved = [priority for priority in waiting if passed_over[priority] >= _SHARE - 2]
    chosen = max(starved) if starved else min(waiting)
    for priority in waiting:
        passed_over[priority] += 1
    passed_over[chosen] = 0
    return chosen


def _turn(before: int, place: int) -> int:
    """Return the permits given before a caller's: to all before it, unless its priority's share comes sooner."""
    return min(before, _SHARE * (place + 1) - 1)

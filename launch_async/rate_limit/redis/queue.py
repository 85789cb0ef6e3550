"""Who waits at one event loop's worker: the most urgent goes first, and of any ten slots one goes to each queue."""

from __future__ import annotations

import asyncio
import bisect
import copy
import itertools
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from launch_async.errors import LaunchError
from launch_async.rate_limit.local import Priority

__all__ = ["Grant", "Queue", "Waiter"]

_SHARE: Final = 10


@attrs.define(eq=False, kw_only=True)
class Grant:
    """A slot that was given for good; number 0 if it is of the local share.

    Attributes:
        number: Its number in the shared state.
        not_before: When it begins, by the loop's clock.
        not_after: From when on it would be too late to be sure how long the service counts the request.
        sent_at: When the request left.
    """

    number: int
    not_before: float
    not_after: float
    sent_at: float = 0.0


@attrs.define(eq=False)
class Waiter:
    """One caller.

    Attributes:
        ticket: Its place among those of its priority.
        priority: Its priority.
        deadline: When it gives up, by the loop's clock; None for never.
        served: What it waits for.
        departed: Whether its request has left.
    """

    ticket: int
    priority: Priority
    deadline: float | None
    served: asyncio.Future[Grant]
    departed: bool = False


class Queue:
    """The callers that have no slot yet."""

    def __init__(self) -> None:
        self._tickets = itertools.count()
        self._waiting: dict[Priority, list[Waiter]] = {priority: [] for priority in Priority}
        self._passed_over = dict.fromkeys(Priority, 0)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def counts(self) -> Mapping[Priority, int]:
        """How many wait, by priority."""
        return {priority: len(waiters) for priority, waiters in self._waiting.items()}

    def join(self, priority: Priority, deadline: float | None, served: asyncio.Future[Grant]) -> Waiter:
        """Put a new caller behind those of its priority."""
        waiter = Waiter(next(self._tickets), priority, deadline, served)
        self._waiting[priority].append(waiter)
        return waiter

    def rejoin(self, waiter: Waiter, served: asyncio.Future[Grant]) -> None:
        """Put a caller that could not use its slot back to where it stood."""
        waiter.served = served
        bisect.insort(self._waiting[waiter.priority], waiter, key=lambda other: other.ticket)

    def leave(self, waiter: Waiter) -> None:
        """Take a caller out, if it is there."""
        if waiter in self._waiting[waiter.priority]:
            self._waiting[waiter.priority].remove(waiter)

    def next(self) -> Waiter | None:
        """Take out the caller whose turn it is; None if nobody waits."""
        waiting = [priority for priority, waiters in self._waiting.items() if waiters]
        if not waiting:
            return None
        starved = [priority for priority in waiting if self._passed_over[priority] >= _SHARE - 2]
        chosen = max(starved) if starved else min(waiting)
        for priority in waiting:
            self._passed_over[priority] += 1
        self._passed_over[chosen] = 0
        return self._waiting[chosen].pop(0)

    def turn_of_new(self, priority: Priority) -> int:
        """Return how many slots are given before a new caller has one."""
        before = sum(len(waiters) for other, waiters in self._waiting.items() if other <= priority)
        return min(before, _SHARE * (len(self._waiting[priority]) + 1) - 1)

    def turns(self) -> Iterator[tuple[Waiter, int]]:
        """Yield every caller with the number of slots that are given before it has one."""
        before = 0
        for waiters in self._waiting.values():
            for place, waiter in enumerate(tuple(waiters)):
                yield waiter, min(before + place, _SHARE * (place + 1) - 1)
            before += len(waiters)

    def fail(self, error: Exception) -> None:
        """Send everybody away."""
        for waiters in self._waiting.values():
            for waiter in waiters:
                # Each call notes in its error what became of it: they must not share one.
                waiter.served.set_exception(copy.copy(error) if isinstance(error, LaunchError) else error)
            waiters.clear()

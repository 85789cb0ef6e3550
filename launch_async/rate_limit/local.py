"""The organization's budget: one per API host and organization, shared by every client, thread and event loop.

Launch counts requests per organization (10 per second, by plan: FACTS §9), not per client. A `RateLimiter` is asked
before each request (`acquire`) and told what became of it (`record`). `LocalRateLimiter` keeps the budget for one
process: callers are served first-come first-served within three priorities, a cancelled one gives its place back, and
a deadline that cannot be met is refused before anything is spent. On a 429 the whole budget pauses, everybody keeps
their place, and the pacing learns. Implement the protocol to share a budget otherwise.
"""

from __future__ import annotations

import asyncio
import bisect
import enum
import functools
import itertools
import os
import sys
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import attrs
from aiolimiter import AsyncLimiter

from launch_async.display import html as _html
from launch_async.errors import DeadlineExceeded
from launch_async.rate_limit.pacer import Answer, Pacer, RateLimit
from launch_async.rate_limit.windows import Slot

__all__ = [
    "Answer",
    "LimiterStatus",
    "LocalRateLimiter",
    "Priority",
    "RateLimit",
    "RateLimitMismatchWarning",
    "RateLimiter",
    "UnlimitedRateLimiter",
    "shared_limiter",
]

_SHARE = 10
_LEASE = 0.5
_OWN_PACKAGES = ("launch_async.", "launch_sync.")


class Priority(enum.IntEnum):
    """Who goes first when several wait: the lower number."""

    INTERACTIVE = 0
    """A call that somebody waits for."""
    WRITE = 1
    """A write of a running operation, such as the next target of a fleet."""
    POLL = 2
    """A look at something that is still going on."""


@attrs.frozen(kw_only=True)
class LimiterStatus:
    """What a limiter is doing at one moment.

    Attributes:
        rate: Requests per second that it lets through at present.
        queued: Callers that wait, by priority.
        expected_wait: Seconds that a new interactive caller would wait.
        sent: Requests let through so far.
        refused: Requests that the service refused with 429 so far.
        paused_for: Seconds until the pause after a 429 ends; 0 if there is none.
    """

    rate: float
    queued: Mapping[Priority, int]
    expected_wait: float
    sent: int
    refused: int
    paused_for: float

    def _repr_html_(self) -> str:
        pause = _html.badge(f"paused for {_html.duration(self.paused_for)} after a 429", _html.Severity.WARNING)
        waiting = ", ".join(f"{count} {priority.name.lower()}" for priority, count in self.queued.items() if count)
        facts: dict[str, _html.Cell] = {
            "now": pause if self.paused_for else _html.badge("open", _html.Severity.GOOD),
            "rate": f"{self.rate:.1f} requests per second",
            "queued": waiting or "nobody",
            "expected wait": _html.duration(self.expected_wait) if self.expected_wait else "none",
            "sent": f"{self.sent:,}",
            "refused with 429": f"{self.refused:,}",
        }
        return _html.card("Budget of the organization", facts)


class RateLimiter(Protocol):
    """What the SDK asks of a budget; implement it to share one between processes, or to replace the pacing."""

    async def acquire(self, *, priority: Priority = Priority.INTERACTIVE, timeout: float | None = None) -> float:
        """Wait until a request may be sent; if cancelled, nothing is spent.

        Args:
            priority: Who goes first when several wait.
            timeout: Seconds to wait at most; None for no limit.

        Returns:
            Seconds waited.

        Raises:
            DeadlineExceeded: the wait would be, or became, longer than `timeout`; nothing was spent.
        """
        ...

    def record(self, answer: Answer) -> None:
        """Learn what became of a request: once for each `acquire` that was followed by one; from any thread."""
        ...

    def status(self) -> LimiterStatus:
        """Return what the limiter is doing now; from any thread."""
        ...


class UnlimitedRateLimiter:
    """A limiter that never makes anybody wait: for tests, and for servers that do not count."""

    def __init__(self) -> None:
        self._sent = 0
        self._refused = 0

    async def acquire(self, *, priority: Priority = Priority.INTERACTIVE, timeout: float | None = None) -> float:  # noqa: ARG002, RUF100
        """Return 0 at once."""
        self._sent += 1
        return 0.0

    def record(self, answer: Answer) -> None:
        """Count the refused."""
        self._refused += answer.refused

    def status(self) -> LimiterStatus:
        """Return the counts; nobody ever waits."""
        return LimiterStatus(
            rate=float("inf"),
            queued=MappingProxyType(dict.fromkeys(Priority, 0)),
            expected_wait=0.0,
            sent=self._sent,
            refused=self._refused,
            paused_for=0.0,
        )


@attrs.define(eq=False)
class _Waiter:
    """One caller of `acquire`: in a queue while it has no slot, about to leave once it has one."""

    ticket: int
    priority: Priority
    side: _LoopSide
    served: asyncio.Future[None]
    slot: Slot | None = None
    granted_at: float = 0.0

    def wake(self) -> None:
        if not self.served.done():
            self.served.set_result(None)


class LocalRateLimiter:
    """The budget of one organization within this process.

    Any number of event loops, in any threads, may share one; loops may come and go. Strict preference by priority, but
    of any ten requests in a row at least one is given to each priority that waits, so nobody starves.

    Args:
        rate_limit: What the organization's plan allows; 10 per second if not given (FACTS §9).
    """

    def __init__(self, rate_limit: RateLimit | None = None) -> None:
        self._rate_limit = rate_limit or RateLimit(10)
        self._begin()
        _every_limiter.add(self)

    def _begin(self) -> None:
        """Start with nobody waiting, no loop known and no lock held; again in a forked child."""
        self._lock = threading.Lock()
        self._pacer = Pacer(self._rate_limit)
        self._tickets = itertools.count()
        self._queues: dict[Priority, list[_Waiter]] = {priority: [] for priority in Priority}
        self._passed_over = dict.fromkeys(Priority, 0)
        self._granted: list[_Waiter] = []
        self._abandoned: deque[_Waiter] = deque()
        self._sides: dict[asyncio.AbstractEventLoop, _LoopSide] = {}

    @property
    def rate_limit(self) -> RateLimit:
        """What the plan allows, as far as the limiter was told."""
        return self._rate_limit

    async def acquire(self, *, priority: Priority = Priority.INTERACTIVE, timeout: float | None = None) -> float:
        """Wait until a request may be sent; if cancelled, nothing is spent.

        Args:
            priority: Who goes first when several wait.
            timeout: Seconds to wait at most; None for no limit.

        Returns:
            Seconds waited.

        Raises:
            DeadlineExceeded: the wait would be, or became, longer than `timeout`; nothing was spent.
        """
        loop = asyncio.get_running_loop()
        since = loop.time()
        with self._lock:
            self._forget_closed_loops()
            side = self._side_of(loop)
            waiter, expected = None, 0.0
            if self._is_idle and self._pacer.ready_at(since) <= since and side.has_token():
                self._pacer.take(since)
                self._passed_over[priority] = 0
            else:
                expected = self._expected_wait(priority, since)
                if timeout is not None and expected > timeout:
                    raise _too_long(expected, timeout)
                waiter = _Waiter(next(self._tickets), priority, side, loop.create_future())
                self._queues[priority].append(waiter)
                self._serve(since)
        if waiter is None:
            await side.take_token()
            return 0.0
        try:
            async with asyncio.timeout(timeout):
                await self._departure(waiter, loop)
        except GeneratorExit:
            # The loop is gone and the collector runs us, perhaps inside our own lock: only leave a note.
            self._abandoned.append(waiter)
            raise
        except TimeoutError:
            self._withdraw(waiter, loop)
            raise _too_long(expected, timeout or 0.0) from None
        except BaseException:
            self._withdraw(waiter, loop)
            raise
        return loop.time() - since

    @property
    def _is_idle(self) -> bool:
        """Whether nobody waits, or is about to leave."""
        return not (self._granted or self._abandoned or any(self._queues.values()))

    async def _departure(self, waiter: _Waiter, loop: asyncio.AbstractEventLoop) -> None:
        """Wait for a slot and a token of this loop's bucket; then stamp the slot with the true time of departure."""
        while True:
            await waiter.served
            if not self._keeps_slot(waiter, loop.time()):
                continue
            if not (self._is_first(waiter) and waiter.side.has_token()):
                await waiter.side.pause()
                continue
            await waiter.side.take_token()
            with self._lock:
                if waiter.slot is not None:
                    self._pacer.stamp(waiter.slot, loop.time())
                    self._granted.remove(waiter)
                    return

    def _keeps_slot(self, waiter: _Waiter, now: float) -> bool:
        """Renew the lease of a waiter's slot; if it has lost the slot, put it back where it stood in its queue."""
        with self._lock:
            waiter.side.asleep = False
            waiter.granted_at = now
            if waiter.slot is not None:
                return True
            waiter.served = waiter.side.loop.create_future()
            bisect.insort(self._queues[waiter.priority], waiter, key=lambda other: other.ticket)
            self._serve(now)
            return False

    def _is_first(self, waiter: _Waiter) -> bool:
        """Whether it is the first with a slot on its loop: tokens are taken in the order of the slots."""
        with self._lock:
            return next((first for first in self._granted if first.side is waiter.side), None) is waiter

    def record(self, answer: Answer) -> None:
        """Learn what became of a request: once for each `acquire` that was followed by one; from any thread."""
        with self._lock:
            self._pacer.record(answer)
            self._serve(answer.answered_at)

    def status(self) -> LimiterStatus:
        """Return what the limiter is doing now; from any thread."""
        now = _now()
        with self._lock:
            self._forget_closed_loops()
            return LimiterStatus(
                rate=self._pacer.rate,
                queued=MappingProxyType({priority: len(queue) for priority, queue in self._queues.items()}),
                expected_wait=self._expected_wait(Priority.INTERACTIVE, now),
                sent=self._pacer.sent,
                refused=self._pacer.refused,
                paused_for=max(self._pacer.paused_until - now, 0.0),
            )

    def lower(self, rate_limit: RateLimit) -> None:
        """Go on with another figure of the plan; nobody loses their place."""
        with self._lock:
            self._rate_limit = rate_limit
            self._pacer.change(rate_limit)
            for side in self._sides.values():
                side.change(rate_limit)

    def _side_of(self, loop: asyncio.AbstractEventLoop) -> _LoopSide:
        side = self._sides.get(loop)
        if side is None:
            side = self._sides[loop] = _LoopSide(loop, self._rate_limit)
        side.asleep = False
        return side

    def _forget_closed_loops(self) -> None:
        """Drop the waiters of loops that were closed: nobody is to wait for them."""
        if not any(loop.is_closed() for loop in self._sides):
            return
        self._sides = {loop: side for loop, side in self._sides.items() if not loop.is_closed()}
        waiting = itertools.chain(self._granted, *self._queues.values())
        for gone in [waiter for waiter in waiting if waiter.side.loop.is_closed()]:
            self._drop(gone)

    def _expected_wait(self, priority: Priority, now: float) -> float:
        before = sum(len(queue) for other, queue in self._queues.items() if other <= priority)
        guaranteed = _SHARE * (len(self._queues[priority]) + 1) - 1
        return self._pacer.wait_of(min(before, guaranteed), now)

    def _withdraw(self, waiter: _Waiter, loop: asyncio.AbstractEventLoop) -> None:
        """Take a waiter out, wherever it is; its slot goes to the next one."""
        with self._lock:
            self._drop(waiter)
            self._serve(loop.time())

    def _drop(self, waiter: _Waiter) -> None:
        if waiter in self._queues[waiter.priority]:
            self._queues[waiter.priority].remove(waiter)
        if waiter in self._granted:
            self._granted.remove(waiter)
        if waiter.slot is not None:
            self._pacer.give_back(waiter.slot)
            waiter.slot = None

    def _serve(self, now: float) -> None:
        """Give the free slots to the next waiters, and have the loops of the others wake in time. Needs the lock."""
        if self._is_idle:
            return
        while self._abandoned:
            self._drop(self._abandoned.popleft())
        for late in [waiter for waiter in self._granted if waiter.granted_at + _LEASE <= now]:
            late.side.asleep = True
            self._drop(late)
        while self._pacer.ready_at(now) <= now and (waiter := self._next_waiter()) is not None:
            waiter.slot, waiter.granted_at = self._pacer.take(now), now
            self._granted.append(waiter)
            if not waiter.side.call(waiter.wake):
                self._drop(waiter)
        wake_at = min([self._pacer.ready_at(now), *(waiter.granted_at + _LEASE for waiter in self._granted)])
        for side in {waiter.side for queue in self._queues.values() for waiter in queue}:
            side.call(functools.partial(side.wake_at, wake_at, self._on_timer))

    def _next_waiter(self) -> _Waiter | None:
        """Take the next waiter whose loop is running out of its queue."""
        heads = {
            priority: waiter
            for priority, queue in self._queues.items()
            if (waiter := next((waiter for waiter in queue if not waiter.side.asleep), None)) is not None
        }
        if not heads:
            return None
        starved = [priority for priority in heads if self._passed_over[priority] >= _SHARE - 2]
        chosen = max(starved) if starved else min(heads)
        for priority in heads:
            self._passed_over[priority] += 1
        self._passed_over[chosen] = 0
        self._queues[chosen].remove(heads[chosen])
        return heads[chosen]

    def _on_timer(self, side: _LoopSide) -> None:
        with self._lock:
            side.asleep = False
            self._serve(_now())


@attrs.define(eq=False)
class _LoopSide:
    """What one event loop has of its own: a token bucket that bounds its bursts, and a timer for the next slot."""

    loop: asyncio.AbstractEventLoop
    rate_limit: RateLimit
    asleep: bool = False
    _bucket: AsyncLimiter = attrs.field(init=False)
    _timer: asyncio.TimerHandle | None = None

    def __attrs_post_init__(self) -> None:
        self.change(self.rate_limit)

    def change(self, rate_limit: RateLimit) -> None:
        """Bound bursts by another figure from now on."""
        self.rate_limit = rate_limit
        self._bucket = AsyncLimiter(rate_limit.requests, rate_limit.per)

    def has_token(self) -> bool:
        """Whether a token can be taken at once."""
        return self._bucket.has_capacity()

    async def take_token(self) -> None:
        """Take one token; at once if there is one."""
        await self._bucket.acquire()

    async def pause(self) -> None:
        """Wait about as long as a token takes to come: the bucket has no event to wait for."""
        await asyncio.sleep(min(self.rate_limit.per / self.rate_limit.requests, _LEASE / 2))

    def call(self, callback: Callable[[], None]) -> bool:
        """Run a callback on the loop, soon; False if the loop is closed."""
        if self.loop is _running_loop():
            callback()
            return True
        try:
            self.loop.call_soon_threadsafe(callback)
        except RuntimeError:
            return False
        return True

    def wake_at(self, when: float, callback: Callable[[_LoopSide], None]) -> None:
        """Set the loop's one timer; runs on the loop."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(max(when, self.loop.time()), callback, self)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _now() -> float:
    """Return the running loop's time; elsewhere the clock that ordinary loops share."""
    loop = _running_loop()
    return time.monotonic() if loop is None else loop.time()


def _too_long(expected: float, timeout: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"the organization's request budget is in use: the wait would be about {expected:.1f} s, "
        f"and the deadline is {timeout:.1f} s away; allow more time or send less at once",
        expected_wait=expected,
    )


class RateLimitMismatchWarning(UserWarning):
    """Two clients of one process disagree about the same organization's rate limit; the lower figure is used."""


_every_limiter: weakref.WeakSet[LocalRateLimiter] = weakref.WeakSet()
_shared: dict[tuple[str, str], LocalRateLimiter] = {}
_shared_lock = threading.Lock()


def shared_limiter(host: str, organization_uid: str, rate_limit: RateLimit) -> LocalRateLimiter:
    """Return the process's one limiter for an organization at an API host; thread-safe.

    Args:
        host: Host (and port) of the API, which tells the regions apart.
        organization_uid: The organization whose budget it is.
        rate_limit: What the caller believes the plan allows. If an earlier caller believed otherwise, the lower figure
            is used by both, with a `RateLimitMismatchWarning`.
    """
    with _shared_lock:
        key = host.lower(), organization_uid
        limiter = _shared.get(key)
        if limiter is None:
            limiter = _shared[key] = LocalRateLimiter(rate_limit)
        known = limiter.rate_limit
        lower = min(known, rate_limit, key=lambda figure: figure.requests / figure.per)
        if lower != known:
            limiter.lower(lower)
    if known != rate_limit:
        warnings.warn(
            f"two clients disagree about the rate limit of organization {organization_uid} at {host}: "
            f"{known.requests} per {known.per:g} s and {rate_limit.requests} per {rate_limit.per:g} s; "
            f"both now use {lower.requests} per {lower.per:g} s. Give every client the plan's figure as rate_limit.",
            RateLimitMismatchWarning,
            stacklevel=_levels_to_the_user(),
        )
    return limiter


def _levels_to_the_user() -> int:
    """Return the caller's `stacklevel` of the first frame outside this SDK, so that a warning names that line."""
    level, frame = 1, sys._getframe(1)  # noqa: SLF001
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OWN_PACKAGES):
        level, frame = level + 1, frame.f_back
    return level


def _begin_anew_in_child() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    for limiter in _every_limiter:
        limiter._begin()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)

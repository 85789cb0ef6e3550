"""The budget of one process: what talks to one organization at one API host shares a `LocalRateLimiter`.

Launch counts requests per organization (10 per second, by plan: FACTS §9), not per client. Callers are served
first-come first-served within three priorities, a cancelled one gives its place back, and a deadline that cannot be
met is refused before anything is spent. On a 429 the whole budget pauses, everybody keeps their place, and the pacing
learns.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

import attrs

from launch_async.rate_limit.event_loops import call_on, current_time
from launch_async.rate_limit.loop_bucket import LoopBucket
from launch_async.rate_limit.pacer import Pacer
from launch_async.rate_limit.queue import FairQueue, Waiter
from launch_async.rate_limit.types import (
    Answer,
    LimiterStatus,
    Operation,
    Permit,
    Priority,
    RateLimit,
    deadline_too_near,
)
from launch_async.rate_limit.windows import Slot

__all__ = ["LocalRateLimiter"]

_LEASE_S: Final = 0.5
"""Seconds after which a waiter that has a slot and does not leave loses it: its loop is held up or has stopped."""


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
        self._queue: FairQueue[_Waiter] = FairQueue()
        self._granted: list[_Waiter] = []
        self._abandoned: deque[_Waiter] = deque()
        self._sides: dict[asyncio.AbstractEventLoop, _LoopSide] = {}

    @property
    def rate_limit(self) -> RateLimit:
        """What the plan allows, as far as the limiter was told."""
        return self._rate_limit

    async def acquire(
        self,
        operation: Operation | None = None,  # noqa: ARG002, RUF100
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        """Wait until a request may be sent, as `RateLimiter.acquire` promises; all operations share one budget.

        Raises:
            DeadlineExceeded: the wait would be, or became, longer than `timeout` seconds; nothing was spent.
        """
        loop = asyncio.get_running_loop()
        since = loop.time()
        with self._lock:
            self._forget_closed_loops()
            side = self._side_of(loop)
            slot = self._slot_at_once(side, priority, since)
        if slot is not None:
            await side.bucket.take_token()
            return Permit(0.0, functools.partial(self._settle, slot, side))
        slot = await self._slot_in_turn(side, priority, timeout)
        return Permit(loop.time() - since, functools.partial(self._settle, slot, side))

    def _slot_at_once(self, side: _LoopSide, priority: Priority, now: float) -> Slot | None:
        if self._is_idle and self._ready_at(priority, now) <= now and side.bucket.has_token():
            return self._pacer.take(now, is_poll=priority is Priority.POLL)
        return None

    def _ready_at(self, priority: Priority, now: float) -> float:
        return self._pacer.poll_ready_at(now) if priority is Priority.POLL else self._pacer.ready_at(now)

    async def _slot_in_turn(self, side: _LoopSide, priority: Priority, timeout: float | None) -> Slot:
        now = side.loop.time()
        with self._lock:
            expected = self._expected_wait(priority, now)
            if timeout is not None and expected > timeout:
                raise deadline_too_near(expected, timeout)
            waiter = _Waiter(priority, side, side.loop.create_future())
            self._queue.join(waiter)
            self._serve(now)
        try:
            async with asyncio.timeout(timeout):
                return await self._departure(waiter)
        except GeneratorExit:
            # The loop is gone and the collector runs us, perhaps inside our own lock: only leave a note.
            self._abandoned.append(waiter)
            raise
        except TimeoutError:
            self._withdraw(waiter)
            raise deadline_too_near(expected, timeout or 0.0) from None
        except BaseException:
            self._withdraw(waiter)
            raise

    @property
    def _is_idle(self) -> bool:
        """Whether nobody waits, or is about to leave."""
        return not (self._granted or self._abandoned or self._queue)

    async def _departure(self, waiter: _Waiter) -> Slot:
        """Wait for a slot and a token of this loop's bucket; then stamp the slot with the true time of departure."""
        loop = waiter.side.loop
        while True:
            await waiter.served
            if not self._keeps_slot(waiter, loop.time()):
                continue
            if not (self._is_first(waiter) and waiter.side.bucket.has_token()):
                await waiter.side.bucket.pause()
                continue
            await waiter.side.bucket.take_token()
            with self._lock:
                if waiter.slot is not None:
                    self._pacer.stamp(waiter.slot, loop.time())
                    self._granted.remove(waiter)
                    return waiter.slot

    def _keeps_slot(self, waiter: _Waiter, now: float) -> bool:
        """Renew the lease of a waiter's slot; if it has lost the slot, put it back where it stood in its queue."""
        with self._lock:
            waiter.side.asleep = False
            waiter.granted_at = now
            if waiter.slot is not None:
                return True
            waiter.served = waiter.side.loop.create_future()
            self._queue.join(waiter)
            self._serve(now)
            return False

    def _is_first(self, waiter: _Waiter) -> bool:
        """Whether it is the first with a slot on its loop: tokens are taken in the order of the slots."""
        with self._lock:
            return next((first for first in self._granted if first.side is waiter.side), None) is waiter

    def _settle(self, slot: Slot, side: _LoopSide, answer: Answer | None) -> None:
        """Learn from an answer, or take back a slot that no request was sent with."""
        with self._lock:
            if answer is None:
                self._pacer.give_back(slot)
                side.bucket.return_token()
                self._serve(current_time())
            else:
                self._pacer.learn(slot, answer)
                self._serve(answer.answered_at)

    def status(self) -> LimiterStatus:
        """Return what the limiter is doing now; from any thread."""
        now = current_time()
        with self._lock:
            self._forget_closed_loops()
            return LimiterStatus(
                rate=self._pacer.rate,
                queued=MappingProxyType(self._queue.counts),
                expected_wait=self._expected_wait(Priority.INTERACTIVE, now),
                sent=self._pacer.sent,
                refused=self._pacer.refused,
                paused_for=max(self._pacer.pause.until - now, 0.0),
                poll_rate=self._pacer.poll_rate,
            )

    def lower(self, rate_limit: RateLimit) -> None:
        """Go on with another figure of the plan; nobody loses their place."""
        with self._lock:
            self._rate_limit = rate_limit
            self._pacer.change(rate_limit)
            for side in self._sides.values():
                side.bucket.change(rate_limit)

    def _side_of(self, loop: asyncio.AbstractEventLoop) -> _LoopSide:
        side = self._sides.get(loop)
        if side is None:
            side = self._sides[loop] = _LoopSide(loop, LoopBucket(loop, self._rate_limit))
        side.asleep = False
        return side

    def _forget_closed_loops(self) -> None:
        """Drop the waiters of loops that were closed: nobody is to wait for them."""
        if not any(loop.is_closed() for loop in self._sides):
            return
        self._sides = {loop: side for loop, side in self._sides.items() if not loop.is_closed()}
        waiting = itertools.chain(self._granted, self._queue)
        for gone in [waiter for waiter in waiting if waiter.side.loop.is_closed()]:
            self._drop(gone)

    def _expected_wait(self, priority: Priority, now: float) -> float:
        turn = self._queue.turn_of_new(priority)
        if priority is Priority.POLL:
            return self._pacer.wait_of_poll(turn, self._queue.counts[priority], now)
        return self._pacer.wait_of(turn, now)

    def _withdraw(self, waiter: _Waiter) -> None:
        """Take a waiter out, wherever it is; its slot goes to the next one."""
        with self._lock:
            self._drop(waiter)
            self._serve(waiter.side.loop.time())

    def _drop(self, waiter: _Waiter) -> None:
        self._queue.leave(waiter)
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
        for late in [waiter for waiter in self._granted if waiter.granted_at + _LEASE_S <= now]:
            late.side.asleep = True
            self._drop(late)
        while (waiter := self._queue.next(self._can_leave(now))) is not None:
            waiter.slot = self._pacer.take(now, is_poll=waiter.priority is Priority.POLL)
            waiter.granted_at = now
            self._granted.append(waiter)
            if not call_on(waiter.side.loop, waiter.wake):
                self._drop(waiter)
        waiting = [priority for priority, count in self._queue.counts.items() if count]
        ready = [self._ready_at(priority, now) for priority in waiting]
        wake_at = min([*ready, *(waiter.granted_at + _LEASE_S for waiter in self._granted)], default=now)
        for side in {waiter.side for waiter in self._queue}:
            call_on(side.loop, functools.partial(side.wake_at, wake_at, self._on_timer))

    def _can_leave(self, now: float) -> Callable[[_Waiter], bool]:
        """Return whether a waiter may leave now, as a function."""
        if self._pacer.ready_at(now) > now:
            return _no_one
        polls = self._pacer.poll_ready_at(now) <= now
        return lambda waiter: not waiter.side.asleep and (polls or waiter.priority is not Priority.POLL)

    def _on_timer(self, side: _LoopSide) -> None:
        with self._lock:
            side.asleep = False
            self._serve(current_time())


@attrs.define(eq=False)
class _Waiter(Waiter):
    """One caller of `acquire`: in the queue while it has no slot, about to leave once it has one."""

    side: _LoopSide
    served: asyncio.Future[None]
    slot: Slot | None = None
    granted_at: float = 0.0

    def wake(self) -> None:
        if not self.served.done():
            self.served.set_result(None)


def _no_one(_: _Waiter) -> bool:
    return False


@attrs.define(eq=False)
class _LoopSide:
    """What one event loop has of its own: the bucket that bounds it, and a timer for the next slot."""

    loop: asyncio.AbstractEventLoop
    bucket: LoopBucket
    asleep: bool = False
    _timer: asyncio.TimerHandle | None = None

    def wake_at(self, when: float, callback: Callable[[_LoopSide], None]) -> None:
        """Set the loop's one timer; runs on the loop."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(max(when, self.loop.time()), callback, self)


_every_limiter: weakref.WeakSet[LocalRateLimiter] = weakref.WeakSet()


def _begin_anew_in_child() -> None:
    for limiter in _every_limiter:
        limiter._begin()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)

"""The rate limit of an organization within one process. All clients of the organization share one `LocalRateLimiter`.

Launch counts requests per organization (10 per second, depending on the plan), not per client. The limiter
serves callers by three priorities, and first come, first served within a priority. A cancelled caller returns its
permit. The limiter refuses a caller immediately if the deadline is too close. After a 429 all requests pause, callers
keep their places, and the pacing learns.
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
"""Seconds after which a waiter loses a slot that it does not use, because its loop is blocked or has stopped."""


class LocalRateLimiter:
    """The rate limit of one organization within this process.

    Any number of event loops, in any threads, can share one limiter. A more urgent priority goes first, but of any ten
    requests in a row, each priority with waiting callers gets at least one, so no priority starves.

    Args:
        rate_limit: The limit of the organization's plan; 10 requests per second by default.
    """

    def __init__(self, rate_limit: RateLimit | None = None) -> None:
        self._rate_limit = rate_limit or RateLimit(10)
        self._reset()
        _limiters.add(self)

    def _reset(self) -> None:
        """Start without waiters, loops and a held lock. A forked child process does this again."""
        self._lock = threading.Lock()
        self._pacer = Pacer(self._rate_limit)
        self._queue: FairQueue[_Waiter] = FairQueue()
        self._granted: list[_Waiter] = []
        self._abandoned: deque[_Waiter] = deque()
        self._loop_states: dict[asyncio.AbstractEventLoop, _LoopState] = {}

    @property
    def rate_limit(self) -> RateLimit:
        """The limit of the plan that this limiter uses."""
        return self._rate_limit

    async def acquire(
        self,
        operation: Operation | None = None,  # noqa: ARG002, RUF100
        *,
        priority: Priority = Priority.INTERACTIVE,
        timeout: float | None = None,
    ) -> Permit:
        """Wait until a request may be sent. All operations share one limit.

        Raises:
            DeadlineExceeded: The wait would be longer than `timeout` seconds, or has become longer. Nothing was sent.
        """
        loop = asyncio.get_running_loop()
        since = loop.time()
        with self._lock:
            self._forget_closed_loops()
            loop_state = self._state_of(loop)
            slot = self._immediate_slot(loop_state, priority, since)
        if slot is not None:
            await loop_state.bucket.take_token()
            return Permit(0.0, functools.partial(self._settle, slot, loop_state))
        slot = await self._queued_slot(loop_state, priority, timeout)
        return Permit(loop.time() - since, functools.partial(self._settle, slot, loop_state))

    def _immediate_slot(self, loop_state: _LoopState, priority: Priority, now: float) -> Slot | None:
        if self._is_idle and self._ready_at(priority, now) <= now and loop_state.bucket.has_token():
            return self._pacer.take(now, is_poll=priority is Priority.POLL)
        return None

    def _ready_at(self, priority: Priority, now: float) -> float:
        return self._pacer.poll_ready_at(now) if priority is Priority.POLL else self._pacer.ready_at(now)

    async def _queued_slot(self, loop_state: _LoopState, priority: Priority, timeout: float | None) -> Slot:
        now = loop_state.loop.time()
        with self._lock:
            expected = self._expected_wait(priority, now)
            if timeout is not None and expected > timeout:
                raise deadline_too_near(expected, timeout)
            waiter = _Waiter(priority, loop_state, loop_state.loop.create_future())
            self._queue.join(waiter)
            self._serve(now)
        try:
            async with asyncio.timeout(timeout):
                return await self._wait_for_slot(waiter)
        except GeneratorExit:
            # The loop is closed and the garbage collector runs this code, perhaps while this limiter holds its lock.
            # Record the waiter here, and remove it later.
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
        """Whether no caller waits or is about to send."""
        return not (self._granted or self._abandoned or self._queue)

    async def _wait_for_slot(self, waiter: _Waiter) -> Slot:
        """Wait for a slot and for a token of this loop's bucket. Then record the time at which the request is sent."""
        loop = waiter.loop_state.loop
        while True:
            await waiter.served
            if not self._renew_lease(waiter, loop.time()):
                continue
            if not (self._is_first(waiter) and waiter.loop_state.bucket.has_token()):
                await waiter.loop_state.bucket.pause()
                continue
            await waiter.loop_state.bucket.take_token()
            with self._lock:
                if waiter.slot is not None:
                    self._pacer.stamp(waiter.slot, loop.time())
                    self._granted.remove(waiter)
                    return waiter.slot

    def _renew_lease(self, waiter: _Waiter, now: float) -> bool:
        """Renew the lease of a waiter's slot. A waiter without a slot returns to its old position in the queue."""
        with self._lock:
            waiter.loop_state.stalled = False
            waiter.granted_at = now
            if waiter.slot is not None:
                return True
            waiter.served = waiter.loop_state.loop.create_future()
            self._queue.join(waiter)
            self._serve(now)
            return False

    def _is_first(self, waiter: _Waiter) -> bool:
        """Whether the waiter is the first with a slot on its loop. Waiters take tokens in the order of their slots."""
        with self._lock:
            return next((first for first in self._granted if first.loop_state is waiter.loop_state), None) is waiter

    def _settle(self, slot: Slot, loop_state: _LoopState, answer: Answer | None) -> None:
        """Learn from an answer, or take back the slot of a request that was not sent."""
        with self._lock:
            if answer is None:
                self._pacer.give_back(slot)
                loop_state.bucket.return_token()
                self._serve(current_time())
            else:
                self._pacer.learn(slot, answer)
                self._serve(answer.answered_at)

    def status(self) -> LimiterStatus:
        """Return the current state of the limiter. Thread-safe."""
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
        """Change the limit of the plan. Waiting callers keep their places."""
        with self._lock:
            self._rate_limit = rate_limit
            self._pacer.change(rate_limit)
            for loop_state in self._loop_states.values():
                loop_state.bucket.change(rate_limit)

    def _state_of(self, loop: asyncio.AbstractEventLoop) -> _LoopState:
        loop_state = self._loop_states.get(loop)
        if loop_state is None:
            loop_state = self._loop_states[loop] = _LoopState(loop, LoopBucket(loop, self._rate_limit))
        loop_state.stalled = False
        return loop_state

    def _forget_closed_loops(self) -> None:
        """Remove closed loops, and their waiters from the queue."""
        if not any(loop.is_closed() for loop in self._loop_states):
            return
        self._loop_states = {loop: loop_state for loop, loop_state in self._loop_states.items() if not loop.is_closed()}
        waiting = itertools.chain(self._granted, self._queue)
        for gone in [waiter for waiter in waiting if waiter.loop_state.loop.is_closed()]:
            self._drop(gone)

    def _expected_wait(self, priority: Priority, now: float) -> float:
        position = self._queue.position_of_new(priority)
        if priority is Priority.POLL:
            return self._pacer.wait_of_poll(position, self._queue.counts[priority], now)
        return self._pacer.wait_of(position, now)

    def _withdraw(self, waiter: _Waiter) -> None:
        """Remove a waiter. The next waiter gets its slot."""
        with self._lock:
            self._drop(waiter)
            self._serve(waiter.loop_state.loop.time())

    def _drop(self, waiter: _Waiter) -> None:
        self._queue.leave(waiter)
        if waiter in self._granted:
            self._granted.remove(waiter)
        if waiter.slot is not None:
            self._pacer.give_back(waiter.slot)
            waiter.slot = None

    def _serve(self, now: float) -> None:
        """Give free slots to the next waiters, and set timers for the others. The caller holds the lock."""
        if self._is_idle:
            return
        while self._abandoned:
            self._drop(self._abandoned.popleft())
        for late in [waiter for waiter in self._granted if waiter.granted_at + _LEASE_S <= now]:
            late.loop_state.stalled = True
            self._drop(late)
        while (waiter := self._queue.next(self._can_leave(now))) is not None:
            waiter.slot = self._pacer.take(now, is_poll=waiter.priority is Priority.POLL)
            waiter.granted_at = now
            self._granted.append(waiter)
            if not call_on(waiter.loop_state.loop, waiter.wake):
                self._drop(waiter)
        waiting = [priority for priority, count in self._queue.counts.items() if count]
        ready = [self._ready_at(priority, now) for priority in waiting]
        wake_at = min([*ready, *(waiter.granted_at + _LEASE_S for waiter in self._granted)], default=now)
        for loop_state in {waiter.loop_state for waiter in self._queue}:
            call_on(loop_state.loop, functools.partial(loop_state.wake_at, wake_at, self._on_timer))

    def _can_leave(self, now: float) -> Callable[[_Waiter], bool]:
        """Return a function that says whether a waiter may send now."""
        if self._pacer.ready_at(now) > now:
            return _reject
        polls = self._pacer.poll_ready_at(now) <= now
        return lambda waiter: not waiter.loop_state.stalled and (polls or waiter.priority is not Priority.POLL)

    def _on_timer(self, loop_state: _LoopState) -> None:
        with self._lock:
            loop_state.stalled = False
            self._serve(current_time())


class _Waiter(Waiter):
    """One caller of `acquire`. A waiter without a slot is in the queue."""

    def __init__(self, priority: Priority, loop_state: _LoopState, served: asyncio.Future[None]) -> None:
        super().__init__(priority)
        self.loop_state = loop_state
        self.served = served
        self.slot: Slot | None = None
        self.granted_at = 0.0

    def wake(self) -> None:
        if not self.served.done():
            self.served.set_result(None)


def _reject(_: _Waiter) -> bool:
    return False


@attrs.define(eq=False)
class _LoopState:
    """The parts that each event loop has separately: a token bucket, and a timer for the next slot."""

    loop: asyncio.AbstractEventLoop
    bucket: LoopBucket
    stalled: bool = False
    _timer: asyncio.TimerHandle | None = None

    def wake_at(self, when: float, callback: Callable[[_LoopState], None]) -> None:
        """Set the loop's timer. Runs on the loop."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(max(when, self.loop.time()), callback, self)


_limiters: weakref.WeakSet[LocalRateLimiter] = weakref.WeakSet()


def _reset_in_child() -> None:
    for limiter in _limiters:
        limiter._reset()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_in_child)

"""The worker of one event loop for a shared budget: a queue of callers, and one task that calls the store for them.

The task owns the connection. It lives while there is something to do and a few seconds longer, and ends with the loop.
Shortly before the time of its reservation, the task makes one call that takes the slot, reports earlier requests, and
reserves the next slot. This is one call per request while requests wait, and two for the first request of a busy time.
"""

from __future__ import annotations

import asyncio
import copy
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from launch_async.errors import DeadlineExceeded, LaunchError
from launch_async.rate_limit.event_loops import call_on
from launch_async.rate_limit.loop_bucket import LoopBucket
from launch_async.rate_limit.poll_share import poll_interval
from launch_async.rate_limit.queue import FairQueue, Waiter
from launch_async.rate_limit.shared.connection import Config, Connection
from launch_async.rate_limit.shared.messages import Ask, Grant, Memory, Reply, StoreUnusable
from launch_async.rate_limit.shared.report_buffer import ReportBatch, ReportBuffer
from launch_async.rate_limit.types import Answer, Priority, RateLimit, deadline_too_near

if TYPE_CHECKING:
    from launch_async.rate_limit.shared.local_share import LocalShare

__all__ = ["Worker"]

_MAX_SLOTS_PER_CALL: Final = 1000
"""Maximum number of slots that one call requests, because the result of a Redis script is limited."""
_LINGER_S: Final = 5.0
"""Seconds without work after which the task closes the connection."""
_WARNS_WHEN_COLLECTED: Final = "_log_destroy_pending"
"""Attribute of an asyncio task, without a public name. False means no warning when a pending task is collected."""
_RESERVATION_GRACE_S: Final = 0.1
"""Seconds after its time, after which a reservation has expired."""
_BUSY_WAIT_S: Final = 0.005
"""Wait of a request, in seconds, above which the budget counts as busy."""
_MIN_LATENESS_S: Final = 0.05
_MAX_LATENESS_S: Final = 1.0
"""Bounds of the seconds after its time during which a slot may be used. The value grows while the loop is blocked."""


class Worker:
    """The worker of one event loop. All methods except `settle` must be called on that loop."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.sent: int = 0
        self.capacity: float = config.rate_limit.requests
        self.paused_until: float = 0.0
        self._config = config
        self._rate_limit = config.rate_limit
        self._bucket = LoopBucket(loop, config.rate_limit)
        self._worker = os.urandom(5).hex()
        self._queue: FairQueue[_Waiter] = FairQueue()
        self._reports = ReportBuffer(config.rate_limit.per, config.patience, repeats=not config.is_immediate)
        self._connection = Connection(config, loop)
        self._task: asyncio.Task[None] | None = None
        self._sleeper: asyncio.Future[bool] | None = None
        self._sleeps_until = math.inf
        self._memory = Memory()
        self._reserved_at: float | None = None
        self._reservations = 1
        self._lateness = _MIN_LATENESS_S
        self._busy = self._eager = False
        self._departed_at = 0.0
        self._departed = Priority.INTERACTIVE

    @property
    def refused(self) -> int:
        """Number of requests that the service has refused."""
        return self._reports.refused

    @property
    def poll_rate(self) -> float:
        """Current maximum rate of polls, in polls per second."""
        return 1 / max(self._poll_interval, self._rate_limit.per / self.capacity)

    @property
    def queued(self) -> Mapping[Priority, int]:
        """Number of waiting callers, by priority."""
        return self._queue.counts

    def change(self, rate_limit: RateLimit) -> None:
        """Change the limit of the plan."""
        self._rate_limit = rate_limit
        self._bucket.change(rate_limit)
        self._reports.per = rate_limit.per

    async def grant(self, priority: Priority, timeout: float | None) -> Grant:
        """Wait for a slot and its time. Raise `DeadlineExceeded` immediately if this takes longer than `timeout`."""
        now = self.loop.time()
        if not self._queue:
            self._eager = self._busy and now - self._departed_at < self._rate_limit.per / 2
            if self._config.is_immediate and (grant := await self._grant_now(priority, now)):
                return grant
        expected = self.expected_wait(priority, now)
        if timeout is not None and expected > timeout:
            raise deadline_too_near(expected, timeout)
        deadline = None if timeout is None else now + timeout
        waiter = _Waiter(priority, deadline, self.loop.create_future())
        has_reservation = self._queue.counts[priority] > 0
        self._queue.join(waiter)
        if not has_reservation:
            self._wake()
        try:
            async with asyncio.timeout(timeout):
                grant = await self._wait_for_grant(waiter)
        except TimeoutError as error:
            if isinstance(error, DeadlineExceeded):
                raise
            raise deadline_too_near(max(expected, timeout or 0.0), timeout or 0.0) from None
        finally:
            if not waiter.departed:
                self._withdraw(waiter)
        self._busy = grant.sent_at - now > _BUSY_WAIT_S
        return grant

    async def _wait_for_grant(self, waiter: _Waiter) -> Grant:
        while True:
            grant = await waiter.served
            if (ahead := grant.not_before - self.loop.time()) > 0:
                await asyncio.sleep(ahead)
            while not self._bucket.has_token() and self.loop.time() <= grant.not_after:
                await self._bucket.pause()
            now = self.loop.time()
            if now <= grant.not_after:
                await self._bucket.take_token()
                waiter.departed = True
                self._depart(grant, waiter.priority, now)
                self._wake_if_due()
                return grant
            # The loop was blocked. The slot is too old: other processes may count it as free already.
            self._lateness = min(2 * self._lateness, _MAX_LATENESS_S)
            self._reports.unused(grant, now)
            waiter.served = self.loop.create_future()
            self._queue.join(waiter)
            self._wake()

    async def _grant_now(self, priority: Priority, now: float) -> Grant | None:
        """Return a slot that is free now, without the task; None if the caller must wait.

        A program below its rate limit then needs one call of the store, and no switch between tasks.
        """
        reserved = self._reserved_at is not None and self._reserved_at > now
        if reserved or self.paused_until > now or self._connection.is_doubtful or not self._bucket.has_token():
            return None
        batch, late = self._reports.take(now), self._lateness + self._connection.usual_duration
        wanted = (int(priority == 0), int(priority == 1), int(priority == 2))
        reply = self._connection.ask_now(self._next_ask(batch, late, 0.0, wanted, priority if self._eager else None))
        if reply is None:
            self._reports.restore(batch, now)
            return None
        self._update(reply, self.loop.time())
        if not reply.granted:
            return None
        grant = Grant(number=reply.granted[0][0], not_before=now, not_after=now + late)
        await self._bucket.take_token()
        self._depart(grant, priority, now)
        self._busy = False
        if self._task is None:
            self._wake()
        else:
            self._wake_if_due()
        return grant

    def _depart(self, grant: Grant, priority: Priority, now: float) -> None:
        """Record that a request leaves with a grant."""
        grant.sent_at = self._departed_at = now
        self._departed = priority
        self.sent += 1
        self._reports.sent(grant)
        self._lateness = max(0.98 * self._lateness, _MIN_LATENESS_S)

    def expected_wait(self, priority: Priority, now: float) -> float:
        """Return the seconds that a new caller would wait, as far as this process knows."""
        place = self._queue.position_of_new(priority)
        if self._connection.is_down and self._config.share is not None:
            return self._config.share.turn_at(now) - now + place * self._config.share.interval
        expected = self._until_reservation(now) + place * self._step
        if priority is Priority.POLL:
            expected = max(expected, self._queue.counts[priority] * self._poll_interval)
        return expected

    def settle(self, grant: Grant, answer: Answer | None) -> None:
        """Report the outcome of a grant; None if no request was sent. Thread-safe."""
        # If the loop is closed, nothing is reported. The slot then counts like a request without an answer.
        call_on(self.loop, partial(self._give_back, grant) if answer is None else partial(self._learn, grant, answer))

    def _give_back(self, grant: Grant) -> None:
        self.sent -= 1
        self._bucket.return_token()
        self._reports.unused(grant, self.loop.time())
        self._wake()

    def _learn(self, grant: Grant, answer: Answer) -> None:
        pause = self._reports.answered(grant, answer)
        if pause is not None:
            self.paused_until = max(self.paused_until, pause.until)
            if self._config.share is not None:
                self._config.share.delay(pause.until)
            self._wake()
        else:
            self._wake_if_due()

    def _wake_if_due(self) -> None:
        """Wake the task if the next call is due before the end of its sleep."""
        if self._sleeper is not None and self._reports.due_at < self._sleeps_until:
            self._wake()

    def _wake(self) -> None:
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(True)
        if self._task is None:
            self._task = self.loop.create_task(self._serve())
            # The idle task sleeps for some seconds. asyncio must not warn if the program closes the loop in that time.
            setattr(self._task, _WARNS_WHEN_COLLECTED, False)

    def _withdraw(self, waiter: _Waiter) -> None:
        """Remove a waiter that does not send a request. Return its slot, if it has one."""
        self._queue.leave(waiter)
        served = waiter.served
        if served.done() and not served.cancelled() and served.exception() is None:
            self._reports.unused(served.result(), self.loop.time())
            self._wake()
        elif self._reserved_at is not None and not self._queue:
            # No caller is left to use the reservation.
            self._reports.urgent = True
            self._wake()

    async def _serve(self) -> None:
        """Call the store while there is something to do, and close the connection some seconds later."""
        is_collected = False
        try:
            while True:
                if self._queue or self._reports.urgent or self._reports.due_at <= self.loop.time():
                    await self._work()
                elif not await self._sleep(min(_LINGER_S, self._reports.due_at - self.loop.time())):
                    if self._reports.due_at < math.inf:
                        continue
                    await self._connection.disconnect()
                    if not (self._queue or self._reports.urgent):
                        return
        except Exception as error:
            if not self._queue and not isinstance(error, StoreUnusable):
                raise
            self._fail_all(error)
        except GeneratorExit:
            # The loop is closed and the garbage collector runs this code, so nothing can be awaited any more.
            is_collected = True
            raise
        finally:
            self._task = None
            if not is_collected:
                await self._report_at_exit()
                await self._connection.disconnect()

    async def _report_at_exit(self) -> None:
        """Send the remaining reports if calls are fast, so that the next process waits less."""
        if self._reports.has_reports and self._config.is_immediate:
            with suppress(StoreUnusable):
                await self._connection.ask(
                    self._next_ask(self._reports.take(self.loop.time()), 0.0, 0.0, (0, 0, 0), None)
                )

    async def _work(self) -> None:
        now = self.loop.time()
        if self._connection.is_down and self._config.share is not None and now < self._connection.probe_at:
            await self._work_without_store(self._config.share, now)
            return
        if self._reserved_at is not None and now > self._reserved_at + _RESERVATION_GRACE_S:
            self._reserved_at = None
        # A slot that is taken early must wait for its time. If calls are fast, take no slot early.
        early = 0.0 if self._config.is_immediate else self._lead
        ahead = 0.0 if self._reserved_at is None else min(self._reserved_at - early, self._reports.due_at) - now
        if ahead > 0 and not self._reports.urgent:
            await self._sleep(ahead)
        else:
            await self._call_store(now)

    async def _work_without_store(self, share: LocalShare, now: float) -> None:
        self._reports.urgent = False
        if self._queue and share.take(now):
            self._give_to_next(Grant(number=0, not_before=now, not_after=now + self._config.patience))
        else:
            turn = share.turn_at(now) if self._queue else math.inf
            await self._sleep(min(turn, self._connection.probe_at) - now)

    async def _sleep(self, seconds: float) -> bool:
        """Sleep, at most for the given seconds. Return whether the task was woken."""
        self._sleeper, self._sleeps_until = self.loop.create_future(), self.loop.time() + seconds
        timer = self.loop.call_at(self._sleeps_until, _end_sleep, self._sleeper)
        try:
            return await self._sleeper
        finally:
            timer.cancel()
            self._sleeper = None

    async def _call_store(self, began: float) -> None:
        """Call the store once, and distribute the slots of its reply."""
        batch, late = self._reports.take(began), self._lateness + self._connection.usual_duration
        reserve = self._departed if self._eager else None
        call = self._next_ask(batch, late, self._lead, self._waiting, reserve)
        reply = self._connection.ask_now(call) or await self._connection.ask(call)
        if isinstance(reply, Reply):
            self._distribute(reply, began, late)
            return
        self._reports.restore(batch, self.loop.time())
        self._reserved_at = None
        if isinstance(reply, LaunchError):
            self._fail_all(reply)

    def _next_ask(
        self, batch: ReportBatch, late: float, lead: float, waiting: tuple[int, int, int], reserve: Priority | None
    ) -> Ask:
        now = self.loop.time()
        return Ask(
            worker=self._worker,
            waiting=waiting,
            reserve=reserve,
            poll_interval=self._poll_interval,
            lead=lead,
            late=late,
            requests=self._rate_limit.requests,
            per=self._rate_limit.per,
            shortest_trip=self._reports.shortest_trip,
            longest_trip=self._reports.longest_trip,
            limit=self._reports.limit,
            pause=max(batch.pause.until - now, 0.0),
            spaced=max(batch.pause.spaced_until - now, 0.0),
            reports=[(number, now - at, code) for number, at, code in (*batch.reports, *self._reports.unanswered())],
            repeated=[(number, now - at, code) for number, at, code in batch.repeated],
            doubtful=self._connection.is_doubtful,
            memory=self._memory,
        )

    def _distribute(self, reply: Reply, began: float, late: float) -> None:
        ended = self.loop.time()
        self._update(reply, ended)
        for number, wait, priority in reply.granted:
            self._give_to_next(Grant(number=number, not_before=ended + wait, not_after=began + wait + late), priority)
        self._refuse_late(ended)

    def _update(self, reply: Reply, ended: float) -> None:
        """Update the view of the budget from a reply."""
        self._memory = reply.memory
        self._reservations = max(reply.reservations, 1)
        self.capacity = reply.capacity * self._rate_limit.per / reply.per
        self._reserved_at = None if reply.next_in is None else ended + reply.next_in
        self.paused_until = ended + reply.paused_for

    def _give_to_next(self, grant: Grant, priority: Priority | None = None) -> None:
        waiter = self._queue.next(_is_waiting, priority)
        if waiter is None:
            self._reports.unused(grant, self.loop.time())
        else:
            waiter.served.set_result(grant)

    def _refuse_late(self, now: float) -> None:
        """Refuse the waiters whose deadlines are too close, according to the latest reply."""
        until_first, step = self._until_reservation(now), self._step
        for waiter, turn in self._queue.positions():
            expected = until_first + turn * step
            if waiter.deadline is not None and now + expected > waiter.deadline and _is_waiting(waiter):
                self._queue.leave(waiter)
                waiter.served.set_exception(deadline_too_near(expected, waiter.deadline - now))

    def _fail_all(self, error: Exception) -> None:
        for waiter in self._queue:
            self._queue.leave(waiter)
            if _is_waiting(waiter):
                # Each call adds its own details to its error, so calls must not share an error object.
                waiter.served.set_exception(copy.copy(error))

    @property
    def _waiting(self) -> tuple[int, int, int]:
        counts = self._queue.counts
        interactive, write, poll = (min(counts[priority], _MAX_SLOTS_PER_CALL // 3) for priority in Priority)
        return interactive, write, poll

    def _until_reservation(self, now: float) -> float:
        return max(self.paused_until - now, 0.0) if self._reserved_at is None else max(self._reserved_at - now, 0.0)

    @property
    def _step(self) -> float:
        """Seconds between two requests of this worker while other workers also wait."""
        return self._rate_limit.per / self.capacity * self._reservations

    @property
    def _poll_interval(self) -> float:
        return poll_interval(self._rate_limit, self.capacity)

    @property
    def _lead(self) -> float:
        return min(max(2 * self._connection.usual_duration, 0.0005 if self._config.is_immediate else 0.003), 0.1)


class _Waiter(Waiter):
    """One caller.

    Attributes:
        deadline: Time at which the caller gives up, on the loop's clock; None for never.
        served: Future that receives the grant.
        departed: Whether the caller has taken its grant and may send.
    """

    def __init__(self, priority: Priority, deadline: float | None, served: asyncio.Future[Grant]) -> None:
        super().__init__(priority)
        self.deadline = deadline
        self.served = served
        self.departed = False


def _end_sleep(sleeper: asyncio.Future[bool]) -> None:
    if not sleeper.done():
        sleeper.set_result(False)


def _is_waiting(waiter: _Waiter) -> bool:
    """Whether the waiter can receive a grant. A cancelled caller stays in the queue until its task has run."""
    return not waiter.served.done()

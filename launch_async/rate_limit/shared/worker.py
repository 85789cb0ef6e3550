"""One event loop's worker at the shared budget: a queue of callers, and one task that calls the store for all of them.

The task lives while there is something to do, and a little longer; it owns the connection, and ends with the loop. Its
call shortly before the time of its reservation takes the slot, tells what became of earlier requests, and reserves the
next slot: one call per request where requests wait, two for the first of a busy time.
"""

from __future__ import annotations

import asyncio
import copy
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import attrs

from launch_async.errors import DeadlineExceeded, LaunchError
from launch_async.rate_limit.event_loops import call_on
from launch_async.rate_limit.loop_bucket import LoopBucket
from launch_async.rate_limit.poll_share import poll_interval
from launch_async.rate_limit.queue import FairQueue, Waiter
from launch_async.rate_limit.shared.connection import Config, Connection
from launch_async.rate_limit.shared.local_share import LocalShare
from launch_async.rate_limit.shared.messages import Ask, Grant, Memory, Reply, StoreUnusable
from launch_async.rate_limit.shared.report_buffer import ReportBuffer, Reported
from launch_async.rate_limit.types import Answer, Priority, RateLimit, deadline_too_near

__all__ = ["Worker"]

_MOST_WANTED: Final = 1000
"""Slots for which one call asks: what a script of Redis may return is limited."""
_LINGER_S: Final = 5.0
_WARNS_WHEN_COLLECTED: Final = "_log_destroy_pending"
"""The attribute of an asyncio task that has no public name."""
_RESERVATION_GRACE_S: Final = 0.1
_BUSY_WAIT_S: Final = 0.005
_LEAST_LATENESS_S: Final = 0.05
_MOST_LATENESS_S: Final = 1.0


class Worker:
    """The side of one event loop; everything but `settle` is called on that loop."""

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
        self._rests: asyncio.Future[bool] | None = None
        self._rests_until = math.inf
        self._memory = Memory()
        self._reserved_at: float | None = None
        self._reservations = 1
        self._lateness = _LEAST_LATENESS_S
        self._busy = self._eager = False
        self._departed_at = 0.0
        self._departed = Priority.INTERACTIVE

    @property
    def refused(self) -> int:
        """Requests that the service refused."""
        return self._reports.refused

    @property
    def poll_rate(self) -> float:
        """Polls per second that are let through at most."""
        return 1 / max(self._poll_interval, self._rate_limit.per / self.capacity)

    @property
    def queued(self) -> Mapping[Priority, int]:
        """Callers that wait, by priority."""
        return self._queue.counts

    def change(self, rate_limit: RateLimit) -> None:
        """Go on with another figure of the plan."""
        self._rate_limit = rate_limit
        self._bucket.change(rate_limit)
        self._reports.per = rate_limit.per

    async def grant(self, priority: Priority, timeout: float | None) -> Grant:
        """Wait for a slot and its time, at most `timeout` seconds; refuse at once what would take longer."""
        now = self.loop.time()
        expected = self.expected_wait(priority, now)
        if timeout is not None and expected > timeout:
            raise deadline_too_near(expected, timeout)
        if not self._queue:
            self._eager = self._busy and now - self._departed_at < self._rate_limit.per / 2
            if self._config.is_immediate and (grant := await self._grant_now(priority, now)):
                return grant
        deadline = None if timeout is None else now + timeout
        waiter = _Waiter(priority, deadline, self.loop.create_future())
        has_place = self._queue.counts[priority] > 0
        self._queue.join(waiter)
        if not has_place:
            self._wake()
        try:
            async with asyncio.timeout(timeout):
                grant = await self._departure(waiter)
        except TimeoutError as error:
            if isinstance(error, DeadlineExceeded):
                raise
            raise deadline_too_near(max(expected, timeout or 0.0), timeout or 0.0) from None
        finally:
            if not waiter.departed:
                self._withdraw(waiter)
        self._busy = grant.sent_at - now > _BUSY_WAIT_S
        return grant

    async def _departure(self, waiter: _Waiter) -> Grant:
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
                self._hurry()
                return grant
            # The loop was held up. A slot that the others believe used a while ago must not be used now.
            self._lateness = min(2 * self._lateness, _MOST_LATENESS_S)
            self._reports.unused(grant, now)
            waiter.served = self.loop.create_future()
            self._queue.join(waiter)
            self._wake()

    async def _grant_now(self, priority: Priority, now: float) -> Grant | None:
        """Return a slot that is free now, without the task; None if the caller has to wait.

        A program that stays below its rate limit then pays for one call of the store, and for no switch between tasks.
        """
        reserved = self._reserved_at is not None and self._reserved_at > now
        if reserved or self.paused_until > now or self._connection.is_doubtful or not self._bucket.has_token():
            return None
        told, late = self._reports.tell(now), self._lateness + self._connection.usual_duration
        wanted = (int(priority == 0), int(priority == 1), int(priority == 2))
        reply = self._connection.ask_now(self._call(told, late, 0.0, wanted, priority if self._eager else None))
        if reply is None:
            self._reports.untold(told, now)
            return None
        self._take_in(reply, self.loop.time())
        if not reply.granted:
            return None
        grant = Grant(number=reply.granted[0][0], not_before=now, not_after=now + late)
        await self._bucket.take_token()
        self._depart(grant, priority, now)
        self._busy = False
        if self._task is None:
            self._wake()
        else:
            self._hurry()
        return grant

    def _depart(self, grant: Grant, priority: Priority, now: float) -> None:
        """Note that a request leaves with a grant."""
        grant.sent_at = self._departed_at = now
        self._departed = priority
        self.sent += 1
        self._reports.left(grant)
        self._lateness = max(0.98 * self._lateness, _LEAST_LATENESS_S)

    def expected_wait(self, priority: Priority, now: float) -> float:
        """Return the seconds that a new caller would wait, as far as is known."""
        place = self._queue.turn_of_new(priority)
        if self._connection.gone and self._config.share is not None:
            return self._config.share.turn_at(now) - now + place * self._config.share.interval
        expected = self._until_reservation(now) + place * self._step
        if priority is Priority.POLL:
            expected = max(expected, self._queue.counts[priority] * self._poll_interval)
        return expected

    def settle(self, grant: Grant, answer: Answer | None) -> None:
        """Take in what became of a grant, None if no request left with it; from any thread."""
        # Where the loop is closed nobody is left to be told: the slot is held as for a request without an answer.
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
            self._hurry()

    def _hurry(self) -> None:
        """Wake the task if the next call has become due before it wakes by itself."""
        if self._rests is not None and self._reports.due_at < self._rests_until:
            self._wake()

    def _wake(self) -> None:
        if self._rests is not None and not self._rests.done():
            self._rests.set_result(True)
        if self._task is None:
            self._task = self.loop.create_task(self._serve())
            # It rests for some seconds when there is nothing to do: who closes the loop then has done nothing wrong.
            setattr(self._task, _WARNS_WHEN_COLLECTED, False)

    def _withdraw(self, waiter: _Waiter) -> None:
        """Take out a waiter that leaves without a request; its slot, if it has one, goes back."""
        self._queue.leave(waiter)
        served = waiter.served
        if served.done() and not served.cancelled() and served.exception() is None:
            self._reports.unused(served.result(), self.loop.time())
            self._wake()
        elif self._reserved_at is not None and not self._queue:
            # Nobody is left who would claim the reservation.
            self._reports.urgent = True
            self._wake()

    async def _serve(self) -> None:
        """Talk to the store while there is something to do, and close the connection some seconds after that."""
        is_collected = False
        try:
            while True:
                if self._queue or self._reports.urgent or self._reports.due_at <= self.loop.time():
                    await self._act()
                elif not await self._rest(min(_LINGER_S, self._reports.due_at - self.loop.time())):
                    if self._reports.due_at < math.inf:
                        continue
                    await self._connection.disconnect()
                    if not (self._queue or self._reports.urgent):
                        return
        except Exception as error:
            if not self._queue and not isinstance(error, StoreUnusable):
                raise
            self._fail_everybody(error)
        except GeneratorExit:
            # The loop was closed, and the collector runs this: nothing can be awaited any more.
            is_collected = True
            raise
        finally:
            self._task = None
            if not is_collected:
                await self._tell_at_the_end()
                await self._connection.disconnect()

    async def _tell_at_the_end(self) -> None:
        """Tell what is not told yet where that takes no time: whoever comes next waits less for it."""
        if self._reports.has_news and self._config.is_immediate:
            with suppress(StoreUnusable):
                await self._connection.ask(self._call(self._reports.tell(self.loop.time()), 0.0, 0.0, (0, 0, 0), None))

    async def _act(self) -> None:
        now = self.loop.time()
        if self._connection.gone and self._config.share is not None and now < self._connection.probe_at:
            await self._act_alone(self._config.share, now)
            return
        if self._reserved_at is not None and now > self._reserved_at + _RESERVATION_GRACE_S:
            self._reserved_at = None
        # What is claimed early has to wait for its time: where calls take no time worth mentioning, none is.
        early = 0.0 if self._config.is_immediate else self._lead
        ahead = 0.0 if self._reserved_at is None else min(self._reserved_at - early, self._reports.due_at) - now
        if ahead > 0 and not self._reports.urgent:
            await self._rest(ahead)
        else:
            await self._ask(now)

    async def _act_alone(self, share: LocalShare, now: float) -> None:
        self._reports.urgent = False
        if self._queue and share.take(now):
            self._give_next(Grant(number=0, not_before=now, not_after=now + self._config.patience))
        else:
            turn = share.turn_at(now) if self._queue else math.inf
            await self._rest(min(turn, self._connection.probe_at) - now)

    async def _rest(self, seconds: float) -> bool:
        """Wait for reports; return whether there are any."""
        self._rests, self._rests_until = self.loop.create_future(), self.loop.time() + seconds
        timer = self.loop.call_at(self._rests_until, _end_rest, self._rests)
        try:
            return await self._rests
        finally:
            timer.cancel()
            self._rests = None

    async def _ask(self, began: float) -> None:
        """Call the store once, and hand out what it gives."""
        told, late = self._reports.tell(began), self._lateness + self._connection.usual_duration
        reserve = self._departed if self._eager else None
        call = self._call(told, late, self._lead, self._waiting, reserve)
        reply = self._connection.ask_now(call) or await self._connection.ask(call)
        if isinstance(reply, Reply):
            self._hand_out(reply, began, late)
            return
        self._reports.untold(told, self.loop.time())
        self._reserved_at = None
        if isinstance(reply, LaunchError):
            self._fail_everybody(reply)

    def _call(
        self, told: Reported, late: float, lead: float, waiting: tuple[int, int, int], reserve: Priority | None
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
            pause=max(told.pause.until - now, 0.0),
            spaced=max(told.pause.spaced_until - now, 0.0),
            reports=[(number, now - at, code) for number, at, code in (*told.reports, *self._reports.still_out())],
            repeated=[(number, now - at, code) for number, at, code in told.repeated],
            doubtful=self._connection.is_doubtful,
            memory=self._memory,
        )

    def _hand_out(self, reply: Reply, began: float, late: float) -> None:
        ended = self.loop.time()
        self._take_in(reply, ended)
        for number, wait, priority in reply.granted:
            self._give_next(Grant(number=number, not_before=ended + wait, not_after=began + wait + late), priority)
        self._refuse_hopeless(ended)

    def _take_in(self, reply: Reply, ended: float) -> None:
        """Take in what a reply says about the budget."""
        self._memory = reply.memory
        self._reservations = max(reply.reservations, 1)
        self.capacity = reply.capacity * self._rate_limit.per / reply.per
        self._reserved_at = None if reply.next_in is None else ended + reply.next_in
        self.paused_until = ended + reply.paused_for

    def _give_next(self, grant: Grant, priority: Priority | None = None) -> None:
        waiter = self._queue.next(_is_waiting, priority)
        if waiter is None:
            self._reports.unused(grant, self.loop.time())
        else:
            waiter.served.set_result(grant)

    def _refuse_hopeless(self, now: float) -> None:
        """Refuse the waiters whose deadlines cannot be met, now that more is known."""
        for waiter, turn in self._queue.turns():
            expected = self._until_reservation(now) + turn * self._step
            if waiter.deadline is not None and now + expected > waiter.deadline and _is_waiting(waiter):
                self._queue.leave(waiter)
                waiter.served.set_exception(deadline_too_near(expected, waiter.deadline - now))

    def _fail_everybody(self, error: Exception) -> None:
        for waiter in self._queue:
            self._queue.leave(waiter)
            if _is_waiting(waiter):
                # Each call notes in its error what became of it: they must not share one.
                waiter.served.set_exception(copy.copy(error))

    @property
    def _waiting(self) -> tuple[int, int, int]:
        counts = self._queue.counts
        interactive, write, poll = (min(counts[priority], _MOST_WANTED // 3) for priority in Priority)
        return interactive, write, poll

    def _until_reservation(self, now: float) -> float:
        return max(self.paused_until - now, 0.0) if self._reserved_at is None else max(self._reserved_at - now, 0.0)

    @property
    def _step(self) -> float:
        """Seconds between two requests of this worker while the others wait, too."""
        return self._rate_limit.per / self.capacity * self._reservations

    @property
    def _poll_interval(self) -> float:
        return poll_interval(self._rate_limit, self.capacity)

    @property
    def _lead(self) -> float:
        return min(max(2 * self._connection.usual_duration, 0.0005 if self._config.is_immediate else 0.003), 0.1)


@attrs.define(eq=False)
class _Waiter(Waiter):
    """One caller.

    Attributes:
        deadline: When it gives up, by the loop's clock; None for never.
        served: What it waits for.
        departed: Whether it has its grant and may send.
    """

    deadline: float | None
    served: asyncio.Future[Grant]
    departed: bool = False


def _end_rest(rests: asyncio.Future[bool]) -> None:
    if not rests.done():
        rests.set_result(False)


def _is_waiting(waiter: _Waiter) -> bool:
    """Whether it can be given something: a caller that was cancelled stays in the queue until its task has run."""
    return not waiter.served.done()

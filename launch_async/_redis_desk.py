"""One event loop's desk at the shared budget: a queue of callers, and one task that talks to Redis for all of them.

The task lives while there is something to do, and a little longer; it owns the connection, and ends with the loop. Its
call shortly before the time of the place that it keeps takes the slot, tells what became of earlier requests, and
keeps the next place: one call per request where requests wait, two for the first of a busy time.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import logging
import os
from contextlib import suppress
from typing import Final

import attrs

from launch_async._redis_script import ACCEPTED, EXTRA, LOST, REFUSED, UNUSED, Ask, Memory, Reply
from launch_async._redis_setup import Client, LocalShare, Setup
from launch_async._rhythms import RoundTrips
from launch_async.errors import DeadlineExceeded
from launch_async.rate_limit import Answer, Priority

__all__ = ["Desk", "Grant"]

_LOG: Final = logging.getLogger("launch_async.redis")
_SHARE: Final = 10
_LINGER: Final = 5.0
_GRACE: Final = 0.05
_PROBE_EVERY: Final = 1.0
_BUSY: Final = 0.005
_LEAST_LATENESS: Final = 0.05
_MOST_LATENESS: Final = 1.0
_SHORTEST_HOLD: Final = 0.2
_SHORTEST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 60.0


@attrs.define(eq=False, kw_only=True)
class Grant:
    """A slot that was given for good; number 0 if it is of the local share.

    Attributes:
        desk: Whose it is.
        number: Its number in the shared state.
        not_before: When it begins, by the loop's clock.
        not_after: From when on it would be too late to be sure how long the service counts the request.
        sent_at: When the request left.
    """

    desk: Desk
    number: int
    not_before: float
    not_after: float
    sent_at: float = 0.0


@attrs.define(eq=False)
class _Waiter:
    ticket: int
    priority: Priority
    deadline: float | None
    served: asyncio.Future[Grant]
    departed: bool = False


class Desk:
    """The side of one event loop; everything but `post` is called on that loop.

    Args:
        setup: What all desks of a limiter have in common.
        loop: The loop.
    """

    def __init__(self, setup: Setup, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.sent = 0
        self.refused = 0
        self.capacity = setup.rate_limit.requests
        self.paused_until = 0.0
        self.queues: dict[Priority, list[_Waiter]] = {priority: [] for priority in Priority}
        self._setup = setup
        self._worker = os.urandom(5).hex()
        self._tickets = itertools.count()
        self._passed_over = dict.fromkeys(Priority, 0)
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._client: Client | None = None
        self._memory = Memory()
        self._kept_at: float | None = None
        self._places = 1
        self._reports: list[tuple[int, float, int]] = []
        self._urgent = False
        self._pause_asked = (0.0, False)
        self._limit = 0
        self._trips = RoundTrips()
        self._calls = RoundTrips()
        self._lateness = _LEAST_LATENESS
        self._busy = self._eager = False
        self._departed_at = 0.0
        self._failing_since: float | None = None
        self._failures = 0
        self._gone = False
        self._probe_at = 0.0

    async def grant(self, priority: Priority, timeout: float | None) -> Grant:
        """Wait for a slot and its time.

        Raises:
            DeadlineExceeded: the wait would be, or became, longer than `timeout` seconds.
        """
        now = self.loop.time()
        expected = self.expected_wait(priority, now)
        if timeout is not None and expected > timeout:
            raise _too_long(expected, timeout)
        waiter = _Waiter(
            next(self._tickets), priority, None if timeout is None else now + timeout, self.loop.create_future()
        )
        if not any(self.queues.values()):
            self._eager = self._busy and now - self._departed_at < self._setup.rate_limit.per / 2
        self.queues[priority].append(waiter)
        self._wake()
        try:
            async with asyncio.timeout(timeout):
                grant = await self._departure(waiter)
        except TimeoutError as error:
            if isinstance(error, DeadlineExceeded):
                raise
            raise _too_long(max(expected, timeout or 0.0), timeout or 0.0) from None
        finally:
            if not waiter.departed:
                self._withdraw(waiter)
        self._busy = grant.sent_at - now > _BUSY
        return grant

    async def _departure(self, waiter: _Waiter) -> Grant:
        while True:
            grant = await waiter.served
            if (ahead := grant.not_before - self.loop.time()) > 0:
                await asyncio.sleep(ahead)
            now = self.loop.time()
            if now <= grant.not_after:
                waiter.departed = True
                grant.sent_at = self._departed_at = now
                self.sent += 1
                self._lateness = max(0.98 * self._lateness, _LEAST_LATENESS)
                return grant
            # The loop was held up. A slot that the others believe used a while ago must not be used now.
            self._lateness = min(2 * self._lateness, _MOST_LATENESS)
            self._give_back(grant)
            waiter.served = self.loop.create_future()
            bisect.insort(self.queues[waiter.priority], waiter, key=lambda other: other.ticket)
            self._wake()

    def expected_wait(self, priority: Priority, now: float) -> float:
        """Return the seconds that a new caller would wait, as far as is known."""
        before = sum(len(queue) for other, queue in self.queues.items() if other <= priority)
        place = min(before, _SHARE * (len(self.queues[priority]) + 1) - 1)
        if self._gone and self._setup.share is not None:
            return self._setup.share.turn_at(now) - now + place * self._setup.share.interval
        return self._until_place(now) + place * self._step

    def post(self, grant: Grant, answer: Answer) -> None:
        """Take in what became of a request; from any thread, unless the loop is closed."""
        with suppress(RuntimeError):
            if self.loop is _running_loop():
                self._learn(grant, answer)
            else:
                self.loop.call_soon_threadsafe(self._learn, grant, answer)

    def _learn(self, grant: Grant, answer: Answer) -> None:
        code = REFUSED if answer.refused else LOST if answer.lost else ACCEPTED
        self._reports.append((grant.number, answer.answered_at, code if grant.number else EXTRA))
        self._reports += [(0, answer.answered_at, EXTRA)] * (max(answer.sends, 1) - 1)
        trip = max(answer.answered_at - grant.sent_at, 0.0)
        slow = trip > self._hold - self._lateness and not any(self.queues.values())
        if not answer.lost:
            self._trips.add(trip)
        if answer.limit is not None and answer.limit >= 1:
            self._limit = int(answer.limit)
        self._obey(answer)
        if slow or answer.refused:
            self._urgent = True
            self._wake()

    def _obey(self, answer: Answer) -> None:
        """Pause after a 429, and do what the server's headers ask for, if it sends any."""
        self.refused += answer.refused
        asked = answer.retry_after if answer.refused else None
        if asked is None and (answer.refused or answer.remaining == 0):
            asked = answer.reset_after
        if asked is None and not answer.refused:
            return
        per = self._setup.rate_limit.per
        until = answer.answered_at + min(max(asked or 0.0, _SHORTEST_PAUSE * min(per, 1.0)), _LONGEST_PAUSE)
        self._pause_asked = (max(self._pause_asked[0], until), self._pause_asked[1] or bool(asked))
        self.paused_until = max(self.paused_until, until)
        self._urgent = True
        if self._setup.share is not None:
            self._setup.share.delay(until)
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        if self._task is None:
            self._task = self.loop.create_task(self._serve())

    def _withdraw(self, waiter: _Waiter) -> None:
        """Take out a waiter that leaves without a request; its slot, if it has one, goes back."""
        if waiter in self.queues[waiter.priority]:
            self.queues[waiter.priority].remove(waiter)
        served = waiter.served
        if served.done() and not served.cancelled() and served.exception() is None:
            self._give_back(served.result())
            self._wake()

    def _give_back(self, grant: Grant) -> None:
        if grant.number:
            self._reports.append((grant.number, self.loop.time(), UNUSED))
            self._urgent = True

    async def _serve(self) -> None:
        """Talk to Redis while there is something to do, and close the connection some seconds after that."""
        try:
            while True:
                if any(self.queues.values()) or self._urgent:
                    await self._act()
                elif not await self._rest(_LINGER):
                    await self._disconnect()
                    if not (any(self.queues.values()) or self._urgent):
                        return
        except Exception as error:
            self._fail(error)
            raise
        finally:
            self._task = None
            await self._disconnect()

    async def _act(self) -> None:
        now = self.loop.time()
        if self._gone and self._setup.share is not None and now < self._probe_at:
            await self._act_alone(self._setup.share, now)
            return
        if self._kept_at is not None and now > self._kept_at + _GRACE:
            self._kept_at = None
        ahead = 0.0 if self._kept_at is None else self._kept_at - self._lead - now
        if ahead > 0 and not self._urgent:
            await self._rest(ahead)
        elif (reply := await self._ask()) is not None:
            self._hand_out(*reply)

    async def _act_alone(self, share: LocalShare, now: float) -> None:
        self._urgent = False
        if share.take(now):
            self._give_next(Grant(desk=self, number=0, not_before=now, not_after=now + self._setup.patience))
        else:
            await self._rest(min(share.turn_at(now), self._probe_at) - now)

    async def _rest(self, seconds: float) -> bool:
        """Wait for news; return whether there are any."""
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                return await self._news.wait()
        except TimeoutError:
            return False

    async def _ask(self) -> tuple[Reply, float, float] | None:
        """Call Redis once; return the reply and when the call began and ended, or None if there was none."""
        began = self.loop.time()
        reports, pause, self._urgent = self._reports, self._pause_asked, False
        self._reports = []
        rate_limit = self._setup.rate_limit
        ask = Ask(
            worker=self._worker,
            wanted=sum(map(len, self.queues.values())),
            keep_place=self._eager,
            lead=self._lead,
            hold=self._hold,
            requests=rate_limit.requests,
            per=rate_limit.per,
            shortest_trip=self._trips.shortest,
            limit=self._limit,
            pause=pause[0] - began,
            paced=pause[1],
            reports=[(number, began - at, code) for number, at, code in reports],
            memory=self._memory,
        )
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(self._setup.patience / 2):
                reply = Reply.read(await self._call(ask))
        except (RedisError, OSError, TimeoutError) as error:
            kept = [report for report in reports if report[1] > began - 2 * rate_limit.per - self._setup.patience]
            self._reports = kept + self._reports
            await self._after_failure(error, began)
            return None
        self._pause_asked = (0.0, False) if self._pause_asked == pause else self._pause_asked
        self._after_success()
        return reply, began, self.loop.time()

    async def _call(self, ask: Ask) -> object:
        from redis.exceptions import NoScriptError

        script = self._setup.script
        if self._client is None:
            self._client = self._setup.connect()
        try:
            return await self._client.evalsha(script.digest, 1, script.key, *ask.arguments(fresh=False))
        except NoScriptError:
            return await self._client.eval(script.text, 1, script.key, *ask.arguments(fresh=True))

    def _after_success(self) -> None:
        self._failing_since, self._failures = None, 0
        if self._gone:
            self._gone = False
            _LOG.info("the shared budget in Redis can be reached again")

    async def _after_failure(self, error: Exception, began: float) -> None:
        await self._disconnect()
        self._kept_at = None
        self._failures += 1
        now = self.loop.time()
        self._failing_since = began if self._failing_since is None else self._failing_since
        if now - self._failing_since < self._setup.patience:
            self._urgent = self._urgent or bool(self._pause_asked[0])
            await asyncio.sleep(min(0.01 * 2**self._failures, 0.1))
            return
        self._probe_at = now + _PROBE_EVERY
        share = self._setup.share
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if share is None:
            self._fail(self._setup.unavailable(reason))
        elif not self._gone:
            share.begin(now)
            _LOG.warning(
                "the shared budget in Redis cannot be reached (%s); this process sends at most one request per %.2f s "
                "until it can",
                reason,
                share.interval,
            )
        self._gone = True

    def _hand_out(self, reply: Reply, began: float, ended: float) -> None:
        self._calls.add(ended - began)
        self._memory = reply.memory
        self._places, self.capacity = max(reply.places, 1), reply.capacity
        self._kept_at = None if reply.next_in is None else ended + reply.next_in
        self.paused_until = ended + reply.paused_for
        latest = self._lateness + self._calls.median
        for number, wait in reply.granted:
            self._give_next(Grant(desk=self, number=number, not_before=ended + wait, not_after=began + wait + latest))
        self._refuse_hopeless(ended)

    def _give_next(self, grant: Grant) -> None:
        waiter = self._next_waiter()
        if waiter is None:
            self._give_back(grant)
        else:
            waiter.served.set_result(grant)

    def _next_waiter(self) -> _Waiter | None:
        """Take the next waiter out of its queue: by priority, and one of ten from each queue that waits."""
        waiting = [priority for priority, queue in self.queues.items() if queue]
        if not waiting:
            return None
        starved = [priority for priority in waiting if self._passed_over[priority] >= _SHARE - 2]
        chosen = max(starved) if starved else min(waiting)
        for priority in waiting:
            self._passed_over[priority] += 1
        self._passed_over[chosen] = 0
        return self.queues[chosen].pop(0)

    def _refuse_hopeless(self, now: float) -> None:
        """Refuse the waiters whose deadlines cannot be met, now that more is known."""
        before = 0
        for queue in self.queues.values():
            for place, waiter in enumerate(tuple(queue)):
                expected = self._until_place(now) + min(before + place, _SHARE * (place + 1) - 1) * self._step
                if waiter.deadline is not None and now + expected > waiter.deadline:
                    queue.remove(waiter)
                    waiter.served.set_exception(_too_long(expected, waiter.deadline - now))
            before += len(queue)

    def _fail(self, error: Exception) -> None:
        for queue in self.queues.values():
            for waiter in queue:
                waiter.served.set_exception(error)
            queue.clear()

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            # A server that does not answer must not hold up the end either.
            with suppress(Exception):
                async with asyncio.timeout(1.0):
                    await client.aclose()

    def _until_place(self, now: float) -> float:
        return max(self.paused_until - now, 0.0) if self._kept_at is None else max(self._kept_at - now, 0.0)

    @property
    def _step(self) -> float:
        """Seconds between two requests of this desk while the others wait, too."""
        return self._setup.rate_limit.per / max(self.capacity, 1) * self._places

    @property
    def _lead(self) -> float:
        return min(max(2 * self._calls.median, 0.003), 0.1)

    @property
    def _hold(self) -> float:
        """Seconds beyond the period after which the service has surely forgotten a request without an answer."""
        latest = self._lateness + self._calls.median
        return latest + max(_SHORTEST_HOLD, 3 * self._trips.median)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _too_long(expected: float, timeout: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"the organization's shared request budget is in use: the wait would be about {expected:.1f} s, "
        f"and the deadline is {timeout:.1f} s away; allow more time or send less at once",
        expected_wait=expected,
    )

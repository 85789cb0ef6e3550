"""The budget keeps its capacity for any interleaving of calls, cancellations, deadlines, pauses and closed loops."""

import asyncio

from hypothesis import given, settings, strategies as st

from launch_async.errors import DeadlineExceeded
from launch_async.rate_limit.local import LocalRateLimiter
from launch_async.rate_limit.types import Answer, Priority, RateLimit
from tests.support.virtual_time import VirtualTimeLoop, run

CALLERS = st.lists(
    st.fixed_dictionaries(
        {
            "comes_at": st.integers(0, 40),
            "priority": st.sampled_from(Priority),
            "cancelled_after": st.none() | st.integers(0, 40),
            "timeout": st.none() | st.integers(0, 40),
            "refused": st.sampled_from([False] * 9 + [True]),
        }
    ),
    min_size=1,
    max_size=40,
)
TENTH = 0.1


class Run:
    """Callers on one virtual loop, with their outcomes."""

    def __init__(self, limiter):
        self.limiter = limiter
        self.left = []
        self.refused_at = []

    async def caller(self, number, *, comes_at, priority, cancelled_after, timeout, refused):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(comes_at * TENTH)
        came_at = loop.time()
        try:
            async with asyncio.timeout(None if cancelled_after is None else cancelled_after * TENTH):
                permit = await self.limiter.acquire(
                    priority=priority, timeout=None if timeout is None else timeout * TENTH
                )
        except DeadlineExceeded:
            return
        except TimeoutError:
            return
        self.left.append((loop.time(), came_at, number, priority))
        if refused:
            self.refused_at.append(loop.time())
        permit.answered(Answer(loop.time(), refused=refused))

    async def all(self, callers):
        await asyncio.gather(*(self.caller(number, **caller) for number, caller in enumerate(callers)))
        return self.limiter.status()


@settings(max_examples=60)
@given(CALLERS, st.integers(1, 5))
def test_capacity_is_not_lost_or_exceeded_and_order_is_kept(callers, requests):
    limiter = LocalRateLimiter(RateLimit(requests))
    ran = Run(limiter)
    status = run(ran.all(callers))
    times = [left_at for left_at, *_ in ran.left]

    assert status.sent == len(ran.left)
    assert sum(status.queued.values()) == 0
    assert all(sum(start <= when < start + 1 for when in times) <= requests for start in times)
    for priority in Priority:
        came = [came_at for _, came_at, _, whose in ran.left if whose == priority]
        assert came == sorted(came)


@settings(max_examples=60)
@given(CALLERS, st.integers(1, 5))
def test_the_whole_budget_is_available_afterwards(callers, requests):
    limiter = LocalRateLimiter(RateLimit(requests))
    ran = Run(limiter)

    async def main():
        await ran.all([caller | {"refused": False} for caller in callers])
        await asyncio.sleep(2)
        return [(await limiter.acquire()).waited for _ in range(requests)]

    assert run(main()) == [0.0] * requests


@settings(max_examples=40)
@given(st.integers(0, 12), st.integers(1, 4), st.integers(0, 15))
def test_a_closed_loop_loses_no_capacity(doomed, requests, lives_for):
    limiter = LocalRateLimiter(RateLimit(requests))
    dying = VirtualTimeLoop()
    waiting = [dying.create_task(limiter.acquire()) for _ in range(doomed)]
    dying.run_until_complete(asyncio.sleep(lives_for * TENTH))
    sent_there = sum(task.done() for task in waiting)
    for task in waiting:
        task._log_destroy_pending = False
    dying.close()

    async def main():
        await asyncio.sleep(100)
        return [(await limiter.acquire()).waited for _ in range(requests)]

    assert run(main()) == [0.0] * requests
    assert limiter.status().sent == sent_there + requests

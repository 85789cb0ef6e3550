"""aiolimiter bounds a loop even if the pacing is wrong: a burst of n, then n per period."""

import asyncio
import time

import pytest

from launch_async.rate_limit.local import LocalRateLimiter
from launch_async.rate_limit.machine.folder import budget_path
from launch_async.rate_limit.machine.limiter import MachineRateLimiter
from launch_async.rate_limit.types import Answer, RateLimit
from tests.support.virtual_time import run


def within_the_bound(times, rate_limit):
    """Whether each interval has at most a full bucket of departures, plus the tokens that arrive in it."""
    times = sorted(times)
    return all(
        last - first + 1 <= rate_limit.requests * (1 + (times[last] - times[first]) / rate_limit.per) + 1e-6
        for first in range(len(times))
        for last in range(first, len(times))
    )


@pytest.mark.parametrize("back", [1.5, 30.0])
def test_a_clock_that_is_set_back_allows_no_second_burst(back):
    async def main():
        loop, limiter, times, rate_limit = asyncio.get_running_loop(), LocalRateLimiter(), [], RateLimit(10)
        true_time = loop.time

        async def send():
            permit = await limiter.acquire()
            times.append(true_time())
            await asyncio.sleep(0.01)
            permit.answered(Answer(loop.time()))

        await asyncio.sleep(100)
        await asyncio.gather(*(send() for _ in range(10)))
        loop.time = lambda: true_time() - back
        await asyncio.gather(*(send() for _ in range(20)))
        assert len(times) == 30
        assert within_the_bound(times, rate_limit)

    run(main())


@pytest.mark.parametrize("answered_at", [0.0, 1e9], ids=["long ago", "far ahead"])
def test_answers_with_wrong_times_allow_no_more_requests(answered_at):
    async def main():
        loop, limiter, times = asyncio.get_running_loop(), LocalRateLimiter(), []

        async def send():
            permit = await limiter.acquire(timeout=1000)
            times.append(loop.time())
            permit.answered(Answer(answered_at if len(times) == 5 else loop.time()))

        await asyncio.sleep(100)
        for _ in range(30):
            await send()
        assert within_the_bound(times, RateLimit(10))

    run(main())


def test_a_file_that_is_lost_many_times_allows_no_second_burst(tmp_path, monkeypatch):
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    rate_limit, times = RateLimit(5, per=0.3), []
    limiter = MachineRateLimiter("lost.example.com", "blt1", rate_limit)

    async def send():
        permit = await limiter.acquire()
        times.append(time.monotonic())
        permit.answered(Answer(asyncio.get_running_loop().time()))

    async def main():
        for _ in range(4):
            await asyncio.gather(*(send() for _ in range(5)))
            budget_path("lost.example.com", "blt1").unlink()

    asyncio.run(main())

    assert len(times) == 20
    assert within_the_bound(times, rate_limit)

"""All polls together use at most their share of the budget in any ten seconds."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as some

from launch_async.errors import DeadlineExceeded, InvalidArgumentError
from launch_async.rate_limit import Answer, LocalRateLimiter, Priority, RateLimit, UnlimitedRateLimiter
from launch_async.rate_limit.poll_share import poll_interval
from tests.support.virtual_time import run

INTERACTIVE, POLL = Priority.INTERACTIVE, Priority.POLL


async def send(limiter: LocalRateLimiter, priority: Priority, times: list[float]) -> None:
    """Send one request, and record its time."""
    permit = await limiter.acquire(priority=priority)
    now = asyncio.get_running_loop().time()
    times.append(now)
    permit.answered(Answer(now))


def most_in_ten_seconds(times: Sequence[float]) -> int:
    return max(sum(start <= when < start + 10 for when in times) for start in times)


def sent(rate_limit: RateLimit, *, polls: int, calls: int) -> tuple[list[float], list[float]]:
    """Send polls and calls as fast as the limiter allows, and return their times."""
    times: dict[Priority, list[float]] = {POLL: [], INTERACTIVE: []}

    async def main() -> None:
        limiter = LocalRateLimiter(rate_limit)
        many = {POLL: polls, INTERACTIVE: calls}
        await asyncio.gather(*(send(limiter, one, times[one]) for one in many for _ in range(many[one])))

    run(main())
    return times[POLL], times[INTERACTIVE]


@pytest.mark.parametrize(
    ("rate_limit", "most"),
    [
        (RateLimit(10), 50),
        (RateLimit(10, poll_share=0.25), 25),
        (RateLimit(10, poll_share=0.03), 3),
        (RateLimit(3), 15),
        (RateLimit(1), 5),
        (RateLimit(120, per=60), 10),
    ],
)
def test_polls_use_exactly_their_share(rate_limit: RateLimit, most: int) -> None:
    polls, _ = sent(rate_limit, polls=4 * most, calls=0)

    assert most_in_ten_seconds(polls) <= most
    assert polls[-1] - polls[0] <= 10 * (4 * most - 1) / most / 0.95


def test_other_calls_do_not_wait_for_the_share_of_polls() -> None:
    polls, calls = sent(RateLimit(10), polls=100, calls=100)

    assert calls[-1] < 16
    assert most_in_ten_seconds(polls) <= 50
    assert most_in_ten_seconds(sorted(polls + calls)) >= 95


def test_a_share_of_one_limits_nothing() -> None:
    polls, _ = sent(RateLimit(10, poll_share=1), polls=100, calls=0)

    assert polls[-1] < 10


def test_the_expected_wait_of_a_poll_is_reported() -> None:
    async def main() -> tuple[float, float, float]:
        limiter = LocalRateLimiter(RateLimit(10))
        waiting = [asyncio.create_task(send(limiter, POLL, [])) for _ in range(30)]
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded) as error:
            await limiter.acquire(priority=POLL, timeout=5)
        before = asyncio.get_running_loop().time()
        await asyncio.gather(*waiting)
        return error.value.expected_wait or 0.0, asyncio.get_running_loop().time() - before, limiter.status().poll_rate

    expected, took, rate = run(main())
    assert expected == pytest.approx(took, abs=0.3)
    assert 4.7 <= rate <= 5


def test_a_poll_that_was_not_sent_uses_no_share() -> None:
    async def main() -> float:
        limiter = LocalRateLimiter(RateLimit(10))
        for _ in range(50):
            (await limiter.acquire(priority=POLL)).release()
        return asyncio.get_running_loop().time()

    assert run(main()) == 0


def test_a_cancelled_poll_delays_no_other_poll() -> None:
    async def main() -> float:
        limiter, loop = LocalRateLimiter(RateLimit(10)), asyncio.get_running_loop()
        waiting = [asyncio.create_task(send(limiter, POLL, [])) for _ in range(40)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        await send(limiter, POLL, [])
        return loop.time()

    assert run(main()) < 0.3


def test_an_unlimited_limiter_allows_every_poll() -> None:
    async def main() -> float:
        limiter = UnlimitedRateLimiter()
        for _ in range(200):
            await limiter.acquire(priority=POLL)
        return limiter.status().poll_rate

    assert run(main()) == math.inf


@given(
    requests=some.integers(1, 50),
    share=some.floats(0.01, 0.99),
    capacities=some.lists(some.floats(0.05, 1.0), min_size=1, max_size=20),
    pauses=some.lists(some.floats(0, 3), max_size=60),
)
def test_no_pattern_of_polls_takes_more_than_the_share(
    requests: int, share: float, capacities: list[float], pauses: list[float]
) -> None:
    rate_limit, next_at, now = RateLimit(requests, poll_share=share), 0.0, 0.0
    times: list[float] = []
    for number, pause in enumerate(pauses):
        now = max(now + pause, next_at)
        next_at = now + poll_interval(rate_limit, requests * capacities[number % len(capacities)])
        times.append(now)

    assert not times or most_in_ten_seconds(times) <= max(share * requests * 10, 1) + 1e-6


@pytest.mark.parametrize("share", [0, -0.1, 1.01, math.nan, math.inf, "0.5", None])
def test_an_invalid_share_is_refused(share: object) -> None:
    with pytest.raises(InvalidArgumentError, match="poll_share: must be above 0 and at most 1"):
        RateLimit(10, poll_share=share)  # type: ignore[arg-type]

"""The slot of a permit is neither lost nor used twice."""

import asyncio
import gc
import threading

import pytest

from launch_async.rate_limit.local import LocalRateLimiter
from launch_async.rate_limit.types import Answer, Permit, RateLimit
from tests.support.virtual_time import run


async def waits(limiter: LocalRateLimiter, requests: int) -> list[float]:
    """Send requests one after the other, and return the wait of each."""
    return [(await limiter.acquire()).waited for _ in range(requests)]


def test_a_permit_reports_its_wait() -> None:
    async def main() -> list[float]:
        return await waits(LocalRateLimiter(RateLimit(1)), 2)

    at_once, later = run(main())
    assert at_once == 0.0
    assert later > 1.0


def test_a_released_permit_frees_its_whole_slot() -> None:
    async def main() -> tuple[list[float], int]:
        limiter = LocalRateLimiter(RateLimit(10))
        for _ in range(30):
            (await limiter.acquire()).release()
        return await waits(limiter, 10), limiter.status().sent

    assert run(main()) == ([0.0] * 10, 10)


def test_a_released_slot_goes_to_the_first_waiter() -> None:
    async def main() -> float:
        limiter = LocalRateLimiter(RateLimit(1))
        permit = await limiter.acquire()
        waiting = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0.25)
        permit.release()
        return (await waiting).waited

    assert run(main()) == pytest.approx(0.25)


@pytest.mark.parametrize("answered_first", [True, False], ids=["answered first", "released first"])
def test_only_the_first_settlement_of_a_permit_counts(answered_first: bool) -> None:
    async def main() -> tuple[int, int]:
        limiter = LocalRateLimiter(RateLimit(2))
        permit = await limiter.acquire()
        if answered_first:
            permit.answered(Answer(0.0))
        permit.release()
        permit.release()
        permit.answered(Answer(0.0, refused=True))
        return limiter.status().sent, limiter.status().refused

    assert run(main()) == ((1, 0) if answered_first else (0, 0))


def test_a_repeated_answer_counts_once() -> None:
    async def main() -> int:
        limiter = LocalRateLimiter(RateLimit(2))
        permit = await limiter.acquire()
        permit.answered(Answer(0.0, refused=True))
        permit.answered(Answer(0.0, refused=True))
        return limiter.status().refused

    assert run(main()) == 1


def test_frequent_releases_never_exceed_the_plan() -> None:
    async def main() -> list[float]:
        limiter, times = LocalRateLimiter(RateLimit(5)), list[float]()
        for number in range(40):
            permit = await limiter.acquire()
            if number % 2:
                permit.release()
            else:
                times.append(asyncio.get_running_loop().time())
                permit.answered(Answer(times[-1]))
        return times

    times = run(main())
    assert max(sum(start <= when < start + 1.0 for when in times) for start in times) == 5


def test_the_slot_of_a_forgotten_permit_becomes_free_after_a_while() -> None:
    async def main() -> float:
        limiter = LocalRateLimiter(RateLimit(1))
        await limiter.acquire()
        gc.collect()
        return (await limiter.acquire()).waited

    assert 1.0 < run(main()) <= 2.1


def test_a_caller_that_is_cancelled_before_it_sends_frees_its_slot() -> None:
    async def caller(limiter: LocalRateLimiter) -> None:
        permit = await limiter.acquire()
        try:
            await asyncio.sleep(1000)
        finally:
            permit.release()

    async def main() -> float:
        limiter = LocalRateLimiter(RateLimit(1))
        task = asyncio.create_task(caller(limiter))
        await asyncio.sleep(0.5)
        task.cancel()
        return (await limiter.acquire()).waited

    assert run(main()) == pytest.approx(0.0)


def test_a_permit_may_be_settled_from_another_thread() -> None:
    async def main() -> int:
        limiter = LocalRateLimiter(RateLimit(1))
        permit = await limiter.acquire()
        answer = Answer(asyncio.get_running_loop().time(), refused=True)
        await asyncio.to_thread(permit.answered, answer)
        released = await limiter.acquire()
        thread = threading.Thread(target=released.release)
        thread.start()
        thread.join()
        return limiter.status().sent

    assert asyncio.run(main()) == 1


def test_a_limiter_without_learning_needs_only_a_plain_permit() -> None:
    permit = Permit(0.5)

    permit.answered(Answer(0.0))
    permit.release()

    assert permit.waited == 0.5

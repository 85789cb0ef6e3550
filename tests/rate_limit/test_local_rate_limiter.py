"""The guarantees of LocalRateLimiter, in virtual time."""

import asyncio
import itertools
import math

import pytest

from launch_async.errors import DeadlineExceeded, InvalidArgumentError
from launch_async.rate_limit.local import LocalRateLimiter
from launch_async.rate_limit.types import Answer, Priority, RateLimit
from launch_async.rate_limit.unlimited import UnlimitedRateLimiter
from tests.support.virtual_time import run


async def send(limiter, served, name, *, priority=Priority.INTERACTIVE, refused=False, timeout=None):
    loop = asyncio.get_running_loop()
    permit = await limiter.acquire(priority=priority, timeout=timeout)
    served.append((name, loop.time()))
    permit.answered(Answer(loop.time(), refused=refused))


def names(served):
    return [name for name, _ in served]


def most_in_any_period(times, per=1.0):
    return max(sum(start <= when < start + per for when in times) for start in times)


def test_ten_requests_leave_immediately_and_the_eleventh_a_second_later():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(10)), []
        await asyncio.gather(*(send(limiter, served, i) for i in range(11)))
        return served

    served = run(main())
    assert names(served) == list(range(11))
    assert served[9][1] == 0
    assert 1 < served[10][1] < 1.05


def test_a_request_without_an_answer_still_frees_its_slot():
    async def main():
        limiter = LocalRateLimiter(RateLimit(10))
        for _ in range(30):
            await limiter.acquire()
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(4.0)


def test_a_burst_that_the_bucket_delays_wastes_no_token():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(10)), []
        await asyncio.gather(*(send(limiter, served, i) for i in range(10)))
        limiter._pacer._taken.clear()
        await asyncio.gather(*(send(limiter, served, i) for i in range(10, 20)))
        return served

    served = run(main())
    assert names(served) == list(range(20))
    assert served[-1][1] == pytest.approx(1.0)


def test_requests_are_served_by_priority_and_then_by_arrival():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(2)), []
        await asyncio.gather(send(limiter, served, "a"), send(limiter, served, "b"))
        waiting = [
            asyncio.create_task(send(limiter, served, name, priority=priority))
            for name, priority in [
                ("poll 1", Priority.POLL),
                ("write 1", Priority.WRITE),
                ("call 1", Priority.INTERACTIVE),
                ("poll 2", Priority.POLL),
                ("write 2", Priority.WRITE),
                ("call 2", Priority.INTERACTIVE),
            ]
        ]
        await asyncio.gather(*waiting)
        return served[2:]

    assert names(run(main())) == ["call 1", "call 2", "write 1", "write 2", "poll 1", "poll 2"]


def test_one_of_ten_requests_is_a_poll_although_many_calls_wait():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(5)), []
        calls = [send(limiter, served, "call") for _ in range(60)]
        polls = [send(limiter, served, "poll", priority=Priority.POLL) for _ in range(4)]
        writes = [send(limiter, served, "write", priority=Priority.WRITE) for _ in range(4)]
        await asyncio.gather(*calls, *polls, *writes)
        return names(served)[5:45]

    order = run(main())
    assert all("poll" in order[i : i + 10] and "write" in order[i : i + 10] for i in range(0, 40, 10))


def test_a_cancelled_waiter_gives_its_place_back():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(1)), []
        await send(limiter, served, "first")
        waiting = [asyncio.create_task(send(limiter, served, name)) for name in ("gone", "next")]
        await asyncio.sleep(0.5)
        waiting[0].cancel()
        await asyncio.wait(waiting)
        return served, limiter.status()

    served, status = run(main())
    assert names(served) == ["first", "next"]
    assert served[1][1] < 1.05
    assert status.sent == 2


def test_a_waiter_that_is_cancelled_while_it_is_served_passes_its_slot_on():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(2)), []
        first, second = await limiter.acquire(), await limiter.acquire()
        waiting = [asyncio.create_task(send(limiter, served, name)) for name in ("gone", "next")]
        await asyncio.sleep(1.2)
        first.answered(Answer(0.1))
        second.answered(Answer(1.2, lost=True))
        queued_after_serving = limiter.status().queued[Priority.INTERACTIVE]
        waiting[0].cancel()
        await asyncio.wait(waiting)
        return queued_after_serving, served, limiter.status().sent

    queued_after_serving, served, sent = run(main())
    assert queued_after_serving == 1
    assert served == [("next", pytest.approx(1.2))]
    assert sent == 3


def test_an_impossible_deadline_is_refused_immediately_and_uses_no_slot():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(10)), []
        waiting = [asyncio.create_task(send(limiter, served, i)) for i in range(30)]
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded) as caught:
            await limiter.acquire(timeout=1.5)
        refused_at = asyncio.get_running_loop().time()
        await asyncio.gather(*waiting)
        return caught.value, refused_at, limiter.status().sent

    error, refused_at, sent = run(main())
    assert refused_at == 0
    assert error.expected_wait == pytest.approx(3, abs=0.6)
    assert sent == 30


def test_a_deadline_that_a_pause_makes_impossible_ends_the_wait_in_time():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(1)), []
        first = await limiter.acquire()
        waiting = asyncio.create_task(send(limiter, served, "late", timeout=2))
        await asyncio.sleep(0.5)
        first.answered(Answer(0.5, refused=True, retry_after=30))
        with pytest.raises(DeadlineExceeded):
            await waiting
        return asyncio.get_running_loop().time(), limiter.status()

    ended_at, status = run(main())
    assert ended_at == pytest.approx(2)
    assert status.queued[Priority.INTERACTIVE] == 0
    assert status.sent == 1


@pytest.mark.parametrize(
    ("retry_after", "pause"), [(7.0, 7.0), (3600.0, 60.0), (0.0, 0.05), (-5.0, 0.05), (None, 0.05)]
)
def test_a_429_pauses_the_whole_budget_for_a_clamped_time(retry_after, pause):
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(10)), []
        permit = await limiter.acquire()
        permit.answered(Answer(0, refused=True, retry_after=retry_after))
        paused_for = limiter.status().paused_for
        await send(limiter, served, "after")
        return paused_for, served[0][1], limiter.status().refused

    assert run(main()) == (pytest.approx(pause), pytest.approx(pause), 1)


def test_waiters_keep_their_order_over_a_pause_and_leave_one_by_one_after_it():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(10)), []
        permit = await limiter.acquire()
        permit.answered(Answer(0, refused=True, retry_after=5))
        await asyncio.gather(*(send(limiter, served, i) for i in range(8)))
        return served

    served = run(main())
    gaps = [later - earlier for (_, earlier), (_, later) in itertools.pairwise(served)]
    assert names(served) == list(range(8))
    assert served[0][1] == pytest.approx(5)
    assert min(gaps) == pytest.approx(0.1)


def test_an_exhausted_budget_is_waited_for_until_its_reset():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(10)), []
        permit = await limiter.acquire()
        permit.answered(Answer(0, remaining=0, reset_after=2))
        await send(limiter, served, "after")
        return served[0][1]

    assert run(main()) == pytest.approx(2)


def test_a_reset_within_one_period_causes_no_wait():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(10)), []
        permit = await limiter.acquire()
        permit.answered(Answer(0, remaining=0, reset_after=1))
        await send(limiter, served, "after")
        return served[0][1]

    assert run(main()) == 0


def test_a_refusal_with_only_a_reset_time_pauses_until_then():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(10)), []
        permit = await limiter.acquire()
        permit.answered(Answer(0, refused=True, reset_after=1))
        await send(limiter, served, "after")
        return served[0][1]

    assert run(main()) == pytest.approx(1)


def test_a_limit_that_the_server_names_is_never_exceeded():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(10)), []
        permit = await limiter.acquire()
        permit.answered(Answer(0, limit=3))
        await asyncio.gather(*(send(limiter, served, i) for i in range(12)))
        return [when for _, when in served]

    assert most_in_any_period(run(main())) == 3


def test_lost_answers_change_no_limit_and_free_their_slots():
    async def main():
        limiter = LocalRateLimiter(RateLimit(1))
        permit = await limiter.acquire()
        permit.answered(Answer(0.2, lost=True))
        waited = (await limiter.acquire()).waited
        return waited, limiter.status().refused

    waited, refused = run(main())
    assert waited == pytest.approx(1.2)
    assert refused == 0


def test_a_loop_with_another_clock_causes_no_wait():
    limiter = LocalRateLimiter(RateLimit(1))

    async def late():
        await asyncio.sleep(1000)
        await limiter.acquire()

    async def early():
        return (await limiter.acquire()).waited

    run(late())
    assert run(early()) == 0


def test_the_status_shows_rate_queues_and_expected_wait():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(10)), []
        waiting = [asyncio.create_task(send(limiter, served, i)) for i in range(20)]
        waiting += [asyncio.create_task(send(limiter, served, i, priority=Priority.POLL)) for i in range(3)]
        await asyncio.sleep(0)
        status = limiter.status()
        await asyncio.gather(*waiting)
        return status, limiter.status()

    before, after = run(main())
    assert before.queued == {Priority.INTERACTIVE: 10, Priority.WRITE: 0, Priority.POLL: 3}
    assert before.expected_wait == pytest.approx(2, abs=0.1)
    assert before.rate == pytest.approx(10 / 1.015)
    assert sum(after.queued.values()) == 0


def test_many_refusals_do_not_lead_to_more_requests_than_the_plan_allows():
    async def main():
        limiter, served = LocalRateLimiter(RateLimit(10)), []
        await asyncio.gather(*(send(limiter, served, i, refused=True) for i in range(40)))
        return [when for _, when in served]

    assert most_in_any_period(run(main())) <= 10


def test_an_unlimited_limiter_never_waits_and_counts():
    async def main():
        limiter = UnlimitedRateLimiter()
        permits = [await limiter.acquire(priority=Priority.POLL, timeout=0) for _ in range(101)]
        permits[0].answered(Answer(0, refused=True))
        permits[-1].release()
        return sum(permit.waited for permit in permits), limiter.status()

    waited, status = run(main())
    assert waited == 0
    assert (status.sent, status.refused, status.rate) == (100, 1, math.inf)


@pytest.mark.parametrize(
    ("requests", "per"),
    [
        (0, 1.0),
        (-1, 1.0),
        (1.5, 1.0),
        (math.nan, 1.0),
        (math.inf, 1.0),
        ("10", 1.0),
        (10, 0.0),
        (10, math.inf),
        (10, math.nan),
        (10, "1"),
    ],
)
def test_an_invalid_rate_limit_is_refused(requests, per):
    with pytest.raises(InvalidArgumentError):
        RateLimit(requests, per=per)

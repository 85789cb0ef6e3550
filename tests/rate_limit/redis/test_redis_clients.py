"""Cancelled callers, an emptied script cache and a lost cluster do not affect other callers."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis_server import free_port
from test_redis_budget import send

from launch_async.rate_limit.redis.limiter import BudgetUnavailable, RedisRateLimiter
from launch_async.rate_limit.types import RateLimit
from tests.support.passing_time import let_pass
from tests.support.shared_budgets import in_virtual_time, most_in_any


async def test_callers_cancelled_while_redis_answers_do_not_affect_other_callers(limiter):
    budget, loop = limiter(rate_limit=RateLimit(100, per=0.1)), asyncio.get_running_loop()
    await send(budget)
    worker = budget._budget._workers[loop]
    distribute, doomed = worker._distribute, []

    def cancel_and_distribute(*args):
        for task in doomed[:2]:
            task.cancel()
        del doomed[:2]
        distribute(*args)

    worker._distribute = cancel_and_distribute
    for _ in range(20):
        doomed += [asyncio.create_task(budget.acquire()) for _ in range(2)]
        patient = [asyncio.create_task(send(budget)) for _ in range(3)]
        await asyncio.gather(*patient)
    await asyncio.gather(*doomed, return_exceptions=True)

    assert budget.status().sent == 61
    assert sum(budget.status().queued.values()) == 0


@in_virtual_time
async def test_thousands_of_callers_may_wait_for_a_large_budget(virtual_limiter):
    budget = virtual_limiter(rate_limit=RateLimit(10_000, per=1.0), when_unreachable="error")

    await asyncio.gather(*(budget.acquire() for _ in range(6000)))

    assert budget.status().sent == 6000


async def test_two_budgets_need_one_script(redis_server, organization):
    async with Redis.from_url(redis_server.url) as client:
        await client.script_flush()
        for number in range(3):
            await send(
                RedisRateLimiter(redis_server.url, f"{organization}{number}", rate_limit=RateLimit(10, per=0.05))
            )
        info = await client.info("memory")

    assert info["number_of_cached_scripts"] == 1


@in_virtual_time
async def test_an_emptied_script_cache_is_no_restart(virtual_limiter):
    budget, times = virtual_limiter(rate_limit=RateLimit(10, per=5.0)), []
    await send(budget, times)
    virtual_limiter.server.forget_scripts()

    await send(budget, times)

    assert times[1] - times[0] < 1.0


@in_virtual_time
async def test_a_server_with_an_old_state_counts_as_used_for_new_processes(virtual_limiter, redis):
    budget, times = virtual_limiter(), []
    await send(budget, times)
    old = redis.get(budget.key)
    await asyncio.gather(*(send(budget, times) for _ in range(9)))
    redis.set(budget.key, old)
    virtual_limiter.server.run += 1

    newcomer = virtual_limiter()
    await asyncio.gather(*(send(newcomer, times) for _ in range(10)))

    assert most_in_any(0.25, times) <= 10


async def test_without_its_cluster_a_process_continues_with_its_share(caplog):
    url = f"redis://127.0.0.1:{free_port()}"
    budget = RedisRateLimiter(
        url, "blt1", cluster=True, patience=0.2, local_share=1.0, rate_limit=RateLimit(10, per=0.05)
    )

    for _ in range(3):
        await send(budget)

    assert budget.status().sent == 3
    assert "cannot be reached" in caplog.text


async def test_without_its_cluster_a_call_fails_if_configured_so():
    url = f"redis://127.0.0.1:{free_port()}"
    budget = RedisRateLimiter(url, "blt1", cluster=True, patience=0.2, when_unreachable="error")

    with pytest.raises(BudgetUnavailable, match="was not sent"):
        await budget.acquire()


async def test_a_slow_constructor_of_the_client_is_no_slow_redis(redis_server, organization, caplog):
    def slow():
        let_pass(60.0)
        return Redis.from_url(redis_server.url)

    budget = RedisRateLimiter(slow, organization, patience=30.0, rate_limit=RateLimit(10, per=0.05))

    await send(budget)

    assert "cannot be reached" not in caplog.text

"""One budget for several processes, against a real Redis; on real clocks, without timed assertions."""

import asyncio
import itertools
import os
import subprocess
import sys
import threading
import traceback
import warnings
from pathlib import Path

import pytest
from redis.asyncio import Redis

import launch_sync
from launch_async.emulator import LaunchEmulator
from launch_async.errors import ConfigurationError, DeadlineExceeded, InvalidArgumentError
from launch_async.rate_limit.redis.limiter import RedisRateLimiter
from launch_async.rate_limit.types import Answer, Priority, RateLimit
from tests.support.passing_time import until
from tests.support.shared_budgets import in_virtual_time, most_in_any

ROOT = Path(__file__).resolve().parents[3]


async def send(limiter, times=None, *, priority=Priority.INTERACTIVE, timeout=None, **answer):
    permit = await limiter.acquire(priority=priority, timeout=timeout)
    loop = asyncio.get_running_loop()
    if times is not None:
        times.append(loop.time())
    await asyncio.sleep(0.002)
    permit.answered(Answer(loop.time(), **answer))


@in_virtual_time
async def test_two_processes_together_never_send_more_than_the_budget(virtual_limiter):
    one, other, times = virtual_limiter(), virtual_limiter(), []

    await asyncio.gather(*(send(one, times) for _ in range(25)), *(send(other, times) for _ in range(25)))

    assert len(times) == 50
    assert most_in_any(0.25, times) <= 10


@in_virtual_time
async def test_a_process_with_many_requests_does_not_starve_one_with_a_single_request(virtual_limiter):
    greedy, modest, order = (
        virtual_limiter(rate_limit=RateLimit(2, per=0.25)),
        virtual_limiter(rate_limit=RateLimit(2, per=0.25)),
        [],
    )
    await send(greedy)

    async def note(name, which):
        await send(which)
        order.append(name)

    crowd = [asyncio.create_task(note("greedy", greedy)) for _ in range(10)]
    await asyncio.sleep(0)
    await note("modest", modest)
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)

    assert order.index("modest") <= 6


@in_virtual_time
async def test_processes_with_different_limits_share_the_lower_one(virtual_limiter):
    greedy, modest = (
        virtual_limiter(rate_limit=RateLimit(10, per=0.25)),
        virtual_limiter(rate_limit=RateLimit(3, per=0.25)),
    )
    await send(modest)
    others = []
    crowd = [asyncio.create_task(send(greedy, others)) for _ in range(200)]
    await asyncio.sleep(0.5)

    before, times = len(others), []
    await asyncio.gather(*(send(modest, times) for _ in range(6)))

    assert len(others) - before <= 8
    assert most_in_any(0.25, others[before:] + times) <= 3
    await asyncio.sleep(3.0)
    await asyncio.gather(*crowd)
    assert most_in_any(0.25, others) == 10


@in_virtual_time
async def test_a_request_costs_one_call_to_redis_if_requests_wait(virtual_limiter):
    budget = virtual_limiter()
    await asyncio.gather(*(send(budget) for _ in range(15)))
    before = virtual_limiter.server.calls

    await asyncio.gather(*(send(budget) for _ in range(30)))

    assert virtual_limiter.server.calls - before <= 36


@in_virtual_time
async def test_a_caller_that_sends_one_by_one_costs_one_call_per_request(virtual_limiter):
    budget, rival = virtual_limiter(), virtual_limiter()
    crowd = [asyncio.create_task(send(rival)) for _ in range(40)]
    for _ in range(3):
        await send(budget)
    before = budget.status().sent + rival.status().sent, virtual_limiter.server.calls

    for _ in range(12):
        await send(budget)
    sent = budget.status().sent + rival.status().sent - before[0]
    calls = virtual_limiter.server.calls - before[1]
    await asyncio.gather(*crowd)

    assert calls <= 1.5 * sent


@in_virtual_time
async def test_urgent_requests_are_served_first_and_no_request_starves(virtual_limiter):
    budget, order = virtual_limiter(rate_limit=RateLimit(1, per=0.02)), []

    async def one(priority):
        await send(budget, priority=priority)
        order.append(priority)

    polls = [asyncio.create_task(one(Priority.POLL)) for _ in range(2)]
    calls = [asyncio.create_task(one(Priority.INTERACTIVE)) for _ in range(20)]
    await asyncio.gather(*polls, *calls)

    assert order[0] is Priority.INTERACTIVE
    assert order.index(Priority.POLL) <= 10


@in_virtual_time
async def test_a_cancelled_waiter_gives_its_place_back(virtual_limiter):
    budget = virtual_limiter(rate_limit=RateLimit(1, per=0.25))
    await send(budget)
    cancelled = asyncio.create_task(send(budget))
    kept = asyncio.create_task(send(budget))
    await asyncio.sleep(0.01)
    cancelled.cancel()
    await kept

    assert budget.status().sent == 2
    assert sum(budget.status().queued.values()) == 0


@in_virtual_time
async def test_an_impossible_deadline_is_refused_before_a_slot_is_used(virtual_limiter):
    budget = virtual_limiter(rate_limit=RateLimit(1, per=5.0))
    with pytest.raises(DeadlineExceeded) as refused:
        await budget.acquire(timeout=1.0)
    with pytest.raises(DeadlineExceeded) as again:
        await budget.acquire(timeout=1.0)

    assert refused.value.expected_wait > 1.0
    assert again.value.expected_wait > 1.0
    assert budget.status().sent == 0


@in_virtual_time
async def test_a_deadline_during_the_wait_ends_the_wait(virtual_limiter):
    budget = virtual_limiter(rate_limit=RateLimit(1, per=0.25))
    await send(budget)
    budget._budget._workers[asyncio.get_running_loop()]._refuse_hopeless = lambda now: None

    with pytest.raises(DeadlineExceeded):
        await budget.acquire(timeout=0.1)

    assert sum(budget.status().queued.values()) == 0


@in_virtual_time
async def test_a_refusal_of_one_process_pauses_the_others(virtual_limiter):
    one, other, loop = virtual_limiter(), virtual_limiter(), asyncio.get_running_loop()
    await send(one)
    await send(other)

    await send(one, refused=True, retry_after=0.6)
    refused_at = loop.time()
    await asyncio.sleep(0.05)
    await other.acquire()

    assert one.status().refused == 1
    assert loop.time() >= refused_at + 0.6


@in_virtual_time
@pytest.mark.parametrize("processes", [1, 2, 5])
async def test_after_a_requested_pause_requests_leave_immediately_and_evenly(virtual_limiter, processes):
    limiters, times = [virtual_limiter(rate_limit=RateLimit(10, per=1.0)) for _ in range(processes)], []
    await asyncio.gather(*(send(limiter) for limiter in limiters))

    await send(limiters[0], refused=True, retry_after=2.0)
    ends_at = asyncio.get_running_loop().time() + 2.0
    await asyncio.gather(*(send(limiter, times) for limiter in limiters * (20 // processes)))

    assert 0 <= times[0] - ends_at < 0.15
    assert min(later - earlier for earlier, later in itertools.pairwise(times[:10])) > 0.05


@in_virtual_time
async def test_all_processes_use_the_budget_that_one_process_has_learned(virtual_limiter):
    one, other = virtual_limiter(), virtual_limiter()
    await send(one)
    await asyncio.sleep(0.5)
    await asyncio.gather(*(send(one, refused=place == 9) for place in range(10)))
    await send(other)

    assert other.status().rate < 40


@in_virtual_time
async def test_all_processes_use_a_smaller_limit_that_the_service_states(virtual_limiter):
    one, other = virtual_limiter(), virtual_limiter()
    await send(one, limit=4)
    await send(one)
    await send(other)

    assert other.status().rate == 16


@in_virtual_time
async def test_requests_that_aiohttp_repeats_are_counted(virtual_limiter):
    budget, times = virtual_limiter(), []
    await send(budget, times, sends=6)

    await asyncio.gather(*(send(budget, times) for _ in range(10)))

    assert most_in_any(0.25, times[:1] * 6 + times[1:]) <= 10


async def test_a_permit_may_be_answered_from_another_thread(limiter):
    budget = limiter()
    permit = await budget.acquire()
    answer = Answer(asyncio.get_running_loop().time(), refused=True)
    thread = threading.Thread(target=permit.answered, args=(answer,))
    thread.start()
    thread.join()
    await until(lambda: budget.status().refused)

    assert budget.status().refused == 1


@in_virtual_time
async def test_a_permit_is_answered_once(virtual_limiter):
    budget = virtual_limiter()
    permit = await budget.acquire()
    for _ in range(2):
        permit.answered(Answer(asyncio.get_running_loop().time(), refused=True))
    permit.release()

    assert (budget.status().sent, budget.status().refused) == (1, 1)


@in_virtual_time
async def test_any_process_can_use_a_released_slot_immediately(virtual_limiter):
    one, other = virtual_limiter(rate_limit=RateLimit(1, per=5.0)), virtual_limiter(rate_limit=RateLimit(1, per=5.0))
    permit = await one.acquire()

    permit.release()
    permit.release()
    permit.answered(Answer(asyncio.get_running_loop().time(), refused=True))
    await asyncio.sleep(0.1)
    waited = (await other.acquire()).waited

    assert waited < 0.1
    assert (one.status().sent, one.status().refused, other.status().sent) == (0, 0, 1)


@in_virtual_time
async def test_the_slot_of_a_forgotten_permit_becomes_free_after_a_while(virtual_limiter):
    budget, loop = virtual_limiter(rate_limit=RateLimit(1, per=1.0)), asyncio.get_running_loop()
    await budget.acquire()

    await budget.acquire()

    assert 1.0 <= loop.time() < 8.0


async def test_organizations_and_hosts_have_separate_budgets(redis_server, organization):
    made = [
        RedisRateLimiter(redis_server.url, organization),
        RedisRateLimiter(redis_server.url, organization, region="eu"),
        RedisRateLimiter(redis_server.url, "blt9999999999999999"),
        RedisRateLimiter(redis_server.url, organization, base_url="http://127.0.0.1:8000"),
    ]

    assert len({limiter.key for limiter in made}) == 4
    assert made[0].key == f"launch:{{launch-api.contentstack.com:{organization}}}"


async def test_an_unused_key_expires(limiter, redis_server):
    budget = limiter()
    await send(budget)
    async with Redis.from_url(redis_server.url) as client:
        assert 0 < await client.ttl(budget.key) <= 86400


def test_two_event_loops_in_two_threads_share_one_limiter(limiter):
    budget, times = limiter(rate_limit=RateLimit(10, per=0.25)), []

    async def client():
        await asyncio.gather(*(send(budget, times) for _ in range(15)))

    threads = [threading.Thread(target=asyncio.run, args=(client(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(times) == 30
    assert most_in_any(0.25, times) <= 10
    assert budget.status().sent == 30


def test_counts_are_kept_after_the_loops_are_closed(limiter):
    budget = limiter()
    asyncio.run(send(budget))
    asyncio.run(send(budget))

    assert budget.status().sent == 2


def test_a_forked_child_uses_separate_connections(limiter):
    budget = limiter()

    async def main():
        await send(budget)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            program = threading.Thread(target=asyncio.run, args=(send(budget),))
            program.start()
            program.join()
            os._exit(0 if budget.status().sent == 1 else 1)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        await send(budget)
        return os.waitstatus_to_exitcode(status)

    assert asyncio.run(main()) == 0
    assert budget.status().sent == 2


async def test_both_packages_accept_a_redis_limiter(redis_server):
    async with LaunchEmulator() as emulator:
        where = {"base_url": emulator.url, "organization_uid": emulator.organization_uid}
        budget = RedisRateLimiter(redis_server.url, emulator.organization_uid, base_url=emulator.url)

        def job():
            credentials = launch_sync.AccessToken(emulator.access_token)
            with launch_sync.LaunchClient(credentials, **where, limiter=budget) as launch:
                return len(list(launch.projects.list()))

        assert await asyncio.to_thread(job) == 0
    assert budget.status().sent == 1


def test_the_example_about_many_machines_works_with_a_real_redis(redis_server):
    page = (ROOT / "docs/how-to/many-machines.md").read_text("utf-8")
    code = page.split("```python\n")[1].split("```")[0]

    program = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={**os.environ, "REDIS_URL": redis_server.url},
        capture_output=True,
        text=True,
    )

    assert program.stderr == ""
    assert "projects" in program.stdout


def test_the_password_is_never_shown():
    budget = RedisRateLimiter("rediss://user:hunter2@redis.example.com", "blt1")

    assert "hunter2" not in repr(budget) + repr(budget._budget._config)


@pytest.mark.parametrize(
    ("url", "options", "error"),
    [
        ("http://127.0.0.1", {}, ConfigurationError),
        (None, {}, ConfigurationError),
        (b"redis://127.0.0.1", {}, ConfigurationError),
        ("redis://127.0.0.1:port", {}, ConfigurationError),
        ("redis://127.0.0.1", {"prefix": "a{b}"}, InvalidArgumentError),
        ("redis://127.0.0.1", {"prefix": ""}, InvalidArgumentError),
        ("redis://127.0.0.1", {"region": "mars"}, ConfigurationError),
        ("redis://127.0.0.1", {"when_unreachable": "panic"}, InvalidArgumentError),
        ("redis://127.0.0.1", {"local_share": 0}, InvalidArgumentError),
        ("redis://127.0.0.1", {"local_share": 1.5}, InvalidArgumentError),
        ("redis://127.0.0.1", {"patience": 0}, InvalidArgumentError),
        ("redis://127.0.0.1", {"patience": float("inf")}, InvalidArgumentError),
    ],
)
def test_an_impossible_option_is_refused_immediately(url, options, error):
    with pytest.raises(error):
        RedisRateLimiter(url, "blt1", **options)


@pytest.mark.parametrize("organization", [None, "", "blt1\n", "blt{1}"])
def test_an_organization_is_required(organization):
    with pytest.raises(InvalidArgumentError, match="organization_uid: must not be empty"):
        RedisRateLimiter("redis://127.0.0.1", organization)


@pytest.mark.parametrize("url", [f"redis://:hunter{mark}2@redis.example.com:6379" for mark in "/#?"])
def test_a_password_that_is_not_quoted_is_never_shown(url):
    with pytest.raises(ConfigurationError, match="as %2F") as caught:
        RedisRateLimiter(url, "blt1")

    assert "hunter" not in "".join(traceback.format_exception(caught.value))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"contentstack-launch\[redis\]"):
        RedisRateLimiter("redis://127.0.0.1", "blt1")

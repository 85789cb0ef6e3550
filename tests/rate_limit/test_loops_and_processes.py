"""Several loops, threads and a forked child share one budget. Real clocks where needed, without timed assertions."""

import asyncio
import os
import threading
import time
import warnings

import pytest

import launch_sync
from launch_async import Authtoken, LaunchClient
from launch_async.rate_limit import local
from launch_async.rate_limit.local import LocalRateLimiter
from launch_async.rate_limit.registry import RateLimitMismatchWarning, shared_limiter
from launch_async.rate_limit.types import Answer, Priority, RateLimit
from tests.support.virtual_time import VirtualTimeLoop, run


async def send(limiter, times):
    permit = await limiter.acquire()
    times.append(asyncio.get_running_loop().time())
    await asyncio.sleep(0)
    permit.answered(Answer(asyncio.get_running_loop().time()))


def most_in_any(seconds, times):
    return max(sum(start <= when < start + seconds for when in times) for start in times)


def test_two_loops_in_two_threads_share_one_budget():
    limiter, times = LocalRateLimiter(RateLimit(10, per=0.3)), []

    async def client():
        await asyncio.gather(*(send(limiter, times) for _ in range(20)))

    threads = [threading.Thread(target=asyncio.run, args=(client(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 40
    assert most_in_any(0.3, times) <= 10


def test_the_waiters_of_a_closed_loop_are_dropped_and_use_no_slot():
    limiter = LocalRateLimiter(RateLimit(2, per=0.2))
    times = []
    dying = asyncio.new_event_loop()
    doomed = [dying.create_task(send(limiter, times)) for _ in range(6)]
    dying.run_until_complete(asyncio.sleep(0))
    dying.close()
    for task in doomed:
        task._log_destroy_pending = False
    asyncio.run(send(limiter, times))
    status = limiter.status()
    assert len(times) == 3
    assert status.sent == 3
    assert sum(status.queued.values()) <= 4


def test_the_waiters_of_a_closed_loop_cause_no_refusal():
    limiter = LocalRateLimiter(RateLimit(1))
    dying = VirtualTimeLoop()
    doomed = [dying.create_task(limiter.acquire()) for _ in range(50)]
    dying.run_until_complete(asyncio.sleep(0))
    dying.close()
    for task in doomed:
        task._log_destroy_pending = False

    async def main():
        return limiter.status(), (await limiter.acquire(timeout=10)).waited

    status, waited = run(main())

    assert sum(status.queued.values()) == 0
    assert status.expected_wait < 5
    assert waited < 10


def test_a_stopped_loop_does_not_block_the_others():
    limiter, times = LocalRateLimiter(RateLimit(1, per=0.05)), []
    stopped = asyncio.new_event_loop()
    waiting = [stopped.create_task(send(limiter, times)) for _ in range(10)]
    stopped.run_until_complete(asyncio.sleep(0))
    asyncio.run(asyncio.wait_for(send(limiter, times), 10))
    served_before = len(times)
    stopped.run_until_complete(asyncio.gather(*waiting))
    stopped.close()
    assert served_before <= 3
    assert len(times) == 11


def test_a_forgotten_waiter_is_dropped_when_its_coroutine_is_collected():
    async def main():
        limiter = LocalRateLimiter(RateLimit(1, per=0.05))
        await limiter.acquire()
        forgotten = limiter.acquire()
        forgotten.send(None)
        forgotten.close()
        await limiter.acquire()
        return limiter.status()

    status = run(main())
    assert status.sent == 2
    assert status.queued[Priority.INTERACTIVE] == 0


@pytest.mark.parametrize("share_budget", ["machine", "process"])
def test_a_forked_child_starts_with_a_free_lock_and_an_empty_queue(share_budget):
    limiter = shared_limiter(f"{share_budget}.fork.example.com", "blt1", RateLimit(10), share_budget)
    lock = limiter._lock if isinstance(limiter, LocalRateLimiter) else limiter._budget._lock
    held = threading.Event()
    release = threading.Event()

    def hold():
        with lock:
            held.set()
            release.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os._exit(0 if limiter.status().queued[Priority.INTERACTIVE] == 0 else 1)
    release.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_one_organization_at_one_host_has_one_budget():
    first = shared_limiter("one.example.com", "blt1", RateLimit(10))
    assert shared_limiter("ONE.example.com", "blt1", RateLimit(10)) is first
    assert shared_limiter("one.example.com", "blt2", RateLimit(10)) is not first
    assert shared_limiter("two.example.com", "blt1", RateLimit(10)) is not first


def test_clients_that_disagree_cause_a_warning_and_get_the_lower_limit():
    first = shared_limiter("three.example.com", "blt1", RateLimit(50))
    with pytest.warns(
        RateLimitMismatchWarning, match=r"50 requests per 1 s \(polls: at most 50%\) and 10 requests per 1 s"
    ):
        second = shared_limiter("three.example.com", "blt1", RateLimit(10))
    with pytest.warns(RateLimitMismatchWarning):
        shared_limiter("three.example.com", "blt1", RateLimit(50))
    assert second is first
    assert first.rate_limit == RateLimit(10)


def test_clients_that_disagree_about_polls_get_the_lower_share():
    first = shared_limiter("seven.example.com", "blt1", RateLimit(10, poll_share=0.25))
    with pytest.warns(RateLimitMismatchWarning, match="polls: at most 25%.*polls: at most 50%.*now use.*25%"):
        shared_limiter("seven.example.com", "blt1", RateLimit(10))
    assert first.rate_limit.poll_share == 0.25


def test_the_warning_about_a_disagreement_names_the_line_of_the_call():
    shared_limiter("five.example.com", "blt1", RateLimit(50))
    with pytest.warns(RateLimitMismatchWarning) as caught:
        shared_limiter("five.example.com", "blt1", RateLimit(10))
    assert caught[0].filename == __file__


def test_the_warning_about_two_clients_names_the_line_of_the_second():
    def client(requests):
        return LaunchClient(Authtoken("token"), organization_uid="blt00000000000000d1", rate_limit=RateLimit(requests))

    generous = client(50)
    with pytest.warns(RateLimitMismatchWarning, match="now use 10 requests per 1 s") as caught:
        careful = client(10)

    assert [warning.filename for warning in caught] == [__file__]
    assert generous.budget.rate == careful.budget.rate <= 10


def test_the_warning_about_two_sync_clients_names_the_line_of_the_second():
    def client(requests):
        return launch_sync.LaunchClient(
            Authtoken("token"), organization_uid="blt00000000000000d2", rate_limit=RateLimit(requests)
        )

    with client(50) as generous, pytest.warns(RateLimitMismatchWarning) as caught, client(10) as careful:
        assert generous.budget.rate == careful.budget.rate <= 10

    assert [warning.filename for warning in caught] == [__file__]


def test_requests_that_already_wait_follow_a_lowered_limit():
    async def main():
        limiter, times = LocalRateLimiter(RateLimit(20)), []
        waiting = [asyncio.create_task(send(limiter, times)) for _ in range(60)]
        await asyncio.sleep(0.5)
        limiter.lower(RateLimit(5))
        await asyncio.gather(*waiting)
        return times[20:]

    assert most_in_any(1.0, run(main())) <= 5


def test_a_second_request_for_a_limiter_returns_the_first():
    shared_limiter("six.example.com", "blt1", RateLimit(10))
    known = len(local._limiters)
    shared_limiter("six.example.com", "blt1", RateLimit(10))
    assert len(local._limiters) == known


def test_the_registry_creates_one_limiter_for_simultaneous_threads():
    found = []
    start = threading.Barrier(8)

    def ask():
        start.wait()
        found.append(shared_limiter("four.example.com", "blt1", RateLimit(10)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


def test_the_status_can_be_read_without_a_loop():
    limiter = LocalRateLimiter()
    permit = asyncio.run(limiter.acquire())
    permit.answered(Answer(time.monotonic(), refused=True, retry_after=60))
    assert limiter.status().paused_for > 0

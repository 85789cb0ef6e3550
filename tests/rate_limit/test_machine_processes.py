"""Processes share the machine's budget in virtual time: never more than ten requests in a second, and fair shares."""

import asyncio
import itertools

import pytest

from launch_async.rate_limit.types import Answer, Priority, RateLimit
from tests.support import other_programs
from tests.support.shared_budgets import Network, VirtualFile, Worker, in_virtual_time, most_in_any, saturate

LAN = {"trip": 0.04, "spread": 0.2}


@pytest.mark.parametrize(("workers", "network"), [(1, {}), (2, LAN), (5, {}), (10, LAN), (25, {})])
@in_virtual_time
async def test_saturating_processes_share_the_whole_budget_fairly(workers, network):
    file = VirtualFile()

    outcome = await saturate(
        file.limiter, lambda: file.calls, Network(**network), workers=workers, requests=max(20 * workers, 200)
    )

    assert outcome.most_in_a_second <= 10
    assert outcome.goodput >= 9.5
    assert outcome.least_share >= 0.75


@pytest.mark.parametrize(
    "network",
    [
        {},
        {"spikes": 0.1, "spike": 0.4},
        {"trip": 0.06, "spread": 0.5},
        {"cold": 0.5},
        {"trip": 1.5, "spread": 0.5},
    ],
    ids=["loopback", "stalls", "jitter", "cold starts", "slow service"],
)
@in_virtual_time
async def test_kills_never_exceed_the_budget(network):
    file = VirtualFile()

    outcome = await saturate(
        file.limiter, lambda: file.calls, Network(**network), requests=100, workers=6, kill_every=0.5
    )

    assert outcome.most_in_a_second <= 10


@in_virtual_time
async def test_a_new_process_gets_its_share_immediately():
    file, network, arrivals, loop = VirtualFile(), Network(), [], asyncio.get_running_loop()
    crew = [Worker(file.limiter(), network, arrivals, callers=50) for _ in range(4)]
    await asyncio.sleep(10)

    newcomer = Worker(file.limiter(), network, arrivals, callers=50)
    came_at = loop.time()
    await asyncio.sleep(10)

    for worker in (*crew, newcomer):
        await worker.kill()
    at_once = [when for when in newcomer.sent_at if when < came_at + 5]
    assert len(at_once) >= 0.75 * 5 * 10 / 5
    assert len(newcomer.sent_at) >= 0.75 * 10 * 10 / 5


async def in_turn(limiter, order, name, priority):
    permit = await limiter.acquire(priority=priority)
    order.append(name)
    await asyncio.sleep(0.002)
    permit.answered(Answer(asyncio.get_running_loop().time()))


@in_virtual_time
async def test_urgent_requests_of_any_process_are_served_first():
    file, order = VirtualFile(), []
    polls, calls = file.limiter(RateLimit(2)), file.limiter(RateLimit(2))
    await asyncio.gather(*(in_turn(polls, [], "", Priority.POLL) for _ in range(2)))
    waiting = [asyncio.create_task(in_turn(polls, order, "poll", Priority.POLL)) for _ in range(30)]
    await asyncio.sleep(0.1)

    waiting += [asyncio.create_task(in_turn(calls, order, "call", Priority.INTERACTIVE)) for _ in range(40)]
    await asyncio.gather(*waiting)

    assert order[:9].count("poll") <= 1
    assert order[:50].count("call") == 40


@in_virtual_time
async def test_each_waiting_priority_of_any_process_gets_one_of_ten_requests():
    file, order = VirtualFile(), []
    limiters = {priority: file.limiter(RateLimit(2)) for priority in Priority}

    await asyncio.gather(
        *(in_turn(limiters[priority], order, priority, priority) for priority in Priority for _ in range(40))
    )

    behind = order[2:82]
    turns = [place for place, priority in enumerate(behind) if priority is Priority.POLL]
    assert max(later - earlier for earlier, later in itertools.pairwise(turns[:4])) <= 10


@in_virtual_time
async def test_processes_with_one_request_each_are_served_by_arrival():
    file, order = VirtualFile(), []
    limiters = [file.limiter(RateLimit(1)) for _ in range(6)]
    await in_turn(limiters[0], [], "", Priority.INTERACTIVE)

    waiting = []
    for place in (3, 1, 4, 0, 2, 5):
        waiting.append(asyncio.create_task(in_turn(limiters[place], order, place, Priority.INTERACTIVE)))
        await asyncio.sleep(0.01)
    await asyncio.gather(*waiting)

    assert order == [3, 1, 4, 0, 2, 5]


@in_virtual_time
async def test_a_cancelled_caller_of_one_process_gives_its_place_to_another_process():
    file, loop = VirtualFile(), asyncio.get_running_loop()
    one, other = file.limiter(RateLimit(1)), file.limiter(RateLimit(1))
    await in_turn(one, [], "", Priority.INTERACTIVE)
    began = loop.time()
    cancelled = asyncio.create_task(in_turn(one, [], "", Priority.INTERACTIVE))
    await asyncio.sleep(0.1)
    cancelled.cancel()
    await asyncio.sleep(0.01)
    await in_turn(other, [], "", Priority.INTERACTIVE)

    assert loop.time() - began < 1.2


@pytest.mark.parametrize("lower", [RateLimit(3), RateLimit(1, per=1 / 3), RateLimit(6, per=2.0)])
@in_virtual_time
async def test_processes_with_different_limits_use_the_lowest(lower):
    file, times = VirtualFile(), []
    greedy, modest = file.limiter(RateLimit(10)), file.limiter(lower)

    async def send(limiter):
        permit = await limiter.acquire()
        times.append(asyncio.get_running_loop().time())
        permit.answered(Answer(times[-1]))

    await send(modest)
    await asyncio.gather(*(send(greedy) for _ in range(12)), *(send(modest) for _ in range(3)))

    assert most_in_any(2.0, times) <= 6 if lower.per == 2.0 else most_in_any(1.0, times) <= 3


@in_virtual_time
async def test_polls_of_all_processes_together_take_at_most_their_share():
    file, polls, calls, loop = VirtualFile(), [], [], asyncio.get_running_loop()

    async def keep_asking(limiter, priority, times):
        while True:
            permit = await limiter.acquire(priority=priority)
            times.append(loop.time())
            await asyncio.sleep(0.003)
            permit.answered(Answer(loop.time()))

    pollers = [file.limiter() for _ in range(4)]
    tasks = [asyncio.create_task(keep_asking(one, Priority.POLL, polls)) for one in pollers for _ in range(5)]
    await asyncio.sleep(20)
    alone = len(polls)
    caller = file.limiter()
    tasks += [asyncio.create_task(keep_asking(caller, Priority.INTERACTIVE, calls)) for _ in range(5)]
    await asyncio.sleep(20)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert most_in_any(10.0, polls) <= 50
    assert alone >= 95
    assert len(calls) >= 8.2 * 20
    assert len(polls) - alone >= 0.9 * 20


async def answered(limiter, *, refused=False):
    permit = await limiter.acquire()
    await asyncio.sleep(0.005)
    permit.answered(Answer(asyncio.get_running_loop().time(), refused=refused))


@in_virtual_time
async def test_a_refusal_with_a_full_budget_lowers_it_for_all_until_it_grows_again():
    file = VirtualFile()
    one, other = file.limiter(), file.limiter()

    await asyncio.gather(*(answered(one, refused=place == 9) for place in range(10)))
    await answered(other)
    after = other.status().rate
    await asyncio.sleep(60)
    await answered(other)

    assert 5 < after < 9
    assert other.status().rate == 10


@in_virtual_time
async def test_a_refusal_with_an_idle_budget_lowers_nothing():
    file = VirtualFile()
    one, other = file.limiter(), file.limiter()

    await answered(one, refused=True)
    await answered(other)

    assert other.status().rate == 10


@in_virtual_time
async def test_all_processes_together_follow_a_smaller_budget():
    file, times, loop = VirtualFile(), [], asyncio.get_running_loop()
    limiters = [file.limiter() for _ in range(3)]
    accepted = []

    async def keep_sending(limiter):
        while True:
            permit = await limiter.acquire()
            now = loop.time()
            times.append(now)
            refused = sum(when > now - 1.0 for when in accepted) >= 4
            if not refused:
                accepted.append(now)
            await asyncio.sleep(0.005)
            permit.answered(Answer(loop.time(), refused=refused))

    tasks = [asyncio.create_task(keep_sending(limiter)) for limiter in limiters for _ in range(4)]
    await asyncio.sleep(60)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    late = [when for when in accepted if when > 30]
    assert len(late) >= 0.8 * 4 * 30
    assert len([when for when in times if when > 30]) - len(late) <= 0.1 * len(late)


@pytest.mark.parametrize(("server", "network"), [("sliding", "local"), ("fixed", "local"), ("sliding", "lan")])
def test_two_unconnected_machines_reach_fair_shares(server, network):
    one, other = accounts = other_programs.saturating(
        server, network, starts=(0.0, 10.0), until=70.0, seed=1, make=lambda: VirtualFile().limiter()
    )

    assert min(one.accepted(40, 70), other.accepted(40, 70)) >= 3.5
    assert other_programs.refused(accounts, 40, 70) <= 0.05

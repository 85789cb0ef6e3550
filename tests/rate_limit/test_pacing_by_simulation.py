"""The cases of the pacing study, with LocalRateLimiter in virtual time and fixed seeds."""

import asyncio
import random

import pytest

from launch_async.rate_limit.local import LocalRateLimiter
from launch_async.rate_limit.types import RateLimit
from tests.support.rate_servers import BEST_FIXED, NETWORKS, SERVERS, ClockWindow, least_share, saturate, simulate
from tests.support.virtual_time import run


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_cold_start_nearly_reaches_the_best_fixed_scheme_with_few_refusals(server, network):
    outcome = simulate(LocalRateLimiter, server, network, requests=2500, seed=1)
    assert outcome.goodput >= least_share(server, network) * BEST_FIXED[server][network]
    assert outcome.refused <= 0.01


@pytest.mark.parametrize("network", ["none", "lan"])
def test_on_a_steady_network_no_second_has_more_than_ten_requests(network):
    outcome = simulate(LocalRateLimiter, "sliding", network, requests=600, seed=3)
    assert all(accepted for _, accepted in outcome.arrivals)


@pytest.mark.parametrize(("server", "least"), [("sliding", 43.5), ("fixed", 46.5), ("bucket", 48.5)])
def test_a_plan_of_50_requests_per_second_is_used(server, least):
    async def main():
        counting = SERVERS[server](50, phase=0.4)
        limiter = LocalRateLimiter(RateLimit(50, per=1))
        return await saturate(limiter, counting, NETWORKS["wan"], requests=1500, seed=1, callers=150)

    goodput, refused = run(main()).between(20, 29)
    assert goodput >= least
    assert refused <= 0.01


@pytest.mark.parametrize("server", SERVERS)
def test_a_plan_of_100_requests_per_minute_is_used(server):
    async def main():
        counting = SERVERS[server](100, 60, phase=17)
        limiter = LocalRateLimiter(RateLimit(100, per=60))
        return await saturate(limiter, counting, NETWORKS["wan"], requests=500, seed=1, callers=150)

    outcome = run(main())
    assert outcome.goodput >= 0.97 * 100 / 60
    assert outcome.refused <= 0.01


@pytest.mark.parametrize("counting", SERVERS.values())
def test_a_smaller_budget_is_found_and_the_limiter_follows_its_growth(counting):
    async def main():
        server, loop = counting(10, phase=0.3), asyncio.get_running_loop()
        loop.call_at(60, setattr, server, "limit", 6)
        loop.call_at(140, setattr, server, "limit", 10)
        return await saturate(LocalRateLimiter(), server, NETWORKS["lan"], requests=10_000, seed=1, until=220)

    outcome = run(main())
    goodput, refused = outcome.between(70, 140)
    assert goodput > 5.0
    assert refused < 0.03
    assert outcome.between(180, 220)[0] > 9.5


def test_the_limiter_leaves_room_for_another_program():
    async def other_program(server):
        chance, loop = random.Random(1), asyncio.get_running_loop()
        while loop.time() < 100:
            server.accepts(loop.time())
            await asyncio.sleep(chance.expovariate(4))

    async def main():
        server = ClockWindow(10, phase=0.3)
        async with asyncio.TaskGroup() as group:
            group.create_task(other_program(server))
            return await saturate(LocalRateLimiter(), server, NETWORKS["lan"], requests=10_000, seed=1, until=160)

    outcome = run(main())
    assert outcome.between(20, 100)[1] < 0.10
    assert outcome.between(140, 160)[0] > 9.4

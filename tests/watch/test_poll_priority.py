"""The priority of a watcher's requests in the rate limiter, and their share of the budget."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import pytest

from launch_async import DeploymentRef, NotFoundError
from launch_async.emulator import LaunchEmulator
from launch_async.rate_limit import LocalRateLimiter, Priority
from tests.support.clients import client_of
from tests.support.timed_fleet import Fleet, redeploy
from tests.support.timed_launch import Build, Launch
from tests.support.virtual_time import run

REF = DeploymentRef("a" * 24, "b" * 24, "c" * 24)


class Recording(LocalRateLimiter):
    """A limiter that records the priority of each request."""

    def __init__(self) -> None:
        super().__init__()
        self.priorities: list[Priority] = []

    async def acquire(self, *args, priority=Priority.INTERACTIVE, **options):
        self.priorities.append(priority)
        return await super().acquire(*args, priority=priority, **options)


@pytest.mark.parametrize(
    ("ask", "priority"),
    [
        (lambda launch: launch.poll_once(REF), Priority.POLL),
        (lambda launch: anext(launch.follow_logs(REF)), Priority.POLL),
        (lambda launch: anext(launch.tail_server_logs(REF)), Priority.POLL),
        (lambda launch: launch.deployments.get("a" * 24, "b" * 24, "c" * 24), Priority.INTERACTIVE),
    ],
    ids=["poll", "follow", "tail", "get"],
)
async def test_a_watcher_has_a_lower_priority_than_an_interactive_call(ask, priority) -> None:
    limiter = Recording()
    async with LaunchEmulator() as emulator, client_of(emulator, limiter=limiter) as launch:
        with contextlib.suppress(NotFoundError):
            await ask(launch)

    assert set(limiter.priorities) == {priority}


def polls_of(launch: Launch) -> list[float]:
    return [at for at, operation, _ in launch.seen if operation != "createDeployment"]


def most_in_ten_seconds(times: list[float]) -> int:
    return max(sum(start <= at < start + 10 for at in times) for start in times)


def test_forty_tails_use_half_of_the_budget_and_do_not_delay_a_call() -> None:
    launch = Launch([Build(ends=0)])

    async def main() -> float:
        client = launch.client(LocalRateLimiter())

        async def tail() -> None:
            until = launch.beginning + timedelta(seconds=40)
            _ = [line async for line in client.tail_server_logs(launch.ref(0), since=launch.beginning, until=until)]

        tails = [asyncio.create_task(tail()) for _ in range(40)]
        await asyncio.sleep(20)
        before = asyncio.get_running_loop().time()
        await client.deployments.get(launch.ref(0))
        waited = asyncio.get_running_loop().time() - before
        await asyncio.gather(*tails)
        return waited

    assert run(main()) < 0.2
    assert most_in_ten_seconds(polls_of(launch)) <= 51


def test_a_fleet_polls_with_half_of_the_budget_each_build_about_once() -> None:
    fleet = Fleet.of(100, seed=1, rate_limit=10)

    report = run(redeploy(fleet, known=True))

    assert most_in_ten_seconds(polls_of(fleet)) <= 50
    assert report.requests <= 3 * 100
    assert report.seconds <= 1.15 * max(fleet.seconds)

"""Runs in virtual time: pauses hold back operations that wait for the budget, and late effects are not duplicated."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from launch_async import RateLimit
from launch_async.fleet import Entry, FleetControl, FleetReport, MemoryJournal, OperationState, Plan
from launch_async.rate_limit import LocalRateLimiter
from tests.support.timed_fleet import Fleet
from tests.support.timed_launch import Build
from tests.support.virtual_time import run


def _slow() -> LocalRateLimiter:
    return LocalRateLimiter(RateLimit(1, per=1.0))


def test_a_pause_holds_back_operations_that_already_wait_for_the_budget() -> None:
    service, control = Fleet.of(15, seed=1), FleetControl()

    async def main() -> FleetReport:
        loop = asyncio.get_running_loop()
        loop.call_at(5.5, control.pause)
        loop.call_at(200, control.resume)
        async with service.client(_slow()) as client:
            plan = await client.fleet.plan_redeploy(service.targets(known=True))
            return await client.fleet.run(plan, control=control, stop_on_failures=None)

    report = run(main())

    assert [at for at in service.creations if 5.5 < at < 200] == []
    assert 0 < len([at for at in service.creations if at < 200]) < 15
    assert report.is_success
    assert service.is_deployed_once
    assert {one.attempts for one in report.outcomes} == {1}


def test_a_stop_holds_back_operations_that_already_wait_for_the_budget() -> None:
    service, control, journal = Fleet.of(15, seed=1), FleetControl(), MemoryJournal()

    async def main() -> FleetReport:
        asyncio.get_running_loop().call_at(5.5, control.cancel)
        async with service.client(_slow()) as client:
            plan = await client.fleet.plan_redeploy(service.targets(known=True))
            stopped = await client.fleet.run(plan, control=control, journal=journal, stop_on_failures=None)
            assert [at for at in service.creations if at > 5.5] == []
            assert stopped.totals == {
                OperationState.PLANNED: 15 - len(service.creations),
                OperationState.SUCCEEDED: len(service.creations),
            }
            return await client.fleet.resume(journal)

    assert run(main()).is_success
    assert service.is_deployed_once


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"timeout": 25.0}, "the run's timeout of 25 s expired"),
        ({"deployment_timeout": 25.0}, "2 of 6 targets failed"),
    ],
    ids=["of the run", "of each deployment"],
)
def test_a_timeout_ends_the_waiting_and_not_the_deployments(limits: dict[str, float], why: str) -> None:
    service, journal = Fleet.of(6, seed=1), MemoryJournal()

    async def main() -> FleetReport:
        async with service.client() as client:
            plan = await client.fleet.plan_redeploy(service.targets(known=True))
            stopped = await client.fleet.run(plan, journal=journal, wave_size=6, **limits)
            assert stopped.stopped == why
            assert stopped.totals == {OperationState.SENT: 6}
            return await client.fleet.resume(journal)

    assert run(main()).is_success
    assert service.is_deployed_once


def test_no_build_is_polled_while_creations_wait_for_the_budget() -> None:
    service = Fleet.of(40, seed=1)

    async def main() -> FleetReport:
        async with service.client(_slow()) as client:
            plan = await client.fleet.plan_redeploy(service.targets(known=True))
            return await client.fleet.run(plan, confirm=40, stop_on_failures=None)

    assert run(main()).is_success
    began = [operation for at, operation, _ in service.seen if at < 25]
    assert set(began) == {"listEnvironments", "listDeployments", "createDeployment"}
    assert began.count("listDeployments") <= 2, "only until the first creation is answered"


def test_the_slowest_builds_begin_first_and_are_polled_only_near_their_end() -> None:
    service = Fleet.of(20, seed=1, latency=0.0)

    async def main() -> FleetReport:
        async with service.client(LocalRateLimiter(RateLimit(10, per=1.0))) as client:
            plan = await client.fleet.plan_redeploy(service.targets(known=True))
            return await client.fleet.run(plan, stop_on_failures=None)

    report = run(main())

    expected = [service.earlier[environment] for environment in service.deployed]
    assert expected == sorted(expected, reverse=True)
    assert report.seconds < 1.1 * max(service.seconds)
    assert service.asked["listDeployments"] <= 1


def _interrupted(plan: Plan) -> MemoryJournal:
    """Return the journal of a run that died while it sent its first operation."""
    journal = MemoryJournal()
    journal.open(plan, check=lambda _: None)
    journal.write(
        Entry(key=plan.operations[0].key, state=OperationState.INTENDED, intended_at=datetime.now(UTC), attempts=1)
    )
    journal.close()
    return journal


async def _resumed(service: Fleet, control: FleetControl | None = None) -> FleetReport:
    async with service.client() as client:
        plan = await client.fleet.plan_redeploy(service.targets(known=True))
        return await client.fleet.resume(_interrupted(plan), control=control, stop_on_failures=None)


@pytest.mark.parametrize("late", [0.5, 5, 25])
def test_a_request_that_takes_effect_after_its_run_is_found_and_not_sent_again(late: float) -> None:
    service = Fleet.of(3, seed=1)

    async def main() -> FleetReport:
        asyncio.get_running_loop().call_at(late, service.begin, Build(late, late, late + 60))
        return await _resumed(service)

    report = run(main())

    assert report.is_success
    assert service.is_deployed_once
    assert len(service.creations) == 2


def test_a_request_that_never_arrived_is_sent_again_once_it_cannot_arrive_any_more() -> None:
    service = Fleet.of(3, seed=1)

    report = run(_resumed(service))

    assert report.is_success
    assert service.is_deployed_once
    _, second, last = sorted(service.creations)
    assert second < 1, "the other targets do not need to wait"
    # The request may take effect up to 30 s after it was sent, and may appear in listings 20 s later.
    assert 48 < last < 52


def test_a_run_that_waits_for_a_lost_request_can_be_stopped() -> None:
    service, control = Fleet.of(1, seed=1), FleetControl()

    async def main() -> FleetReport:
        asyncio.get_running_loop().call_at(3, control.cancel)
        return await _resumed(service, control)

    report = run(main())

    assert report.seconds < 5
    assert [one.state for one in report.outcomes] == [OperationState.INTENDED]
    assert service.creations == []

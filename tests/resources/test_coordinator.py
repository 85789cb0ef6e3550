"""Calls that create objects at the same place at the same time never adopt each other's creations."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from launch_async import AmbiguousOutcome, DeadlineExceeded, ResponseLost, RetryPolicy
from launch_async.emulator import LaunchEmulator
from launch_async.emulator.control.faults import FaultKind
from launch_async.http import Request, Response
from tests.support.clients import client_of
from tests.support.core import ENVIRONMENT, PROJECT, UPLOAD, FakeTransport, answer, client_on, virtual_time

NOON = "2026-05-04T12:00:00.000Z"
DATED = {"Date": "Mon, 04 May 2026 12:00:00 GMT"}
LOST = ("lost before", "lost after")
MINE, YOURS, NEWEST = "a" * 40, "b" * 40, "c" * 40


class Service:
    """A service that creates deployments. It loses the answers that the test names, and delays the others."""

    def __init__(self, *outcomes: str) -> None:
        self.outcomes = list(outcomes)
        self.listing_seconds = 0.0
        self.times: list[float] = []
        self.made: list[dict[str, Any]] = []
        self.log: list[str] = []

    async def __call__(self, request: Request) -> Response:
        self.log.append(request.method)
        self.times.append(asyncio.get_running_loop().time())
        if request.method == "GET":
            await asyncio.sleep(self.listing_seconds)
            return answer(200, {"deployments": self.made, "pagination": {"count": len(self.made)}}, DATED)
        outcome = self.outcomes.pop(0) if self.outcomes else "slow"
        await asyncio.sleep(1)
        if outcome == "lost before":
            raise ResponseLost("lost")
        asked = next((commit for commit in (MINE, YOURS) if commit in str(request.body)), NEWEST)
        made = {"uid": f"66c0ffee{len(self.made) + 1:016x}", "createdAt": NOON, "commitHash": asked}
        self.made.append(made)
        if outcome == "lost after":
            raise ResponseLost("lost")
        await asyncio.sleep(10)
        return answer(201, {"deployment": made})


async def deployments(service: Service, *asked: dict[str, str], timeout: float = 200.0) -> list[Any]:
    async with client_on(FakeTransport(service), timeout=timeout) as launch:
        return await asyncio.gather(
            *(launch.deployments.create(PROJECT, ENVIRONMENT, **one) for one in asked), return_exceptions=True
        )


@virtual_time
async def test_a_deployment_that_another_call_is_creating_is_not_adopted() -> None:
    service = Service("lost before", "slow")

    first, second = await deployments(service, {}, {})

    assert {first.uid, second.uid} == {made["uid"] for made in service.made}
    assert len(service.made) == 2


@pytest.mark.parametrize("outcomes", list(itertools.product(LOST, repeat=2)))
@virtual_time
async def test_equal_calls_whose_answers_are_lost_each_get_one_of_their_deployments(outcomes: tuple[str, str]) -> None:
    service = Service(*outcomes)

    first, second = await deployments(service, {}, {})

    assert {first.uid, second.uid} == {made["uid"] for made in service.made}
    assert len(service.made) == 2


@pytest.mark.parametrize("outcomes", list(itertools.product(LOST, repeat=3)))
@virtual_time
async def test_calls_for_different_commits_get_their_own_deployments(outcomes: tuple[str, str, str]) -> None:
    service = Service(*outcomes)

    found = await deployments(service, {}, {"commit_hash": MINE}, {"commit_hash": YOURS})

    assert sorted(one.uid for one in found) == sorted(made["uid"] for made in service.made)
    assert [one.commit_hash for one in found] == [NEWEST, MINE, YOURS]


@virtual_time
async def test_calls_for_different_files_are_ambiguous() -> None:
    service = Service("lost after", "lost after")

    found = await deployments(service, {"upload_uid": UPLOAD}, {"upload_uid": PROJECT})

    assert [type(one) for one in found] == [AmbiguousOutcome, AmbiguousOutcome]
    assert set(found[0].candidates) == {made["uid"] for made in service.made}


@virtual_time
async def test_no_outcome_is_checked_during_another_creation() -> None:
    service = Service("lost before", "slow")
    async with client_on(FakeTransport(service), timeout=200.0) as launch:
        first = asyncio.ensure_future(launch.deployments.create(PROJECT, ENVIRONMENT))
        await asyncio.sleep(1.1)
        second = asyncio.ensure_future(launch.deployments.create(PROJECT, ENVIRONMENT))
        await asyncio.gather(first, second)

    assert service.log[:3] == ["POST", "POST", "GET"]
    assert service.times[2] == pytest.approx(1.1 + 11)


@virtual_time
async def test_no_creation_is_sent_while_an_outcome_is_checked() -> None:
    service = Service("lost before", "slow")
    service.listing_seconds = 5.0
    async with client_on(FakeTransport(service), timeout=200.0) as launch:
        first = asyncio.ensure_future(launch.deployments.create(PROJECT, ENVIRONMENT))
        await asyncio.sleep(1.6)
        second = asyncio.ensure_future(launch.deployments.create(PROJECT, ENVIRONMENT))
        await asyncio.gather(first, second)

    assert service.log[:3] == ["POST", "GET", "POST"]
    assert service.times[2] == pytest.approx(1.5 + 5)


@virtual_time
async def test_a_call_whose_wait_for_a_check_is_too_long_sends_nothing() -> None:
    service = Service("lost before")
    service.listing_seconds = 5.0
    async with client_on(FakeTransport(service)) as launch:
        first = asyncio.ensure_future(launch.deployments.create(PROJECT, ENVIRONMENT))
        await asyncio.sleep(1.6)
        with pytest.raises(DeadlineExceeded, match="the response to another creation was lost") as caught:
            async with asyncio.timeout(60):
                await launch.with_options(timeout=0.2).deployments.create(PROJECT, ENVIRONMENT)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    assert not caught.value.ambiguous
    assert service.log == ["POST", "GET"]


@pytest.mark.parametrize("seed", [1, 2])
async def test_many_calls_for_one_environment_create_everything_once(seed: int) -> None:
    async with (
        LaunchEmulator(rate_limit=None, build_seconds=0.01) as emulator,
        client_of(emulator, retry=RetryPolicy(look_up_delays=(0.02, 0.05), settle_after=0.1)) as launch,
    ):
        project = emulator.add_project("storefront", git=True)
        (environment,) = project.environments
        await launch.deployments.list(project.uid, environment).to_list()
        resets: tuple[FaultKind, ...] = ("reset_before", "reset_after", "truncate")
        for number, kind in enumerate(resets):
            emulator.faults.add(kind, operation="createDeployment", probability=0.08, seed=10 * seed + number)
        emulator.faults.add("status_after", operation="createDeployment", status=504, probability=0.08, seed=seed)

        created = await asyncio.gather(*(launch.deployments.create(project.uid, environment) for _ in range(30)))

        made = [creation.uid for creation in emulator.ledger.created if creation.noun == "deployment"]
        assert sorted(one.uid for one in created) == sorted(made)

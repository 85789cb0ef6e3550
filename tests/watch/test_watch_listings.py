"""A listing that fails, hangs or has odd entries does not end or delay a wait, because it only saves requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from launch_async import DeploymentRef, LatestCommit, LaunchClient, ServerError, UnauthorizedError, WaitTimeout
from launch_async.auth.access_token import AccessToken
from launch_async.http import Request, Response, Transport
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.timed_launch import Build, Launch
from tests.support.virtual_time import run

ODD: Final = json.loads((Path(__file__).parent.parent / "wire" / "odd_answers.json").read_text())
REF: Final = DeploymentRef("a" * 24, "b" * 24, "66c0ffee0000000000000001")


class OddListing(Transport):
    """A service with a scripted listing and one deployment."""

    def __init__(self, listing: object) -> None:
        self.listing = listing
        self.asked = list[str]()

    async def send(self, request: Request) -> Response:
        """Answer a request."""
        assert request.operation is not None
        self.asked.append(request.operation)
        answer: object = {"deployments": self.listing}
        if request.operation == "getDeployment":
            answer = {"deployment": {"uid": REF.deployment_uid, "status": "LIVE", "deploymentNumber": 7}}
        return Response(200, {}, json.dumps(answer).encode())

    async def close(self) -> None:
        """Do nothing."""

    def client(self) -> LaunchClient:
        """Return a client of this service."""
        return LaunchClient(AccessToken("token"), transport=self, limiter=UnlimitedRateLimiter())


@pytest.mark.parametrize("listing", [*ODD["listings"], None, {}, "odd", 7, [[]]])
def test_an_odd_listing_does_not_stop_a_wait(listing: object) -> None:
    service = OddListing(listing)

    assert run(service.client().wait(REF)).status == "LIVE"
    assert service.asked in (["listDeployments"], ["listDeployments", "getDeployment"])


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429, 500, 502, 503, 504])
def test_a_listing_that_is_refused_does_not_end_a_wait(status: int) -> None:
    launch = Launch([Build(ends=60)])
    launch.fail("listDeployments", status=status)

    async def main() -> tuple[str, float]:
        return (await launch.client().wait(launch.ref(0), timeout=90)).status, asyncio.get_running_loop().time()

    status_, took = run(main())
    assert status_ == "LIVE"
    assert took < 80


def test_a_listing_that_hangs_does_not_hang_a_wait() -> None:
    launch = Launch([Build(ends=2), Build(ends=2)])
    launch.emulator.faults.add("delay", operation="listDeployments", delay=3600)

    async def main() -> Sequence[str]:
        ended = await launch.client().wait_all([launch.ref(0), launch.ref(1)], timeout=15)
        return [one.status for one in ended]

    assert run(main()) == ["ARCHIVED", "LIVE"]


def test_a_listing_that_fails_is_not_requested_at_each_poll() -> None:
    launch = Launch([Build(ends=300), Build(ends=300), Build(ends=300)])
    launch.fail("listDeployments", status=403)

    run(launch.client().wait_all([launch.ref(index) for index in range(3)]))

    assert launch.asked["listDeployments"] <= 7


def test_a_listing_that_works_again_is_used_again() -> None:
    launch = Launch([Build(ends=900), Build(ends=900), Build(ends=900)])
    launch.fail("listDeployments", status=403)

    async def main() -> int:
        asyncio.get_running_loop().call_at(100, launch.recover)
        await launch.client().wait_all([launch.ref(index) for index in range(3)])
        return sum(operation == "getDeployment" for at, operation, _ in launch.seen if at > launch.seen[0][0] + 200)

    assert run(main()) <= 3


@pytest.mark.parametrize("way", ["wait", "wait_all", "deploy"])
def test_a_deadline_says_why_the_last_poll_failed(way: str) -> None:
    launch = Launch([Build(ends=9999)])

    async def main() -> None:
        asyncio.get_running_loop().call_at(1, launch.fail, "getDeployment", "listDeployments")
        client, ref = launch.client(), launch.ref(0)
        if way == "wait":
            await client.wait(ref, timeout=40)
        elif way == "wait_all":
            await client.wait_all([ref], timeout=40)
        else:
            await client.deploy(ref.project_uid, ref.environment_uid, LatestCommit(), timeout=40, on_log=print)

    with pytest.raises(WaitTimeout, match=r"\((QUEUED|DEPLOYING)\)\. The last poll failed: .*status 500") as caught:
        run(main())
    assert isinstance(caught.value.__cause__, ServerError)


def test_a_refusal_of_both_requests_is_the_error_of_the_deployment() -> None:
    launch = Launch([Build()])
    launch.fail("getDeployment", "listDeployments", status=401)

    with pytest.raises(UnauthorizedError) as caught:
        run(launch.client().wait(launch.ref(0)))
    assert caught.value.operation == "getDeployment"

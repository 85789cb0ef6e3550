"""Waiting, in virtual time: outcomes, failures, deadlines, and requests that are shared."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from launch_async import (
    APIError,
    Deployment,
    DeploymentFailed,
    DeploymentRef,
    DeploymentStatus,
    ForbiddenError,
    InvalidArgumentError,
    LaunchClient,
    NotFoundError,
    RateLimit,
    ServerError,
    UnauthorizedError,
    WaitTimeout,
)
from launch_async.errors import DeploymentsFailed
from launch_async.rate_limit import LocalRateLimiter
from tests.support.timed_launch import Build, Launch, Line
from tests.support.virtual_time import run


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("outcome", ["LIVE", "DEPLOYED", "ARCHIVED"])
def test_a_wait_returns_a_successful_deployment(outcome: str) -> None:
    launch = Launch([Build(ends=60, outcome=outcome)])

    async def main() -> tuple[Deployment, float]:
        return await launch.client().wait(launch.ref(0).to_json()), now()

    deployment, took = run(main())
    assert deployment.status == outcome
    assert 60 <= took < 75


@pytest.mark.parametrize("outcome", ["FAILED", "SKIPPED", "CANCELLED"])
def test_a_wait_raises_every_other_end_with_a_report(outcome: str) -> None:
    launch = Launch([Build(outcome=outcome, lines=[Line("Building"), Line("Error: no moon")])])

    with pytest.raises(DeploymentFailed, match=f"ended {outcome} (after 60 s )?in stage BUILD") as caught:
        run(launch.client().wait(launch.ref(0)))

    assert caught.value.report.first_error == "Error: no moon"
    assert [line.message for line in caught.value.report.log_tail] == ["Building", "Error: no moon"]


def test_a_log_that_cannot_be_read_does_not_hide_the_failure(caplog: pytest.LogCaptureFixture) -> None:
    launch = Launch([Build(outcome="FAILED")])
    launch.fail("getDeploymentLogs")

    with pytest.raises(DeploymentFailed, match="ended FAILED"):
        run(launch.client().wait(launch.ref(0)))

    assert "cannot be read" in caplog.text


def test_every_state_is_shown_once() -> None:
    launch, states = Launch([Build(begins=20, ends=60)]), list[str]()

    run(launch.client().wait(launch.ref(0), on_update=lambda deployment: states.append(deployment.status)))

    assert states == ["QUEUED", "DEPLOYING", "LIVE"]


def test_a_deployment_that_has_ended_is_returned_without_a_request() -> None:
    launch = Launch()
    deployment = Deployment(uid="c" * 24, status=DeploymentStatus.LIVE, project_uid="a" * 24, environment_uid="b" * 24)

    assert run(launch.client().wait(deployment)) == deployment
    assert not launch.seen


def test_an_unknown_status_counts_as_running_and_causes_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    launch = Launch([Build(running="PONDERING"), Build(running="PONDERING", environment=1)])
    caplog.set_level(logging.WARNING)

    async def main() -> list[Deployment]:
        return await launch.client().wait_all([launch.ref(0), launch.ref(1)])

    assert [deployment.status for deployment in run(main())] == ["LIVE", "LIVE"]
    assert caplog.text.count("PONDERING") == 1


def test_failed_polls_do_not_end_a_wait() -> None:
    launch = Launch([Build()])

    async def main() -> Deployment:
        loop = asyncio.get_running_loop()
        loop.call_at(10, launch.fail, "getDeployment")
        loop.call_at(50, launch.recover)
        return await launch.client().wait(launch.ref(0))

    assert run(main()).status == "LIVE"


def test_polls_that_fail_for_a_minute_end_a_wait() -> None:
    launch = Launch([Build(ends=9999)])

    async def main() -> float:
        asyncio.get_running_loop().call_at(10, launch.fail, "getDeployment")
        with pytest.raises(ServerError) as caught:
            await launch.client().wait(launch.ref(0))
        assert "was last DEPLOYING" in caught.value.__notes__[0]
        return now()

    assert 70 <= run(main()) < 100


@pytest.mark.parametrize(("status", "kind"), [(401, UnauthorizedError), (403, ForbiddenError), (404, NotFoundError)])
def test_a_permanent_failure_ends_a_wait_immediately(status: int, kind: type[APIError]) -> None:
    launch = Launch([Build()])
    launch.fail("getDeployment", "listDeployments", status=status)

    async def main() -> float:
        with pytest.raises(kind) as caught:
            await launch.client().wait(launch.ref(0))
        assert caught.value.__notes__ == [f"If deployment {launch.uids[0]} exists, it continues at the service"]
        return now()

    assert run(main()) < 1


def test_a_deadline_names_the_last_known_state() -> None:
    launch = Launch([Build(ends=9999)])

    async def main() -> float:
        with pytest.raises(WaitTimeout, match=r"did not end within 30 s: .* \(DEPLOYING\)") as caught:
            await launch.client().wait(launch.ref(0), timeout=30)
        assert caught.value.last is not None
        assert caught.value.last.status == "DEPLOYING"
        return now()

    assert run(main()) == pytest.approx(30)


def test_two_waits_for_one_deployment_share_their_polls() -> None:
    def requests(waits: int) -> int:
        launch = Launch([Build()])

        async def main() -> None:
            client = launch.client()
            await asyncio.gather(*(client.wait(launch.ref(0)) for _ in range(waits)))

        run(main())
        return len(launch.seen)

    assert requests(5) == requests(1)


def test_one_listing_covers_all_deployments_of_an_environment() -> None:
    launch = Launch([Build(outcome="SKIPPED"), Build(), Build(begins=60, ends=120)])

    async def main() -> list[Deployment]:
        return await launch.client().wait_all([launch.ref(index) for index in range(3)], return_failures=True)

    assert [deployment.status for deployment in run(main())] == ["SKIPPED", "LIVE", "LIVE"]
    assert launch.asked["listDeployments"] > launch.asked["getDeployment"]


def test_a_deployment_that_no_listing_shows_is_polled_separately() -> None:
    launch = Launch([Build(), *[Build(ends=1) for _ in range(150)]])

    async def main() -> list[Deployment]:
        return await launch.client().wait_all([launch.ref(0), launch.ref(150)])

    assert len(run(main())) == 2
    assert launch.asked["listDeployments"] <= 2


def test_the_times_of_earlier_builds_save_polls_and_find_the_end_sooner() -> None:
    def cost(earlier: list[Build]) -> tuple[int, float]:
        launch = Launch([*earlier, Build(created=0, ends=300)])

        async def main() -> float:
            await launch.client().wait(launch.ref(len(earlier)))
            return now()

        late = run(main()) - 300
        return len(launch.seen), late

    blind, knowing = cost([]), cost([Build(created=-900, begins=-900, ends=-600)])

    assert knowing[0] < blind[0]
    assert knowing[1] <= 11


@pytest.mark.parametrize(("count", "at_once"), [(1, 1), (40, 4)])
def test_few_of_many_new_deployments_are_polled_at_the_same_time(count: int, at_once: int) -> None:
    launch = Launch([Build(ends=60, environment=number) for number in range(count)])

    async def main() -> list[Deployment]:
        client = launch.client(LocalRateLimiter(RateLimit(10, per=1.0)))
        return await client.wait_all([launch.deployment(number) for number in range(count)])

    assert all(one.status == "LIVE" for one in run(main()))
    assert sum(at < 1 for at, _, _ in launch.seen) == at_once


def test_a_wait_for_fewer_deployments_finds_an_end_sooner() -> None:
    launch = Launch([Build(ends=21 if number == 80 else 9999, environment=number) for number in range(81)])

    async def main() -> float:
        watching = launch.client(LocalRateLimiter(RateLimit(10, per=1.0)))._watching
        waits = [asyncio.create_task(watching.wait(launch.ref(index), urgent=True)) for index in range(81)]
        await asyncio.sleep(20)
        for wait in waits[:80]:
            wait.cancel()
        await waits[80]
        return now()

    assert run(main()) < 24


def test_another_wait_polls_after_the_polling_wait_is_cancelled() -> None:
    launch = Launch([Build()], latency=1.0)

    async def main() -> Deployment:
        client = launch.client()
        first = asyncio.create_task(client.wait(launch.ref(0)))
        await asyncio.sleep(0)
        second = asyncio.create_task(client.wait(launch.ref(0)))
        await asyncio.sleep(0.5)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert run(main()).status == "LIVE"
    assert {operation for _, operation, _ in launch.seen} == {"listDeployments", "getDeployment"}


def test_polling_ends_when_no_wait_is_left() -> None:
    launch = Launch([Build(ends=9999)])

    async def main() -> int:
        client = launch.client()
        with pytest.raises(WaitTimeout):
            await client.wait(launch.ref(0), timeout=30)
        asked = len(launch.seen)
        await asyncio.sleep(600)
        assert not client._watching._poller._environments
        return asked

    assert run(main()) == len(launch.seen)


def test_wait_all_waits_for_all_deployments_and_then_raises() -> None:
    launch = Launch([Build(ends=10, outcome="FAILED"), Build(ends=90, environment=1)])

    async def main() -> float:
        with pytest.raises(DeploymentsFailed, match="1 of 2 deployments failed") as caught:
            await launch.client().wait_all([launch.ref(0), launch.ref(1)])
        assert [deployment.status for deployment in caught.value.deployments] == ["FAILED", "LIVE"]
        assert caught.value.failures[0].ref == launch.ref(0)
        return now()

    assert run(main()) >= 90


def test_wait_all_returns_a_site_that_was_replaced_before_the_last_poll() -> None:
    launch = Launch([Build(ends=60), Build(ends=61)])

    async def main() -> list[Deployment]:
        await asyncio.sleep(90)
        return await launch.client().wait_all([launch.ref(0), launch.ref(1)])

    assert [deployment.status for deployment in run(main())] == ["ARCHIVED", "LIVE"]


def test_as_completed_gives_a_replaced_site_as_a_success() -> None:
    launch = Launch([Build(ends=60), Build(ends=61)])

    async def main() -> list[bool]:
        await asyncio.sleep(90)
        refs = [launch.ref(0), launch.ref(1)]
        return [deployment.status.is_success async for deployment in launch.client().as_completed(refs)]

    assert run(main()) == [True, True]


def test_a_rollback_in_the_console_does_not_change_the_end_of_a_wait() -> None:
    launch = Launch([Build(ends=60), Build(ends=61)])

    async def main() -> tuple[str, str]:
        await asyncio.sleep(90)
        client = launch.client()
        archived = await client.wait(launch.ref(0))
        launch.emulator.roll_back(launch.uids[0])
        return archived.status, (await client.wait(launch.ref(0))).status

    assert run(main()) == ("ARCHIVED", "LIVE")


def test_wait_all_names_the_deployments_that_are_late() -> None:
    launch = Launch([Build(ends=10), *[Build(ends=9999, environment=index) for index in range(1, 6)]])

    with pytest.raises(WaitTimeout, match=r"5 of 6 deployments did not end within 60 s: .* and 2 more"):
        run(launch.client().wait_all([launch.ref(index) for index in range(6)], timeout=60))


def test_the_error_of_one_deployment_is_raised_when_the_others_have_ended() -> None:
    launch = Launch([Build(), Build(environment=1)])
    missing = launch.missing()

    async def main() -> float:
        seen = []
        with pytest.raises(NotFoundError):  # noqa: PT012 - what came before the error counts
            async for deployment in launch.client().as_completed([missing, launch.ref(0), launch.ref(1)]):
                seen.append(deployment.status)  # noqa: PERF401
        assert seen == ["LIVE", "LIVE"]
        return now()

    assert run(main()) >= 60


def test_as_completed_gives_all_deployments_in_the_order_of_their_ends() -> None:
    launch = Launch([
        Build(ends=90), Build(ends=30, outcome="FAILED", environment=1), Build(ends=60, environment=2)
    ])  # fmt: skip

    async def main() -> list[int]:
        refs = [launch.ref(index) for index in (0, 1, 2, 1)]
        return [launch.index(deployment.uid) async for deployment in launch.client().as_completed(refs)]

    assert run(main()) == [1, 2, 0]


def test_leaving_as_completed_early_stops_all_requests() -> None:
    launch = Launch([Build(ends=10), Build(ends=9999, environment=1)])

    async def main() -> int:
        ends = launch.client().as_completed([launch.ref(0), launch.ref(1)])
        async for _ in ends:
            break
        await ends.aclose()  # type: ignore[attr-defined]
        return len(asyncio.all_tasks())

    assert run(main()) == 1


def test_poll_once_sends_one_request() -> None:
    launch = Launch([Build(ends=0)])

    assert run(launch.client().poll_once(launch.ref(0))).status == "LIVE"
    assert len(launch.seen) == 1


@pytest.mark.parametrize("ref", ["", "[]", '{"project_uid":"x"}', "not json"])
def test_a_text_that_names_no_deployment_is_refused(ref: str) -> None:
    launch = Launch()

    with pytest.raises(InvalidArgumentError, match=r"^ref: must be the JSON from DeploymentRef\.to_json\(\)"):
        run(launch.client().wait(ref))
    assert not launch.seen


CALLS_BY_REFERENCE: dict[str, Callable[[LaunchClient, str], Any]] = {
    "wait": lambda client, ref: client.wait(ref),
    "wait_all": lambda client, ref: client.wait_all([ref]),
    "as_completed": lambda client, ref: anext(aiter(client.as_completed([ref]))),
    "poll_once": lambda client, ref: client.poll_once(ref),
    "follow_logs": lambda client, ref: anext(aiter(client.follow_logs(ref))),
    "follow_all": lambda client, ref: anext(aiter(client.follow_all([ref]))),
    "tail_server_logs": lambda client, ref: anext(aiter(client.tail_server_logs(ref))),
}


@pytest.mark.parametrize("call", CALLS_BY_REFERENCE)
def test_a_bare_uid_is_refused_with_the_form_of_a_reference(call: str) -> None:
    launch = Launch()

    with pytest.raises(
        InvalidArgumentError, match=r"pass DeploymentRef\(project_uid, environment_uid, deployment_uid\)"
    ):
        run(CALLS_BY_REFERENCE[call](launch.client(), "66c0ffee66c0ffee66c0ffee"))
    assert not launch.seen


@pytest.mark.parametrize(
    "refs", ["c" * 24, DeploymentRef("a" * 24, "b" * 24, "c" * 24), None], ids=["uid", "ref", "None"]
)
def test_one_reference_instead_of_a_list_is_refused(refs: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^refs: must be a list of deployments or references, not one "):
        run(Launch().client().wait_all(refs))


@pytest.mark.parametrize("ref", [None, 5, b"{}", {"project_uid": "x"}], ids=repr)
def test_an_object_that_is_no_reference_is_refused(ref: Any) -> None:
    launch = Launch()

    with pytest.raises(InvalidArgumentError, match=r"^ref: must be a Deployment, a DeploymentRef or its JSON"):
        run(launch.client().wait(ref))
    assert not launch.seen


@pytest.mark.parametrize("timeout", [None, float("nan"), "60"], ids=repr)
def test_a_wait_without_an_end_is_refused(timeout: Any) -> None:
    launch = Launch([Build(ends=9999)])

    with pytest.raises(InvalidArgumentError, match=r"^timeout: must be a number of seconds"):
        run(launch.client().wait(launch.ref(0), timeout=timeout))
    with pytest.raises(InvalidArgumentError, match=r"^timeout: must be a number of seconds"):
        run(launch.client().wait_all([launch.ref(0)], timeout=timeout))
    assert not launch.seen


def test_waits_share_the_budget_and_none_starves() -> None:
    launch = Launch([Build(ends=120 + index, environment=index) for index in range(100)])

    async def main() -> float:
        client = launch.client(LocalRateLimiter(RateLimit(10)))
        await client.wait_all([launch.ref(index) for index in range(100)])
        return now()

    assert run(main()) < 300
    longest = max(_gaps(launch))
    assert longest < 45


def _gaps(launch: Launch) -> list[float]:
    """Return the seconds between polls of the same environment."""
    last: dict[str, float] = {}
    gaps = []
    for at, operation, uid in launch.seen:
        if operation == "getDeployment":
            gaps.append(at - last.get(uid, at))
            last[uid] = at
    return gaps

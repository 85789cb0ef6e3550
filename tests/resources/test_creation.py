"""Objects are created once although their answer is lost, and a used quota is distinguished from a rate limit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from launch_async import (
    AmbiguousOutcome,
    BadRequestError,
    ConflictError,
    DecodeError,
    ForbiddenError,
    LaunchClient,
    LaunchError,
    NotFoundError,
    QuotaExceededError,
    RateLimitError,
    RedirectRefused,
    ResponseLost,
    RetryPolicy,
)
from launch_async.emulator import LaunchEmulator
from launch_async.emulator.control.faults import FaultKind
from tests.support.clients import client_of
from tests.support.core import (
    ENVIRONMENT,
    GIT,
    ORGANIZATION,
    PROJECT,
    UPLOAD,
    FakeTransport,
    answer,
    client_on,
    virtual_time,
)

LOST_AFTER_ACTING: tuple[FaultKind, ...] = ("reset_after", "status_after", "truncate", "empty")
LOST_BEFORE_ACTING: tuple[FaultKind, ...] = ("reset_before", "status_before", "html")
QUICK = RetryPolicy(look_up_delays=(0.001, 0.001), settle_after=0.05)
OLD = "2020-01-01T00:00:00.000Z"
NOON = "2026-05-04T12:00:00.000Z"
DATED = {"Date": "Mon, 04 May 2026 12:00:00 GMT"}


@pytest.fixture
async def emulator() -> AsyncIterator[LaunchEmulator]:
    async with LaunchEmulator(rate_limit=None, build_seconds=60.0) as started:
        yield started


@pytest.fixture
async def launch(emulator: LaunchEmulator) -> AsyncIterator[LaunchClient]:
    async with client_of(emulator, retry=QUICK) as opened:
        yield opened


def made(emulator: LaunchEmulator, noun: str) -> list[str]:
    return [creation.uid for creation in emulator.ledger.created if creation.noun == noun]


@pytest.mark.parametrize("kind", [*LOST_AFTER_ACTING, *LOST_BEFORE_ACTING])
async def test_a_project_is_created_once_although_its_answer_is_lost(
    emulator: LaunchEmulator, launch: LaunchClient, kind: FaultKind
) -> None:
    emulator.faults.add(kind, operation="createProject", times=1)

    project = await launch.projects.create_from_git("storefront", **GIT)

    assert made(emulator, "project") == [project.uid]


@pytest.mark.parametrize("kind", [*LOST_AFTER_ACTING, *LOST_BEFORE_ACTING])
async def test_an_environment_is_created_once_although_its_answer_is_lost(
    emulator: LaunchEmulator, launch: LaunchClient, kind: FaultKind
) -> None:
    project = emulator.add_project("storefront", git=True)
    emulator.faults.add(kind, operation="createEnvironment", times=1)

    environment = await launch.environments.create_from_git(project.uid, "staging", git_branch="develop")

    assert made(emulator, "environment") == [environment.uid]
    assert environment.project_uid == project.uid


@pytest.mark.parametrize("commit", [None, "89abcdef0123456789abcdef0123456789abcdef"])
@pytest.mark.parametrize("kind", [*LOST_AFTER_ACTING, *LOST_BEFORE_ACTING])
async def test_a_deployment_is_created_once_although_its_answer_is_lost(
    emulator: LaunchEmulator, launch: LaunchClient, kind: FaultKind, commit: str | None
) -> None:
    project = emulator.add_project("storefront", git=True)
    (environment,) = project.environments
    before = await launch.deployments.create(project.uid, environment)
    emulator.faults.add(kind, operation="createDeployment", times=1)

    deployment = await launch.deployments.create(project.uid, environment, commit_hash=commit)

    assert made(emulator, "deployment") == [before.uid, deployment.uid]
    assert deployment.ref.environment_uid == environment


@virtual_time
async def test_a_name_that_was_already_taken_is_a_conflict_after_a_lost_answer() -> None:
    posts = [ResponseLost("lost"), answer(409)]

    async def step(request: Any) -> Any:
        if request.method == "GET":
            return answer(200, {"projects": [{"uid": PROJECT, "name": "landing", "createdAt": OLD}]}, DATED)
        outcome = posts.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async with client_on(FakeTransport(step), timeout=500.0) as launch:
        with pytest.raises(ConflictError) as caught:
            await launch.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert posts == []
    assert not caught.value.ambiguous


@virtual_time
async def test_a_taken_name_that_no_listing_shows_may_belong_to_the_lost_request() -> None:
    nothing = answer(200, {"projects": []})
    looks = [nothing] * len(RetryPolicy().look_times())
    transport = FakeTransport(ResponseLost("lost"), *looks, answer(409), *looks)

    async with client_on(transport, timeout=500.0) as launch:
        with pytest.raises(ConflictError) as caught:
            await launch.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert caught.value.ambiguous


@virtual_time
async def test_a_creation_by_another_service_does_not_count() -> None:
    created = {"uid": "66c0ffee0000000000000aaa", "name": "landing"}
    elsewhere = FakeTransport(answer(201, {"project": created}))
    here = FakeTransport(ResponseLost("lost"), answer(200, {"projects": [created | {"createdAt": NOON}]}, DATED))

    async with client_on(elsewhere, region="eu") as first, client_on(here, region="na") as second:
        await first.projects.create_from_upload("landing", upload_uid=UPLOAD)
        found = await second.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert found.uid == created["uid"]


@pytest.mark.parametrize(("status", "error"), [(301, RedirectRefused), (308, RedirectRefused), (303, AmbiguousOutcome)])
async def test_only_a_303_redirect_of_a_creation_is_ambiguous(status: int, error: type[LaunchError]) -> None:
    refused = [RedirectRefused("elsewhere", status=status) for _ in range(2)]

    async with client_on(FakeTransport(*refused), retry=QUICK) as launch:
        with pytest.raises(error) as caught:
            await launch.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert caught.value.ambiguous == (status == 303)


async def test_the_outcome_of_a_refused_creation_is_not_checked(emulator: LaunchEmulator, launch: LaunchClient) -> None:
    emulator.faults.add("status_before", operation="createProject", status=400)

    with pytest.raises(BadRequestError):
        await launch.projects.create_from_git("storefront", **GIT)

    assert emulator.ledger.count() == 1


@virtual_time
async def test_a_creation_that_cannot_be_checked_is_ambiguous() -> None:
    transport = FakeTransport(ResponseLost("lost"), answer(403))
    async with client_on(transport) as launch:
        with pytest.raises(AmbiguousOutcome, match="Before you create it again, check whether it exists") as caught:
            await launch.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert (caught.value.ambiguous, caught.value.operation) == (True, "createProject")
    assert caught.value.candidates == ()


@virtual_time
async def test_several_candidates_are_named_and_none_is_adopted() -> None:
    deployments = [{"uid": "66c0ffee00000000000000e1"}, {"uid": "66c0ffee00000000000000e2"}]
    listing = answer(200, {"deployments": deployments, "pagination": {"count": 2}})
    transport = FakeTransport(ResponseLost("lost"), listing)
    async with client_on(transport) as launch:
        with pytest.raises(
            AmbiguousOutcome, match=r"check 66c0ffee00000000000000e1: .*; 66c0ffee00000000000000e2: "
        ) as caught:
            await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert caught.value.candidates == ("66c0ffee00000000000000e1", "66c0ffee00000000000000e2")


@virtual_time
async def test_an_unreadable_success_that_is_not_found_is_never_repeated() -> None:
    nothing = answer(200, {"projects": [], "pagination": {"count": 0}})
    transport = FakeTransport(answer(201, {"unexpected": 1}), nothing)
    async with client_on(transport) as launch:
        with pytest.raises(AmbiguousOutcome):
            await launch.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert [request.method for request in transport.requests] == ["POST", *["GET"] * len(RetryPolicy().look_times())]


@virtual_time
async def test_an_answer_that_is_lost_many_times_is_ambiguous() -> None:
    async def step(request: Any) -> Any:
        if request.method == "POST":
            raise ResponseLost("lost")
        return answer(200, {"projects": [{"uid": PROJECT, "name": "landing", "createdAt": OLD}]}, DATED)

    transport = FakeTransport(step)
    async with client_on(transport, timeout=500.0) as launch:
        with pytest.raises(AmbiguousOutcome):
            await launch.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert [request.method for request in transport.requests].count("POST") == 3


@virtual_time
async def test_an_outcome_is_not_checked_without_time_left() -> None:
    transport = FakeTransport(ResponseLost("lost"))
    async with client_on(transport, timeout=0.4) as launch:
        with pytest.raises(AmbiguousOutcome):
            await launch.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert len(transport.requests) == 1


# The quota of revalidations


async def test_a_used_quota_is_distinguished_from_a_rate_limit() -> None:
    async with (
        LaunchEmulator(rate_limit=None, revalidation_quota=1) as emulator,
        client_of(emulator) as launch,
    ):
        project = emulator.add_project("landing")
        (environment,) = project.environments
        await launch.environments.revalidate_cache(project.uid, environment, path="/")

        with pytest.raises(QuotaExceededError, match="The daily quota of 1 cache revalidation is used up") as caught:
            await launch.environments.revalidate_cache(project.uid, environment, path="/")

    assert emulator.ledger.count("revalidateCdnCache") == 2
    assert (caught.value.status, caught.value.retryable) == (429, False)


QUOTA_USED = answer(200, {"currentCacheRevalidations": 5, "maxCacheRevalidations": 5})
QUOTA_LEFT = answer(200, {"currentCacheRevalidations": 4, "maxCacheRevalidations": 5})
FORBIDDEN = answer(403, {"errors": [{"code": "launch.FORBIDDEN_RESOURCE", "message": "No."}]})


@pytest.mark.parametrize(
    ("refusal", "usage", "kind"),
    [
        (FORBIDDEN, QUOTA_USED, QuotaExceededError),
        (FORBIDDEN, QUOTA_LEFT, ForbiddenError),
        (FORBIDDEN, answer(404), ForbiddenError),
        (answer(404), QUOTA_USED, NotFoundError),
        (answer(403), QUOTA_USED, ForbiddenError),
    ],
    ids=["used", "not used", "unknown", "another status", "no code"],
)
@virtual_time
async def test_the_usage_decides_the_error_of_a_refused_purge(refusal: Any, usage: Any, kind: type[Exception]) -> None:
    async with client_on(FakeTransport(refusal, usage)) as launch:
        with pytest.raises(kind) as caught:
            await launch.environments.revalidate_cache(PROJECT, ENVIRONMENT, path="/")

    assert type(caught.value) is kind


@virtual_time
async def test_the_usage_is_requested_only_once() -> None:
    too_fast = answer(429, {"errors": [{"code": "launch.TOO_MANY_REQUESTS", "message": "Slower."}]})
    transport = FakeTransport(too_fast, QUOTA_LEFT, too_fast)
    async with client_on(transport, retry=RetryPolicy(refusals=3)) as launch:
        with pytest.raises(RateLimitError):
            await launch.environments.revalidate_cache(PROJECT, ENVIRONMENT, path="/")

    assert [request.method for request in transport.requests] == ["POST", "GET", "POST", "POST"]
    assert transport.requests[0].headers["organization_uid"] == ORGANIZATION


# Odd listings


@pytest.mark.parametrize("pagination", [{"count": "many"}, {"count": -1}, "none", [], None, {"count": None}], ids=repr)
async def test_a_listing_is_read_with_any_pagination(pagination: object) -> None:
    document = {"projects": [{"uid": PROJECT}], "pagination": pagination}
    async with client_on(FakeTransport(answer(200, document))) as launch:
        assert [project.uid async for project in launch.projects.list()] == [PROJECT]


async def test_a_listing_that_is_no_list_is_a_decode_error() -> None:
    async with client_on(FakeTransport(answer(200, {"projects": {}}))) as launch:
        with pytest.raises(DecodeError, match=r"\$\.projects: expected a list"):
            await launch.projects.list().page()


# Deployments that a test has added to the emulator


@pytest.mark.parametrize("kind", ["reset_after", "reset_before", "status_after"])
async def test_the_previous_zip_of_a_preloaded_deployment_is_deployed_once(kind: FaultKind) -> None:
    async with LaunchEmulator(rate_limit=None, build_seconds=60.0) as emulator:
        project = emulator.add_project("landing", deployments=1)
        (environment,) = project.environments
        emulator.ledger.clear()
        async with client_of(emulator, retry=QUICK) as launch:
            await launch.deployments.list(project.uid, environment).to_list()
            emulator.faults.add(kind, operation="createDeployment", times=1)
            deployment = await launch.deployments.create(project.uid, environment)

        assert made(emulator, "deployment") == [deployment.uid]

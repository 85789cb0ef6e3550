"""A creation whose answer is lost is done once, and adopts no object of other programs, also with two clocks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launch_async import (
    AmbiguousOutcome,
    Archive,
    ClosedError,
    Commit,
    ConfigurationError,
    ConflictError,
    LatestCommit,
    LaunchError,
    PreviousUpload,
    ResponseLost,
    RetryPolicy,
    build_archive,
)
from launch_async.http import Request, Response, Send
from launch_async.resources._create.reconciling import CreationOptions
from launch_async.resources.deployments import deployment_creation
from tests.support.core import ENVIRONMENT, PROJECT, UPLOAD, FakeTransport, answer, client_on, virtual_time
from tests.support.unreliable_service import NEWEST, LostResponse, Refused, UnreliableService

COMMIT, OTHER_COMMIT = "b" * 40, "d" * 40
ANOTHER_ENVIRONMENT, ANOTHER_PROJECT = "66c0ffee00000000000000b2", "66c0ffee00000000000000a2"
NEVER = LostResponse(acts_after=None)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    (tmp_path / "index.html").write_text("ours")
    return build_archive(tmp_path)


# Objects of this call and of colleagues


@pytest.mark.parametrize("zip_after_end", [False, True])
@pytest.mark.parametrize("theirs_at", [0.2, 3.0, 20.0, 45.0])
@virtual_time
async def test_the_deployment_of_a_colleagues_files_is_not_adopted(
    archive: Archive, zip_after_end: bool, theirs_at: float
) -> None:
    service = UnreliableService([NEVER], kind="upload", zip_after_end=zip_after_end)
    async with service.client() as launch:
        service.later(theirs_at, lambda: service.begin(content=b"theirs"))
        deployment = await launch.deploy(PROJECT, ENVIRONMENT, archive)

    assert [deployment.uid] == service.ours
    assert len(service.posts()) == 2


@pytest.mark.parametrize("zip_after_end", [False, True])
@virtual_time
async def test_our_files_are_found_among_the_files_of_colleagues(archive: Archive, zip_after_end: bool) -> None:
    service = UnreliableService([LostResponse(acts_after=5.0, status=504)], kind="upload", zip_after_end=zip_after_end)
    async with service.client() as launch:
        for at in (1.0, 4.0, 7.0):
            service.later(at, lambda: service.begin(content=b"theirs"))
        deployment = await launch.deploy(PROJECT, ENVIRONMENT, archive)

    assert [deployment.uid] == service.ours
    assert len(service.posts()) == 1


@virtual_time
async def test_no_request_is_repeated_during_a_deployment_that_may_be_ours(archive: Archive) -> None:
    service = UnreliableService([NEVER], kind="upload", zip_after_end=True, seconds=600.0)
    async with service.client() as launch:
        service.later(1.0, lambda: service.begin(content=b"theirs"))
        deployment = await launch.deploy(PROJECT, ENVIRONMENT, archive)

    assert [deployment.uid] == service.ours
    assert service.posts()[1] > 600


@virtual_time
async def test_an_unavailable_zip_is_no_proof(archive: Archive) -> None:
    service = UnreliableService([NEVER], kind="upload")
    async with service.client() as launch:
        service.later(1.0, lambda: service.begin(commit=COMMIT))
        service.shows_commits = False
        with pytest.raises(AmbiguousOutcome, match="its ZIP is not available") as caught:
            await launch.deploy(PROJECT, ENVIRONMENT, archive)

    assert caught.value.candidates == (service.made[0].uid,)
    assert len(service.posts()) == 1


@virtual_time
async def test_create_says_that_only_deploy_can_compare_an_upload() -> None:
    service = UnreliableService([LostResponse()], kind="upload", uploads={UPLOAD: b"ours"})
    async with service.client() as launch:
        with pytest.raises(
            AmbiguousOutcome, match=r"create\(\) cannot compare it with the uploaded ZIP, but deploy\(\) can"
        ):
            await launch.deployments.create(PROJECT, ENVIRONMENT, upload_uid=UPLOAD)

    assert len(service.posts()) == 1


@virtual_time
async def test_create_says_that_a_zip_may_be_available_later() -> None:
    service = UnreliableService([LostResponse()], kind="upload", zip_after_end=True, seconds=600.0)
    service.begin(content=b"before", at=-900.0)
    async with service.client() as launch:
        with pytest.raises(AmbiguousOutcome, match=r"not available before it ends. deploy\(\) waits for the end"):
            await launch.deployments.create(PROJECT, ENVIRONMENT)


@virtual_time
async def test_an_unknown_outcome_describes_each_candidate() -> None:
    service = UnreliableService([NEVER], shows_commits=False)
    async with service.client() as launch:
        service.later(1.0, service.begin)
        with pytest.raises(AmbiguousOutcome) as caught:
            await launch.deployments.create(PROJECT, ENVIRONMENT, commit_hash=COMMIT)

    uid = service.made[0].uid
    told = f"check {uid} (number 1, created 2026-05-04T12:00:01+00:00): the service does not report its commit"
    assert told in caught.value.message


@virtual_time
async def test_the_commit_of_a_colleague_is_not_adopted() -> None:
    service = UnreliableService([NEVER])
    async with service.client() as launch:
        service.later(1.0, lambda: service.begin(commit=OTHER_COMMIT))
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT, commit_hash=COMMIT)

    assert [deployment.uid] == service.ours


@pytest.mark.parametrize("outcome", [LostResponse(), LostResponse(acts_after=8.0, status=504)])
@virtual_time
async def test_a_redeployed_zip_is_recognized_by_its_content(outcome: LostResponse) -> None:
    service = UnreliableService([outcome], kind="upload")
    service.begin(content=b"before", at=-900.0)
    async with service.client() as launch:
        service.later(0.5, lambda: service.begin(content=b"theirs"))
        deployment = await launch.deploy(PROJECT, ENVIRONMENT, PreviousUpload())

    assert [deployment.uid] == service.ours
    assert len(service.posts()) == 1


@virtual_time
async def test_other_files_of_a_colleague_are_not_mistaken_for_the_previous_zip() -> None:
    service = UnreliableService([NEVER], kind="upload")
    service.begin(content=b"before", at=-900.0)
    async with service.client() as launch:
        service.later(0.5, lambda: service.begin(content=b"theirs"))
        deployment = await launch.deploy(PROJECT, ENVIRONMENT, PreviousUpload())

    assert [deployment.uid] == service.ours
    assert len(service.posts()) == 2


@pytest.mark.parametrize(
    ("kind", "source"),
    [("git", LatestCommit()), ("git", Commit(NEWEST)), ("upload", PreviousUpload()), ("upload", None)],
)
@pytest.mark.parametrize("created_ahead", [-120.0, 0.0, 120.0])
@virtual_time
async def test_deploy_does_not_adopt_a_recent_deployment_of_the_same_source(
    archive: Archive, kind: str, source: LatestCommit | Commit | PreviousUpload | None, created_ahead: float
) -> None:
    service = UnreliableService([NEVER], kind=kind, created_ahead=created_ahead)
    content = archive.path.read_bytes() if kind == "upload" else None
    service.begin(content=content, at=-900.0)
    service.begin(content=content, at=-60.0)
    async with service.client() as launch:
        deployment = await launch.deploy(PROJECT, ENVIRONMENT, source or archive)

    assert [deployment.uid] == service.ours
    assert len(service.posts()) == 2


@virtual_time
async def test_a_deployment_from_seconds_before_counts_as_the_previous_one() -> None:
    # A new environment has a deployment that the client has not read.
    service = UnreliableService()
    service.begin(commit=NEWEST, at=-2.0)
    async with service.client() as launch:
        await launch.deployments.create(PROJECT, ANOTHER_ENVIRONMENT)
        service.outcomes = [LostResponse()]
        creation = deployment_creation(
            launch.deployments,
            PROJECT,
            ENVIRONMENT,
            commit_hash=None,
            upload_uid=None,
            options=CreationOptions(timeout=100.0, is_thorough=True),
        )
        deployment = await creation.once()

    assert [deployment.uid] == [one.uid for one in service.made if one.by_us and one.environment == ENVIRONMENT]
    assert len(service.posts()) == 2


@pytest.mark.parametrize("waits", [True, False])
@virtual_time
async def test_a_deploy_that_waits_lists_the_deployments_once_before_the_creation(
    archive: Archive, waits: bool
) -> None:
    service = UnreliableService(kind="upload")
    async with service.client() as launch:
        await launch.deploy(PROJECT, ENVIRONMENT, archive, wait=waits)

    requests = [request.operation for _, request in service.sent]
    assert requests.index("createDeployment") > requests.index("getDeploymentUploadUrl")
    assert [one for one in requests if one in ("listDeployments", "createDeployment")] == (
        ["listDeployments", "createDeployment"] if waits else ["createDeployment"]
    )


@virtual_time
async def test_a_commit_that_a_colleague_chose_is_not_adopted_as_the_newest() -> None:
    service = UnreliableService([NEVER])
    service.begin(commit=NEWEST, at=-900.0)
    async with service.client() as launch:
        service.later(1.0, lambda: service.begin(commit=OTHER_COMMIT))
        with pytest.raises(AmbiguousOutcome, match="another program may have chosen it"):
            await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert len(service.posts()) == 1


@virtual_time
async def test_the_newest_commit_is_found_next_to_one_that_a_colleague_chose() -> None:
    service = UnreliableService([LostResponse(acts_after=8.0, status=504)])
    service.begin(commit=NEWEST, at=-900.0)
    async with service.client() as launch:
        service.later(1.0, lambda: service.begin(commit=OTHER_COMMIT))
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert [deployment.uid] == service.ours


@pytest.mark.parametrize(
    "outcomes", [[LostResponse(), LostResponse()], [NEVER, LostResponse()], [LostResponse(), NEVER]]
)
@virtual_time
async def test_simultaneous_calls_for_a_commit_and_the_newest_commit_are_distinguished(outcomes: list[Any]) -> None:
    service = UnreliableService(outcomes, shows_commits=False)
    async with service.client() as launch:
        found = await asyncio.gather(
            launch.deployments.create(PROJECT, ENVIRONMENT, commit_hash=COMMIT),
            launch.deployments.create(PROJECT, ENVIRONMENT),
            return_exceptions=True,
        )

    assert [type(one) for one in found] == [AmbiguousOutcome, AmbiguousOutcome]
    assert len(service.posts()) == 2


# Nothing is created twice


@pytest.mark.parametrize("commit", [None, COMMIT])
@pytest.mark.parametrize("listed_after", [0.0, 20.0])
@pytest.mark.parametrize("acts_after", [0.0, 3.0, 8.0, 25.0])
@virtual_time
async def test_a_request_that_acts_late_and_is_listed_late_is_done_once(
    acts_after: float, listed_after: float, commit: str | None
) -> None:
    service = UnreliableService([LostResponse(acts_after, status=504)], listed_after=listed_after)
    async with service.client() as launch:
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT, commit_hash=commit)
        await asyncio.sleep(100)

    assert [deployment.uid] == service.ours


@virtual_time
async def test_a_creation_is_repeated_when_the_first_can_no_longer_take_effect() -> None:
    service = UnreliableService([NEVER])
    async with service.client() as launch:
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert [deployment.uid] == service.ours
    first, second = service.posts()
    assert 50 <= second - first < 51


@virtual_time
async def test_the_settling_time_counts_from_the_last_send() -> None:
    outcomes: list[Any] = [Refused(429, {"Retry-After": "20"}), LostResponse(acts_after=25.0)]
    service = UnreliableService(outcomes, listed_after=20.0)
    async with service.client(timeout=300.0) as launch:
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)
        await asyncio.sleep(100)

    assert [deployment.uid] == service.ours
    assert len(service.posts()) == 2


@pytest.mark.parametrize("acts_after", [None, 0.0, 8.0])
@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 520, 522, 524])
@virtual_time
async def test_any_5xx_may_have_acted(status: int, acts_after: float | None) -> None:
    service = UnreliableService([LostResponse(acts_after, status)])
    async with service.client() as launch:
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert [deployment.uid] == service.ours


@pytest.mark.parametrize("created_ahead", [-120.0, -1.0, -0.1, 0.1, 1.0, 120.0])
@pytest.mark.parametrize("acts_after", [0.0, 8.0, None])
@virtual_time
async def test_a_difference_between_two_clocks_of_the_service_duplicates_nothing(
    created_ahead: float, acts_after: float | None
) -> None:
    service = UnreliableService([LostResponse(acts_after)], created_ahead=created_ahead)
    async with service.client() as launch:
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert [deployment.uid] == service.ours


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
@virtual_time
async def test_a_clock_that_is_set_during_a_call_duplicates_nothing(
    monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    service = UnreliableService([LostResponse()])
    service.begin(at=-1800.0)
    async with service.client() as launch:
        await launch.environments.get(PROJECT, ENVIRONMENT)
        really = time.time
        service.later(0.1, lambda: monkeypatch.setattr(time, "time", lambda: really() + jump))
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert [deployment.uid] == service.ours


@pytest.mark.parametrize("created_ahead", [-90.0, 0.0, 90.0])
@pytest.mark.parametrize("acts_after", [0.0, None])
@virtual_time
async def test_without_a_date_header_the_time_is_no_proof(created_ahead: float, acts_after: float | None) -> None:
    service = UnreliableService([LostResponse(acts_after)], date_ahead=None, created_ahead=created_ahead)
    service.begin(at=-1800.0)
    async with service.client() as launch:
        with pytest.raises(AmbiguousOutcome, match="it may have existed before the request") as caught:
            await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert set(caught.value.candidates) == {one.uid for one in service.made}
    assert len(service.posts()) == 1


@pytest.mark.parametrize("acts_after", [0.0, 20.0, None])
@virtual_time
async def test_without_a_date_header_a_new_number_is_a_new_deployment(acts_after: float | None) -> None:
    service = UnreliableService([LostResponse(acts_after)], date_ahead=None)
    service.begin(at=-1800.0)
    async with service.client() as launch:
        await launch.deployments.list(PROJECT, ENVIRONMENT).to_list()
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert [deployment.uid] == service.ours


@virtual_time
async def test_a_check_that_fails_is_repeated() -> None:
    service = UnreliableService([LostResponse()])
    failures = iter([503] * 12)

    async def failing(request: Request, send: Send) -> Response:
        if request.operation == "listDeployments" and (status := next(failures, None)):
            return answer(status)
        return await send(request)

    async with service.client(middleware=[failing]) as launch:
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert [deployment.uid] == service.ours


# Names


@pytest.mark.parametrize("created_ahead", [-60.0, -0.1, 0.0, 0.1, 60.0])
@pytest.mark.parametrize("acts_after", [0.0, 20.0])
@virtual_time
async def test_a_project_is_recognized_by_its_name(created_ahead: float, acts_after: float) -> None:
    service = UnreliableService([LostResponse(acts_after)], created_ahead=created_ahead, listed_after=15.0)
    async with service.client() as launch:
        project = await launch.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert [project.uid] == [one["uid"] for one in service.named]


@virtual_time
async def test_one_name_in_two_projects_makes_two_environments() -> None:
    service = UnreliableService([LostResponse(), LostResponse()])
    async with service.client() as launch:
        first, second = await asyncio.gather(
            *(
                launch.environments.create_from_git(project, "production", git_branch="main")
                for project in (PROJECT, ANOTHER_PROJECT)
            )
        )

    assert [first.uid, second.uid] == [one["uid"] for one in service.named]


@virtual_time
async def test_a_name_that_our_lost_request_has_taken_is_ours() -> None:
    # The first request takes effect when the second request is already on its way.
    service = UnreliableService([LostResponse(acts_after=49.99), LostResponse(), LostResponse()], listed_after=1.0)
    async with service.client(timeout=300.0) as launch:
        project = await launch.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert [project.uid] == [one["uid"] for one in service.named]


@virtual_time
async def test_a_conflict_after_a_lost_answer_is_ambiguous() -> None:
    service = UnreliableService([NEVER, Refused(409)])
    async with service.client(timeout=300.0) as launch:
        with pytest.raises(ConflictError) as caught:
            await launch.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert caught.value.ambiguous


# Requests that were never sent


async def _raising(_: Request, __: Send) -> Response:
    raise LaunchError("the middleware says no")


async def _broken(_: Request, __: Send) -> Response:
    raise KeyError("token")


@pytest.mark.parametrize(("layer", "kind"), [(_raising, LaunchError), (_broken, KeyError)])
@virtual_time
async def test_a_middleware_that_raises_before_the_send_has_sent_nothing(
    layer: Callable[[Request, Send], Any], kind: type[Exception]
) -> None:
    service = UnreliableService()
    async with service.client(middleware=[layer]) as launch:
        with pytest.raises(kind) as caught:
            await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert type(caught.value) is kind
    assert not getattr(caught.value, "ambiguous", False)
    assert service.sent == []
    assert asyncio.get_running_loop().time() == 0


@virtual_time
async def test_a_middleware_that_raises_after_the_send_has_lost_the_answer() -> None:
    async def late(request: Request, send: Send) -> Response:
        response = await send(request)
        if request.method == "POST":
            raise LaunchError("the middleware does not like the answer")
        return response

    service = UnreliableService()
    async with service.client(middleware=[late]) as launch:
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert [deployment.uid] == service.ours


async def test_a_closed_client_has_sent_nothing() -> None:
    launch = client_on(FakeTransport(answer(200)))
    derived = launch.with_options(timeout=5.0)
    await derived.close()

    with pytest.raises(ClosedError) as caught:
        await derived.deployments.create(PROJECT, ENVIRONMENT)

    assert not caught.value.ambiguous


async def test_a_proxy_that_cannot_be_used_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:9")
    async with client_on(None) as launch:  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="proxy") as caught:
            await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert not caught.value.ambiguous


def test_a_client_on_a_second_loop_has_sent_nothing() -> None:
    async def lost(launch: Any) -> None:
        with pytest.raises(LaunchError):
            await launch.request("GET", "/anything", timeout=0.1)

    async def create(launch: Any) -> LaunchError:
        with pytest.raises(ConfigurationError, match="another event loop") as caught:
            await launch.deployments.create(PROJECT, ENVIRONMENT)
        return caught.value

    launch = client_on(None, base_url="http://127.0.0.1:9", retry=RetryPolicy(attempts=1))  # type: ignore[arg-type]
    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(lost(launch))
        error = second.run(create(launch))
        first.run(launch.close())

    assert not error.ambiguous


def test_the_time_between_checks_grows_until_the_outcome_has_settled() -> None:
    assert RetryPolicy().look_times() == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 50.0]
    assert RetryPolicy(look_up_delays=(0.0,), settle_after=0.3).look_times()[-1] == 0.5
    assert RetryPolicy(look_up_delays=(100.0,)).look_times() == [100.0]


@virtual_time
async def test_a_creation_that_a_deadline_ends_is_ambiguous() -> None:
    async def silent(_: Request) -> Response:
        await asyncio.sleep(3600)
        raise ResponseLost("never")

    async with client_on(FakeTransport(silent), timeout=5.0) as launch:
        with pytest.raises(AmbiguousOutcome):
            await launch.deployments.create(PROJECT, ENVIRONMENT)


# Unreadable answers, late losses and checks that fail


@virtual_time
async def test_a_truncated_answer_names_the_created_object() -> None:
    service = UnreliableService(shows_commits=False)
    service.begin(at=-60.0)

    async def cut_off(request: Request, send: Send) -> Response:
        response = await send(request)
        if request.method == "POST":
            service.begin()
            return Response(response.status, response.headers, response.body[:60])
        return response

    async with service.client(middleware=[cut_off]) as launch:
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert [deployment.uid] == service.ours


@virtual_time
async def test_the_answer_to_another_request_names_no_object() -> None:
    service = UnreliableService([NEVER])
    service.begin(at=-60.0)
    listing = {"deployments": [{"uid": service.made[0].uid}]}

    async def mixed_up(request: Request, send: Send) -> Response:
        try:
            return await send(request)
        except ResponseLost:
            return answer(201, listing)

    async with service.client(middleware=[mixed_up]) as launch:
        await launch.deployments.list(PROJECT, ENVIRONMENT).to_list()
        with pytest.raises(AmbiguousOutcome):
            await launch.deployments.create(PROJECT, ENVIRONMENT)


@virtual_time
async def test_the_settling_time_counts_from_the_send_and_not_from_the_loss() -> None:
    service = UnreliableService([NEVER])

    async def silent(request: Request, send: Send) -> Response:
        try:
            return await send(request)
        except ResponseLost:
            await asyncio.sleep(29.0)
            raise

    async with service.client(middleware=[silent]) as launch:
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert [deployment.uid] == service.ours
    first, second = service.posts()
    assert 50 <= second - first < 52


@virtual_time
async def test_the_last_check_is_repeated_if_it_fails() -> None:
    service = UnreliableService([NEVER])

    async def failing(request: Request, send: Send) -> Response:
        now = asyncio.get_running_loop().time()
        if request.operation == "listDeployments" and 49 < now < 52:
            return answer(500, {"errors": []})
        return await send(request)

    async with service.client(middleware=[failing]) as launch:
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert [deployment.uid] == service.ours


@virtual_time
async def test_a_download_that_fails_is_repeated() -> None:
    service, failed_at = UnreliableService([LostResponse()], kind="upload"), -9.0
    service.begin(content=b"before", at=-900.0)

    async def failing(request: Request, send: Send) -> Response:
        nonlocal failed_at
        now = asyncio.get_running_loop().time()
        if request.operation == "download" and now > failed_at + 0.1:
            failed_at = now
            raise ResponseLost("the connection broke")
        return await send(request)

    async with service.client(middleware=[failing]) as launch:
        deployment = await launch.deploy(PROJECT, ENVIRONMENT, PreviousUpload(), wait=False)

    assert [deployment.uid] == service.ours


@virtual_time
async def test_new_files_are_not_the_previous_zip_although_the_last_deployment_failed() -> None:
    service = UnreliableService([NEVER], kind="upload")
    service.begin(content=b"good", at=-900.0)
    service.begin(content=b"bad", at=-800.0).fails = True
    async with service.client() as launch:
        await launch.deployments.list(PROJECT, ENVIRONMENT).to_list()
        service.later(3.0, lambda: service.begin(content=b"theirs"))
        deployment = await launch.deploy(PROJECT, ENVIRONMENT, PreviousUpload(), wait=False)

    assert [deployment.uid] == service.ours

"""Custom transports, middleware, the fake transport, and records of responses."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

import launch_sync
from launch_async import (
    AccessToken,
    AttemptTimeout,
    Authtoken,
    ClosedError,
    ConfigurationError,
    ConnectError,
    LaunchClient,
    ResponseLost,
    RetryPolicy,
    introspect,
    login,
    logout,
    request_sms,
)
from launch_async.http import FakeTransport, FileBody, Request, Response, Send, record_responses
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.core import DEPLOYMENT, ENVIRONMENT, ORGANIZATION, PROJECT, TOKEN, answer, client_on, virtual_time
from tests.support.programs import ROOT

PROJECT_DOCUMENT: dict[str, Any] = {
    "project": {"uid": PROJECT, "name": "shop", "projectType": "FILEUPLOAD", "organizationUid": ORGANIZATION}
}
ONCE = RetryPolicy(attempts=1)


@attrs.define
class Plain:
    """An answer with only the three documented attributes."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def plain(status: int = 200, document: object = None, **headers: str) -> Plain:
    return Plain(status, headers, json.dumps(document).encode())


def sync_client(**options: Any) -> launch_sync.LaunchClient:
    return launch_sync.LaunchClient(
        Authtoken(TOKEN), organization_uid=ORGANIZATION, limiter=UnlimitedRateLimiter(), **options
    )


# Objects with status, headers and body


async def test_a_transport_may_answer_with_any_object_that_has_status_headers_and_body() -> None:
    async with client_on(FakeTransport(plain(200, {"answer": 42}))) as launch:
        assert await launch.request("GET", "/anything") == {"answer": 42}


@virtual_time
async def test_the_headers_of_such_an_object_are_found_in_any_case() -> None:
    transport = FakeTransport(Plain(429, {"rEtRy-aFtEr": "7"}, b""), plain(200, {}))

    async with client_on(transport) as launch:
        await launch.request("GET", "/anything")

    assert asyncio.get_running_loop().time() >= 7.0


async def test_a_middleware_may_answer_with_any_object_that_has_status_headers_and_body() -> None:
    async def cached(request: Request, send: Send) -> Plain:
        return plain(200, {"cached": request.method})

    transport = FakeTransport({})
    async with client_on(transport, middleware=[cached]) as launch:
        assert await launch.request("GET", "/anything") == {"cached": "GET"}
    assert transport.requests == []


async def test_an_incomplete_answer_names_its_missing_attributes() -> None:
    async def nothing(request: Request, send: Send) -> Any:
        return None

    async with client_on(FakeTransport({}), middleware=[nothing]) as launch:
        with pytest.raises(ConfigurationError, match="returned an object of type NoneType instead of a response"):
            await launch.request("GET", "/anything")


async def test_a_middleware_adds_a_header_and_replaces_one_in_any_case() -> None:
    async def traced(request: Request, send: Send) -> Response:
        return await send(request.with_headers({"X-Trace": "1", "user-agent": "mine"}))

    transport = FakeTransport({})
    async with client_on(transport, middleware=[traced]) as launch:
        await launch.request("GET", "/anything")

    headers = transport.requests[0].headers
    assert {name: headers[name] for name in ("X-Trace", "user-agent")} == {"X-Trace": "1", "user-agent": "mine"}
    assert "User-Agent" not in headers


def test_middleware_runs_in_launch_sync_as_documented() -> None:
    seen: list[str] = []

    async def middleware(request: Request, send: Send) -> Response:
        seen.append(threading.current_thread().name)
        return await send(request)

    with sync_client(transport=FakeTransport(PROJECT_DOCUMENT), middleware=[middleware]) as launch:
        assert launch.projects.get(PROJECT).name == "shop"

    assert seen == ["launch-sync"]
    described = " ".join(inspect.getdoc(launch_sync.LaunchClient).split())  # type: ignore[union-attr]
    assert "`async def middleware(request, send)` gets a request" in described
    assert "returns `await send(request)` or another response" in described


def test_launch_sync_has_no_session_because_a_session_needs_an_event_loop() -> None:
    options = inspect.signature(launch_sync.LaunchClient).parameters

    assert "session" not in options
    assert "session:" not in str(launch_sync.LaunchClient.__doc__)
    assert "session" in inspect.signature(LaunchClient).parameters


# Custom transports


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ConnectionRefusedError(111, "refused"), ConnectError),
        (ConnectionResetError("reset"), ResponseLost),
        (TimeoutError(), AttemptTimeout),
        (OSError("odd"), ResponseLost),
    ],
)
async def test_an_os_error_of_a_transport_is_translated(raised: OSError, kind: type[Exception]) -> None:
    async with client_on(FakeTransport(raised), retry=ONCE) as launch:
        with pytest.raises(kind):
            await launch.request("GET", "/anything")


@virtual_time
async def test_an_attempt_ends_in_time_although_the_transport_does_not() -> None:
    async def never(_: Request) -> Response:
        await asyncio.sleep(1000)
        return Response(200)

    async with client_on(FakeTransport(never), retry=ONCE, attempt_timeout=3.0) as launch:
        with pytest.raises(AttemptTimeout, match="did not respond within 3 s"):
            await launch.request("GET", "/anything")


@pytest.mark.parametrize("transport", [FakeTransport, object()])
def test_an_object_that_is_no_transport_is_refused(transport: Any) -> None:
    with pytest.raises(ConfigurationError, match="transport must be an object with the methods async send"):
        client_on(transport)


def test_an_option_that_a_custom_transport_ignores_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="proxy= would have no effect"):
        client_on(FakeTransport({}), proxy="http://proxy.test:3128")


async def test_users_log_in_and_out_through_a_custom_transport() -> None:
    session = {"user": {"authtoken": "blt" + "0" * 16, "uid": "u", "org_uid": [ORGANIZATION]}}
    transport = FakeTransport(session, {}, {"active": True, "scope": "launch:manage"}, {})

    found = await login("user@example.com", "password", transport=transport)
    await request_sms("user@example.com", "password", transport=transport)
    found_token = await introspect(AccessToken("token"), transport=transport)
    await logout(found.credentials, transport=transport)

    assert found.organization_uids == (ORGANIZATION,)
    assert found_token.active
    assert [request.operation for request in transport.requests] == ["login", "requestSms", "introspect", "logout"]
    assert transport.closed == 0


def test_everything_works_without_aiohttp_through_a_custom_transport(tmp_path: Path) -> None:
    archive = tmp_path / "site.zip"
    archive.write_bytes(b"PK" + bytes(2000))
    program = f"""
import asyncio, sys
sys.modules.update(aiohttp=None, multidict=None, yarl=None)
from launch_async import (Authtoken, AccessToken, LaunchClient, NotFoundError, OAuthCredentials,
    begin_authorization, finish_authorization, login, logout, introspect, request_sms)
from launch_async.http import FakeTransport, FileBody, Response
from launch_async.models import SignedUploadUrl
from launch_async.rate_limit import UnlimitedRateLimiter

async def main():
    fake = FakeTransport({PROJECT_DOCUMENT!r}, Response(404), Response(200))
    async with LaunchClient(Authtoken("token"), organization_uid={ORGANIZATION!r}, transport=fake,
                            limiter=UnlimitedRateLimiter()) as launch:
        assert (await launch.projects.get({PROJECT!r})).name == "shop"
        try:
            await launch.projects.get({PROJECT!r})
        except NotFoundError:
            pass
        else:
            raise AssertionError
        url = SignedUploadUrl(upload_url="https://storage.test/x", upload_uid={DEPLOYMENT!r}, expires_in=600)
        await launch.uploads.send(url, {str(archive)!r})
        assert isinstance(fake.requests[-1].body, FileBody)
    session = {{"user": {{"authtoken": "blt0000000000000000"}}}}
    token = {{"access_token": "a", "token_type": "Bearer", "expires_in": 3600}}
    fake = FakeTransport(session, {{}}, {{"active": True}}, {{}}, token)
    found = await login("a@b.test", "password", transport=fake)
    await request_sms("a@b.test", "password", transport=fake)
    await introspect(AccessToken("token"), transport=fake)
    await logout(found.credentials, transport=fake)
    asked = begin_authorization("app", "client", "http://localhost/cb")
    await finish_authorization(asked, "http://localhost/cb?code=c&state=" + asked.state, transport=fake)

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, check=True)


# The fake transport


async def test_a_fake_transport_answers_in_order_and_the_last_answer_stays() -> None:
    transport = FakeTransport(Response(503), {"first": 1}, {"last": 2})
    async with client_on(transport, retry=RetryPolicy(backoff_base=1e-9)) as launch:
        answers = [await launch.request("GET", f"/{number}") for number in range(3)]

    assert answers == [{"first": 1}, {"last": 2}, {"last": 2}]
    assert [request.method for request in transport.requests] == ["GET"] * 4
    assert transport.closed == 1


async def test_a_fake_transport_takes_plain_and_coroutine_functions() -> None:
    def plain_function(request: Request) -> Response:
        return Response(200, body=json.dumps(request.method).encode())

    async def coroutine_function(request: Request) -> Response:
        return plain_function(request)

    async with client_on(FakeTransport(plain_function, coroutine_function)) as launch:
        assert [await launch.request("GET", "/a"), await launch.request("PUT", "/a")] == ["GET", "PUT"]


async def test_a_fake_transport_without_an_answer_raises_an_error() -> None:
    async with client_on(FakeTransport()) as launch:
        with pytest.raises(ConfigurationError, match="FakeTransport has no answer for GET /anything"):
            await launch.request("GET", "/anything")


def test_a_fake_transport_is_the_same_in_launch_sync() -> None:
    from launch_sync.http import FakeTransport as SyncFakeTransport

    transport = SyncFakeTransport(lambda request: PROJECT_DOCUMENT)
    with sync_client(transport=transport) as launch:
        assert launch.projects.get(PROJECT).uid == PROJECT


# A closed client


async def test_clients_derived_from_a_closed_client_are_closed() -> None:
    transport = FakeTransport({})
    client = client_on(transport)
    derived = client.with_options(timeout=5.0)
    await derived.close()

    for closed in (derived, derived.with_options(), derived.with_options().with_options()):
        assert "closed" in repr(closed)
        with pytest.raises(ClosedError):
            await closed.request("GET", "/anything")
    assert await client.request("GET", "/anything") == {}
    assert transport.closed == 0


async def test_closing_a_client_closes_the_clients_derived_from_it() -> None:
    transport = FakeTransport({})
    client = client_on(transport)
    derived = client.with_options(timeout=5.0)

    await client.close()
    await derived.close()

    with pytest.raises(ClosedError):
        await derived.request("GET", "/anything")
    assert transport.closed == 1


# Records of responses


async def test_every_answer_of_a_block_is_recorded_with_status_headers_and_request_id() -> None:
    refused = answer(503, {}, {"X-Request-Id": "r-1"})
    done = answer(200, PROJECT_DOCUMENT, {"X-Request-Id": "r-2", "X-Cache": "MISS", "Set-Cookie": "session=hidden"})

    async with client_on(FakeTransport(refused, done), retry=RetryPolicy(backoff_base=1e-9)) as launch:
        with record_responses() as responses:
            await launch.projects.get(PROJECT)
        await launch.projects.get(PROJECT)

    assert [(one.operation, one.method, one.status, one.request_id) for one in responses] == [
        ("getProject", "GET", 503, "r-1"),
        ("getProject", "GET", 200, "r-2"),
    ]
    assert responses[-1].headers == {"x-request-id": "r-2", "x-cache": "MISS"}
    assert "MISS" not in repr(responses)
    assert responses[-1].seconds >= 0.0


@pytest.mark.parametrize("name", ["Location", "authtoken", "X-Amz-Security-Token", "WWW-Authenticate", "X-Api-Key"])
async def test_a_header_that_may_contain_a_secret_is_not_recorded(name: str) -> None:
    async with client_on(FakeTransport(answer(200, {}, {name: "hidden"}))) as launch:
        with record_responses() as responses:
            await launch.request("GET", "/anything")

    assert responses[0].headers == {}


def test_a_block_records_the_pagers_and_calls_of_launch_sync() -> None:
    page = {"projects": [PROJECT_DOCUMENT["project"]], "pagination": {"count": 1}}
    transport = FakeTransport(answer(200, page, {"X-Request-Id": "r-1"}), answer(200, PROJECT_DOCUMENT))

    with sync_client(transport=transport) as launch, launch_sync_record() as responses:
        assert [project.name for project in launch.projects.list()] == ["shop"]
        launch.projects.get(PROJECT)

    assert [(one.operation, one.request_id) for one in responses] == [("listProjects", "r-1"), ("getProject", None)]


async def test_a_workflow_is_recorded_through_the_tasks_that_it_starts() -> None:
    deployment = {
        "uid": DEPLOYMENT,
        "deploymentNumber": 1,
        "status": "LIVE",
        "environmentUid": ENVIRONMENT,
        "projectUid": PROJECT,
        "createdAt": "2026-01-01T00:00:00.000Z",
    }

    def handler(request: Request) -> Any:
        return {"deployment": deployment} if request.url.endswith(DEPLOYMENT) else {"deployments": [deployment]}

    async with client_on(FakeTransport(handler)) as launch:
        ref = launch_async_ref()
        with record_responses() as responses:
            await launch.wait(ref)

    assert responses
    assert {one.status for one in responses} == {200}


def launch_async_ref() -> Any:
    from launch_async import DeploymentRef

    return DeploymentRef(PROJECT, ENVIRONMENT, DEPLOYMENT)


def launch_sync_record() -> Any:
    from launch_sync.http import record_responses as record

    return record()


def test_a_file_body_describes_the_bytes_to_send(tmp_path: Path) -> None:
    body = FileBody(tmp_path / "site.zip", 10, fields=(("key", "hidden"),), form=True)

    assert (body.size, body.form) == (10, True)
    assert "hidden" not in repr(body)

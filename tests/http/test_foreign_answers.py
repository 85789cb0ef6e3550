"""An answer that belongs to another request is an error and never a result, and its connection is closed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import attrs
import pytest

from launch_async import DecodeError, LaunchClient
from launch_async.http import Response
from tests.support.core import DEPLOYMENT, ENVIRONMENT, PROJECT, UPLOAD, FakeTransport, answer, client_on

ANOTHER = "66c0ffee00000000000000a2"


@attrs.define
class Doubling:
    """A server that sends its first answer a second time, when the test says so."""

    url: str = ""
    connections: int = 0
    asked: list[str] = attrs.field(factory=list)
    first_was_read: asyncio.Event = attrs.field(factory=asyncio.Event)
    first_was_repeated: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while request := await reader.readline():
            while (await reader.readline()).strip():
                pass
            uid = request.split()[1].decode().rpartition("/")[2]
            self.asked.append(uid)
            body = json.dumps({"project": {"uid": uid, "name": uid}}).encode()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            writer.write(head + body)
            await writer.drain()
            if len(self.asked) == 1:
                await self.first_was_read.wait()
                writer.write(head + body)
                await writer.drain()
                self.first_was_repeated.set()
        writer.close()


@pytest.fixture
async def doubling() -> AsyncIterator[Doubling]:
    service = Doubling()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield service
    server.close()


async def test_an_answer_that_comes_twice_is_not_mistaken_for_the_next_answer(doubling: Doubling) -> None:
    async with client_on(None, base_url=doubling.url) as launch:  # type: ignore[arg-type]
        first = await launch.projects.get(PROJECT)
        doubling.first_was_read.set()
        await doubling.first_was_repeated.wait()
        # The second copy is in the client's socket. The loop reads it in its next turn.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(DecodeError, match="belongs to another request") as caught:
            await launch.projects.get(ANOTHER)
        later = [await launch.projects.get(uid) for uid in (PROJECT, ANOTHER, PROJECT)]

    assert first.uid == PROJECT
    assert [one.uid for one in later] == [PROJECT, ANOTHER, PROJECT]
    assert (caught.value.retryable, caught.value.ambiguous) == (True, False)
    assert doubling.connections == 2


CALLS: dict[str, tuple[str, Callable[[LaunchClient], Awaitable[Any]]]] = {
    "get a project": ("project", lambda launch: launch.projects.get(PROJECT)),
    "change a project": ("project", lambda launch: launch.projects.update(PROJECT, name="new")),
    "get an environment": ("environment", lambda launch: launch.environments.get(PROJECT, ENVIRONMENT)),
    "change an environment": (
        "environment",
        lambda launch: launch.environments.update(PROJECT, ENVIRONMENT, name="new"),
    ),
    "get a deployment": ("deployment", lambda launch: launch.deployments.get(PROJECT, ENVIRONMENT, DEPLOYMENT)),
}


@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_with_another_uid_is_an_error_and_drops_its_connection(name: str) -> None:
    key, call = CALLS[name]
    dropped: list[str] = []
    body = json.dumps({key: {"uid": ANOTHER}}).encode()
    transport = FakeTransport(Response(200, {}, body, drop_connection=lambda: dropped.append(name)))

    async with client_on(transport) as launch:
        with pytest.raises(DecodeError, match=f"its UID is {ANOTHER}"):
            await call(launch)

    assert dropped == [name]
    assert len(transport.requests) == 1


async def test_the_outcome_of_a_creation_with_a_foreign_answer_is_checked() -> None:
    foreign = answer(201, {"project": {"uid": ANOTHER, "name": "somebody else's"}})
    dated = {"Date": "Mon, 04 May 2026 12:00:00 GMT"}
    ours = {"uid": PROJECT, "name": "landing", "createdAt": "2026-05-04T12:00:00.000Z"}
    transport = FakeTransport(foreign, answer(200, {"projects": [ours]}, dated))

    async with client_on(transport) as launch:
        project = await launch.projects.create_from_upload("landing", upload_uid=UPLOAD)

    assert project.uid == PROJECT


async def test_an_older_deployment_is_no_answer_to_a_creation() -> None:
    dated = {"Date": "Mon, 04 May 2026 12:00:00 GMT"}
    made = "2026-05-04T12:00:00.000Z"
    old = {"uid": ANOTHER, "deploymentNumber": 4, "commitHash": "a" * 40, "createdAt": made}
    new = {"uid": DEPLOYMENT, "deploymentNumber": 5, "commitHash": "a" * 40, "createdAt": made}
    transport = FakeTransport(
        answer(200, {"deployment": old}, dated),
        answer(201, {"deployment": old}, dated),
        answer(200, {"deployments": [new, old]}, dated),
    )

    async with client_on(transport) as launch:
        await launch.deployments.get(PROJECT, ENVIRONMENT, ANOTHER)
        deployment = await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert deployment.uid == DEPLOYMENT


_OF_ANOTHER = {"uid": DEPLOYMENT, "environment": ANOTHER}
DEPLOYMENTS: dict[str, tuple[dict[str, Any], Callable[[LaunchClient], Awaitable[Any]]]] = {
    "get a deployment": (
        {"deployment": _OF_ANOTHER},
        lambda launch: launch.deployments.get(PROJECT, ENVIRONMENT, DEPLOYMENT),
    ),
    "list deployments": (
        {"deployments": [_OF_ANOTHER]},
        lambda launch: launch.deployments.list(PROJECT, ENVIRONMENT).to_list(),
    ),
}


@pytest.mark.parametrize("name", DEPLOYMENTS)
async def test_a_deployment_of_another_environment_is_no_answer(name: str) -> None:
    document, call = DEPLOYMENTS[name]
    dropped: list[str] = []
    body = json.dumps(document).encode()
    transport = FakeTransport(Response(200, {}, body, drop_connection=lambda: dropped.append(name)))

    async with client_on(transport) as launch:
        with pytest.raises(
            DecodeError, match=f"belongs to environment {ANOTHER}, but the request was about {ENVIRONMENT}"
        ):
            await call(launch)

    assert dropped == [name]


async def test_an_answer_of_the_wrong_shape_drops_its_connection() -> None:
    dropped: list[str] = []
    transport = FakeTransport(Response(200, {}, b"{}", drop_connection=lambda: dropped.append("dropped")))

    async with client_on(transport) as launch:
        with pytest.raises(DecodeError, match="does not have the documented format"):
            await launch.projects.get(PROJECT)

    assert dropped == ["dropped"]


def _signed(name: str) -> dict[str, str]:
    return {"downloadUrl": f"https://storage.example/{name}?signature=1"}


async def test_the_address_of_another_zip_is_requested_again_over_another_connection() -> None:
    dropped: list[str] = []
    doubled = Response(200, {}, json.dumps(_signed("a")).encode(), drop_connection=lambda: dropped.append("dropped"))
    transport = FakeTransport(answer(200, _signed("a")), doubled, answer(200, _signed("b")))

    async with client_on(transport) as launch:
        signed = [await launch.deployments.download_url(PROJECT, ENVIRONMENT, uid) for uid in (DEPLOYMENT, ANOTHER)]

    assert [one.url.partition("?")[0][-1] for one in signed] == ["a", "b"]
    assert dropped == ["dropped"]


async def test_two_deployments_of_one_zip_may_share_its_address() -> None:
    transport = FakeTransport(*[answer(200, _signed("a"))] * 3)

    async with client_on(transport) as launch:
        signed = [await launch.deployments.download_url(PROJECT, ENVIRONMENT, uid) for uid in (DEPLOYMENT, ANOTHER)]

    assert signed[0].url == signed[1].url
    assert len(transport.requests) == 3


async def test_two_uploads_do_not_share_an_address_because_an_answer_came_twice() -> None:
    first, second = (
        {"uploadUrl": f"https://storage.example/{name}", "uploadUid": name * 24, "method": "PUT"} for name in "ab"
    )
    transport = FakeTransport(answer(200, first), answer(200, first), answer(200, second))

    async with client_on(transport) as launch:
        signed = [await launch.uploads.url_for_project() for _ in range(2)]

    assert [one.upload_uid[0] for one in signed] == ["a", "b"]

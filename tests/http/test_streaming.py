"""Bodies that are read while they arrive, over real sockets: memory stays bounded, and connections are closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from test_transport import Peer, serving

from launch_async import (
    AccessToken,
    ClosedError,
    DeploymentRef,
    LaunchClient,
    NotFoundError,
    Request,
    Response,
    ResponseLost,
    Send,
)
from launch_async.emulator import LaunchEmulator
from launch_async.http import BodyStream
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.clients import client_of
from tests.support.core import DEPLOYMENT, ENVIRONMENT, PROJECT, TOKEN
from tests.support.passing_time import until

REF = DeploymentRef(PROJECT, ENVIRONMENT, DEPLOYMENT)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
FIRST = b'event: session\ndata: {}\n\ndata: {"message": "first"}\n\n'
MIB = 1024 * 1024


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def client_at(url: str) -> LaunchClient:
    return LaunchClient(AccessToken(TOKEN), base_url=url, limiter=UnlimitedRateLimiter())


@pytest.fixture
async def emulator() -> AsyncIterator[LaunchEmulator]:
    async with LaunchEmulator(rate_limit=None) as started:
        yield started


def live_deployment(emulator: LaunchEmulator) -> DeploymentRef:
    project = emulator.add_project("shop", deployments=1)
    (environment,) = project.environments.values()
    return DeploymentRef(project.uid, environment.uid, next(iter(environment.deployments)))


async def test_lines_arrive_over_a_socket_and_a_reader_that_stops_closes_it(emulator: LaunchEmulator) -> None:
    ref = live_deployment(emulator)
    async with client_of(emulator) as launch:
        lines = launch.tail_server_logs(ref)
        next_line = asyncio.ensure_future(anext(lines))
        await until(lambda: emulator.live_log_readers)
        emulator.add_server_log(ref.deployment_uid, "hello")
        assert (await next_line).message == "hello"
        await lines.aclose()  # type: ignore[attr-defined]
        await until(lambda: not emulator.live_log_readers)

    assert emulator.ledger.count("streamLiveServerLogs") == len(emulator.ledger.requests) == 1


async def test_a_cancelled_reader_closes_the_connection(emulator: LaunchEmulator) -> None:
    ref = live_deployment(emulator)

    async def read(launch: LaunchClient) -> None:
        async for _ in launch.tail_server_logs(ref):
            pass

    async with client_of(emulator) as launch:
        task = asyncio.create_task(read(launch))
        await until(lambda: emulator.live_log_readers)
        task.cancel()
        await asyncio.wait([task])
        await until(lambda: not emulator.live_log_readers)


async def test_every_line_is_given_once_over_connections_that_break(emulator: LaunchEmulator) -> None:
    ref, given = live_deployment(emulator), list[str]()
    async with client_of(emulator) as launch, aclosing(_messages(launch, ref)) as messages:
        reading = asyncio.ensure_future(_until_last(messages, given))
        for number in range(6):
            await until(lambda: emulator.live_log_readers)
            emulator.add_server_log(ref.deployment_uid, f"{number} before")
            if number in (2, 4):
                assert emulator.break_live_logs() == 1
                emulator.add_server_log(ref.deployment_uid, f"{number} after")
        emulator.add_server_log(ref.deployment_uid, "last")
        async with asyncio.timeout(60):
            await reading

    assert given == [
        *("0 before", "1 before", "2 before", "2 after", "3 before"),
        *("4 before", "4 after", "5 before", "last"),
    ]


async def _messages(launch: LaunchClient, ref: DeploymentRef) -> AsyncIterator[str]:
    async for line in launch.tail_server_logs(ref):
        yield line.message


async def _until_last(messages: AsyncIterator[str], given: list[str]) -> None:
    async for message in messages:
        given.append(message)
        if message == "last":
            return


async def test_an_unread_stream_stops_the_sender() -> None:
    sent = 0

    async def flooding(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.answer(HEAD + chunk(FIRST))
        flood = chunk(b": " + b"x" * (64 * 1024) + b"\n\n")
        while sent < 512 * MIB:
            await peer.answer(flood)
            sent += len(flood)

    async with serving(flooding) as url, client_at(url) as launch, aclosing(_messages(launch, REF)) as messages:
        first, before = await anext(messages), -1
        while before != sent:
            before = sent
            # A reader would take about a hundred pieces in this time.
            await asyncio.sleep(0.1)

    assert first == "first"
    assert sent < 64 * MIB


async def test_a_stream_that_breaks_off_is_a_lost_answer() -> None:
    async def breaking(peer: Peer) -> None:
        await peer.request()
        await peer.answer(HEAD + chunk(FIRST))
        peer.reset()

    async with serving(breaking) as url, client_at(url) as launch:
        response = await launch._watching._queue.live_log(REF, "")
        assert response.stream is not None
        with pytest.raises(ResponseLost, match=r"127\.0\.0\.1"):
            await read_to_the_end(response.stream)
        response.stream.close()
        response.stream.close()


async def read_to_the_end(stream: BodyStream) -> None:
    while await stream.read():
        pass


async def test_a_refusal_is_the_error_of_any_call() -> None:
    async def refusing(peer: Peer) -> None:
        await peer.request()
        body = b'{"errors":[{"code":"launch.DEPLOYMENT.NOT_FOUND","message":"Gone."}]}'
        await peer.answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async with serving(refusing) as url, client_at(url) as launch:
        with pytest.raises(NotFoundError, match=r"Gone\.") as caught:
            await launch._watching._queue.live_log(REF, "")

    assert (caught.value.operation, caught.value.codes) == ("streamLiveServerLogs", ("launch.DEPLOYMENT.NOT_FOUND",))


async def test_a_request_for_a_live_log_has_the_headers_of_a_stream(emulator: LaunchEmulator) -> None:
    seen: list[Request] = []

    async def looking(request: Request, send: Send) -> Response:
        seen.append(request)
        return await send(request)

    ref = live_deployment(emulator)
    async with LaunchClient(
        AccessToken(emulator.access_token), base_url=emulator.url, middleware=[looking], attempt_timeout=4.0
    ) as launch:
        response = await launch._watching._queue.live_log(ref, "7")
        assert response.stream is not None
        response.stream.close()

    (request,) = seen
    assert {name: request.headers[name] for name in ("Accept", "Accept-Encoding", "Last-Event-ID")} == {
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",
        "Last-Event-ID": "7",
    }
    assert (request.streamed, request.once, request.timeout) == (True, True, 4.0)


async def test_a_closed_client_ends_the_tail(emulator: LaunchEmulator) -> None:
    ref = live_deployment(emulator)
    launch = client_of(emulator)
    reading = asyncio.ensure_future(anext(launch.tail_server_logs(ref)))
    await until(lambda: emulator.live_log_readers)
    await launch.close()

    with pytest.raises(ClosedError):
        await reading

"""Answers that never end, or are much longer than they should be: memory and time stay bounded."""

from __future__ import annotations

import asyncio
import gzip
import traceback
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from launch_async import (
    AccessToken,
    AmbiguousOutcome,
    AppCredentials,
    ConfigurationError,
    LaunchClient,
    LaunchError,
    NotFoundError,
    ResponseTooLarge,
    RetryPolicy,
    StorageError,
)
from launch_async.http import AiohttpTransport, Request, Response, Send
from launch_async.http.base import sender
from launch_async.models import SignedUploadUrl
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.core import DEPLOYMENT, ENVIRONMENT, PROJECT
from tests.support.peers import Handler, Peer, serving

LIMIT = 64 * 1024
CHUNKED = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n%b\r\n"
BLOCK = b"x" * 65536


def client_of(origin: str, **options: Any) -> LaunchClient:
    settings: dict[str, Any] = {
        "credentials": AccessToken("a-token"),
        "base_url": origin,
        "limiter": UnlimitedRateLimiter(),
        "retry": RetryPolicy(attempts=3, backoff_base=0.001),
        "response_limit": LIMIT,
        **options,
    }
    return LaunchClient(**settings)


@attrs.define
class Endless:
    """A server that sends a start and then the same block without end, and counts requests and blocks."""

    begin: bytes = b""
    block: bytes = BLOCK
    status: bytes = b"200 OK"
    headers: bytes = b""
    requests: int = 0
    blocks: int = 0

    async def __call__(self, peer: Peer) -> None:
        """Serve one connection."""
        await peer.request()
        self.requests += 1
        await peer.answer(CHUNKED % (self.status, self.headers))
        if self.begin:
            await peer.answer(b"%x\r\n%b\r\n" % (len(self.begin), self.begin))
        while True:
            await peer.answer(b"%x\r\n%b\r\n" % (len(self.block), self.block))
            self.blocks += 1


def answering(body: bytes, headers: bytes = b"", status: bytes = b"200 OK") -> Handler:
    async def handle(peer: Peer) -> None:
        while True:
            await peer.request()
            head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
            await peer.answer(head % (status, len(body), headers) + body)

    return handle


CALLS: list[Callable[[LaunchClient], Awaitable[object]]] = [
    lambda launch: launch.projects.get(PROJECT),
    lambda launch: launch.projects.list().page(),
    lambda launch: launch.deployments.download_url(PROJECT, ENVIRONMENT, DEPLOYMENT),
    lambda launch: launch.usage.cache_revalidations(),
    lambda launch: launch.openapi(),
    lambda launch: launch.request("GET", "/anything"),
]


@pytest.mark.parametrize("call", CALLS)
async def test_an_endless_answer_is_not_read_and_not_requested_again(
    call: Callable[[LaunchClient], Awaitable[object]],
) -> None:
    server = Endless()
    async with serving(server) as origin, client_of(origin) as launch:
        with pytest.raises(ResponseTooLarge, match=r"The limit is 64\.0 KiB\..*response_limit=") as caught:
            await call(launch)

    assert (caught.value.limit, caught.value.size, caught.value.retryable) == (LIMIT, None, False)
    assert not caught.value.ambiguous
    assert server.requests == 1
    assert server.blocks < 200


@pytest.mark.parametrize("log", [False, True])
async def test_no_frame_of_the_error_contains_the_token_or_the_answer(log: bool) -> None:
    server = Endless(begin=b"the-answer")
    async with serving(server) as origin, client_of(origin) as launch:
        with pytest.raises(LaunchError) as caught:
            await (launch.deployments.logs(PROJECT, ENVIRONMENT, DEPLOYMENT) if log else launch.projects.get(PROJECT))

    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    shown = [repr(frame.f_locals) for frame in frames if "launch_async" in frame.f_code.co_filename]
    assert len(shown) > 3
    assert not any("a-token" in text or "the-answer" in text or "ClientResponse" in text for text in shown)


async def test_an_answer_that_announces_too_much_is_not_read() -> None:
    async with serving(answering(BLOCK + b"x")) as origin, client_of(origin) as launch:
        with pytest.raises(ResponseTooLarge, match=r"The response to getProject is too large \(64\.0 KiB\)") as caught:
            await launch.projects.get(PROJECT)

    assert caught.value.size == LIMIT + 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_small_answer_that_unpacks_to_a_large_one_is_not_unpacked(encoding: str) -> None:
    zeros = b"0" * 50_000_000
    body = gzip.compress(zeros, 9) if encoding == "gzip" else zlib.compress(zeros, 9)
    handler = answering(body, b"Content-Encoding: %b\r\n" % encoding.encode())
    async with serving(handler) as origin, client_of(origin) as launch:
        with pytest.raises(ResponseTooLarge):
            await launch.projects.get(PROJECT)


async def test_a_compressed_answer_within_the_limit_is_read() -> None:
    body = gzip.compress(b'{"project":{"uid":"%b"}}' % PROJECT.encode())
    async with serving(answering(body, b"Content-Encoding: gzip\r\n")) as origin, client_of(origin) as launch:
        assert (await launch.projects.get(PROJECT)).uid == PROJECT


async def test_an_endless_answer_to_a_creation_leaves_its_outcome_unknown() -> None:
    server = Endless()
    retry = RetryPolicy(attempts=1, look_up_delays=(0.0,), settle_after=0.01)
    async with serving(server) as origin, client_of(origin, retry=retry) as launch:
        with pytest.raises(LaunchError) as caught:
            await launch.deployments.create(PROJECT, ENVIRONMENT)

    assert isinstance(caught.value, AmbiguousOutcome | ResponseTooLarge)
    assert caught.value.ambiguous


async def test_an_endless_error_body_raises_the_error_of_its_status() -> None:
    server = Endless(status=b"404 Not Found")
    async with serving(server) as origin, client_of(origin) as launch:
        with pytest.raises(NotFoundError):
            await launch.projects.get(PROJECT)

    assert server.blocks < 200


async def test_an_endless_token_is_refused() -> None:
    server = Endless()
    async with serving(server) as origin:
        credentials = AppCredentials("client", "a-client-secret")
        async with client_of(origin, credentials=credentials, app_url=origin, timeout=20) as launch:
            with pytest.raises(ResponseTooLarge):
                await launch.projects.get(PROJECT)

    assert server.requests == 1


async def test_the_limit_applies_to_a_custom_transport() -> None:
    class Own:
        async def send(self, request: Request) -> Response:
            return Response(200, {}, bytes(LIMIT + 1))

        async def close(self) -> None:
            pass

    async with client_of("https://launch.test", transport=Own()) as launch:
        with pytest.raises(ResponseTooLarge):
            await launch.projects.get(PROJECT)


@pytest.mark.parametrize("limit", [0, -1, 1.5, None, "1"])
def test_a_limit_is_a_positive_number_of_bytes(limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="response_limit must be a positive number of bytes"):
        client_of("https://launch.test", response_limit=limit)


async def test_another_limit_can_be_derived() -> None:
    body = b'{"project":{"uid":"%b","pad":"%b"}}' % (PROJECT.encode(), BLOCK)
    async with serving(answering(body)) as origin, client_of(origin) as launch:
        assert (await launch.with_options(response_limit=1_000_000).projects.get(PROJECT)).uid == PROJECT


# Logs


def line(number: int) -> bytes:
    return b'{"message":"line %d, %b","stage":"BUILD","timestamp":"2026-05-04T09:05:01.120Z"}' % (number, b"." * 100)


LINES = [line(number) for number in range(40_000)]
LOG = b'{"deploymentLogs":[' + b",".join(LINES) + b"]}"


@pytest.fixture
async def launch_with_log() -> AsyncIterator[LaunchClient]:
    async with serving(answering(LOG)) as origin, client_of(origin, response_limit=len(LOG)) as launch:
        yield launch


async def test_a_long_log_is_complete_and_does_not_block_the_event_loop(launch_with_log: LaunchClient) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    log = await launch_with_log.deployments.logs(PROJECT, ENVIRONMENT, DEPLOYMENT)
    other.cancel()

    assert turns > len(LOG) / 1_000_000
    assert len(log) == len(LINES)
    assert log[0].message.startswith("line 0,")
    assert log[-1].message.startswith("line 39999,")
    assert [entry.message.split(",")[0] for entry in log] == [f"line {number}" for number in range(len(LINES))]
    assert [entry.message.split(",")[0] for entry in log[20_000:20_002]] == ["line 20000", "line 20001"]


async def test_a_middleware_gets_the_whole_log() -> None:
    seen = list[int]()

    async def look(request: Request, send: Send) -> Response:
        answer = await send(request)
        seen.append(len(answer.body))
        return answer

    options = {"response_limit": len(LOG), "middleware": [look]}
    async with serving(answering(LOG)) as origin, client_of(origin, **options) as launch:
        log = await launch.deployments.logs(PROJECT, ENVIRONMENT, DEPLOYMENT)

    assert (seen, len(log)) == ([len(LOG)], len(LINES))


async def test_a_log_that_never_ends_is_too_large() -> None:
    server = Endless(begin=b'{"deploymentLogs":[' + line(0), block=b"," + line(1))
    async with serving(server) as origin, client_of(origin) as launch:
        with pytest.raises(ResponseTooLarge):
            await launch.deployments.logs(PROJECT, ENVIRONMENT, DEPLOYMENT)

    assert server.requests == 1


async def test_an_answer_that_is_no_log_is_not_read_to_its_end() -> None:
    server = Endless()
    async with serving(server) as origin, client_of(origin, response_limit=10**12) as launch:
        with pytest.raises(LaunchError, match="is not JSON"):
            await launch.deployments.logs(PROJECT, ENVIRONMENT, DEPLOYMENT)

    assert server.requests == 1


async def test_a_log_that_breaks_off_is_requested_again_from_its_beginning() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LOG))
        await peer.answer(LOG if peer.number > 1 else LOG[: len(LOG) // 2])

    async with serving(handle) as origin, client_of(origin, response_limit=len(LOG)) as launch:
        log = await launch.deployments.logs(PROJECT, ENVIRONMENT, DEPLOYMENT)

    assert len(log) == len(LINES)


# Storage


async def test_a_download_is_read_up_to_the_longest_possible_zip() -> None:
    taken = list[int]()
    async with serving(Endless()) as origin:
        transport = AiohttpTransport()
        request = Request("GET", origin, on_body=lambda part: taken.append(len(part)), response_limit=LIMIT)
        with pytest.raises(ResponseTooLarge):
            await sender(transport)(request)
        await transport.close()

    assert sum(taken) <= LIMIT


async def test_the_body_of_a_successful_upload_answer_is_ignored(tmp_path: Path) -> None:
    server = Endless()
    file = tmp_path / "site.zip"
    file.write_bytes(bytes(2000))
    async with serving(server) as origin, client_of(origin) as launch:
        signed = SignedUploadUrl(upload_url=f"{origin}/put", upload_uid="u", received_at=datetime.now(UTC))
        await launch.uploads.send(signed, file)
    assert server.requests == 1


def test_a_too_large_answer_is_no_storage_error() -> None:
    assert not issubclass(ResponseTooLarge, StorageError)

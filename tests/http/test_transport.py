"""One exchange: errors say whether the request was sent, and no secret reaches another host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web

from launch_async import (
    AttemptTimeout,
    Authtoken,
    ClosedError,
    ConfigurationError,
    ConnectError,
    LaunchClient,
    LaunchError,
    MalformedResponse,
    NotFoundError,
    RedirectRefused,
    ResponseLost,
    RetryPolicy,
)
from launch_async.http import AiohttpTransport, FileBody, Middleware, Request, Response, Send
from launch_async.http.base import sender
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.aioresponses_shim import scripted_answers
from tests.support.core import ORGANIZATION, PROJECT, TOKEN
from tests.support.passing_time import let_pass, until
from tests.support.peers import Handler, Peer, serving

URL = "http://launch.test/projects?signature=hidden"
KEY: Any = SimpleNamespace(host="launch.test", port=80, ssl=True, is_ssl=True)
BODY = b'{"project":{"uid":"66c0ffee00000000000000a1"}}'
CONTENT = b"PK" + bytes(3000)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    opened = AiohttpTransport()
    yield opened
    await opened.close()


async def failure_of(transport: AiohttpTransport, request: Request) -> LaunchError:
    with pytest.raises(LaunchError) as caught:
        await sender(transport)(request)
    return caught.value


def caused(cause: ssl.SSLError) -> aiohttp.ClientOSError:
    cause.reason = cause.args[1]
    error = aiohttp.ClientOSError("broken")
    error.__cause__ = cause
    return error


# Errors of aiohttp become errors of the SDK


@pytest.mark.parametrize(
    ("raised", "kind", "words", "retryable"),
    [
        (
            aiohttp.ClientConnectorError(KEY, OSError(111, "Connection refused")),
            ConnectError,
            "Could not connect to launch.test: Connection refused. Check the network, the proxies, and base_url if",
            True,
        ),
        (caused(ssl.SSLError(1, "TLSV13_ALERT_CERTIFICATE_REQUIRED")), ConnectError, "requires a client cert", False),
        (caused(ssl.SSLError(1, "TLSV1_ALERT_INTERNAL_ERROR")), ResponseLost, "broke before the response", True),
        (
            aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "Name or service not known")),
            ConnectError,
            "Could not connect to launch.test: the host name launch.test cannot be found",
            True,
        ),
        (aiohttp.ConnectionTimeoutError("late"), ConnectError, "connecting took more than 10 s", True),
        (
            aiohttp.ClientProxyConnectionError(KEY, OSError(111, "Connection refused")),
            ConnectError,
            r"the proxy launch.test:80 cannot be reached \(Connection refused\)",
            True,
        ),
        (
            aiohttp.ClientHttpProxyError(SimpleNamespace(real_url="x"), (), status=407),  # type: ignore[arg-type]
            ConnectError,
            "the proxy refused the connection with status 407",
            True,
        ),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError("self-signed")),
            ConnectError,
            "Could not establish a secure connection to launch.test.*pass ssl_context=",
            False,
        ),
        (
            aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError("wrong version")),
            ConnectError,
            "Could not establish a secure connection to launch.test",
            False,
        ),
        (aiohttp.ServerDisconnectedError(), ResponseLost, "broke before the response was complete", True),
        (aiohttp.ClientOSError(104, "reset"), ResponseLost, "broke before the response was complete", True),
        (aiohttp.ClientPayloadError("cut"), ResponseLost, "broke before the response was complete", True),
        (ConnectionResetError(), ResponseLost, "broke before the response was complete", True),
        (aiohttp.SocketTimeoutError("slow"), AttemptTimeout, "launch.test did not respond within 3 s", True),
        (TimeoutError(), AttemptTimeout, "launch.test did not respond within 3 s", True),
        (aiohttp.InvalidURL(URL), ConnectError, "cannot be sent, because its URL or a header is malformed", False),
        (ValueError("Newline in header: hidden"), ConnectError, "cannot be sent", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
async def test_each_failure_says_whether_the_request_was_sent(
    transport: AiohttpTransport, raised: Exception, kind: type[LaunchError], words: str, retryable: bool
) -> None:
    with scripted_answers() as answers:
        answers.get(URL, exception=raised)

        with pytest.raises(kind, match=words) as caught:
            await transport.send(Request("GET", URL, timeout=3.0, operation="listProjects"))

    error = caught.value
    assert type(error) is kind
    assert (error.retryable, error.operation) == (retryable, "listProjects")
    assert "hidden" not in f"{error} {error!r} {vars(error)}"
    assert error.__cause__ is None


async def test_an_error_outside_of_the_network_is_not_translated(transport: AiohttpTransport) -> None:
    with scripted_answers() as answers:
        answers.get(URL, exception=ZeroDivisionError("mine"))

        with pytest.raises(ZeroDivisionError, match="mine"):
            await transport.send(Request("GET", URL))


async def test_a_scripted_answer_comes_back_whole(transport: AiohttpTransport) -> None:
    with scripted_answers() as answers:
        answers.get(URL, status=201, body=b"x" * 300_000, headers={"X-Request-Id": "r-1"})

        response = await transport.send(Request("GET", URL))

    assert (response.status, len(response.body), response.sends) == (201, 300_000, 1)
    assert response.header("x-request-ID") == "r-1"
    assert response.header("X-Missing") is None


@pytest.mark.parametrize("headers", [{"Retry-After": "3"}, {"retry-after": "3"}])
def test_a_header_is_found_in_any_case(headers: dict[str, str]) -> None:
    assert Response(200, headers).header("Retry-After") == "3"


async def test_the_body_of_an_error_is_cut(transport: AiohttpTransport) -> None:
    with scripted_answers() as answers:
        answers.get(URL, status=500, body=b"x" * 300_000)

        assert len((await transport.send(Request("GET", URL))).body) == 65536


@pytest.mark.parametrize(
    ("location", "there"),
    [
        ("https://evil.example.com/x?token=hidden", "https://evil.example.com"),
        ("//evil.example.com/x", "http://evil.example.com"),
        ("https://user:hidden@evil.example.com/x", "https://evil.example.com"),
        ("/login", "http://launch.test"),
        ("", "http://launch.test"),
        ("https://[evil", "http://launch.test"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused_and_both_hosts_are_named(
    transport: AiohttpTransport, status: int, location: str, there: str
) -> None:
    with scripted_answers() as answers:
        answers.get(URL, status=status, headers={"Location": location})

        error = await failure_of(transport, Request("GET", URL, operation="listProjects"))

    assert type(error) is RedirectRefused
    assert error.status == status
    assert f"http://launch.test redirects this request to {there}. The SDK never follows redirects" in str(error)
    assert "hidden" not in str(error)


# Real sockets


async def test_a_connection_is_reused(transport: AiohttpTransport) -> None:
    connections = []

    async def handle(peer: Peer) -> None:
        connections.append(peer.number)
        while True:
            await peer.request()
            await peer.answer(OK)

    async with serving(handle) as origin:
        for _ in range(3):
            assert (await transport.send(Request("GET", f"{origin}/a"))).body == BODY

    assert connections == [1]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_silent_resend_of_aiohttp_is_counted(transport: AiohttpTransport, method: str) -> None:
    seen = []

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(OK)
        if peer.number == 1:
            seen.append(await peer.request())
            peer.reset()
        else:
            await peer.request()
            await peer.answer(OK)

    async with serving(handle) as origin:
        first = await transport.send(Request("GET", f"{origin}/a"))
        second = await transport.send(Request(method, f"{origin}/b"))

    assert (first.sends, second.sends) == (1, 2)
    assert seen[0].startswith(f"{method} /b".encode())


async def test_a_post_is_never_resent_silently(transport: AiohttpTransport) -> None:
    posts = []

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(OK)
        posts.append(await peer.request())
        peer.reset()

    async with serving(handle) as origin:
        await transport.send(Request("GET", f"{origin}/a"))
        error = await failure_of(transport, Request("POST", f"{origin}/b", body=b"{}"))

    assert type(error) is ResponseLost
    assert len(posts) == 1


async def test_a_resend_without_a_server_is_still_a_lost_answer(transport: AiohttpTransport) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(OK)
        await peer.request()
        nobody_listens.set()
        await gone.wait()
        peer.reset()

    nobody_listens, gone = asyncio.Event(), asyncio.Event()
    server = await asyncio.start_server(lambda reader, writer: handle(Peer(reader, writer, 1)), "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await transport.send(Request("GET", origin))
    second = asyncio.ensure_future(transport.send(Request("DELETE", origin)))
    await nobody_listens.wait()
    server.close()
    gone.set()

    with pytest.raises(ResponseLost, match="broke before the response was complete") as caught:
        await second
    assert caught.value.sends == 2


async def test_a_deletion_that_aiohttp_sent_twice_is_a_deletion() -> None:
    deletions = []

    async def handle(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.answer(OK)
            deletions.append(await peer.request())
            peer.reset()
        else:
            deletions.append(b"again")
            await peer.answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}")

    async with serving(handle) as origin, client_of(origin) as launch:
        await launch.projects.get(PROJECT)
        await launch.projects.delete(PROJECT)

    assert len(deletions) == 2


def client_of(origin: str, **options: Any) -> LaunchClient:
    settings: dict[str, Any] = {
        "organization_uid": ORGANIZATION,
        "limiter": UnlimitedRateLimiter(),
        "retry": RetryPolicy(attempts=1),
        **options,
    }
    return LaunchClient(Authtoken(TOKEN), base_url=origin, **settings)


async def test_credentials_do_not_follow_a_redirect() -> None:
    reached = []

    async def trap(peer: Peer) -> None:
        reached.append(await peer.request())
        await peer.answer(OK)

    async with serving(trap) as elsewhere:
        location = f"Location: {elsewhere}/projects\r\n"

        async def handle(peer: Peer) -> None:
            await peer.request()
            await peer.answer(f"HTTP/1.1 307 Moved\r\n{location}Content-Length: 0\r\n\r\n".encode())

        async with serving(handle) as origin, client_of(origin) as launch:
            with pytest.raises(RedirectRefused, match=f"{origin} redirects this request to {elsewhere}"):
                await launch.projects.get(PROJECT)

    assert reached == []


async def test_a_body_that_breaks_off_is_a_lost_answer(transport: AiohttpTransport) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    async with serving(handle) as origin:
        assert type(await failure_of(transport, Request("GET", f"{origin}/a"))) is ResponseLost


async def test_an_error_whose_body_breaks_off_still_has_its_status() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\nhalf of it")

    async with serving(handle) as origin, client_of(origin) as launch:
        with pytest.raises(NotFoundError, match="half of it"):
            await launch.projects.get(PROJECT)


async def test_a_missing_answer_is_a_time_out(transport: AiohttpTransport) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        let_pass(60.0)
        await peer.reader.read()

    async with serving(handle) as origin:
        error = await failure_of(transport, Request("GET", f"{origin}/a", timeout=30.0))

    assert type(error) is AttemptTimeout
    assert "did not respond within 30 s" in str(error)


async def in_another_task(request: Request, send: Send) -> Response:
    return await asyncio.create_task(asyncio.wait_for(send(request), 600.0))


@pytest.mark.parametrize("middleware", [(), (in_another_task,)], ids=["directly", "in another task"])
async def test_an_attempt_that_takes_too_long_is_ended_and_the_call_continues(middleware: Sequence[Middleware]) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        if peer.number > 1:
            await peer.answer(OK)
        else:
            let_pass(60.0)
        await peer.reader.read()

    async with (
        serving(handle) as origin,
        client_of(
            origin, timeout=600.0, attempt_timeout=30.0, middleware=middleware, retry=RetryPolicy(backoff_base=0.01)
        ) as launch,
    ):
        project = await launch.projects.get(PROJECT)
        task = asyncio.current_task()

    assert project.uid == PROJECT
    assert task is not None
    assert task.cancelling() == 0


async def test_an_answer_that_is_no_http_is_malformed(transport: AiohttpTransport) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")

    async with serving(handle) as origin:
        assert type(await failure_of(transport, Request("GET", f"{origin}/a"))) is MalformedResponse


async def test_a_request_to_a_closed_port_was_never_sent(transport: AiohttpTransport, unused_tcp_port: int) -> None:
    error = await failure_of(transport, Request("GET", f"http://127.0.0.1:{unused_tcp_port}/"))

    assert type(error) is ConnectError
    assert f"Could not connect to 127.0.0.1:{unused_tcp_port}: Connect" in str(error)


async def test_an_https_request_to_a_plain_port_was_never_sent(transport: AiohttpTransport) -> None:
    async def handle(peer: Peer) -> None:
        await peer.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(handle) as origin:
        error = await failure_of(transport, Request("GET", origin.replace("http:", "https:")))

    assert type(error) is ConnectError
    assert not error.retryable


@pytest.mark.parametrize("url", ["not an address", "http://[::1", "mailto:somebody", "http:///nowhere"])
async def test_a_request_to_a_malformed_url_cannot_be_sent(transport: AiohttpTransport, url: str) -> None:
    error = await failure_of(transport, Request("GET", url))

    assert type(error) is ConnectError
    assert not error.retryable


# Sessions, loops and closing


async def test_a_call_of_a_closed_client_raises_closed_error() -> None:
    launch = client_of("http://127.0.0.1:9")
    await launch.close()

    with pytest.raises(ClosedError, match=r"The client is closed\. Create a new client, and keep it open until"):
        await launch.projects.get(PROJECT)


async def answering(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.answer(OK)


async def test_a_session_of_the_user_is_used_and_stays_open() -> None:
    async with serving(answering) as origin, aiohttp.ClientSession(headers={"X-Mine": "1"}) as session:
        async with client_of(origin, session=session) as launch:
            await launch.projects.get(PROJECT)
        assert not session.closed


async def test_a_session_that_the_user_has_closed_raises_closed_error() -> None:
    session = aiohttp.ClientSession()
    await session.close()

    async with client_of("http://127.0.0.1:9", session=session) as launch:
        with pytest.raises(ClosedError, match="session that you passed to this client is closed"):
            await launch.projects.get(PROJECT)


async def test_a_client_closes_its_own_session() -> None:
    transport = AiohttpTransport()
    async with serving(answering) as origin:
        await transport.send(Request("GET", origin))
        session = transport._session

        await transport.close()

    assert session is not None
    assert session.closed


def test_a_client_belongs_to_one_loop() -> None:
    transport = AiohttpTransport()

    async def send() -> None:
        async with serving(answering) as origin:
            await transport.send(Request("GET", origin))

    async def close_then_send() -> None:
        with pytest.raises(
            ConfigurationError, match=r"belongs to another event loop\. Create one client per event loop"
        ):
            await transport.send(Request("GET", "http://127.0.0.1:9"))

    with asyncio.Runner() as runner:
        runner.run(send())
        with asyncio.Runner() as other:
            other.run(close_then_send())
        runner.run(transport.close())


def test_a_client_is_closed_on_its_own_loop_only() -> None:
    launch = client_of("http://127.0.0.1:9")

    async def use() -> None:
        with pytest.raises(ConnectError):
            await launch.projects.get(PROJECT)

    async def close() -> None:
        await launch.close()

    with asyncio.Runner() as runner:
        runner.run(use())
        with asyncio.Runner() as other, pytest.raises(ConfigurationError, match="belongs to another event loop"):
            other.run(close())
        runner.run(close())
    assert "closed" in repr(launch)


async def test_a_client_may_be_closed_from_another_thread_while_its_loop_runs() -> None:
    transport = AiohttpTransport()
    async with serving(answering) as origin:
        await transport.send(Request("GET", origin))
        session = transport._session

        await asyncio.to_thread(asyncio.run, transport.close())

    assert session is not None
    assert session.closed


async def test_cookies_are_not_stored_and_not_sent(transport: AiohttpTransport) -> None:
    heads = []

    async def handle(peer: Peer) -> None:
        while True:
            heads.append(await peer.request())
            await peer.answer(OK.replace(b"\r\n", b"\r\nSet-Cookie: session=hidden\r\n", 1))

    async with serving(handle) as origin:
        for _ in range(2):
            # The cookie jar of aiohttp rejects cookies of IP addresses by default.
            await transport.send(Request("GET", origin.replace("127.0.0.1", "localhost")))

    assert b"cookie" not in b"".join(heads).lower()


# Proxies


@pytest.fixture
async def proxy() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A proxy that answers every request itself, and records the requests."""
    asked: list[bytes] = []

    async def handle(peer: Peer) -> None:
        while True:
            asked.append(await peer.request())
            await peer.answer(OK)

    async with serving(handle) as origin:
        yield origin, asked


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_the_proxy_of_the_environment_is_used(
    transport: AiohttpTransport, proxy: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    origin, asked = proxy
    # Python ignores HTTP_PROXY in upper case in CGI scripts. This test is not a CGI script.
    monkeypatch.setenv(name, origin)

    for _ in range(2):
        assert (await transport.send(Request("GET", "http://launch.test/projects"))).body == BODY
    assert asked[0].startswith(b"GET http://launch.test/projects HTTP/1.1\r\n")


async def test_a_proxy_of_the_environment_may_be_a_host_and_a_port(
    transport: AiohttpTransport, proxy: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy[0].removeprefix("http://"))

    assert (await transport.send(Request("GET", "http://launch.test/projects"))).body == BODY


async def test_an_unsupported_proxy_is_refused_and_its_source_is_named(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://user:password@127.0.0.1:1080")

    with pytest.raises(ConfigurationError, match=r"SOCKS is not supported.*ALL_PROXY") as caught:
        await transport.send(Request("GET", "http://launch.test/projects"))

    assert "password" not in str(caught.value)


async def test_hosts_that_need_no_proxy_are_reached_directly(
    transport: AiohttpTransport, proxy: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy[0])
    monkeypatch.setenv("NO_PROXY", "example.com,127.0.0.1")

    async with serving(answering) as origin:
        await transport.send(Request("GET", origin))

    assert proxy[1] == []


@pytest.mark.parametrize("explicit", [True, False], ids=["given", "switched off"])
async def test_a_given_proxy_has_priority_over_the_environment(
    proxy: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int, explicit: bool
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_tcp_port}" if explicit else proxy[0])
    async with serving(answering) as origin, client_of(origin, proxy=proxy[0] if explicit else "") as launch:
        await launch.projects.get(PROJECT)

    assert len(proxy[1]) == explicit


async def test_a_proxy_that_is_down_is_named(unused_tcp_port: int) -> None:
    async with client_of("http://127.0.0.1:9", proxy=f"http://127.0.0.1:{unused_tcp_port}") as launch:
        with pytest.raises(ConnectError, match=f"the proxy 127.0.0.1:{unused_tcp_port} cannot be reached"):
            await launch.projects.get(PROJECT)


async def test_a_netrc_of_the_user_is_not_sent(
    transport: AiohttpTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password hidden\n")
    monkeypatch.setenv("NETRC", str(netrc))
    heads = []

    async def handle(peer: Peer) -> None:
        heads.append(await peer.request())
        await peer.answer(OK)

    async with serving(handle) as origin:
        await transport.send(Request("GET", origin))

    assert b"authorization" not in heads[0].lower()


# Files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / 'nä"me\r\n.bin'
    path.write_bytes(CONTENT)
    return path


def taking(heads: list[bytes], status: int = 204) -> Handler:
    async def handle(peer: Peer) -> None:
        heads.append(await peer.request())
        await peer.answer(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)

    return handle


async def test_a_raw_upload_has_a_length_and_no_chunks(transport: AiohttpTransport, file: Path) -> None:
    heads: list[bytes] = []
    async with serving(taking(heads, 201)) as origin:
        headers = {"Content-Type": "application/zip", "Content-Length": "3002"}
        response = await transport.send(Request("PUT", f"{origin}/blob?sig=1", headers, FileBody(file, 3002)))

    head, _, body = heads[0].partition(b"\r\n\r\n")
    assert response.status == 201
    assert head.startswith(b"PUT /blob?sig=1 HTTP/1.1")
    assert b"content-length: 3002" in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert body == CONTENT


async def test_a_form_upload_sends_its_fields_in_order_and_the_file_last(
    transport: AiohttpTransport, file: Path
) -> None:
    heads: list[bytes] = []
    fields = (("bucket", "b"), ("key", "a/b.zip"), ("Policy", "p=="))
    async with serving(taking(heads)) as origin:
        await transport.send(Request("POST", origin, body=FileBody(file, 3002, fields=fields, form=True)))

    head, _, body = heads[0].partition(b"\r\n\r\n")
    assert b"content-length:" in head.lower()
    assert b"transfer-encoding" not in head.lower()
    names = [part.split(b'name="')[1].split(b'"')[0] for part in body.split(b"Content-Disposition")[1:]]
    assert names == [b"bucket", b"key", b"Policy", b"file"]
    assert b'filename="site.zip"' in body
    assert b"Content-Type: application/zip" in body
    assert CONTENT in body


async def test_progress_is_reported_at_the_end(transport: AiohttpTransport, file: Path) -> None:
    progress: list[int] = []
    async with serving(taking([])) as origin:
        headers = {"Content-Length": "3002"}
        await transport.send(Request("PUT", origin, headers, FileBody(file, 3002, on_progress=progress.append)))

    assert progress[-1] >= 3002
    assert progress == sorted(progress)


async def test_progress_is_reported_during_the_upload(
    transport: AiohttpTransport, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch_async.http.aiohttp_transport._WATCH_INTERVAL_S", 0.001)
    progress: list[int] = []
    some = asyncio.Event()

    def note(sent: int) -> None:
        progress.append(sent)
        some.set()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await some.wait()
        await peer.answer(OK)

    async with serving(handle) as origin:
        headers = {"Content-Length": "3002"}
        await transport.send(Request("PUT", origin, headers, FileBody(file, 3002, on_progress=note)))

    assert len(progress) >= 2


async def test_an_upload_without_progress_is_ended(
    transport: AiohttpTransport, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch_async.http.aiohttp_transport._WATCH_INTERVAL_S", 0.001)

    async def handle(peer: Peer) -> None:
        await peer.reader.read()

    async with serving(handle) as origin:
        error = await failure_of(
            transport, Request("PUT", origin, {"Content-Length": "3002"}, FileBody(file, 3002, idle_timeout=0.02))
        )

    assert type(error) is AttemptTimeout
    assert "The upload made no progress for 0.02 s" in str(error)


async def test_an_upload_that_is_reset_is_a_lost_answer(transport: AiohttpTransport, file: Path) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.readexactly(10)
        peer.reset()

    async with serving(handle) as origin:
        headers = {"Content-Length": "3002"}
        error = await failure_of(transport, Request("PUT", origin, headers, FileBody(file, 3002)))

    assert type(error) is ResponseLost


async def test_an_error_of_a_progress_callback_reaches_the_caller(transport: AiohttpTransport, file: Path) -> None:
    def broken(_: int) -> None:
        raise ZeroDivisionError("mine")

    async with serving(taking([])) as origin:
        with pytest.raises(ZeroDivisionError, match="mine"):
            await transport.send(
                Request("PUT", origin, {"Content-Length": "3002"}, FileBody(file, 3002, on_progress=broken))
            )


async def test_a_cancelled_upload_is_cancelled_and_its_file_closed(transport: AiohttpTransport, file: Path) -> None:
    arrived = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.reader.readexactly(10)
        arrived.set()
        await peer.reader.read()
        await asyncio.Event().wait()

    async with serving(handle) as origin:
        upload = asyncio.ensure_future(
            transport.send(Request("PUT", origin, {"Content-Length": "3002"}, FileBody(file, 3002)))
        )
        await arrived.wait()
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on Windows")
async def test_an_upload_that_is_cancelled_while_its_file_is_opened_leaves_none_open(
    transport: AiohttpTransport, tmp_path: Path
) -> None:
    pipe = tmp_path / "slow.zip"
    os.mkfifo(pipe)
    # To open a pipe for reading blocks until a writer opens it, so the upload is still opening the file here.
    upload = asyncio.ensure_future(transport.send(Request("PUT", "http://127.0.0.1:9", body=FileBody(pipe, 3002))))
    await asyncio.sleep(0)
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload

    writers: list[int] = []

    def is_awaited() -> bool:
        with contextlib.suppress(OSError):
            writers.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        return bool(writers)

    def is_closed() -> bool:
        try:
            os.write(writers[0], b"x")
        except BrokenPipeError:
            return True
        return False

    await until(is_awaited)
    await until(is_closed)
    os.close(writers[0])


def test_a_file_body_does_not_show_its_form(file: Path) -> None:
    assert "hidden" not in repr(FileBody(file, 1, fields=(("Policy", "hidden"),)))


# TLS


@pytest.fixture
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's context with a certificate of a private authority, and a client's context that trusts it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return server, trusting


async def test_a_private_authority_is_refused_and_then_trusted(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    server, trusting = tls

    async def page(_: web.Request) -> web.Response:
        return web.Response(body=BODY, content_type="application/json")

    application = web.Application()
    application.router.add_get("/projects/{uid}", page)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server)
    await site.start()
    origin = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with client_of(origin) as launch:
            with pytest.raises(ConnectError, match=r"Could not establish a secure connection to 127\.0\.0\.1"):
                await launch.projects.get(PROJECT)
        async with client_of(origin, ssl_context=trusting) as launch:
            assert (await launch.projects.get(PROJECT)).uid == PROJECT
    finally:
        await runner.cleanup()

"""Servers and proxies that misbehave: the error names the cause, and says whether the request was sent."""

from __future__ import annotations

import asyncio
import datetime
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trustme

from launch_async import (
    AccessToken,
    AmbiguousOutcome,
    ConfigurationError,
    ConnectError,
    DeadlineExceeded,
    LaunchClient,
    LaunchError,
    MalformedResponse,
    ResponseLost,
    RetryPolicy,
)
from launch_async.rate_limit import UnlimitedRateLimiter
from tests.support.core import DEPLOYMENT, ENVIRONMENT, PROJECT
from tests.support.passing_time import let_pass
from tests.support.peers import Handler, Peer, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def client_of(origin: str, **options: Any) -> LaunchClient:
    settings: dict[str, Any] = {
        "credentials": AccessToken("a-token"),
        "base_url": origin,
        "limiter": UnlimitedRateLimiter(),
        "retry": RetryPolicy(attempts=3, backoff_base=0.001),
        "proxy": "",
        **options,
    }
    return LaunchClient(**settings)


async def failure_of(
    origin: str, call: Callable[[LaunchClient], Awaitable[object]] | None = None, **options: Any
) -> LaunchError:
    async with client_of(origin, **options) as launch:
        with pytest.raises(LaunchError) as caught:
            await (call or (lambda one: one.projects.get(PROJECT)))(launch)
    return caught.value


class Counting:
    """A server that counts its connections and calls a handler for each connection."""

    def __init__(self, handler: Handler) -> None:
        self.connections = 0
        self._handler = handler

    async def __call__(self, peer: Peer) -> None:
        """Serve one connection."""
        self.connections += 1
        await self._handler(peer)


def always(answer: bytes) -> Counting:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.answer(answer)

    return Counting(handle)


# TLS


@pytest.mark.parametrize(
    ("names", "lasts", "words"),
    [
        (["127.0.0.1"], -1, "its certificate has expired"),
        (["launch.example"], 1, r"its certificate is for another host \(IP address mismatch.*127\.0\.0\.1"),
    ],
    ids=["expired", "another name"],
)
async def test_an_unusable_certificate_is_named_with_its_fault(
    authority: trustme.CA, names: list[str], lasts: int, words: str
) -> None:
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=lasts)
    certificate = authority.issue_cert(*names, not_after=ends)
    server = always(OK % (2, b"{}"))
    async with serving(server, ssl=server_context(certificate)) as origin:
        error = await failure_of(origin, ssl_context=trusting(authority))

    assert type(error) is ConnectError
    assert re.search(words, str(error))
    assert (error.retryable, error.attempts) == (False, 1)


async def test_an_unknown_authority_is_reported_as_untrusted(authority: trustme.CA) -> None:
    async with serving(always(b""), ssl=server_context(authority.issue_cert("127.0.0.1"))) as origin:
        error = await failure_of(origin)

    assert "its certificate is not trusted. If a private certificate authority issued it, pass ssl_context=" in str(
        error
    )


def speaking_tls(context: ssl.SSLContext) -> Handler:
    """A server that sends a TLS alert when it ends a handshake. The server of asyncio sends no alert."""

    async def handle(peer: Peer) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await peer.answer(outgoing.read())
                if not (data := await peer.reader.read(65536)):
                    return
                incoming.write(data)
            except ssl.SSLError:
                break
            else:
                return
        await peer.answer(outgoing.read())
        peer.writer.write_eof()
        await peer.reader.read()

    return handle


def newer(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3


def requiring_certificate(version: ssl.TLSVersion, authority: trustme.CA) -> Callable[[ssl.SSLContext], None]:
    def configure(context: ssl.SSLContext) -> None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = version
        authority.configure_trust(context)

    return configure


async def test_an_old_version_of_tls_is_named(authority: trustme.CA) -> None:
    context, older = server_context(authority.issue_cert("127.0.0.1")), trusting(authority)
    newer(context)
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(speaking_tls(context)) as origin:
        error = await failure_of(origin.replace("http:", "https:"), ssl_context=older)

    assert type(error) is ConnectError
    assert "the server offers no TLS version that the client accepts" in str(error)
    assert not error.retryable


async def test_a_handshake_that_ends_without_a_reason_names_possible_causes(authority: trustme.CA) -> None:
    context, older = server_context(authority.issue_cert("127.0.0.1")), trusting(authority)
    newer(context)
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    async with serving(always(b""), ssl=context) as origin:
        error = await failure_of(origin, ssl_context=older)

    assert type(error) is ConnectError
    assert (
        "the connection was closed during the TLS handshake without a reason. Possible causes: there is no common TLS"
        in (str(error))
    )


async def test_a_port_without_tls_is_named(authority: trustme.CA) -> None:
    server = always(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async def handle(peer: Peer) -> None:
        await peer.reader.read(10)
        await peer.answer(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with serving(handle) as origin:
        error = await failure_of(origin.replace("http:", "https:"), ssl_context=trusting(authority))

    assert type(error) is ConnectError
    assert "the server does not use TLS on this port" in str(error)
    assert server.connections == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_required_client_certificate_is_named_and_nothing_is_ambiguous(
    authority: trustme.CA, version: ssl.TLSVersion, method: str
) -> None:
    context = server_context(authority.issue_cert("127.0.0.1"))
    requiring_certificate(version, authority)(context)
    async with serving(speaking_tls(context)) as origin:
        error = await failure_of(
            origin.replace("http:", "https:"), lambda one: one.request(method, "/x"), ssl_context=trusting(authority)
        )

    assert type(error) is ConnectError
    assert "the server requires a client certificate: load it with ssl_context.load_cert_chain()" in str(error)
    assert (error.retryable, error.ambiguous) == (False, False)


async def test_a_silent_server_may_require_a_certificate(authority: trustme.CA) -> None:
    context = server_context(authority.issue_cert("127.0.0.1"))
    requiring_certificate(ssl.TLSVersion.TLSv1_3, authority)(context)
    async with serving(always(b""), ssl=context) as origin:
        error = await failure_of(origin, ssl_context=trusting(authority))

    assert "perhaps the server requires a client certificate" in str(error)


# Answers that violate HTTP

LONG = b"X-Long: " + b"y" * 20_000 + b"\r\n"
MALFORMED = {
    "header too long": (
        b"HTTP/1.1 200 OK\r\n" + LONG + b"Content-Length: 0\r\n\r\n",
        "its first line or one of its headers is too long",
    ),
    "no http": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "is not valid HTTP"),
    "no status": (b"HTTP/1.1 abc OK\r\n\r\n", "is not valid HTTP"),
    "header without a name": (b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", "is not valid HTTP"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "is not valid HTTP"),
    "bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n", "Transfer-Encoding"),
    "no gzip": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + b"this is no gzip data",
        "does not match its Content-Encoding",
    ),
}


@pytest.mark.parametrize(("answer", "words"), MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_answer_is_named_and_not_requested_again(answer: bytes, words: str) -> None:
    server = always(answer)
    async with serving(server) as origin:
        error = await failure_of(origin)

    assert type(error) is MalformedResponse
    assert words in str(error)
    assert "yyyy" not in str(error)
    assert (error.retryable, error.ambiguous, server.connections) == (False, False, 1)


@pytest.mark.parametrize("answer", [answer for answer, _ in MALFORMED.values()], ids=MALFORMED)
async def test_the_outcome_of_a_creation_with_a_malformed_answer_is_checked(answer: bytes) -> None:
    created = b'{"uid":"%b","status":"QUEUED","deploymentNumber":1,"commitHash":"%b"}' % (
        DEPLOYMENT.encode(),
        b"a" * 40,
    )
    posts = 0

    async def handle(peer: Peer) -> None:
        nonlocal posts
        request = await peer.request()
        if request.startswith(b"POST"):
            posts += 1
            await peer.answer(answer)
            return
        listing = b'{"deployments":[%b],"pagination":{"count":1}}' % (created if posts else b"")
        await peer.answer(OK % (len(listing), listing))

    retry = RetryPolicy(attempts=1, look_up_delays=(0.0,), settle_after=0.01)
    async with serving(handle) as origin, client_of(origin, retry=retry) as launch:
        with pytest.raises(AmbiguousOutcome) as caught:
            await launch.deployments.create(PROJECT, ENVIRONMENT, commit_hash="a" * 40)

    assert caught.value.candidates == (DEPLOYMENT,)
    assert posts == 1


async def test_a_body_that_breaks_off_is_lost_and_requested_again() -> None:
    server = always(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
    async with serving(server) as origin:
        error = await failure_of(origin)

    assert type(error) is ResponseLost
    assert server.connections == 3


# Proxies


@pytest.mark.parametrize(
    "proxy",
    ["http://", "http://:80", "http://proxy:port", "http://proxy:99999", "http://[::1", "http://a b:80", "proxy", "x://p:1",
     "http://user:pa/ss@proxy:1", "http://proxy:80:90", "http://pro\nxy:80", "socks5://proxy:1", "http://proxy:-1"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["argument", "environment"])
async def test_a_malformed_proxy_is_named_before_a_request_is_sent(
    monkeypatch: pytest.MonkeyPatch, proxy: str, where: str
) -> None:
    if where == "environment":
        # The environment may leave out the scheme.
        monkeypatch.setenv("HTTPS_PROXY", "x://proxy" if proxy == "proxy" else proxy)
    with pytest.raises(ConfigurationError, match="The proxy must be an http or https URL with a host"):
        raise await failure_of("https://launch.test", proxy=proxy if where == "argument" else None)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the proxy did not respond to CONNECT with valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + LONG + b"\r\n", "the proxy did not respond to CONNECT with valid HTTP"),
        (b"", "broke before it was established"),
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "refused the connection with status 407",
        ),
        (b"HTTP/1.1 200 OK\r\n\r\ngarbage instead of TLS, and more of it", "closed during the TLS handshake"),
    ],
    ids=["no http", "long header", "nothing", "refused", "garbage in the tunnel"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_request_was_sent_if_a_proxy_makes_no_tunnel(answer: bytes, words: str, method: str) -> None:
    server = always(answer)
    async with serving(server) as origin:
        error = await failure_of("https://launch.test", lambda one: one.request(method, "/x"), proxy=origin)

    assert type(error) is ConnectError
    assert words in str(error)
    assert not error.ambiguous


# Deadlines


async def test_a_deadline_while_connecting_is_not_ambiguous() -> None:
    # The server never answers the TLS handshake, so there is no connection yet.
    async def handle(peer: Peer) -> None:
        await peer.reader.read()

    async with serving(handle) as origin:
        secure = origin.replace("http:", "https:")
        error = await failure_of(secure, lambda one: one.request("POST", "/x", timeout=0.1))

    assert type(error) is DeadlineExceeded
    assert "The SDK was still connecting" in str(error)
    assert not error.ambiguous


async def test_a_deadline_after_the_request_was_sent_is_ambiguous() -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        let_pass(60.0)
        await peer.reader.read()

    async with serving(handle) as origin:
        error = await failure_of(origin, lambda one: one.request("POST", "/x", timeout=30.0))

    assert type(error) is DeadlineExceeded
    assert "The SDK was waiting for a response" in str(error)
    assert error.ambiguous


async def test_a_deadline_while_reconnecting_leaves_the_first_send_unknown() -> None:
    """A kept-alive connection breaks after a GET, and aiohttp connects again automatically."""
    release = asyncio.Event()

    async def handle(peer: Peer) -> None:
        if peer.number > 1:
            let_pass(60.0)
            await release.wait()
        await peer.request()
        await peer.answer(OK % (2, b"{}"))
        await peer.request()

    async with serving(handle) as origin, client_of(origin) as launch:
        await launch.request("GET", "/x")
        with pytest.raises(DeadlineExceeded, match="The SDK was waiting for a response"):
            await launch.request("GET", "/x", timeout=30.0)
        release.set()


def refused() -> str:
    """Return an address on which no server listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


async def test_a_refused_connection_is_repeated() -> None:
    error = await failure_of(refused())

    assert type(error) is ConnectError
    assert (error.attempts, error.retryable) == (3, True)

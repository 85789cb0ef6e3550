"""The default transport, which uses aiohttp.

aiohttp sends GET, PUT and DELETE a second time if a kept-alive connection drops. `Response.sends` counts this, so that
the rate limiter knows the real number of requests.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import os
import ssl
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from launch_async._breather import Breather
from launch_async._proxies import environment_proxy
from launch_async.errors import (
    AttemptTimeout,
    ClosedError,
    ConfigurationError,
    LaunchError,
    ResponseLost,
    TransportError,
)
from launch_async.http.base import Request, Response, Transport, mark_unsent, too_large
from launch_async.http.exchange_errors import CONNECT_TIMEOUT_S, redirect_refused, translated
from launch_async.wire.secret import Secret

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from launch_async.http.bodies.file_body import FileBody
    from launch_async.http.bodies.file_payload import FilePayload, OncePayload

__all__ = ["AiohttpTransport"]

_ERROR_BODY_LIMIT_BYTES: Final = 65536
_UPLOAD_END_TURNS: Final = 20
"""Number of event loop turns that aiohttp gets to finish an upload after the last byte."""

_READ_WHOLE_BYTES: Final = 1024 * 1024
"""Maximum size of a body that the transport reads in one step."""

_WATCH_INTERVAL_S: Final = 0.1
_FILE_NAME: Final = "site.zip"
"""Name of every uploaded file. Local file names may be private, and may break a header."""


class AiohttpTransport:
    """The default transport.

    The transport creates its session on the event loop of the first request, and closes it with the client. It does not
    close a session that you pass.

    Args:
        session: An aiohttp session to use. Uploads to the storage also send its default headers.
        ssl_context: TLS settings for all connections. By default, the SDK trusts the certificates of the system.
        proxy: Proxy URL; an empty string for no proxy. By default, the environment variables decide (HTTPS_PROXY,
            NO_PROXY, ...).

    Raises:
        ConfigurationError: `ssl_context` is not an SSLContext (for example False, which would turn off verification),
            or the proxy is malformed.
    """

    streams: bool = True

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        if not isinstance(ssl_context, ssl.SSLContext | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"ssl_context must be an ssl.SSLContext, not {type(ssl_context).__name__}. The SDK always verifies "
                "certificates"
            )
        self._session = session
        self._owns_session = session is None
        self._ssl: ssl.SSLContext | bool = True if ssl_context is None else ssl_context
        self._proxy = proxy = Secret(proxy) if proxy is not None else None
        if proxy:
            _check_proxy(proxy)
        self._proxies: dict[str, str | None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = os.getpid()
        self._inherited: object = None
        self._streams: weakref.WeakSet[_ResponseStream] = weakref.WeakSet()
        self._closed = False
        self._returns_redirects = False

    def for_sites(self) -> AiohttpTransport:
        """Return a transport for requests to deployed sites, with the same proxy and certificates.

        It uses separate connections, because the default headers of a session that you passed may contain credentials.
        It returns redirects as responses.
        """
        sites = AiohttpTransport(
            ssl_context=self._ssl if isinstance(self._ssl, ssl.SSLContext) else None, proxy=self._proxy
        )
        sites._returns_redirects = True
        return sites

    def send(self, request: Request) -> Coroutine[object, object, Response]:
        """Send a request once and return the response; see `Transport.send`."""
        session = self._open()
        if request.body is not None and not isinstance(request.body, bytes):
            return self._send_file(session, request, request.body)
        # The connector of the transport's own session counts the sends, which is faster than a tracker.
        return self._exchange(session, request, None if self._owns_session else _tracker())

    async def close(self) -> None:
        """End every stream, and close the session of the transport on its event loop.

        Raises:
            ConfigurationError: The session belongs to another event loop, and this loop is not running.
        """
        self._closed = True
        if self._pid != os.getpid():
            self._leave_to_parent()
        session, self._session = self._session, None
        if session is None or not (self._owns_session or self._streams):
            return
        home = self._loop
        if home is None or home.is_closed() or home is asyncio.get_running_loop():
            await self._end(session)
        elif home.is_running():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(session), home))
        else:
            self._session = session
            raise ConfigurationError(
                "This client belongs to another event loop. Close a client on the event loop that uses it"
            )

    async def _end(self, session: aiohttp.ClientSession) -> None:
        for stream in list(self._streams):
            stream.end()
        if self._owns_session:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise ClosedError("The client is closed. Create a new client, and keep it open until its last call")
        if self._pid != os.getpid():
            self._leave_to_parent()
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ConfigurationError(
                "This client belongs to another event loop. Create one client per event loop (the clients share the "
                "organization's rate limit), or use launch_sync from threads"
            )
        if self._session is None:
            self._session = _new_session()
        elif self._session.closed:
            raise ClosedError("The aiohttp session that you passed to this client is closed. Pass an open session")
        return self._session

    def _leave_to_parent(self) -> None:
        """Use a new session in a forked child, because the child shares the sockets of its parent's session."""
        # Keep the parent's session: its destructor would close the parent's connections.
        self._inherited = (self._session, self._inherited)
        self._session = self._loop = None
        self._streams = weakref.WeakSet()
        self._owns_session = True
        self._pid = os.getpid()

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        tracker: aiohttp.UploadTracker | None,
        file: FilePayload | None = None,
    ) -> Response:
        import yarl

        # The repr of aiohttp's response shows secrets, so this function drops the response before it raises an error.
        answer: aiohttp.ClientResponse | None = None
        sends = _Sends(tracker)
        _SENDS.set(sends)
        try:
            proxy = self._proxy_for(request.url)
            answer = await session.request(
                request.method,
                yarl.URL(request.url, encoded=True),
                headers=request.headers,
                data=_body_of(request) if file is None else _form_of(request.body, file) or file,
                # In a POST without a body, aiohttp would send the content type octet-stream. The service expects a
                # content type only with a body (FACTS §3).
                skip_auto_headers=("Content-Type",) if request.body is None and request.method != "GET" else None,
                allow_redirects=False,
                raise_for_status=False,
                ssl=self._ssl,
                proxy=proxy,
                timeout=_limits(request.timeout),
                upload_tracker=tracker,
            )
            status = answer.status
            if status < 300 or status == 304:
                drop = _closer_of(answer)
                if request.streamed:
                    stream = _ResponseStream(answer, request)
                    self._streams.add(stream)
                    return Response(status, answer.headers, b"", sends.count, drop, stream)
                if file is not None and tracker is not None:
                    await _check_all_sent(answer, request, tracker, file)
                # After a successful upload, the body contains nothing that the SDK needs.
                body = await (_read_body(answer, request) if file is None else _read_beginning(answer))
                return Response(status, answer.headers, body, sends.count, drop)
            async with answer:
                if status >= 400 or self._returns_redirects:
                    error_body = _without_password(await _read_beginning(answer), proxy)
                    return Response(status, answer.headers, error_body, sends.count)
                failure: TransportError = redirect_refused(request, status, answer.headers.get("Location", ""))
        except LaunchError as error:
            answer = None
            # End the traceback here: the frames below hold the response.
            raise error.with_traceback(None) from None
        except BaseException as error:
            answer = None
            translation = translated(error, request, sends.count, maybe_sent=sends.maybe_sent)
            if translation is None and isinstance(error, Exception):
                raise
            if not sends.maybe_sent:
                mark_unsent(error)
            if translation is None:
                # End the traceback here: the frames of aiohttp contain the body and the URL.
                raise error.with_traceback(None) from None
            failure = translation
            failure.sends = sends.count
        answer = None
        raise failure

    async def _send_file(self, session: aiohttp.ClientSession, request: Request, body: FileBody) -> Response:
        from launch_async.http.bodies.file_payload import FilePayload, opened

        tracker = _tracker()
        file = await opened(body.path)
        try:
            payload = FilePayload(file, body.size)
            try:
                async with _watched(tracker, body):
                    return await self._exchange(session, request, tracker, payload)
            except TransportError:
                if not payload.short_by:
                    raise
            # The connection broke because the file became shorter.
            raise ResponseLost(
                f"The file {body.path.name!r} became shorter during the upload: {payload.short_by:,} of its "
                f"{body.size:,} bytes are missing. Make sure that no program writes to the file, and upload it again",
                operation=request.operation,
                retryable=False,
            )
        finally:
            file.close()

    def _proxy_for(self, url: str) -> str | None:
        if self._proxy is not None:
            return self._proxy or None
        origin = url[: url.find("/", len("https://"))]
        if origin not in self._proxies:
            # The SDK reads the environment, because aiohttp would also read .netrc and send its credentials.
            parts = urlsplit(url)
            proxy = Secret(environment_proxy(parts.scheme, parts.hostname or "", parts.port) or "")
            if proxy:
                _check_proxy(proxy)
            self._proxies[origin] = proxy or None
        return self._proxies[origin]


class _ResponseStream:
    """The body of a response that is read while it arrives; see `BodyStream`. aiohttp reads at most 128 KiB ahead."""

    def __init__(self, answer: aiohttp.ClientResponse, request: Request) -> None:
        self._answer = answer
        self._request = request

    async def read(self) -> bytes:
        """Wait for data and return it; return empty bytes at the end."""
        try:
            return await self._answer.content.readany()
        except BaseException as error:
            failure = translated(error, self._request, 1)
            if failure is None:
                raise error.with_traceback(None) from None
        # Raise outside the except block, because aiohttp's error shows the URL and the headers.
        raise failure

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()

    def end(self) -> None:
        """End a waiting read with an error. Without this, aiohttp would leave the reader waiting."""
        self._answer.content.set_exception(ConnectionAbortedError("the client was closed"))
        self.close()


@contextlib.asynccontextmanager
async def borrowed(
    transport: Transport | None, ssl_context: ssl.SSLContext | None, proxy: str | None
) -> AsyncGenerator[Transport]:
    """Yield the transport that the caller passed, or a new `AiohttpTransport` that is closed after the block.

    Raises:
        ConfigurationError: The caller passed an option that the custom transport would ignore.
    """
    if transport is not None:
        check_transport(transport, ssl_context=ssl_context, proxy=proxy)
        yield transport
        return
    # A `Secret` hides the proxy in tracebacks that show local variables.
    proxy = Secret(proxy) if proxy is not None else None
    own = AiohttpTransport(ssl_context=ssl_context, proxy=proxy)
    try:
        yield own
    finally:
        await own.close()


def check_transport(transport: object, **others: object) -> None:
    """Check a custom transport, and that the caller passed no option that the transport would ignore.

    Raises:
        ConfigurationError: The object is not a transport, or the caller passed such an option.
    """
    if isinstance(transport, type) or not hasattr(transport, "send"):
        kind = (
            f"the class {transport.__name__}"
            if isinstance(transport, type)
            else f"an object of type {type(transport).__name__}"
        )
        raise ConfigurationError(
            f"The transport must be an object with the methods async send(request) and async close(), not {kind}"
        )
    if given := " and ".join(f"{name}=" for name, option in others.items() if option is not None):
        raise ConfigurationError(
            f"{given} would have no effect, because transport= replaces the default transport. Pass either transport= "
            f"or {given}"
        )


class _Sends:
    """Records how often aiohttp sends the request of an exchange, and whether there was a connection for it.

    With a session that the user passed, only the tracker counts, and the request always counts as sent.
    """

    def __init__(self, tracker: aiohttp.UploadTracker | None) -> None:
        self.connects: int = 0
        self.was_connected: bool = False
        self._tracker = tracker

    @property
    def count(self) -> int:
        """Number of times that aiohttp sent the request, at least 1."""
        return (self.connects if self._tracker is None else self._tracker.attempts) or 1

    @property
    def maybe_sent(self) -> bool:
        """Whether the request may have been sent."""
        return self.was_connected or not self.connects


_SENDS: Final[ContextVar[_Sends]] = ContextVar("launch_async_sends")


@functools.cache
def _connector_class() -> type[aiohttp.TCPConnector]:
    """Return a subclass of aiohttp's connector that records the sends of an exchange."""
    import aiohttp

    class Connector(aiohttp.TCPConnector):
        async def connect(
            self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
        ) -> Connection:
            sends = _SENDS.get()
            sends.connects += 1
            connection = await super().connect(req, traces, timeout)
            sends.was_connected = True
            return connection

    return Connector


def _new_session() -> aiohttp.ClientSession:
    # The import of aiohttp takes up to one second, so it happens at the first request.
    import aiohttp

    return aiohttp.ClientSession(
        connector=_connector_class()(limit=0, ttl_dns_cache=300, keepalive_timeout=30.0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
    )


def _tracker() -> aiohttp.UploadTracker:
    import aiohttp

    return aiohttp.UploadTracker()


def _check_proxy(proxy: Secret) -> None:
    """Check the URL of a proxy. The error does not quote the URL, because it may contain a password.

    Raises:
        ConfigurationError: The URL is not usable.
    """
    if not _is_usable(proxy):
        raise ConfigurationError(
            "The proxy must be an http or https URL with a host; SOCKS is not supported. The URL comes from proxy= or "
            "from the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY). The SDK does not show the URL, because it may "
            "contain credentials. Pass proxy='' to use no proxy"
        )


def _is_usable(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        if not proxy.isprintable() or " " in proxy:
            return False
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _without_password(body: bytes, proxy: str | None) -> bytes:
    """Remove the proxy's credentials from the body of an error, because a proxy may quote them."""
    parts = urlsplit(proxy or "")
    if parts.password is None:
        return body
    user, password = unquote(parts.username or ""), unquote(parts.password)
    for secret in (base64.b64encode(f"{user}:{password}".encode()), parts.password.encode(), password.encode()):
        body = body.replace(secret, b"[redacted]") if secret else body
    return body


def _closer_of(answer: aiohttp.ClientResponse) -> Callable[[], object] | None:
    """Return a function that closes the connection of a response, even after aiohttp has put it back into the pool."""
    # aiohttp has no public access to a pooled connection, and a pooled connection may contain another response.
    protocol = getattr(answer, "_protocol", None)
    return None if protocol is None else protocol.close


@functools.lru_cache(maxsize=16)
def _limits(timeout: float | None) -> aiohttp.ClientTimeout:
    """Return aiohttp's timeouts for an exchange. The timeout is in seconds."""
    import aiohttp

    connect = CONNECT_TIMEOUT_S if timeout is None else min(CONNECT_TIMEOUT_S, 0.9 * timeout)
    # The caller limits the time of the whole exchange.
    return aiohttp.ClientTimeout(total=None, connect=connect)


def _body_of(request: Request) -> bytes | FileBody | OncePayload | None:
    """Return the body of a request, in a form that aiohttp does not send twice if `request.once` is set."""
    if not request.once or not isinstance(request.body, bytes):
        return request.body
    from launch_async.http.bodies.file_payload import OncePayload

    return OncePayload(request.body)


async def _check_all_sent(
    answer: aiohttp.ClientResponse, request: Request, tracker: aiohttp.UploadTracker, file: FilePayload
) -> None:
    """Check that a successful response to an upload arrived after the last byte was sent.

    Raises:
        ResponseLost: The response arrived earlier, so the storage cannot have the complete file.
    """
    for _ in range(_UPLOAD_END_TURNS):
        if tracker.upload_complete.done():
            break
        await asyncio.sleep(0)
    sent = min(tracker.bytes_written, file.size)
    complete = tracker.upload_complete
    if (complete.done() and not complete.cancelled() and complete.exception() is None) or sent == file.size:
        return
    answer.close()
    raise ResponseLost(
        f"{urlsplit(request.url).hostname} answered with status {answer.status} after only {sent:,} of "
        f"{file.size:,} bytes, so it cannot have stored the whole file",
        operation=request.operation,
    )


def _form_of(body: object, payload: FilePayload) -> aiohttp.FormData | None:
    """Return the form of an upload, with the file as its last part; None if the body is the file itself."""
    import aiohttp

    from launch_async.http.bodies.file_body import FileBody

    if not isinstance(body, FileBody) or not body.form:
        return None
    form = aiohttp.FormData(quote_fields=False)
    for name, value in body.fields:
        form.add_field(name, value)
    form.add_field("file", payload, filename=_FILE_NAME)
    return form


async def _read_body(answer: aiohttp.ClientResponse, request: Request) -> bytes:
    """Read the body of a successful response. With `on_body`, pass it the parts of the body and return empty bytes.

    Raises:
        ResponseTooLarge: The body is longer than `response_limit`.
    """
    size = None if "Content-Encoding" in answer.headers else answer.content_length
    if size is not None and size <= request.response_limit and size <= _READ_WHOLE_BYTES and request.on_body is None:
        # A short body usually arrives with the headers, so that there is nothing to wait for.
        return answer.content.read_nowait() if answer.content.is_eof() else await answer.read()
    return await _read_parts(answer, request, size)


async def _read_parts(answer: aiohttp.ClientResponse, request: Request, announced: int | None) -> bytes:
    parts: list[bytes] = []
    take, size = request.on_body or parts.append, 0
    try:
        if announced is not None and announced > request.response_limit:
            raise too_large(request, announced)
        breather = Breather()
        async for part in answer.content.iter_any():
            size += len(part)
            if size > request.response_limit:
                raise too_large(request)
            take(part)
            # Data that waits for decompression arrives without a network wait, so the loop must yield here.
            await breather.breathe()
    except BaseException:
        # Close the connection, so that the next request does not receive the rest of this body.
        answer.close()
        raise
    return b"".join(parts)


async def _read_beginning(answer: aiohttp.ClientResponse) -> bytes:
    """Read the start of an error's body. An incomplete body is acceptable, because the status is known."""
    import aiohttp

    body = b""
    with contextlib.suppress(aiohttp.ClientError, OSError):
        while len(body) < _ERROR_BODY_LIMIT_BYTES and (
            chunk := await answer.content.read(_ERROR_BODY_LIMIT_BYTES - len(body))
        ):
            body += chunk
    if not answer.content.at_eof():
        answer.close()
    return body


@contextlib.asynccontextmanager
async def _watched(tracker: aiohttp.UploadTracker, body: FileBody) -> AsyncGenerator[None]:
    """Report the progress of an upload, and end the upload if no bytes are sent for `idle_timeout` seconds."""

    async def watch() -> None:
        clock = asyncio.get_running_loop().time
        sent, since = 0, clock()
        while True:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            if tracker.bytes_written != sent:
                sent, since = tracker.bytes_written, clock()
                if body.on_progress is not None:
                    body.on_progress(sent)
            elif clock() - since > body.idle_timeout:
                raise AttemptTimeout(f"The upload made no progress for {body.idle_timeout:g} s. Try again")

    try:
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(watch())
            try:
                yield
            finally:
                watcher.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    if body.on_progress is not None:
        body.on_progress(tracker.bytes_written)

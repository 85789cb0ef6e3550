"""One HTTP exchange: the request, the answer, and who performs it.

A `Transport` sends a request once and reads the answer. A `Middleware` stands around that: it may change the request,
pass it on or not, and look at the answer. Both are asynchronous in launch_sync, too, where they run on its private
event loop. The client does all the rest: it retries, keeps to the budget and adds the credentials.
"""

from __future__ import annotations

import functools
import platform
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias
from urllib.parse import urlsplit

import attrs

from launch_async._text import file_size
from launch_async._version import __version__
from launch_async.errors import (
    AttemptTimeout,
    ConfigurationError,
    ConnectError,
    LaunchError,
    ResponseLost,
    ResponseTooLarge,
    TransportError,
)
from launch_async.http.deadlines import Deadline

__all__ = [
    "RESPONSE_LIMIT",
    "USER_AGENT",
    "BodyStream",
    "FileBody",
    "Middleware",
    "Request",
    "Response",
    "ResponseLike",
    "Send",
    "Transport",
]

USER_AGENT: Final = f"contentstack-launch/{__version__} Python/{platform.python_version()}"
RESPONSE_LIMIT: Final = 64 * 1024 * 1024
"""Bytes, decompressed, that a client reads of an answer unless it is told otherwise."""


@attrs.frozen
class FileBody:
    """A file as a request body; a transport reads it from disk each time that it sends the request.

    Attributes:
        path: The file.
        size: Its size in bytes. Exactly as many bytes must be sent.
        fields: Fields of the form, which go before the file.
        form: Whether the body is a form (multipart/form-data) whose last part is the file, named `file`; otherwise the
            body is the file itself.
        on_progress: If it is there, call it on the event loop with the number of bytes sent so far.
        idle_timeout: Seconds without a byte after which the upload is given up with `AttemptTimeout`.
    """

    path: Path
    size: int
    fields: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    form: bool = False
    on_progress: Callable[[int], object] | None = None
    idle_timeout: float = 120.0


@attrs.frozen(slots=False)
class Request:
    """One HTTP request, as it leaves.

    Attributes:
        method: HTTP method.
        url: Absolute URL, quoted. That of an upload holds a signature and is a secret.
        headers: Headers, credentials among them; never shown.
        body: The body: bytes, a `FileBody` for an upload, or None for none.
        timeout: Seconds for the exchange, after which the client cancels it; None for no limit, as for an upload.
        operation: Name of the operation, for errors and logs.
        on_body: If it is there, a transport may call it with each part of a success's body, and return no body.
        once: Whether a transport must not send it a second time, whatever its method. aiohttp would by itself.
        response_limit: Bytes, decompressed, that the body of a success may have; what is longer is `ResponseTooLarge`.
        streamed: Whether the body of a success is read while it comes. Only a transport that `streams` gets such a
            request. It answers as soon as the headers are there, with the body as `Response.stream`.
    """

    method: str
    url: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(default=MappingProxyType({}), repr=False)
    body: bytes | FileBody | None = attrs.field(default=None, repr=False)
    timeout: float | None = None
    operation: str = ""
    on_body: Callable[[bytes], object] | None = attrs.field(default=None, repr=False, eq=False)
    once: bool = False
    response_limit: int = RESPONSE_LIMIT
    streamed: bool = False

    def with_headers(self, headers: Mapping[str, str]) -> Request:
        """Return the same request with these headers, instead of those of the same name in any case."""
        names = {name.lower() for name in headers}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in names}
        return attrs.evolve(self, headers={**kept, **headers})


class BodyStream(Protocol):
    """The body of an answer that is read while it comes. Whoever has it reads it, and closes it."""

    async def read(self) -> bytes:
        """Return what has come, as soon as there is something; nothing at the end of the body.

        A read that is cancelled loses nothing: the next one returns it. What is not read stays with the sender.

        Raises:
            ResponseLost: The connection broke.
        """
        ...

    def close(self) -> None:
        """Close the connection without waiting; closing it again does nothing."""
        ...


class ResponseLike(Protocol):
    """An answer of a transport or a middleware: any object with these three attributes, such as `Response`."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers; the case of their names does not matter."""
        ...

    @property
    def body(self) -> bytes:
        """The body, decompressed and complete."""
        ...


@attrs.frozen(slots=False)
class Response:
    """One HTTP response, read to its end.

    Attributes:
        status: HTTP status.
        headers: Headers; `header` finds one in any case.
        body: The body. The default transport cuts the body of an error at 64 KiB.
        sends: How often the request was really sent: aiohttp repeats some by itself.
        drop_connection: Closes the connection that the answer came on, which may hold another request's answer; None
            where the transport cannot tell.
        stream: The body where it is read while it comes (`Request.streamed`); `body` is then empty. A middleware passes
            it on, or closes it.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(default=MappingProxyType({}), repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    sends: int = 1
    drop_connection: Callable[[], object] | None = attrs.field(default=None, repr=False, eq=False)
    stream: BodyStream | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 200 to 299."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """Return a header, whatever the case of its name; None if it is not there."""
        return self._by_name.get(name.lower())

    @functools.cached_property
    def _by_name(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in self.headers.items():
            found.setdefault(name.lower(), value)
        return found


class Transport(Protocol):
    """Sends requests, each of them once: implement it to send by other means than aiohttp.

    It must not retry and must not follow redirects: the client retries where that is safe, and credentials must not
    reach another host. Its errors say whether the request may have been acted on.

    A transport that can read a body while it comes says so by an attribute `streams` that is True, and does it where
    `Request.streamed` asks for it. Without one, the client polls instead.
    """

    def send(self, request: Request) -> Awaitable[ResponseLike]:
        """Send a request once and read the answer. After `request.timeout` seconds it is cancelled.

        An OSError is translated: `ConnectionRefusedError` and `socket.gaierror` mean `ConnectError`, `TimeoutError`
        means `AttemptTimeout`, any other means `ResponseLost`. Other errors reach the caller as they are.

        Raises:
            ConnectError: The request provably never left.
            ResponseLost: It may have been acted on, and the answer was lost.
            AttemptTimeout: It may have been acted on, and there was no answer in time.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


Send: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Passes a request on, to the next middleware or to the transport, and returns the answer."""

Middleware: TypeAlias = Callable[[Request, Send], Awaitable[ResponseLike]]
"""A function around each exchange: it gets the request and the way to send it, and returns the answer."""


def sender(
    transport: Transport, middleware: Sequence[Middleware] = (), *, below: Callable[[Send], Send] | None = None
) -> Send:
    """Return what sends a request through the middleware, the outermost first, and the transport.

    Args:
        transport: Sends the request in the end.
        middleware: The middleware.
        below: A layer of our own, between the middleware and the transport; left out where there is no middleware.
    """

    async def exchange(request: Request) -> Response:
        try:
            with Deadline(request.timeout):
                response = _response(await transport.send(request), streamed=request.streamed)
        except LaunchError:
            raise
        except OSError as error:
            raise _translated(error, request) from error
        if response.is_success and len(response.body) > request.response_limit:
            raise too_large(request, len(response.body))
        return response

    send: Send = below(exchange) if below is not None and middleware else exchange
    for layer in reversed(middleware):
        send = _around(layer, send)
    return send


def _around(layer: Middleware, inner: Send) -> Send:
    async def send(request: Request) -> Response:
        return _response(await layer(request, inner), streamed=request.streamed)

    return send


def _response(answer: ResponseLike, *, streamed: bool = False) -> Response:
    if isinstance(answer, Response):
        return answer
    missing = [name for name in ("status", "headers", "body") if not hasattr(answer, name)]
    if missing:
        raise ConfigurationError(
            f"a transport or a middleware answered with {type(answer).__name__}, which has no {', no '.join(missing)}: "
            "return a Response(status, headers, body), or an object with these attributes"
        )
    stream: BodyStream | None = getattr(answer, "stream", None) if streamed else None
    return Response(answer.status, answer.headers, answer.body, stream=stream)


_UNSENT: Final = "The request had not left."


def mark_unsent(error: BaseException) -> None:
    """Note in what ends an exchange that the request had not left."""
    error.add_note(_UNSENT)


def was_unsent(error: BaseException | None) -> bool:
    """Whether `mark_unsent` has noted that."""
    return _UNSENT in getattr(error, "__notes__", ())


def too_large(request: Request, size: int | None = None) -> ResponseTooLarge:
    """Return the error of an answer that is longer than allowed; `size` is what it announced, if anything."""
    announced = f"has {file_size(size)}" if size is not None else "goes on beyond that"
    return ResponseTooLarge(
        f"the answer to {request.operation or request.method} {announced}, and at most "
        f"{file_size(request.response_limit)} are read: ask for less, as with limit=, or give the client a larger "
        "response_limit=. If it should be small, something else may have answered: check base_url and proxies",
        limit=request.response_limit,
        size=size,
        operation=request.operation,
    )


def _translated(error: OSError, request: Request) -> TransportError:
    host = urlsplit(request.url).hostname
    if isinstance(error, TimeoutError) and was_unsent(error.__cause__):
        return ConnectError(
            f"no connection to {host} within {request.timeout or 0:g} s. Check the network, proxies, and base_url if "
            "you gave one",
            operation=request.operation,
        )
    if isinstance(error, TimeoutError):
        return AttemptTimeout(f"{host} did not answer within {request.timeout or 0:g} s", operation=request.operation)
    if isinstance(error, (ConnectionRefusedError, socket.gaierror)):
        return ConnectError(
            f"no connection to {host}: {error.strerror or type(error).__name__}", operation=request.operation
        )
    return ResponseLost(
        f"the connection to {host} broke before the answer was complete ({type(error).__name__})",
        operation=request.operation,
    )

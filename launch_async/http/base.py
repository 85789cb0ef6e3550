"""Requests, responses, transports and middleware.

A `Transport` sends a request once and reads the response. A `Middleware` is called around each attempt: it can change
the request, send it or not, and read the response. Both are asynchronous in both packages. In launch_sync they run on
its private event loop. The client retries, follows the rate limit, and adds the credentials.
"""

from __future__ import annotations

import functools
import platform
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias
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

if TYPE_CHECKING:
    from launch_async.http.bodies.file_body import FileBody

__all__ = [
    "RESPONSE_LIMIT",
    "USER_AGENT",
    "BodyStream",
    "Middleware",
    "Request",
    "Response",
    "ResponseLike",
    "Send",
    "Transport",
]

USER_AGENT: Final = f"contentstack-launch/{__version__} Python/{platform.python_version()}"
RESPONSE_LIMIT: Final = 64 * 1024 * 1024
"""Default maximum size of a response, in bytes after decompression."""


# Not frozen: every call creates a request and a response, and frozen classes would add 3 % to its processor time.
@attrs.define
class Request:
    """One HTTP request.

    Attributes:
        method: HTTP method.
        url: Absolute URL, quoted. The URL of an upload contains a signature and is a secret.
        headers: Headers, including the credentials. They are not part of the `repr`.
        body: The body: bytes, a `FileBody` for an upload, or None for no body.
        timeout: Time limit in seconds, after which the client cancels the attempt; None for no limit, as for an upload.
        operation: Name of the operation, for errors and logs.
        on_body: If set, the transport may call it with each part of a successful response's body, and return an empty
            body.
        once: Whether the transport must not send the request a second time, as aiohttp does for some methods.
        response_limit: Maximum size of a successful response's body, in bytes after decompression. A longer body raises
            `ResponseTooLarge`.
        streamed: Whether the caller reads the body of a successful response while it arrives. Only a transport that
            `streams` gets such a request. It returns as soon as it has the headers, with the body as `Response.stream`.
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
        """Return the same request with these headers. They replace headers with the same name in any case."""
        names = {name.lower() for name in headers}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in names}
        return attrs.evolve(self, headers={**kept, **headers})


class BodyStream(Protocol):
    """The body of a response that is read while it arrives. The caller must read it and close it."""

    async def read(self) -> bytes:
        """Wait for data and return it; return empty bytes at the end of the body.

        A cancelled read loses no data: the next read returns it. The sender keeps the data that the caller has not
        read.

        Raises:
            ResponseLost: The connection broke.
        """
        ...

    def close(self) -> None:
        """Close the connection without waiting. Closing it again does nothing."""
        ...


class ResponseLike(Protocol):
    """The result of a transport or middleware: any object with these three attributes, such as a `Response`."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, with names in any case."""
        ...

    @property
    def body(self) -> bytes:
        """The body, decompressed and complete."""
        ...


@attrs.define
class Response:
    """One HTTP response.

    Attributes:
        status: HTTP status.
        headers: Headers. The method `header` finds a header in any case.
        body: The body. The default transport reads only the first 64 KiB of an error's body.
        sends: Number of times that the transport sent the request. aiohttp sends some requests a second time.
        drop_connection: Closes the connection, if it may still carry the response to another request; None if the
            transport cannot close the connection.
        stream: The body of the response to a streamed request (`Request.streamed`); `body` is then empty. Middleware
            must return the stream in its response, or close it.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(default=MappingProxyType({}), repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    sends: int = 1
    drop_connection: Callable[[], object] | None = attrs.field(default=None, repr=False, eq=False)
    stream: BodyStream | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def is_success(self) -> bool:
        """Whether the status is between 200 and 299."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """Return a header by its name in any case; None if the response does not have it."""
        return finder(self.headers)(name)


def finder(headers: Mapping[str, str]) -> Callable[[str], str | None]:
    """Return a function that finds a header by its name in any case, or returns None."""
    if _ignores_case(type(headers)):
        return headers.get
    by_name: dict[str, str] = {}
    for name, value in headers.items():
        by_name.setdefault(name.lower(), value)
    return lambda name: by_name.get(name.lower())


@functools.cache
def _ignores_case(kind: type[Mapping[str, str]]) -> bool:
    """Return whether a mapping class ignores the case of names, as the class of aiohttp's headers does."""
    try:
        import multidict
    except ImportError:
        return False  # A custom transport also works without aiohttp, which installs multidict.
    return issubclass(kind, multidict.CIMultiDictProxy)


class Transport(Protocol):
    """The interface of a transport, which sends each request once. Implement it to send requests without aiohttp.

    A transport must not retry, because the client retries where a retry is safe. It must not follow redirects, because
    another host must not receive the credentials. Its errors report whether the service may have acted on the request.

    A transport that can stream a body has an attribute `streams` with the value True. It must stream the body if
    `Request.streamed` is set. With other transports, the client polls instead.
    """

    def send(self, request: Request) -> Awaitable[ResponseLike]:
        """Send a request once and return the response. The client cancels it after `request.timeout` seconds.

        The client translates an OSError: `ConnectionRefusedError` and `socket.gaierror` become `ConnectError`,
        `TimeoutError` becomes `AttemptTimeout`, and any other OSError becomes `ResponseLost`. Other errors reach the
        caller unchanged.

        Raises:
            ConnectError: The request was certainly not sent.
            ResponseLost: The service may have acted on the request, and the response was lost.
            AttemptTimeout: The service may have acted on the request, and did not respond in time.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


Send: TypeAlias = Callable[[Request], Awaitable[Response]]
"""A function that sends a request through the next middleware or the transport, and returns the response."""

Middleware: TypeAlias = Callable[[Request, Send], Awaitable[ResponseLike]]
"""A function around each attempt: it gets the request and a function that sends it, and returns the response."""


def sender(
    transport: Transport, middleware: Sequence[Middleware] = (), *, below: Callable[[Send], Send] | None = None
) -> Send:
    """Return a function that sends a request through the middleware, the outermost first, and the transport.

    Args:
        transport: Sends the request.
        middleware: The middleware.
        below: A layer of the SDK between the middleware and the transport; not used without middleware.
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
    if not all(hasattr(answer, name) for name in ("status", "headers", "body")):
        raise ConfigurationError(
            f"A transport or middleware returned an object of type {type(answer).__name__} instead of a response. "
            "Return Response(status, headers, body), or another object with the attributes status, headers and body"
        )
    stream: BodyStream | None = getattr(answer, "stream", None) if streamed else None
    return Response(answer.status, answer.headers, answer.body, stream=stream)


_UNSENT: Final = "The request was not sent."


def mark_unsent(error: BaseException) -> None:
    """Mark an exception: the request was not sent."""
    error.add_note(_UNSENT)


def was_unsent(error: BaseException | None) -> bool:
    """Return whether `mark_unsent` has marked the exception."""
    return _UNSENT in getattr(error, "__notes__", ())


def too_large(request: Request, size: int | None = None) -> ResponseTooLarge:
    """Return the error for a response that is too long; `size` is the announced size in bytes, if known."""
    excess = f" ({file_size(size)})" if size is not None else ""
    return ResponseTooLarge(
        f"The response to {request.operation or request.method} is too large{excess}. The limit is "
        f"{file_size(request.response_limit)}. Request less data, for example with limit=, or pass a larger "
        "response_limit= to the client. If the response should be small, check base_url and the proxies: another "
        "server may have answered",
        limit=request.response_limit,
        size=size,
        operation=request.operation,
    )


def _translated(error: OSError, request: Request) -> TransportError:
    host = urlsplit(request.url).hostname
    if isinstance(error, TimeoutError) and was_unsent(error.__cause__):
        return ConnectError(
            f"Could not connect to {host} within {request.timeout or 0:g} s. Check the network, the proxies, and "
            "base_url if you passed it",
            operation=request.operation,
        )
    if isinstance(error, TimeoutError):
        return AttemptTimeout(f"{host} did not respond within {request.timeout or 0:g} s", operation=request.operation)
    if isinstance(error, (ConnectionRefusedError, socket.gaierror)):
        return ConnectError(
            f"Could not connect to {host}: {error.strerror or type(error).__name__}", operation=request.operation
        )
    return ResponseLost(
        f"The connection to {host} broke before the response was complete ({type(error).__name__})",
        operation=request.operation,
    )

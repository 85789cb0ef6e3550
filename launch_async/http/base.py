"""One HTTP exchange: what is sent, what comes back, and who performs it.

A transport neither retries nor paces nor follows redirects, and adds no credentials. It says whether a failed request
provably never left (`ConnectError`) or may have been acted on (`ResponseLost`, `AttemptTimeout`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, TypeAlias

import attrs
from multidict import CIMultiDictProxy

from launch_async.errors import ClosedError
from launch_async.http.deadlines import Deadline

__all__ = ["FileBody", "Middleware", "Request", "Response", "Send", "Transport"]


@attrs.frozen
class FileBody:
    """A file as a request body, streamed from disk on each attempt.

    Attributes:
        path: The file.
        size: Its size in bytes.
        fields: Form fields that go before it; a form upload if `form` is set, the raw bytes otherwise.
        form: Whether it is the `file` part of a form.
        on_progress: Called on the event loop with the bytes sent so far.
        idle_timeout: Seconds without a byte after which the upload is given up.
    """

    path: Path
    size: int
    fields: tuple[tuple[str, str], ...] = attrs.field(default=(), repr=False)
    form: bool = False
    on_progress: Callable[[int], object] | None = None
    idle_timeout: float = 120.0


# Neither is frozen, because that doubles what it takes to make one, and both are made for every request.
@attrs.define
class Request:
    """One HTTP request, as it leaves.

    Attributes:
        method: HTTP method.
        url: Absolute URL, quoted.
        headers: Headers, credentials among them; never shown.
        body: The body, or None for none.
        timeout: Seconds for the exchange; None for no limit but the body's own.
        operation: Name of the operation, for errors.
        deadline: The deadline that this task works under, so that the exchange need not have one of its own; None where
            there is none, or where the request may be sent by another task.
    """

    method: str
    url: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(default=MappingProxyType({}), repr=False)
    body: bytes | FileBody | None = attrs.field(default=None, repr=False)
    timeout: float | None = None
    operation: str = ""
    deadline: Deadline | None = attrs.field(default=None, repr=False, eq=False)


@attrs.define
class Response:
    """One HTTP response, read to its end.

    Attributes:
        status: HTTP status.
        headers: Headers.
        body: The body; error bodies are cut at 64 KiB.
        sends: How often the request really left.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(default=MappingProxyType({}), repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    sends: int = 1

    def header(self, name: str) -> str | None:
        """Return a header, whatever the case of its name."""
        headers = self.headers
        value = headers.get(name)
        if value is not None or isinstance(headers, CIMultiDictProxy):
            # Theirs ignores case by itself.
            return value
        return next((text for key, text in headers.items() if key.lower() == name.lower()), None)


class Transport(Protocol):
    """Performs one exchange; implement it for tests, or to send by other means."""

    def send(self, request: Request) -> Awaitable[Response]:
        """Send a request once and read the answer.

        Raises:
            ConnectError: It provably never left.
            ResponseLost: The answer was lost.
            AttemptTimeout: It took too long.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class LentTransport:
    """Another one's transport: closing it leaves the connections to their owner.

    Args:
        owner: The transport that does the work.
    """

    def __init__(self, owner: Transport) -> None:
        self._owner: Transport | None = owner

    async def send(self, request: Request) -> Response:
        """Send a request once and read the answer; see `Transport.send`."""
        if self._owner is None:
            raise ClosedError("the client is closed; open a new one")
        return await self._owner.send(request)

    async def close(self) -> None:
        """Send nothing more."""
        self._owner = None


Send: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Sends one request once."""

Middleware: TypeAlias = Callable[[Request, Send], Awaitable[Response]]
"""A user's own layer around one exchange: look at the request, pass it on or not, look at the response."""

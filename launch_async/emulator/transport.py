"""Requests that reach an emulator without a socket, for instance in the time of an event loop that never waits."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, cast

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpVersion11, RawRequestMessage
from attrs import define, frozen
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from launch_async.emulator.live_logs import LiveAnswer, LiveSession
from launch_async.emulator.uploads.storage import StoredFile

Dispatch: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_READ_AT_ONCE = 2**30
_FIELDS_AT_MOST = 8190


class FileInBody(Protocol):
    """A file as a body: raw, or as the last part of a form."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def fields(self) -> Sequence[tuple[str, str]]:
        """Form fields that go before it."""
        ...

    @property
    def form(self) -> bool:
        """Whether it is part of a form."""
        ...


class Sent(Protocol):
    """A request as a client sends it."""

    @property
    def method(self) -> str:
        """HTTP method."""
        ...

    @property
    def url(self) -> str:
        """Absolute URL, quoted."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers."""
        ...

    @property
    def body(self) -> bytes | FileInBody | None:
        """The body; None for none."""
        ...


@frozen
class Received:
    """The answer to a request.

    Attributes:
        status: HTTP status.
        headers: headers; the case of their names does not matter.
        body: the whole body; empty where it is read while it comes.
        stream: reads it while it comes, for a live log.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    stream: LiveSession | None = None


class InMemoryTransport:
    """Hands requests to an emulator and its answers back; give it to a client as its ``transport``.

    Latency, budget, faults and the ledger are those of the emulator. A dropped connection and a truncated body are a
    `ConnectionResetError`.
    """

    streams: bool = True

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    async def send(self, request: Sent) -> Received:
        """Have a request answered.

        Raises:
            ConnectionResetError: a fault dropped the connection.
        """
        connection = _Connection(asyncio.get_running_loop())
        response = await self._dispatch(_incoming(request, connection))
        if connection.line.is_closing():
            raise ConnectionResetError("the emulator dropped the connection")
        if isinstance(response, LiveAnswer):
            return Received(response.status, response.headers, b"", response.session)
        return Received(response.status, response.headers, await _body(response))

    async def close(self) -> None:
        """Do nothing: the emulator belongs to whoever made it."""


def _incoming(request: Sent, connection: _Connection) -> web.BaseRequest:
    """The request as the emulator's server would have read it."""
    url = URL(request.url, encoded=True)
    headers = CIMultiDict(request.headers)
    headers.setdefault("Host", url.authority)
    body = request.body if isinstance(request.body, bytes) else _encoded(request.body, headers)
    payload = EMPTY_PAYLOAD
    if body is not None:
        headers["Content-Length"] = str(len(body))
        payload = StreamReader(connection, _READ_AT_ONCE, loop=connection.loop)
        payload.feed_data(body)
        payload.feed_eof()
    message = RawRequestMessage(
        request.method,
        url.raw_path_qs,
        HttpVersion11,
        CIMultiDictProxy(headers),
        (),
        should_close=False,
        compression=None,
        upgrade=False,
        chunked=False,
        url=url.relative(),
    )
    protocol = cast("web.RequestHandler", connection)
    task = cast("asyncio.Task[None]", asyncio.current_task(connection.loop))
    return web.BaseRequest(message, payload, protocol, _Nowhere(), task, connection.loop)


def _encoded(file: FileInBody | None, headers: CIMultiDict[str]) -> bytes | None:
    """The bytes of a file, or of the form that it is the last part of."""
    if file is None or not file.form:
        return None if file is None else file.path.read_bytes()
    boundary = secrets.token_hex(16)
    headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
    opening = f"--{boundary}\r\nContent-Disposition: form-data; name="
    fields = "".join(f'{opening}"{name}"\r\n\r\n{value}\r\n' for name, value in file.fields)
    last = f'{opening}"file"; filename="site.zip"\r\nContent-Type: application/zip\r\n\r\n'
    return f"{fields}{last}".encode() + file.path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()


async def _body(response: web.StreamResponse) -> bytes:
    if isinstance(response, StoredFile):
        return await asyncio.to_thread(response.path.read_bytes)
    return response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b""


class _Connection(BaseProtocol):
    """What a request knows of the connection that it came in on."""

    ssl_context = None
    peername = None
    sockname = None
    max_field_size = _FIELDS_AT_MOST
    max_headers = _FIELDS_AT_MOST

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.loop = loop
        self.transport = self.line = _Line()


class _Line(asyncio.Transport):
    """A connection that can only be dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._dropped = False

    def is_closing(self) -> bool:
        return self._dropped

    def close(self) -> None:
        self._dropped = True

    def abort(self) -> None:
        self._dropped = True


@define
class _Nowhere(AbstractStreamWriter):
    """Takes what a fault sends of a truncated body; nobody reads it."""

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        pass

    async def write_eof(self, chunk: bytes = b"") -> None:
        pass

    async def drain(self) -> None:
        pass

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        pass

    def enable_chunking(self) -> None:
        pass

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        pass

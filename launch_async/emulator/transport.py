"""A transport that reaches an emulator without a socket, for example on an event loop with virtual time."""

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

from launch_async.emulator.live_logs import LiveLogResponse, LiveSession
from launch_async.emulator.sent import SentRequest
from launch_async.emulator.uploads.storage import StoredFile

Dispatch: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_READ_LIMIT_BYTES = 2**30
_HEADER_LIMIT = 8190


class FileInBody(Protocol):
    """A file as a body, either raw or as the last part of a form."""

    @property
    def path(self) -> Path:
        """Path of the file."""
        ...

    @property
    def fields(self) -> Sequence[tuple[str, str]]:
        """Form fields before the file."""
        ...

    @property
    def form(self) -> bool:
        """Whether the file is part of a form."""
        ...


Sent: TypeAlias = SentRequest[bytes | FileInBody | None]
"""A request as a client sends it."""


@frozen
class Received:
    """The response to a request.

    Attributes:
        status: HTTP status.
        headers: Headers; the case of their names does not matter.
        body: The whole body; empty if there is a stream.
        stream: The body of a live log, which arrives in parts; None for any other response.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    stream: LiveSession | None = None


class InMemoryTransport:
    """A transport that passes requests to an emulator in this process: ``LaunchClient(transport=...)``.

    Latency, rate limit, faults and ledger work as they do over sockets. A dropped connection and a truncated body raise
    `ConnectionResetError`.

    Attributes:
        streams: Whether the transport can read a body while it arrives: always true.
    """

    streams: bool = True

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    async def send(self, request: Sent) -> Received:
        """Send a request and return the response.

        Raises:
            ConnectionResetError: A fault dropped the connection.
        """
        connection = _Connection(asyncio.get_running_loop())
        response = await self._dispatch(_incoming(request, connection))
        if connection.channel.is_closing():
            raise ConnectionResetError("the emulator dropped the connection")
        if isinstance(response, LiveLogResponse):
            return Received(response.status, response.headers, b"", response.session)
        return Received(response.status, response.headers, await _body(response))

    async def close(self) -> None:
        """Do nothing, because the program that started the emulator also stops it."""


def _incoming(request: Sent, connection: _Connection) -> web.BaseRequest:
    """Return the request as the server of the emulator would have read it."""
    url = URL(request.url, encoded=True)
    headers = CIMultiDict(request.headers)
    headers.setdefault("Host", url.authority)
    body = request.body if isinstance(request.body, bytes) else _encoded(request.body, headers)
    payload = EMPTY_PAYLOAD
    if body is not None:
        headers["Content-Length"] = str(len(body))
        payload = StreamReader(connection, _READ_LIMIT_BYTES, loop=connection.loop)
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
    return web.BaseRequest(message, payload, protocol, _DiscardingWriter(), task, connection.loop)


def _encoded(file: FileInBody | None, headers: CIMultiDict[str]) -> bytes | None:
    """Return the bytes of a file, or of a form with the file as its last part."""
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
    """The connection of a request, with the attributes that aiohttp needs."""

    ssl_context = None
    peername = None
    sockname = None
    max_field_size = _HEADER_LIMIT
    max_headers = _HEADER_LIMIT

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.loop = loop
        self.transport = self.channel = _DroppableTransport()


class _DroppableTransport(asyncio.Transport):
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
class _DiscardingWriter(AbstractStreamWriter):
    """A writer that discards everything, such as the truncated body of a fault."""

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

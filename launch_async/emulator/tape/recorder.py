"""Recorder: a middleware that writes each exchange of a client to a tape, masked.

An error in this module ends the recording. It never ends a call.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

import attrs

from launch_async.emulator.clock import iso
from launch_async.emulator.sent import SentRequest
from launch_async.emulator.tape import masking
from launch_async.emulator.tape.tape_file import FORMAT, TapeFile
from launch_async.emulator.tape.vocabulary import is_known

_LOG: Final = logging.getLogger(__name__)
_MAX_EVENT_BYTES: Final = 1024 * 1024
_FAILURES: Final = frozenset({"ConnectError", "ResponseLost", "AttemptTimeout", "ResponseTooLarge"})
_BETWEEN_EVENTS: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class SizedFile(Protocol):
    """A file as a body. Only its size is recorded."""

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        ...


class ReceivedResponse(Protocol):
    """A response as a client receives it."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers."""
        ...

    @property
    def body(self) -> bytes:
        """The body."""
        ...


RecordedRequest: TypeAlias = SentRequest[bytes | SizedFile | None]

RequestT = TypeVar("RequestT", bound=RecordedRequest)
AnswerT = TypeVar("AnswerT", bound=ReceivedResponse)


class Recorder:
    """A middleware that records what a client sends and receives. It masks private data, so that tapes can be shared.

    Pass it to a client of `launch_async` or `launch_sync`: ``LaunchClient(middleware=[Recorder("tape.jsonl")])``.
    Each exchange is one line of JSON, which the recorder appends after the response. Several clients, threads and
    processes can record to the same tape at the same time. The file has mode 0600.

    A recorder keeps only the data that its rules list: statuses, counts, fixed choices, times, and common words of
    messages. It masks everything else: credentials, names, e-mail addresses, UIDs, hosts, URLs, values of variables,
    log texts, and unknown fields. Within one process, the same value always has the same stand-in. Uploads, downloads
    and logins do not pass through the middleware, so a tape never contains them.

    A recorder does not change an exchange, and never makes a call fail. If it cannot write the tape, it logs one
    warning, sets `failed` and stops recording.

    Args:
        path: The tape. A recorder appends to an existing tape.

    Raises:
        ValueError: The file exists and is not a tape.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        self._file = TapeFile(self._path)
        self._failed = False
        try:
            self._file.check()
        except OSError as error:
            self._fail(error)

    @property
    def path(self) -> Path:
        """The tape."""
        return self._path

    @property
    def failed(self) -> bool:
        """Whether the recording has stopped because the tape could not be written."""
        return self._failed

    async def __call__(self, request: RequestT, send: Callable[[RequestT], Awaitable[AnswerT]]) -> AnswerT:
        """Send a request, record the exchange and return the response."""
        if self._failed:
            return await send(request)
        exchange = _Exchange(request)
        try:
            answer = await send(request)
        except Exception as error:
            await asyncio.to_thread(self._write, partial(exchange.failed, error))
            raise
        if getattr(answer, "stream", None) is not None and attrs.has(type(answer)):
            return self._recorded(exchange, answer)
        # Masking takes milliseconds, and another process may have locked the tape. The event loop does not wait for it.
        await asyncio.to_thread(self._write, partial(exchange.answered, answer))
        return answer

    def _recorded(self, exchange: _Exchange, answer: AnswerT) -> AnswerT:
        """Return a response whose stream is recorded while the client reads it."""
        streamed = cast("Any", answer)

        def write(events: _Events, failure: Exception | None) -> None:
            self._write(lambda: exchange.streamed(answer, events.take(), failure))

        return cast("AnswerT", attrs.evolve(streamed, stream=_RecordedStream(streamed.stream, write)))

    def _write(self, compose: Callable[[], Mapping[str, object]]) -> None:
        if self._failed:
            return
        try:
            self._file.append(json.dumps(compose(), separators=(",", ":")).encode() + b"\n")
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failed = True
        # The log omits the text of the error, because it may quote unmasked content.
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        _LOG.warning("The tape %s cannot be written (%s). The recording stops, and calls continue.", self._path, reason)


class _Stream(Protocol):
    async def read(self) -> bytes: ...

    def close(self) -> None: ...


class _Exchange:
    """One exchange, which begins when the request is sent."""

    def __init__(self, request: RecordedRequest) -> None:
        self._request = request
        self._began = time.time()
        self._ticks = time.perf_counter()

    def answered(self, answer: ReceivedResponse) -> Mapping[str, object]:
        """Return the line for a response."""
        description = masking.target(self._request.url)[1] == "/openapi"
        return self._line({"answer": {**_head(answer), **masking.body(answer.body, description=description)}})

    def streamed(self, answer: ReceivedResponse, events: list[str], failure: Exception | None) -> Mapping[str, object]:
        """Return the line for a response that the client has read as a stream."""
        broken = {} if failure is None else {"failure": _failure(failure)}
        return self._line({"answer": {**_head(answer), "events": events}, **broken})

    def failed(self, error: Exception) -> Mapping[str, object]:
        """Return the line for an exchange without a response."""
        return self._line({"failure": _failure(error)})

    def _line(self, outcome: Mapping[str, object]) -> Mapping[str, object]:
        seconds = round(time.perf_counter() - self._ticks, 6)
        return {"tape": FORMAT, "at": iso(self._began), "seconds": seconds, "request": self._sent(), **outcome}

    def _sent(self) -> Mapping[str, object]:
        request = self._request
        host, path, query = masking.target(request.url)
        operation = getattr(request, "operation", "")
        named = {"operation": operation} if isinstance(operation, str) and is_known(operation) else {}
        if isinstance(request.body, bytes):
            body = masking.body(request.body)
        else:
            body = {} if request.body is None else {"file": request.body.size}
        return {
            **named,
            "method": masking.method(request.method),
            "host": host,
            "path": path,
            "query": query,
            "headers": masking.headers(request.headers),
            **body,
        }


def _head(answer: ReceivedResponse) -> Mapping[str, object]:
    return {"status": answer.status, "headers": masking.headers(answer.headers)}


def _failure(error: Exception) -> str:
    name = type(error).__name__
    return name if name in _FAILURES else "OtherError"


class _Events:
    """The events of a stream, each masked when it is complete."""

    def __init__(self) -> None:
        self._masked: list[str] = []
        self._rest = b""
        self._problem: Exception | None = None

    def feed(self, part: bytes) -> None:
        """Add a part of the stream. Omit events that are too long."""
        try:
            *complete, self._rest = _BETWEEN_EVENTS.split(self._rest + part)
            self._masked.extend(masking.event(event.decode("utf-8", "replace")) for event in complete if event.strip())
        except Exception as error:
            self._problem = error
        if len(self._rest) > _MAX_EVENT_BYTES:
            self._rest = b""

    def take(self) -> list[str]:
        """Return the masked events.

        Raises:
            Exception: An event could not be masked.
        """
        if self._problem is not None:
            raise self._problem
        return self._masked


class _RecordedStream:
    """A stream that is recorded while it is read. The exchange is written when the stream ends."""

    def __init__(self, stream: _Stream, write: Callable[[_Events, Exception | None], None]) -> None:
        self._stream = stream
        self._write = write
        self._events = _Events()
        self._is_written = False

    async def read(self) -> bytes:
        """Return the next part of the body."""
        try:
            part = await self._stream.read()
        except Exception as error:
            self._end(error)
            raise
        if part:
            self._events.feed(part)
        else:
            self._end(None)
        return part

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
        self._end(None)

    def _end(self, failure: Exception | None) -> None:
        if not self._is_written:
            self._is_written = True
            self._write(self._events, failure)

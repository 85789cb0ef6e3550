"""Write a ZIP from bytes, an open file or an upload to a temporary file, and check the temporary file.

The SDK can check, hash and resend a ZIP only if the ZIP is on disk. Only one block of the ZIP is in memory at a time.
Reading stops as soon as the ZIP is larger than Launch accepts.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import tempfile
from collections.abc import AsyncIterable, Awaitable, Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeAlias, runtime_checkable

from launch_async.archive.archive import (
    MAX_ARCHIVE_SIZE,
    Archive,
    SecretFiles,
    check_archive_in_thread,
    check_size,
    unwritable,
)
from launch_async.errors import ArchiveError, InvalidArgumentError

__all__ = ["ReadableFile", "Stream", "spooled_archive"]

_BLOCK_BYTES: Final = 1 << 20


@runtime_checkable
class ReadableFile(Protocol):
    """An open binary file, such as `open(path, "rb")` or `BytesIO`, or an upload with an asynchronous `read`."""

    def read(self, size: int, /) -> bytes | Awaitable[bytes]:
        """Return up to `size` bytes; empty at the end of the file."""
        ...


Stream: TypeAlias = bytes | bytearray | memoryview | ReadableFile | AsyncIterable[bytes]
"""A ZIP that is not a path: bytes, an open binary file, an upload, or an asynchronous iterator of blocks."""


async def spooled_archive(stream: Stream, *, secrets: SecretFiles) -> Archive:
    """Return a temporary archive with the bytes of a stream, from its current position to its end.

    The function reads the stream once and does not close it.

    Raises:
        ArchiveError: The stream cannot be read, contains no ZIP that Launch accepts, or the SDK cannot write the ZIP to
            the temporary folder.
        InvalidArgumentError: The stream returns text instead of bytes.
    """
    name = f"the {type(stream).__name__} object"
    try:
        descriptor, path = await asyncio.to_thread(tempfile.mkstemp, prefix="launch-", suffix=".zip")
    except OSError as error:
        raise unwritable(error) from error
    try:
        with os.fdopen(descriptor, "wb") as spool:
            size = await _copied(stream, name, spool)
        if not size:
            hint = ". If it was read or written before, call seek(0)" if hasattr(stream, "seek") else ""
            raise ArchiveError("source", f"{name} is empty{hint}")
        check_size(size)
        return await check_archive_in_thread(path, secrets=secrets, name=name, temporary=True)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(Path(path).unlink, missing_ok=True))
        raise


async def _copied(stream: Stream, name: str, spool: BinaryIO) -> int:
    next_block = _reader(stream)
    size = 0
    while (block := await _read(next_block, name)) is not None:
        size += len(block)
        if size > MAX_ARCHIVE_SIZE:
            break
        try:
            await asyncio.to_thread(_write, spool, block)
        except OSError as error:
            raise unwritable(error) from error
    return size


def _reader(stream: Stream) -> Callable[[], Awaitable[object]]:
    """Return a function that returns the next block of a stream; None at its end."""
    if isinstance(stream, bytes | bytearray | memoryview):
        stream = BytesIO(stream)
    if not isinstance(stream, ReadableFile):
        iterator = aiter(stream)
        return lambda: anext(iterator, None)
    read = partial(stream.read, _BLOCK_BYTES)

    async def block() -> object:
        given = read() if inspect.iscoroutinefunction(stream.read) else await asyncio.to_thread(read)
        given = await given if inspect.isawaitable(given) else given
        return given or None

    return block


async def _read(next_block: Callable[[], Awaitable[object]], name: str) -> bytes | bytearray | None:
    try:
        block = await next_block()
    except (OSError, ValueError) as error:  # A closed file raises ValueError.
        raise ArchiveError("source", f"{name} cannot be read: {error}") from error
    if block is None or isinstance(block, bytes | bytearray):
        return block
    problem = f'{name} returned {type(block).__name__} instead of bytes. Open files with mode "rb"'
    raise InvalidArgumentError("source", problem)


def _write(spool: BinaryIO, block: bytes | bytearray) -> None:
    spool.write(block)
    spool.flush()

"""A file as a request body that is read ahead: the disk works while the network does, and memory holds two pieces.

aiohttp's own payload reads the next piece only when the last one is sent. `OncePayload` is for bytes that aiohttp must
not send a second time. Imported when one of them is first sent, because importing aiohttp takes long.
"""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter

__all__ = ["FilePayload", "OncePayload", "opened"]

_PIECE: Final = 512 * 1024


async def opened(path: Path) -> io.BufferedReader:
    """Open a file in a thread; a caller who is cancelled meanwhile leaves none open.

    Raises:
        OSError: It cannot be read.
    """
    opening = asyncio.get_running_loop().run_in_executor(None, lambda: path.open("rb"))
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close)
        raise


def _close(opening: asyncio.Future[io.BufferedReader]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class FilePayload(aiohttp.BufferedReaderPayload):
    """An open ZIP, of which exactly as much is sent as was announced.

    Args:
        file: The file; whoever opened it closes it.
        size: Bytes that were announced.
    """

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        super().__init__(file, content_type="application/zip", filename=None)
        self._file = file
        self._lock = threading.Lock()
        self._announced = size
        self.short_by: int = 0
        """Bytes by which the file has become shorter than was announced, if that was met."""

    @property
    def size(self) -> int:
        """Bytes that are sent."""
        return self._announced

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Send the file from its beginning.

        Raises:
            OSError: The file has become shorter than was announced.
        """
        loop = asyncio.get_running_loop()
        end = self._announced if content_length is None else min(content_length, self._announced)
        position = 0
        reading = loop.run_in_executor(None, self._piece_at, position)
        try:
            while position < end:
                piece = await reading
                if not piece:
                    self.short_by = self._announced - position
                    raise OSError("the file became shorter while it was sent")
                reading = loop.run_in_executor(None, self._piece_at, position + len(piece))
                await writer.write(piece[: end - position])
                position += len(piece)
        finally:
            reading.cancel()

    def _piece_at(self, position: int) -> bytes:
        # aiohttp may send a request twice: a read that was begun for the first time must not move the second one.
        with self._lock:
            self._file.seek(position)
            return self._file.read(_PIECE)


class OncePayload(aiohttp.BytesPayload):
    """A body that aiohttp does not send again by itself when a kept-alive connection drops."""

    @property
    def consumed(self) -> bool:
        """True from the beginning: aiohttp repeats no request whose body is used up."""
        return True

"""Request bodies for aiohttp: `FilePayload` for files, and `OncePayload` for bytes that aiohttp must send only once.

`FilePayload` reads the next piece of the file while aiohttp sends the current piece, so at most two pieces are in
memory. The payload of aiohttp reads the next piece only after the send. The SDK imports this module when it first needs
it, because the import of aiohttp is slow.
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

_PIECE_BYTES: Final = 512 * 1024


async def opened(path: Path) -> io.BufferedReader:
    """Open a file in a thread. If the caller is cancelled in the meantime, the file is closed.

    Raises:
        OSError: The file cannot be opened.
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
    """An open ZIP file, of which aiohttp sends exactly the announced number of bytes.

    Args:
        file: The open file. The caller closes it.
        size: The announced number of bytes.
    """

    def __init__(self, file: io.BufferedReader, size: int) -> None:
        super().__init__(file, content_type="application/zip", filename=None)
        self._file = file
        self._lock = threading.Lock()
        self._announced = size
        self.short_by: int = 0
        """Number of announced bytes that were missing at the end of the file; 0 if none were missing."""

    @property
    def size(self) -> int:
        """Number of bytes to send."""
        return self._announced

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Send the file from the start.

        Raises:
            OSError: The file is shorter than announced.
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
        # aiohttp may send a request twice. A read for the first send must not move the position of the second send.
        with self._lock:
            self._file.seek(position)
            return self._file.read(_PIECE_BYTES)


class OncePayload(aiohttp.BytesPayload):
    """A body that aiohttp does not send again automatically when a kept-alive connection breaks."""

    @property
    def consumed(self) -> bool:
        """Always True, because aiohttp does not repeat a request whose body is consumed."""
        return True

"""Decode Server-Sent Events from the bytes of a stream, by the algorithm of the HTML standard, in bounded memory.

Lines end with CR, LF or CRLF, even if the bytes are split between CR and LF. Comments are ignored. Lines after the last
blank line do not form an event yet. This module does no I/O.
"""

from __future__ import annotations

import codecs
from typing import Final

import attrs

__all__ = ["EventDecoder", "EventTooLarge", "ServerSentEvent"]

_MAX_BYTES: Final = 4 * 1024 * 1024


class EventTooLarge(ValueError):
    """An event, or a line of an event, has more bytes than the decoder accepts."""


@attrs.frozen
class ServerSentEvent:
    """One event.

    Attributes:
        event: Type of the event; `message` if the stream names no type.
        data: Data of the event. Line feeds separate its lines.
        last_id: The latest id in the stream; empty if the stream has sent no id.
    """

    event: str
    data: str
    last_id: str


class EventDecoder:
    """Decoder of one stream. Pass the bytes to `feed` in pieces. It returns the events that are complete.

    Args:
        last_id: The latest id of the previous stream, if this stream continues it.
        max_bytes: Maximum size of an event, in bytes.
    """

    def __init__(self, *, last_id: str = "", max_bytes: int = _MAX_BYTES) -> None:
        self.last_id: str = last_id
        self._max_bytes = max_bytes
        self._head: bytes | None = b""
        """First bytes, which may be a part of a byte order mark; None after the decoder has read them."""
        self._pieces: list[bytes] = []
        self._line_size = 0
        self._data_size = 0
        self._after_cr = False
        self._event = ""
        self._data: list[str] = []
        self._id = last_id

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Return the events that are complete with these bytes.

        Raises:
            EventTooLarge: An event is too large. The decoder cannot read the rest of the stream.
        """
        if self._head is not None:
            piece = self._head + piece
            if len(piece) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(piece):
                self._head = piece
                return []
            self._head, piece = None, piece.removeprefix(codecs.BOM_UTF8)
        if piece and self._after_cr:
            self._after_cr, piece = False, piece.removeprefix(b"\n")
        if not piece:
            return []
        self._after_cr = piece.endswith(b"\r")
        # The added `|` makes sure that the last item is the unfinished line, even if that line is empty.
        *lines, rest = (piece + b"|").splitlines()
        found: list[ServerSentEvent] = []
        for line in lines:
            self._extend_line(line)
            event = self._line(b"".join(self._pieces).decode("utf-8", "replace"))
            self._pieces.clear()
            self._line_size = 0
            if event is not None:
                found.append(event)
        self._extend_line(rest[:-1])
        return found

    def _extend_line(self, piece: bytes) -> None:
        self._line_size += len(piece)
        if self._line_size + self._data_size > self._max_bytes:
            raise EventTooLarge(f"an event has more than {self._max_bytes} bytes")
        if piece:
            self._pieces.append(piece)

    def _line(self, line: str) -> ServerSentEvent | None:
        """Process a complete line; a blank line ends an event."""
        if not line:
            return self._dispatched()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
                self._data_size += self._line_size
            case "id" if "\0" not in value:
                self._id = value
            case _:
                # A comment has no name. `retry` is ignored, because the SDK decides when to reconnect.
                pass
        return None

    def _dispatched(self) -> ServerSentEvent | None:
        self.last_id = self._id
        event, data = self._event or "message", "\n".join(self._data)
        has_data = bool(self._data)
        self._event, self._data_size = "", 0
        self._data.clear()
        return ServerSentEvent(event, data, self.last_id) if has_data else None

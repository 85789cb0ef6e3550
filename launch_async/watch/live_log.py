"""`LiveLog`: one session of a live server log. It returns the lines, and detects the end or a broken connection.

The service announces the end of a session and sends heartbeats. Only two names of its events are documented. So the SDK
reads lines from every event that is neither an end nor a heartbeat: an object is one line, a list is several lines.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from launch_async.errors import ResponseLost
from launch_async.http.base import BodyStream, Response
from launch_async.models.base import JSONValue
from launch_async.models.log import ServerLogLine
from launch_async.wire.documents import structure
from launch_async.wire.event_stream import EventDecoder, EventTooLarge, ServerSentEvent
from launch_async.wire.json_body import load_json

__all__ = ["LiveLog", "is_event_stream"]

_FIRST_HEARTBEAT_S: Final = 5.0
"""Maximum seconds until the first heartbeat, which the service sends immediately. A buffering proxy holds it back."""

_MAX_SILENCE_S: Final = 45.0
"""Minimum seconds without an event or heartbeat after which a session counts as broken."""

_WAKE_UP_S: Final = 1.0
"""Additional seconds after that. When a machine wakes up, the time has passed, but received data may be unread."""

_ENDED: Final = "session-ended"
_NOT_LINES: Final = frozenset({"session", _ENDED, "heartbeat", "ping", "keepalive", "keep-alive"})
_LISTS: Final = ("logs", "serverLogs", "lines", "entries")


def is_event_stream(response: Response) -> bool:
    """Return whether a response is a stream of events. A proxy can answer with a page instead."""
    media_type = (response.header("Content-Type") or "").partition(";")[0].strip().lower()
    return response.stream is not None and media_type == "text/event-stream"


class LiveLog:
    """One session.

    Attributes:
        has_data: Whether the service has sent anything in this session.
        has_ended: Whether the service has announced the end of the session.
        last_data_at: When the last data arrived, by the loop's clock.
    """

    def __init__(self, stream: BodyStream, *, last_id: str) -> None:
        self.has_data: bool = False
        self.has_ended: bool = False
        self._stream = stream
        self._decoder = EventDecoder(last_id=last_id)
        self._clock = asyncio.get_running_loop().time
        self.last_data_at: float = self._clock()
        self._opened_at = self.last_data_at
        self._longest_silence = 0.0
        self._is_resumed = False
        self._is_overdue = False

    @property
    def last_id(self) -> str:
        """The id of the last event; empty if there is none."""
        return self._decoder.last_id

    @property
    def age(self) -> float:
        """Seconds since the session was opened."""
        return self._clock() - self._opened_at

    async def read(self, *, until: float) -> list[ServerLogLine] | None:
        """Return the lines that have arrived; None at the end, and an empty list for a heartbeat.

        Args:
            until: When to return an empty list if nothing arrives, by the loop's clock.

        Raises:
            ResponseLost: The connection broke, or the session has been silent for too long.
        """
        if self._is_resumed:
            # The time in which the caller processed lines does not count as silence of the stream.
            self._is_resumed, self.last_data_at = False, self._clock()
        limit = self.last_data_at + self._max_silence
        if self._is_overdue:
            limit = max(limit, self._clock() + _WAKE_UP_S)
        scope = asyncio.timeout_at(min(until, limit))
        try:
            async with scope:
                part = await self._stream.read()
        except TimeoutError:
            if not scope.expired():
                raise
            if self._clock() < limit:
                return []
            if not self._is_overdue:
                self._is_overdue = True
                return []
            raise ResponseLost("The live log stopped sending heartbeats", operation="streamLiveServerLogs") from None
        except OSError as error:
            raise ResponseLost("The connection to the live log broke", operation="streamLiveServerLogs") from error
        self._note_data()
        if not part:
            return None
        try:
            lines = [line for event in self._decoder.feed(part) for line in self._lines_of(event)]
        except EventTooLarge as error:
            raise ResponseLost(f"The live log cannot be read: {error}", operation="streamLiveServerLogs") from None
        self._is_resumed = bool(lines)
        return lines

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    @property
    def _max_silence(self) -> float:
        return max(_MAX_SILENCE_S, 3 * self._longest_silence) if self.has_data else _FIRST_HEARTBEAT_S

    def _note_data(self) -> None:
        now = self._clock()
        if self.has_data:
            self._longest_silence = max(self._longest_silence, now - self.last_data_at)
        self.has_data, self.last_data_at, self._is_overdue = True, now, False

    def _lines_of(self, event: ServerSentEvent) -> Iterator[ServerLogLine]:
        self.has_ended |= event.event == _ENDED
        if event.event.lower() in _NOT_LINES:
            return
        try:
            document = load_json(event.data.encode())
        except ValueError:
            # An event without JSON is also a line.
            document = event.data
        for entry in _entries(document):
            yield structure(entry, ServerLogLine)


def _entries(document: JSONValue) -> list[JSONValue]:
    """Return the objects and texts of an event. A single number or null counts as a heartbeat."""
    if isinstance(document, dict):
        inner = next((document[name] for name in _LISTS if isinstance(document.get(name), list)), None)
        document = [document] if inner is None else inner
    entries: list[JSONValue] = document if isinstance(document, list) else [document]
    return [entry for entry in entries if isinstance(entry, dict | str) and entry]

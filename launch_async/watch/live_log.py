"""`LiveLog`: one session of a live server log, from its opening to its end: lines, and whether it is still alive.

The service tells when a session ends, sends heartbeats, and calls its events by names of which two are known (FACTS §7
and §11 row 31). So every event that is no such sign carries lines: an object is one, a list several.
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

_FIRST_SIGN: Final = 5.0
"""Seconds within which the first heartbeat comes, which the service sends at once. A proxy that buffers shows none."""

_SILENCE: Final = 45.0
"""Seconds without a sign after which a session counts as broken, at the least."""

_SECOND_CHANCE: Final = 1.0
"""Seconds more after that: a machine that was suspended finds the time over, and what has come not yet read."""

_ENDED: Final = "session-ended"
_SIGNS: Final = frozenset({"session", _ENDED, "heartbeat", "ping", "keepalive", "keep-alive"})
_LISTS: Final = ("logs", "serverLogs", "lines", "entries")


def is_event_stream(response: Response) -> bool:
    """Return whether an answer is a stream of events, and not a page that something else has answered with."""
    media_type = (response.header("Content-Type") or "").partition(";")[0].strip().lower()
    return response.stream is not None and media_type == "text/event-stream"


class LiveLog:
    """One session.

    Attributes:
        has_spoken: Whether it has sent anything at all.
        has_ended: Whether the service has said that it ends.
        heard_at: When something was heard of it last, by the loop's clock.
    """

    def __init__(self, stream: BodyStream, *, last_id: str) -> None:
        self.has_spoken: bool = False
        self.has_ended: bool = False
        self._stream = stream
        self._decoder = EventDecoder(last_id=last_id)
        self._clock = asyncio.get_running_loop().time
        self.heard_at: float = self._clock()
        self._opened_at = self.heard_at
        self._longest_silence = 0.0
        self._is_resumed = False
        self._is_doubtful = False

    @property
    def last_id(self) -> str:
        """The id of the last event; empty for none."""
        return self._decoder.last_id

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return self._clock() - self._opened_at

    async def read(self, *, until: float) -> list[ServerLogLine] | None:
        """Return the lines that have come; None at the end, an empty list for a heartbeat.

        Args:
            until: When to return an empty list if nothing comes, by the loop's clock.

        Raises:
            ResponseLost: It has broken, or is silent for too long.
        """
        if self._is_resumed:
            # A reader that takes its time over lines does not make the stream a silent one.
            self._is_resumed, self.heard_at = False, self._clock()
        limit = self.heard_at + self._patience
        if self._is_doubtful:
            limit = max(limit, self._clock() + _SECOND_CHANCE)
        scope = asyncio.timeout_at(min(until, limit))
        try:
            async with scope:
                part = await self._stream.read()
        except TimeoutError:
            if not scope.expired():
                raise
            if self._clock() < limit:
                return []
            if not self._is_doubtful:
                self._is_doubtful = True
                return []
            raise ResponseLost("The live log sends no more heartbeats", operation="streamLiveServerLogs") from None
        except OSError as error:
            raise ResponseLost("The connection of the live log broke", operation="streamLiveServerLogs") from error
        self._note_sign()
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
    def _patience(self) -> float:
        return max(_SILENCE, 3 * self._longest_silence) if self.has_spoken else _FIRST_SIGN

    def _note_sign(self) -> None:
        now = self._clock()
        if self.has_spoken:
            self._longest_silence = max(self._longest_silence, now - self.heard_at)
        self.has_spoken, self.heard_at, self._is_doubtful = True, now, False

    def _lines_of(self, event: ServerSentEvent) -> Iterator[ServerLogLine]:
        self.has_ended |= event.event == _ENDED
        if event.event.lower() in _SIGNS:
            return
        try:
            document = load_json(event.data.encode())
        except ValueError:
            # No JSON, but a line all the same.
            document = event.data
        for entry in _entries(document):
            yield structure(entry, ServerLogLine)


def _entries(document: JSONValue) -> list[JSONValue]:
    """Return the entries of an event: objects, and texts. A bare number or null is a sign of life of another name."""
    if isinstance(document, dict):
        inner = next((document[name] for name in _LISTS if isinstance(document.get(name), list)), None)
        document = [document] if inner is None else inner
    entries: list[JSONValue] = document if isinstance(document, list) else [document]
    return [entry for entry in entries if isinstance(entry, dict | str) and entry]

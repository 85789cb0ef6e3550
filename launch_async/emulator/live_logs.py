"""The live server log: sessions of Server-Sent Events that send each line when it is written.

A session begins with a heartbeat and the event ``session``. After its maximum time it ends with ``session-ended``. Only
these two names of the real service are known, so options choose everything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import json
from itertools import count
from typing import Final
from weakref import WeakSet

from aiohttp import web

from launch_async.emulator.clock import Clock, iso, iso_milliseconds
from launch_async.emulator.options import EmulatorOptions
from launch_async.emulator.state import Deployment, Record, ServerLine

READER_CHECK_S: Final = 0.2
"""Seconds between checks whether the reader has closed the connection."""
MIN_WAIT_S: Final = 0.001


class LiveLogs:
    """All open sessions."""

    def __init__(self, options: EmulatorOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._sessions: WeakSet[LiveSession] = WeakSet()

    def open(self, deployment: Deployment, last_event_id: str | None) -> LiveSession:
        """Open a session. With ``live_log_resume``, it begins after the last line that the reader has received."""
        session = LiveSession(deployment, self._options, self._clock)
        if self._options.live_log_resume and last_event_id is not None and last_event_id.isdecimal():
            for line in deployment.server_lines or ():
                if line.number > int(last_event_id):
                    session.add(line)
        self._sessions.add(session)
        return session

    def add(self, deployment: Deployment, line: ServerLine) -> None:
        """Send a line to all readers of a deployment's log. A test may call this on another thread."""
        for session in self.sessions:
            if session.deployment is deployment:
                session.add(line)

    def wake(self) -> None:
        """Make every session check the clock again, after the clock was moved forward."""
        for session in self.sessions:
            session.wake()

    def break_all(self) -> int:
        """Break every connection, and return the number of connections."""
        sessions = self.sessions
        for session in sessions:
            session.is_broken = True
            session.wake()
        return len(sessions)

    def close_all(self) -> None:
        """End every session silently, so that the server can stop immediately."""
        for session in self.sessions:
            session.close()
            session.wake()

    @property
    def sessions(self) -> list[LiveSession]:
        """Sessions that have not ended and still have a reader."""
        return [session for session in list(self._sessions) if not session.is_over]


class LiveSession:
    """The session of one reader. It produces the events, and is independent of the connection."""

    def __init__(self, deployment: Deployment, options: EmulatorOptions, clock: Clock) -> None:
        self.deployment: Deployment = deployment
        self.is_over: bool = False
        self.is_broken: bool = False
        self._options = options
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._order = count()
        self._lines: list[tuple[float, int, ServerLine]] = []
        self._next_heartbeat = clock.now()
        self._ends_at = self._next_heartbeat + options.live_log_cap
        self._is_announced = False

    def add(self, line: ServerLine) -> None:
        """Send a line after the delay of the stream."""
        heapq.heappush(self._lines, (self._clock.now() + self._options.live_log_delay, next(self._order), line))
        self.wake()

    def wake(self) -> None:
        """Check again for events that are due. This is safe on any thread."""
        with contextlib.suppress(RuntimeError):  # the session's loop is closed
            self._loop.call_soon_threadsafe(self._changed.set)

    def take(self) -> bytes:
        """Return all events that are due; empty if there are none.

        Raises:
            ConnectionResetError: A test has broken the connection.
        """
        if self.is_broken:
            self.is_over = True
            raise ConnectionResetError("the emulator broke the live log")
        if self.is_over:
            return b""
        now, frames = self._clock.now(), list[str]()
        if now >= self._next_heartbeat:
            frames.append(_heartbeat(self._options))
            self._next_heartbeat = now + self._options.live_log_heartbeat_seconds
        if not self._is_announced:
            frames.append(_event("session", {"expiresAt": iso(self._ends_at)}))
            self._is_announced = True
        due = list[ServerLine]()
        while self._lines and self._lines[0][0] <= now:
            due.append(heapq.heappop(self._lines)[2])
        frames.extend(_entries(due, self._options))
        if now >= self._ends_at:
            frames.append(_event("session-ended", {"reason": "max-duration"}))
            self.is_over = True
        return "".join(frames).encode()

    async def wait(self, at_most: float | None = None) -> None:
        """Wait until an event may be due."""
        moments = [self._next_heartbeat, self._ends_at, *(due for due, *_ in self._lines[:1])]
        seconds = max(min(moments) - self._clock.now(), MIN_WAIT_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds if at_most is None else min(seconds, at_most)):
                await self._changed.wait()
        self._changed.clear()

    async def read(self) -> bytes:
        """Return the next events as soon as there are any; empty at the end. A read may be cancelled."""
        while True:
            part = self.take()
            if part or self.is_over:
                return part
            await self.wait()

    def close(self) -> None:
        """End the session, because the reader has closed the connection."""
        self.is_over = True


class LiveLogResponse(web.StreamResponse):
    """The response that sends a session over a connection."""

    def __init__(self, session: LiveSession, request: web.BaseRequest) -> None:
        super().__init__(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        self.session: LiveSession = session
        self._request = request

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the session until it ends or the reader closes the connection."""
        try:
            while (
                not self.session.is_over
                and self._request.transport is not None
                and not self._request.transport.is_closing()
            ):
                if part := self.session.take():
                    await self.write(part)
                else:
                    await self.session.wait(READER_CHECK_S)
        except ConnectionResetError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise
        finally:
            self.session.close()
        await super().write_eof(data)


def _heartbeat(options: EmulatorOptions) -> str:
    return ": heartbeat\n\n" if options.live_log_heartbeat == "comment" else _event("heartbeat", {})


def _entries(lines: list[ServerLine], options: EmulatorOptions) -> list[str]:
    """Return the events of some lines: one for each line, or one for all lines."""
    if not lines:
        return []
    groups = [lines] if options.live_log_entries == "list" else [[line] for line in lines]
    shown = [[_shown(line) for line in group] for group in groups]
    return [
        _event(
            options.live_log_event,
            entries if options.live_log_entries == "list" else entries[0],
            group[-1].number if options.live_log_resume else None,
        )
        for group, entries in zip(groups, shown, strict=True)
    ]


def _shown(line: ServerLine) -> Record:
    return {"source": line.source, "message": line.message, "timestamp": iso_milliseconds(line.stamp)}


def _event(name: str, data: object, number: int | None = None) -> str:
    fields = {"id": number, "event": name or None, "data": json.dumps(data)}
    return "".join(f"{field}: {value}\n" for field, value in fields.items() if value is not None) + "\n"

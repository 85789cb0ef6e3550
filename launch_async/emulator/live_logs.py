"""The live server log: sessions of Server-Sent Events that are told of each line as it is written (FACTS §7).

A session begins with a heartbeat and the event ``session``, and ends after its cap with ``session-ended``. Nothing of
this is established but those two names; the options play what else it may look like (FACTS §11 row 31).
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

# How soon a session notices that its reader has gone.
LOOKS_EVERY: Final = 0.2
SHORTEST: Final = 0.001


class LiveLogs:
    """The sessions that are open."""

    def __init__(self, options: EmulatorOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._sessions: WeakSet[LiveSession] = WeakSet()

    def open(self, deployment: Deployment, last_event_id: str | None) -> LiveSession:
        """Open a session; with ``live_log_resume`` it begins behind the line that the reader had last."""
        session = LiveSession(deployment, self._options, self._clock)
        if self._options.live_log_resume and last_event_id is not None and last_event_id.isdecimal():
            for line in deployment.server_lines or ():
                if line.number > int(last_event_id):
                    session.add(line)
        self._sessions.add(session)
        return session

    def add(self, deployment: Deployment, line: ServerLine) -> None:
        """Tell whoever reads the log of a deployment; a test may do so from another thread than the server's."""
        for session in self.sessions:
            if session.deployment is deployment:
                session.add(line)

    def wake(self) -> None:
        """Have every session look at the clock, which was moved."""
        for session in self.sessions:
            session.wake()

    def break_all(self) -> int:
        """Break every connection; returns how many there were."""
        sessions = self.sessions
        for session in sessions:
            session.is_broken = True
            session.wake()
        return len(sessions)

    def close_all(self) -> None:
        """End every session without a word, so that the server can stop at once."""
        for session in self.sessions:
            session.close()
            session.wake()

    @property
    def sessions(self) -> list[LiveSession]:
        """Those that have neither ended nor been left."""
        return [session for session in list(self._sessions) if not session.is_over]


class LiveSession:
    """One reader's session, without a way to send it."""

    def __init__(self, deployment: Deployment, options: EmulatorOptions, clock: Clock) -> None:
        self.deployment: Deployment = deployment
        self.is_over: bool = False
        self.is_broken: bool = False
        self._options = options
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._order = count()
        self._lines: list[tuple[float, int, ServerLine]] = []
        self._begins = self._beats = clock.now()
        self._ends = self._begins + options.live_log_cap
        self._is_announced = False

    def add(self, line: ServerLine) -> None:
        """Send a line after the delay of the stream."""
        heapq.heappush(self._lines, (self._clock.now() + self._options.live_log_delay, next(self._order), line))
        self.wake()

    def wake(self) -> None:
        """Look again at what is due."""
        with contextlib.suppress(RuntimeError):  # its loop has ended
            self._loop.call_soon_threadsafe(self._news.set)

    def take(self) -> bytes:
        """Everything that is due now; nothing if nothing is.

        Raises:
            ConnectionResetError: the connection is to break.
        """
        if self.is_broken:
            self.is_over = True
            raise ConnectionResetError("the emulator broke the live log")
        if self.is_over:
            return b""
        now, frames = self._clock.now(), list[str]()
        if now >= self._beats:
            frames.append(_heartbeat(self._options))
            self._beats = now + self._options.live_log_heartbeat_seconds
        if not self._is_announced:
            frames.append(_event("session", {"expiresAt": iso(self._ends)}))
            self._is_announced = True
        due = list[ServerLine]()
        while self._lines and self._lines[0][0] <= now:
            due.append(heapq.heappop(self._lines)[2])
        frames.extend(_entries(due, self._options))
        if now >= self._ends:
            frames.append(_event("session-ended", {"reason": "max-duration"}))
            self.is_over = True
        return "".join(frames).encode()

    async def wait(self, at_most: float | None = None) -> None:
        """Wait until something may be due."""
        moments = [self._beats, self._ends, *(due for due, *_ in self._lines[:1])]
        seconds = max(min(moments) - self._clock.now(), SHORTEST)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds if at_most is None else min(seconds, at_most)):
                await self._news.wait()
        self._news.clear()

    async def read(self) -> bytes:
        """What is due next, as soon as there is something; nothing at the end. A read may be cancelled."""
        while True:
            part = self.take()
            if part or self.is_over:
                return part
            await self.wait()

    def close(self) -> None:
        """The reader has gone."""
        self.is_over = True


class LiveAnswer(web.StreamResponse):
    """A session on a connection."""

    def __init__(self, session: LiveSession, request: web.BaseRequest) -> None:
        super().__init__(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        self.session: LiveSession = session
        self._of = request

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the session to its end, or until its reader has gone."""
        try:
            while not self.session.is_over and self._of.transport is not None and not self._of.transport.is_closing():
                if part := self.session.take():
                    await self.write(part)
                else:
                    await self.session.wait(LOOKS_EVERY)
        except ConnectionResetError:
            if self._of.transport is not None:
                self._of.transport.abort()
            raise
        finally:
            self.session.close()
        await super().write_eof(data)


def _heartbeat(options: EmulatorOptions) -> str:
    return ": heartbeat\n\n" if options.live_log_heartbeat == "comment" else _event("heartbeat", {})


def _entries(lines: list[ServerLine], options: EmulatorOptions) -> list[str]:
    """The events of some lines: one for each, or one for all of them."""
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

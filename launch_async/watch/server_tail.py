"""`ServerTail`: every line of a server log, once. It reads the live log if the service offers it, else the stored log.

A session of the live log costs one request. The SDK opens a new session when a session ends or breaks. It reads the
lines that were written in between from the stored log: immediately, and again later, because lines can become readable
late. If the service offers no live log, or a proxy buffers it, the SDK polls windows of the stored log.

The service expects both ends of a window, in epoch milliseconds. Each window begins a little before the end of the
previous window, and the SDK leaves out lines that it has returned before. Windows use the service's clock, which the
SDK continues with the monotonic clock, and end at the service's current time. The end of the last window is stored in
the loop's time. It counts only while the service's clock agrees with the clock of that window. So no line is lost if
this machine's clock is wrong, or if a clock is changed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from launch_async._text import without_escapes
from launch_async.errors import (
    APIError,
    ClosedError,
    ConfigurationError,
    InvalidArgumentError,
    LaunchError,
    ServerLogsUnavailable,
    TransportError,
)
from launch_async.models.deployment import DeploymentRef
from launch_async.models.log import ServerLogLine
from launch_async.watch.live_log import LiveLog, is_event_stream
from launch_async.watch.log_cursor import SeenLines, unseen_lines
from launch_async.watch.poll_queue import PollQueue
from launch_async.watch.schedule import FailureStreak

__all__ = ["ServerTail"]

_LOG: Final = logging.getLogger(__name__)
_INTERVAL_S: Final = 3.0
_LOOK_BACK: Final = timedelta(seconds=15)
_LONGEST_WINDOW: Final = timedelta(hours=1)
_TOLERANCE: Final = timedelta(seconds=1)
"""Precision of the service's clock, which reports whole seconds."""

_SETTLING_S: Final = 1.0
"""Seconds after the opening of a session until the stored log contains the lines that were written before it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SAME_CLOCK_S: Final = 5.0
"""Maximum seconds by which two readings of one clock differ."""

_SHORT_SESSION_S: Final = 5.0
_MAX_SHORT_SESSIONS: Final = 5
"""Number of sessions in a row shorter than `_SHORT_SESSION_S`, after which the SDK polls the log permanently."""

_MAX_SILENT_SESSIONS: Final = 2
"""Number of sessions in a row without a heartbeat, after which the SDK polls the log permanently."""

_MAX_PAUSE_S: Final = 60.0
_TEMPORARY_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})
_NOT_OFFERED_STATUSES: Final = frozenset({405, 501})


class ServerTail:
    """One reader of a server log.

    Args:
        polls: The queue that sends the requests.
        ref: The deployment.
        since: The moment to begin at, or how long ago it was; None for now.
        until: The moment to end at; None for no end.

    Raises:
        InvalidArgumentError: A moment has no time zone.
    """

    def __init__(
        self, polls: PollQueue, ref: DeploymentRef, *, since: datetime | timedelta | None, until: datetime | None
    ) -> None:
        _check_aware(since, until)
        self._polls = polls
        self._ref = ref
        self._since = since
        self._until = until
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()
        self._seen: SeenLines[ServerLogLine] = SeenLines(
            lambda line: line.source or "", look_back=_LOOK_BACK, forget=True
        )
        self._repeats: Counter[int] = Counter()
        """Number of returned lines by key that a live session can send again."""

        self._read = _ReadSoFar()
        self._failures = FailureStreak()
        self._answered = False
        self._is_caught_up = False
        self._is_over = False
        """Whether all requested lines were read."""

        self._tries_live = polls.offers_live
        self._live_from = -math.inf
        """Earliest time of the next session, by the loop's clock."""

        self._short_sessions = 0
        self._silent_sessions = 0
        self._last_id = ""

    async def lines(self) -> AsyncGenerator[ServerLogLine, None]:
        """Yield each line once.

        Raises:
            ServerLogsUnavailable: The deployment has no server log.
            LaunchError: The log cannot be read.
        """
        while not self._is_over:
            session = await self._opened()
            if session is not None:
                try:
                    async for line in self._live(session):
                        yield line
                finally:
                    session.close()
            elif self._is_early:
                await asyncio.sleep(_INTERVAL_S)
            else:
                for line in await self._polled():
                    if self._is_wanted(line):
                        yield line
                if self._is_caught_up and not self._is_over:
                    await asyncio.sleep(min(_INTERVAL_S, max(self._end_ticks - self._clock(), 0.0)))

    @property
    def _offset(self) -> float:
        """Seconds by which the service's clock is ahead of the loop's clock."""
        return self._now.timestamp() - self._clock()

    @property
    def _now(self) -> datetime:
        return self._polls.now

    @property
    def _begin(self) -> datetime:
        if isinstance(self._since, datetime):
            return self._since
        # A beginning that is a little too early loses no line.
        return datetime.fromtimestamp(self._started + self._offset, UTC) - (self._since or timedelta()) - _TOLERANCE

    @property
    def _is_early(self) -> bool:
        """Whether `since` is in the future."""
        return isinstance(self._since, datetime) and self._now < self._since

    def _has_ended(self, now: datetime) -> bool:
        """Return whether `until` has certainly passed."""
        return self._until is not None and now - _TOLERANCE >= self._until

    @property
    def _end_ticks(self) -> float:
        """When `until` will have passed, by the loop's clock; infinity without an end."""
        if self._until is None:
            return math.inf
        return self._until.timestamp() + _TOLERANCE.total_seconds() - self._offset

    # The stored log

    async def _polled(self) -> Sequence[ServerLogLine]:
        """Read the next window, and return its new lines; an empty list after a temporary failure."""
        try:
            return await self._window()
        except LaunchError as error:
            # A static site answers 500 from the start. After the first log, a 500 is a temporary failure.
            is_final = isinstance(error, ServerLogsUnavailable) and not self._answered
            if is_final or self._failures.is_final(error, self._clock()):
                raise
        self._is_caught_up = False
        await asyncio.sleep(self._failures.delay)
        return []

    async def _window(self) -> Sequence[ServerLogLine]:
        """Read the next window, and return its new lines in time order."""
        now, offset = self._now, self._offset
        start, end = self._bounds(now, offset)
        lines = await self._polls.server_log(self._ref, start, end)
        self._answered = True
        self._failures.clear()
        if abs(self._offset - offset) < _SAME_CLOCK_S:
            self._read.note(offset, end.timestamp() - offset)
            self._is_caught_up = end >= now or (self._until is not None and end >= self._until)
            self._is_over = self._is_caught_up and self._has_ended(now)
        else:
            # The response showed that the clock was wrong, so the window was also wrong.
            self._is_caught_up = False
        self._seen.present = self._now
        return await unseen_lines(self._seen, lines)

    def _bounds(self, now: datetime, offset: float) -> tuple[datetime, datetime]:
        """Return the next window: from a little before the end of the last window to the service's current time."""
        begin, reached = self._begin, self._read.until(offset)
        if reached is not None:
            start = max(begin, datetime.fromtimestamp(reached + offset, UTC) - _LOOK_BACK)
        elif self._read.is_empty:
            start = begin
        else:
            # The clock agrees with no earlier clock, so the difference between them is not known.
            start = max(begin, now - _LONGEST_WINDOW)
        start = min(start, now)
        end = min(start + _LONGEST_WINDOW, now)
        return start, end if self._until is None else min(end, max(self._until, start))

    def _is_wanted(self, line: ServerLogLine) -> bool:
        """Record a new line of the stored log, and return whether to yield it: not if it is before the beginning."""
        stamp = line.timestamp
        if not isinstance(self._since, datetime) and stamp is not None and _EPOCH <= stamp < self._begin:
            # The window was requested with a wrong clock.
            return False
        self._seen.add(line)
        return True

    # The live log

    async def _opened(self) -> LiveLog | None:
        """Open a session of the live log; None to poll the stored log instead, permanently or for now."""
        if not self._tries_live or self._clock() < self._live_from or not self._is_worth_a_session:
            return None
        try:
            response = await self._polls.live_log(self._ref, self._last_id)
        except (ClosedError, ConfigurationError, InvalidArgumentError):
            raise
        except LaunchError as error:
            if isinstance(error, APIError) and error.status not in _TEMPORARY_STATUSES:
                self._polls.offers_live &= error.status not in _NOT_OFFERED_STATUSES
                self._give_up(error)
            else:
                self._retry_later(error)
            return None
        if response.stream is None:
            self._give_up("the response has no stream")
        elif not is_event_stream(response):
            response.stream.close()
            self._give_up("the response is not an event stream")
        else:
            return LiveLog(response.stream, last_id=self._last_id)
        return None

    @property
    def _is_worth_a_session(self) -> bool:
        """Whether the server can still write lines that the caller requested."""
        return not self._is_early and (self._until is None or self._now < self._until)

    async def _live(self, session: LiveLog) -> AsyncGenerator[ServerLogLine, None]:
        """Yield the lines that were written before a session, and then the lines of the session."""
        self._repeats = self._seen.recent()
        # Before a first session that begins now there are no lines to read.
        has_past = self._since is not None or not self._read.is_empty
        fills = [self._clock() + _SETTLING_S, self._clock() + _LOOK_BACK.total_seconds()] if has_past else []
        try:
            while not self._has_ended(self._now):
                if len(fills) == 2:
                    # Live lines are newer, and wait in the connection.
                    await asyncio.sleep(fills[0] - self._clock())
                if fills and self._clock() >= fills[0]:
                    for line in await self._filled(fills):
                        if self._is_wanted(line):
                            self._repeats[self._seen.key_of(line)] += 1
                            yield line
                    continue
                lines = await session.read(until=min([*fills, self._end_ticks]))
                if lines is None:
                    break
                for line in lines:
                    if self._is_new_live(line):
                        yield line
        except TransportError as error:
            self._note_end(session, error)
        else:
            self._note_end(session, None)

    async def _filled(self, fills: list[float]) -> Sequence[ServerLogLine]:
        """Return the lines that the session missed from the stored log. A failure here does not end the session."""
        try:
            lines = await self._window()
        except (ClosedError, ConfigurationError):
            raise
        except LaunchError as error:
            if self._failures.is_final(error, self._clock()):
                _LOG.warning(
                    "Lines of the server log of deployment %s may be missing, as the stored log cannot be read: %s",
                    self._ref.deployment_uid,
                    without_escapes(str(error)),
                    extra={"deployment_uid": self._ref.deployment_uid, "operation": error.operation},
                )
                fills.clear()
            else:
                fills[0] = self._clock() + self._failures.delay
            return []
        if self._is_caught_up:
            del fills[0]
        return lines

    def _is_new_live(self, line: ServerLogLine) -> bool:
        """Record a line of the live log, and return whether to yield it: not if it is a repeat or out of range."""
        stamp = line.timestamp
        if stamp is not None and stamp >= _EPOCH:
            key = self._seen.key_of(line)
            if self._repeats[key] > 0:
                self._repeats[key] -= 1
                return False
            is_early = self._since is not None and stamp < self._begin
            is_late = self._until is not None and stamp > self._until
            if is_early or is_late or self._seen.has_forgotten(line):
                return False
        self._seen.present = self._now
        self._seen.add(line)
        return True

    def _note_end(self, session: LiveLog, error: TransportError | None) -> None:
        """Decide what to do after a session."""
        self._last_id = session.last_id
        self._repeats.clear()
        if not session.has_data:
            self._silent_sessions += 1
            if self._silent_sessions >= _MAX_SILENT_SESSIONS:
                self._give_up("no heartbeat arrived, probably because a proxy buffers the stream")
            else:
                self._pause(_MAX_PAUSE_S, "no heartbeat arrived")
            return
        self._silent_sessions = 0
        self._read.note(self._offset, session.last_data_at)
        if session.age >= _SHORT_SESSION_S:
            self._short_sessions = 0
        elif self._short_sessions + 1 >= _MAX_SHORT_SESSIONS:
            self._give_up("its sessions are too short")
        else:
            self._retry_later(error or "the session was short")

    def _retry_later(self, reason: object) -> None:
        """Plan the next session: immediately after the first failure, and later after polls for a growing time."""
        delay = 0.0 if self._short_sessions == 0 else min(2.0**self._short_sessions, _MAX_PAUSE_S)
        self._short_sessions += 1
        self._pause(delay, reason)

    def _pause(self, seconds: float, reason: object) -> None:
        self._live_from = self._clock() + seconds
        self._log_change(f"will be opened again in {seconds:.0f} s", reason)

    def _give_up(self, reason: object) -> None:
        self._tries_live = False
        self._log_change("is not used; the SDK polls the stored log", reason)

    def _log_change(self, what: str, reason: object) -> None:
        _LOG.debug(
            "The live server log of deployment %s %s: %s",
            self._ref.deployment_uid,
            what,
            without_escapes(str(reason)),
            extra={"deployment_uid": self._ref.deployment_uid, "operation": "streamLiveServerLogs"},
        )


class _ReadSoFar:
    """The moment until which a log was read, in the loop's time, for each known offset of the service's clock."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, float]] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing was read."""
        return not self._marks

    def note(self, offset: float, ticks: float) -> None:
        """Record that the log was read until `ticks` (the loop's time), with a clock that is ahead by `offset`."""
        reached = self.until(offset)
        others = [mark for mark in self._marks if abs(mark[0] - offset) >= _SAME_CLOCK_S]
        self._marks = [*others[-7:], (offset, ticks if reached is None else max(reached, ticks))]

    def until(self, offset: float) -> float | None:
        """Return the moment until which the log was read with this clock; None if it was not read."""
        return next((ticks for known, ticks in self._marks if abs(known - offset) < _SAME_CLOCK_S), None)


def _check_aware(since: datetime | timedelta | None, until: datetime | None) -> None:
    for name, moment in {"since": since, "until": until}.items():
        if isinstance(moment, datetime) and moment.tzinfo is None:
            raise InvalidArgumentError(name, "must have a time zone: use datetime.now(UTC) or set tzinfo")

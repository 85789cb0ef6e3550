"""`LogCursor`: the position of a reader in a build log, so that the SDK returns every line exactly once.

It is not documented whether the service's `timestamp` bound is inclusive. Several lines can have the same millisecond,
and a line can become readable after newer lines. So each request begins a little before the newest line, and the cursor
leaves out the lines that were returned before. It counts lines as a multiset over (timestamp, stage, message). At the
end the SDK reads the whole log again, and so finds the lines that appeared too late for these requests.

A cursor stays small: after 8192 lines it forgets the oldest lines, and lines of their time count as returned. So the
SDK misses a line only if the line appears after 8192 newer lines. This module does no I/O.
"""

from __future__ import annotations

import base64
import json
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from heapq import merge
from typing import Final, Generic, TypeVar, cast, overload

import attrs

from launch_async._breather import Breather
from launch_async.errors import InvalidArgumentError
from launch_async.models.base import JSONValue
from launch_async.models.log import LogLine, ServerLogLine
from launch_async.wire.timestamps import parse_iso

__all__ = ["LogCursor", "SeenLines", "by_time", "fresh_lines", "unseen_lines"]

_LOOK_BACK: Final = timedelta(seconds=5)
_INSTANT: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SHORT_HASH_MASK: Final = 0xFFFFFFFF
_RECENT_LINES: Final = 64
_SPAN_LINES: Final = 512
_MAX_LINES: Final = 8192
_LONG_PAGE_LINES: Final = 2000
_SORTED_RUN_LINES: Final = 5000
_FAR_LINES: Final = 5000
_MAX_FAR_LINES: Final = 1000
_RECENT, _UNDATED, _FORGOTTEN = -1, -2, -3


L = TypeVar("L", LogLine, ServerLogLine)
T = TypeVar("T")


class LogCursor:
    """The position of a reader in a deployment's build log. Pass it to `follow_logs`, store it, and continue with it.

    `follow_logs` moves the cursor before it returns a line, so `to_json()` includes the current line. A cursor takes
    four bytes per line, and at most 64 KiB, in memory and as JSON. It identifies lines by 64 bits of a hash, and by 32
    bits if a line appears later than newer ones.

    A program that reads a log without `follow_logs` requests the lines after `ask_after`, selects the `unseen` ones,
    and passes each processed line to `give`.
    """

    def __init__(self) -> None:
        self._seen: SeenLines[LogLine] = SeenLines(lambda line: line.stage or "", look_back=_LOOK_BACK)

    def __repr__(self) -> str:
        return f"<LogCursor after {self.lines} lines, the newest of {self.newest}>"

    @property
    def lines(self) -> int:
        """Number of lines returned so far."""
        return len(self._seen)

    @property
    def newest(self) -> datetime | None:
        """Time of the newest returned line; None before the first line."""
        return self._seen.newest

    @property
    def ask_after(self) -> datetime | None:
        """The `after` of the next request for lines; None for the whole log.

        The moment is a little before the newest line. No line is missed, whether the service includes the moment or
        not.
        """
        start = self._seen.horizon
        return None if start is None else start - _INSTANT

    def unseen(self, page: Iterable[LogLine]) -> list[LogLine]:
        """Return the new lines of a page, in time order, without moving the cursor."""
        return [line for _, line in by_time(self._seen.missing(page), lambda line: line.timestamp)]

    def give(self, line: LogLine) -> None:
        """Move the cursor past a processed line."""
        self._seen.add(line)

    def to_json(self) -> str:
        """Return the cursor as one JSON object, with hashes instead of the log's text."""
        return json.dumps(self._seen.state(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> LogCursor:
        """Return the cursor of a JSON text from `to_json`.

        Raises:
            InvalidArgumentError: The text is not a cursor.
        """
        cursor = cls()
        try:
            cursor._seen.restore(json.loads(text))
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidArgumentError("cursor", "must be the JSON from LogCursor.to_json()") from error
        return cursor


class SeenLines(Generic[L]):
    """A multiset of the lines of one log: exact for the newest lines, and compact for older lines.

    It forgets the oldest lines of a long log.

    Args:
        mark: Returns the text that distinguishes two lines of equal time and message, such as their stage.
        look_back: How far before the newest line requests begin.
        forget: Whether to forget all lines before that, for a log that is never read from its beginning.
    """

    def __init__(self, mark: Callable[[L], str], *, look_back: timedelta, forget: bool = False) -> None:
        self._mark: Callable[[L], str] = mark
        self._look_back = look_back
        self._forget = forget
        self._recent: dict[int, tuple[datetime, int]] = {}
        self._spans: list[_Span] = []
        self._forgotten_until = _EPOCH - _INSTANT
        self._forgotten = 0
        self._undated = array("I")
        self._undated_forgotten = 0
        self.newest: datetime | None = None
        self.present: datetime | None = None
        """The current time, if known. A line with a later time does not move the horizon."""

    def __len__(self) -> int:
        dated = sum(len(span.keys) for span in self._spans) + sum(count for _, count in self._recent.values())
        return self._forgotten + dated + self._undated_forgotten + len(self._undated)

    @property
    def horizon(self) -> datetime | None:
        """The moment from which lines are requested; None before the first line with a time."""
        if self.newest is None:
            return None
        newest = self.newest if self.present is None else min(self.newest, self.present)
        return max(newest, _EPOCH + 2 * self._look_back) - self._look_back

    def key_of(self, line: L) -> int:
        """Return the key of a line: 64 bits of a hash."""
        return self._key(line)

    def recent(self) -> Counter[int]:
        """Return how often each of the newest lines was added, by key."""
        return Counter({key: count for key, (_, count) in self._recent.items()})

    def has_forgotten(self, line: L) -> bool:
        """Return whether the lines of this line's time were forgotten, so that the line counts as added."""
        return self._place(line.timestamp) == _FORGOTTEN

    def missing(self, page: Iterable[L]) -> list[L]:
        """Return the lines of a page that were not added. Of equal lines, the last ones are new."""
        return list(filter(self.novelty(), page))

    def novelty(self) -> Callable[[L], bool]:
        """Return a function that returns whether a line is new. Call it with each line of a page, in order."""
        bags: dict[int, Counter[int]] = {}
        wanted: Counter[tuple[int, int]] = Counter()
        passed = self._undated_forgotten

        def is_new(line: L) -> bool:
            nonlocal passed
            place = self._place(line.timestamp)
            if place == _FORGOTTEN:
                return False
            key = self._key(line)
            if place == _RECENT:
                had = self._recent[key][1] if key in self._recent else 0
            else:
                if place not in bags:
                    bags[place] = Counter(self._undated if place == _UNDATED else self._spans[place].keys)
                had = bags[place][key & _SHORT_HASH_MASK]
            if had:
                wanted[place, key] += 1
                if wanted[place, key] <= had:
                    return False
            if place == _UNDATED and passed:
                # Lines without a time are identified by their order: the log begins with the forgotten lines.
                passed -= 1
                return False
            return True

        return is_new

    def add(self, line: L) -> None:
        """Add one line."""
        key, stamp = self._key(line), line.timestamp
        place = self._place(stamp)
        if place == _FORGOTTEN:
            self._forgotten += 1
        elif place == _UNDATED:
            self._undated.append(key & _SHORT_HASH_MASK)
            self._trim()
        elif place != _RECENT:
            self._spans[place].keys.append(key & _SHORT_HASH_MASK)
            self._trim()
        elif stamp is not None:
            self._recent[key] = (stamp, self._recent[key][1] + 1 if key in self._recent else 1)
            self.newest = stamp if self.newest is None else max(stamp, self.newest)
            if len(self._recent) > _RECENT_LINES * 2:
                self._compact()

    def state(self) -> dict[str, JSONValue]:
        """Return everything as plain data."""
        return {
            "v": 1,
            "newest": None if self.newest is None else self.newest.isoformat(),
            "recent": [[f"{key:x}", stamp.isoformat(), count] for key, (stamp, count) in self._recent.items()],
            "old": [[span.until.isoformat(), _packed(span.keys)] for span in self._spans],
            "forgotten": [self._forgotten_until.isoformat(), self._forgotten],
            "undated": [_packed(self._undated), self._undated_forgotten],
        }

    def restore(self, document: object) -> None:
        """Replace the content with a result of `state`."""
        if not isinstance(document, dict) or document["v"] != 1:
            raise ValueError("not a state, or a later version")
        state = cast("dict[str, str]", document)
        recent = cast("list[tuple[str, str, int]]", document["recent"])
        old = cast("list[tuple[str, str]]", document["old"])
        forgotten_until, forgotten = cast("tuple[str, int]", document["forgotten"])
        undated, undated_forgotten = cast("tuple[str, int]", document["undated"])
        self.newest = parse_iso(state["newest"]) if state["newest"] else None
        self._recent = {int(key, 16): (parse_iso(stamp), int(count)) for key, stamp, count in recent}
        self._spans = [_Span(parse_iso(until), _unpacked(keys)) for until, keys in old]
        self._forgotten_until, self._forgotten = parse_iso(forgotten_until), int(forgotten)
        self._undated, self._undated_forgotten = _unpacked(undated), int(undated_forgotten)

    @property
    def _old_until(self) -> datetime:
        return self._spans[-1].until if self._spans else self._forgotten_until

    def _key(self, line: L) -> int:
        stamp = line.timestamp
        written = repr(line.extra.get("timestamp")) if stamp is None else str((stamp - _EPOCH) // _MICROSECOND)
        text = f"{written}\0{self._mark(line)}\0{line.message}".encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")

    def _place(self, stamp: datetime | None) -> int:
        """Return the index of the span that a line belongs to, or one of the negative places.

        Programs write a time before 1970, such as `0001-01-01T00:00:00Z`, if they have no time.
        """
        if stamp is None or stamp < _EPOCH:
            return _UNDATED
        if stamp > self._old_until:
            return _RECENT
        if stamp <= self._forgotten_until:
            return _FORGOTTEN
        return bisect_left(self._spans, stamp, key=lambda span: span.until)

    def _compact(self) -> None:
        """Keep the newest lines unchanged. Keep only short hashes of older lines, or nothing."""
        stamps = sorted(stamp for stamp, _ in self._recent.values())
        until = stamps[-_RECENT_LINES]
        if self._forget and self.horizon is not None:
            until = min(until, self.horizon - _INSTANT)
        behind = [key for key, (stamp, _) in self._recent.items() if stamp <= until]
        if not behind:
            return
        if not self._spans or len(self._spans[-1].keys) >= _SPAN_LINES:
            self._spans.append(_Span(until, array("I")))
        self._spans[-1].until = until
        for key in behind:
            _, count = self._recent.pop(key)
            self._spans[-1].keys.extend([key & _SHORT_HASH_MASK] * count)
        self._trim()

    def _trim(self) -> None:
        """Forget the oldest lines above the limit. Keep the newest span, because a whole log can have one time."""
        while self._spans and self._forget:
            self._forget_span()
        while (dated := sum(len(span.keys) for span in self._spans)) + len(self._undated) > _MAX_LINES:
            if dated < len(self._undated):
                del self._undated[:_SPAN_LINES]
                self._undated_forgotten += 0 if self._forget else _SPAN_LINES
            elif len(self._spans) > 1:
                self._forget_span()
            else:
                return

    def _forget_span(self) -> None:
        span = self._spans.pop(0)
        self._forgotten_until = span.until
        self._forgotten += len(span.keys)


@attrs.define
class _Span:
    """Short hashes of the lines of a period. It begins at the end of the previous span and ends with `until`."""

    until: datetime
    keys: array[int]


def by_time(items: Iterable[T], stamp_of: Callable[[T], datetime | None]) -> list[tuple[datetime, T]]:
    """Return items with their times, in order. An item without a readable time stays after its predecessor."""
    latest, stamped = _EPOCH, list[tuple[datetime, T]]()
    for item in items:
        latest = stamp_of(item) or latest
        stamped.append((latest, item))
    return sorted(stamped, key=lambda pair: pair[0])


async def fresh_lines(cursor: LogCursor, page: Sequence[LogLine]) -> Sequence[LogLine]:
    """Return the result of `cursor.unseen`. For a long page, let other tasks run, and create lines when needed."""
    return await unseen_lines(cursor._seen, page)  # noqa: SLF001


async def unseen_lines(seen: SeenLines[L], page: Sequence[L]) -> Sequence[L]:
    """Return the lines of a page that were not added, in time order, as `fresh_lines` does."""
    if len(page) <= _LONG_PAGE_LINES:
        return [line for _, line in by_time(seen.missing(page), lambda line: line.timestamp)]
    is_new, breather = seen.novelty(), Breather()
    places, stamps, latest, is_sorted = array("q"), array("q"), 0, True
    for place, line in enumerate(page):
        if is_new(line):
            latest = latest if line.timestamp is None else (line.timestamp - _EPOCH) // _MICROSECOND
            is_sorted = is_sorted and (not stamps or stamps[-1] <= latest)
            places.append(place)
            stamps.append(latest)
        await breather.breathe()
    if is_sorted:
        return _ChosenLines(page, places)
    runs = [
        sorted(range(start, min(start + _SORTED_RUN_LINES, len(stamps))), key=stamps.__getitem__)
        for start in range(0, len(stamps), _SORTED_RUN_LINES)
    ]
    ordered, far = array("q"), 0
    for number, index in enumerate(merge(*runs, key=stamps.__getitem__)):
        ordered.append(places[index])
        far += abs(number - index) > _FAR_LINES
        await breather.breathe()
    # Creating lines that are out of order one by one would take too long, so all lines of the page are created.
    return _ChosenLines(page if far < _MAX_FAR_LINES else await _made(page, breather), ordered)


async def _made(page: Sequence[L], breather: Breather) -> list[L]:
    lines: list[L] = []
    for line in page:
        lines.append(line)
        await breather.breathe()
    return lines


class _ChosenLines(Sequence[L]):
    """Some lines of a page, in another order."""

    def __init__(self, page: Sequence[L], places: array[int]) -> None:
        self._page: Sequence[L] = page
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> L: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[L]: ...
    def __getitem__(self, index: int | slice) -> L | Sequence[L]:
        if isinstance(index, slice):
            return _ChosenLines(self._page, self._places[index])
        return self._page[self._places[index]]


def _packed(hashes: array[int]) -> str:
    return base64.b64encode(b"".join(key.to_bytes(4, "little") for key in hashes)).decode()


def _unpacked(text: object) -> array[int]:
    octets = base64.b64decode(cast("str", text), validate=True)
    if len(octets) % 4:
        raise ValueError("cut off")
    return array("I", (int.from_bytes(octets[start : start + 4], "little") for start in range(0, len(octets), 4)))

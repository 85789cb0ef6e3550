"""`LogParts`: read a log of any length while it arrives, and keep it as JSON text.

A log of 200 MB has more than a million lines. The objects of these lines would need 1 GB of memory, and parsing all
lines in one step would block the event loop for seconds. `LogParts` therefore splits the JSON text between lines as the
text arrives. `StoredLines` builds the object of a line when the program reads that line.
"""

from __future__ import annotations

import codecs
import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar, cast, overload

from launch_async.models.base import JSONValue
from launch_async.models.log import LogLine, ServerLogLine
from launch_async.wire.documents import structure
from launch_async.wire.json_body import load_json
from launch_async.wire.readers import Mismatch

__all__ = ["LogParts", "StoredLines"]

L = TypeVar("L", LogLine, ServerLogLine)
_SLICE_BYTES: Final = 64 * 1024
_MAX_BUILT_PIECES: Final = 16
_MAX_VALUE_LENGTH: Final = 16 * 1024 * 1024
"""Maximum length of one log line, or of any other value in the response, in characters."""

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder()


class StoredLines(Sequence[L], Generic[L]):
    """The lines of a log. Their objects are built on access. The objects of the latest pieces stay in memory.

    Args:
        kind: Class of a line.
        pieces: JSON lists of lines.
        ends: For each piece, the number of lines up to its end.
    """

    def __init__(self, kind: type[L], pieces: Sequence[bytes], ends: Sequence[int]) -> None:
        self._kind: type[L] = kind
        self._pieces = pieces
        self._ends = ends
        self._made: dict[int, list[L]] = {}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[L]:
        for number in range(len(self._pieces)):
            yield from self._piece(number)

    @overload
    def __getitem__(self, index: int) -> L: ...
    @overload
    def __getitem__(self, index: slice) -> list[L]: ...
    def __getitem__(self, index: int | slice) -> L | list[L]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"the log has {len(self)} lines, so there is no line {index}")
        number = bisect_right(self._ends, position)
        return self._piece(number)[position - (self._ends[number - 1] if number else 0)]

    def _piece(self, number: int) -> list[L]:
        if (made := self._made.get(number)) is None:
            entries = cast("list[JSONValue]", load_json(self._pieces[number]))
            made = [structure(entry, self._kind) for entry in entries if entry is not None]
            # Replace the dictionary instead of changing it, because another thread may read it at the same time.
            kept = list(self._made.items())[1 - _MAX_BUILT_PIECES :]
            self._made = {**dict(kept), number: made}
        return made


class LogParts(Generic[L]):
    """Incremental reader of a response with log lines.

    Args:
        kind: Class of a line.
        keys: Possible names of the member that contains the lines, the preferred name first.
        bare: Whether the response may be the list of lines, without an object around it.
    """

    def __init__(self, kind: type[L], keys: Sequence[str], *, bare: bool = False) -> None:
        self._kind: type[L] = kind
        self._keys = keys
        self._bare = bare
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text = ""
        self._new: list[str] = []
        self._new_size = 0
        self._state = self._start
        self._key = ""
        self._found: dict[str, tuple[list[bytes], list[int]]] = {}
        self._at_end = False

    def feed(self, part: bytes) -> None:
        """Read the next part of the response.

        Raises:
            Mismatch: The response is not JSON, or does not have the expected shape.
        """
        for start in range(0, len(part), _SLICE_BYTES):
            self._take(part[start : start + _SLICE_BYTES])

    def lines(self) -> StoredLines[L]:
        """Return the lines. Call this after the last part.

        Raises:
            Mismatch: The response is not complete, or has no lines.
        """
        self._at_end = True
        self._take(b"", final=True)
        if self._state != self._end:
            raise Mismatch(["$: the body is empty" if self._state == self._start else "$: the body is not JSON"])
        found = next((self._found[key] for key in ("", *self._keys) if key in self._found), None)
        if found is None:
            raise Mismatch(["$: expected a list of log lines"])
        return StoredLines(self._kind, *found)

    def _take(self, part: bytes, *, final: bool = False) -> None:
        try:
            self._new.append(self._decode(part, final))
        except UnicodeDecodeError:
            raise Mismatch(["$: the body is not JSON"]) from None
        self._new_size += len(self._new[-1])
        # Parse an incomplete value again only when the text has doubled, so that the total time is linear.
        if self._new_size < len(self._text) and not final:
            return
        self._text = "".join((self._text, *self._new))
        self._new, self._new_size = [], 0
        position = 0
        while (after := self._state(position)) is not None:
            position = after
        self._text = self._text[position:]
        if len(self._text) > _MAX_VALUE_LENGTH:
            raise Mismatch([f"$: a log line has more than {_MAX_VALUE_LENGTH:,} characters"])

    # Each state reads the complete values from a position, and returns the next position; None if it read nothing.

    def _start(self, position: int) -> int | None:
        position = self._skip(position)
        if position == len(self._text):
            return None
        if self._text[position] == "{":
            self._state = self._member
        elif self._text[position] == "[" and self._bare:
            self._begin_lines("")
        else:
            raise Mismatch(["$: expected an object"] if self._text[position] in '["' else ["$: the body is not JSON"])
        return position + 1

    def _member(self, position: int) -> int | None:
        """Read the name of a member and the colon after it, or the end of the object."""
        position = self._skip(position)
        if self._text[position : position + 1] == "}":
            self._state = self._end
            return position + 1
        if (name := self._value(position)) is None:
            return None
        key, after = name
        if not isinstance(key, str) or self._text[after] != ":":
            raise Mismatch(["$: the body is not JSON"])
        self._key = key
        self._state = self._member_value
        return after + 1

    def _member_value(self, position: int) -> int | None:
        position = self._skip(position)
        if self._key in self._keys and self._text[position : position + 1] == "[":
            self._begin_lines(self._key)
            return position + 1
        if (other := self._value(position)) is None:
            return None
        value, after = other
        if self._key in self._keys:
            if value is not None:
                raise Mismatch([f"$.{self._key}: expected a list of log lines"])
            self._found[self._key] = ([], [])
        self._state = self._after_member
        return after

    def _after_member(self, position: int) -> int | None:
        position = self._skip(position)
        if position == len(self._text):
            return None
        if self._text[position] not in ",}":
            raise Mismatch(["$: the body is not JSON"])
        self._state = self._member if self._text[position] == "," else self._end
        return position + 1

    def _begin_lines(self, key: str) -> None:
        self._key = key
        self._found[key] = ([], [])
        self._state = self._entries

    def _entries(self, position: int) -> int | None:
        """Read all complete lines."""
        first = position = self._skip(position)
        text, count, last = self._text, 0, position
        while position < len(text) and text[position] != "]":
            if (entry := self._value(position)) is None:
                break
            value, last = entry
            count += value is not None
            position = last
            if text[position] == ",":
                position = self._skip(position + 1)
            elif text[position] != "]":
                raise Mismatch(["$: the body is not JSON"])
        pieces, ends = self._found[self._key]
        if last > first:
            pieces.append(b"[%b]" % text[first:last].encode("utf-8", "surrogatepass"))
            ends.append((ends[-1] if ends else 0) + count)
        if position < len(text) and text[position] == "]":
            self._state = self._after_member if self._key else self._end
            return position + 1
        return position if position > first else None

    def _end(self, position: int) -> int | None:
        if self._skip(position) < len(self._text):
            raise Mismatch(["$: the body is not JSON"])
        self._text = ""
        return None

    def _skip(self, position: int) -> int:
        found = _SPACE.match(self._text, position)
        return position if found is None else found.end()

    def _value(self, position: int) -> tuple[JSONValue, int] | None:
        """Return the value at a position and the position after it; None if the value may be incomplete."""
        try:
            value, end = _DECODER.raw_decode(self._text, position)
        except (ValueError, RecursionError):
            if self._at_end:
                raise Mismatch(["$: the body is not JSON"]) from None
            return None
        after = self._skip(end)
        # A number at the end of the text may have more digits in the next part.
        if after == len(self._text) or (self._text[after] in ".eE" and value.__class__ in (int, float)):
            if self._at_end:
                raise Mismatch(["$: the body is not JSON"])
            return None
        return value, after

"""Lines with checksums, the format of journal files. The format distinguishes an interrupted write from damage.

Each line is a JSON array of a checksum and a record. The checksum covers the record and the checksum of the line
before, so it covers all earlier records too. The reader detects a line that was changed, moved or removed. An
interrupted write leaves a line without an end. The writer had not reported this line as saved, so the reader skips it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Final, TypeAlias, cast

import attrs

__all__ = ["DamagedLineError", "Log", "Record"]

Record: TypeAlias = Mapping[str, object]

_BEFORE: Final = len('["00000000", ')
"""Number of bytes before the record of a line."""


class DamagedLineError(ValueError):
    """A complete line was changed after it was written."""


@attrs.define
class Log:
    """The position of the next line, and the checksum of the line before.

    Attributes:
        size: Size of all lines so far, in bytes.
        checksum: Checksum of the last line; 0 before the first line.
    """

    size: int = 0
    checksum: int = 0

    def line(self, record: Record) -> bytes:
        """Return the next line. Call `add` after the line was written."""
        # json.dumps escapes other characters, so every line is ASCII.
        text = json.dumps(record).encode()
        return b'["%08x", %b]\n' % (zlib.crc32(text, self.checksum), text)

    def add(self, line: bytes) -> None:
        """Record that a line was written."""
        self.size += len(line)
        self.checksum = int(line[2:10], 16)

    def read(self, content: bytes) -> list[Record]:
        """Return the records of all complete lines, and move the position after them.

        Raises:
            DamagedLineError: A line was changed after it was written.
        """
        records: list[Record] = []
        while (end := content.find(b"\n", self.size) + 1) > 0:
            line = content[self.size : end]
            text = line[_BEFORE:-2]
            if line != b'["%08x", %b]\n' % (zlib.crc32(text, self.checksum), text):
                raise DamagedLineError(f"line {len(records) + 1} does not match its checksum")
            records.append(cast("Record", json.loads(text)))
            self.add(line)
        return records

"""Checksummed lines, of which a journal's file consists. They distinguish a torn end from damage.

Each line is a JSON array of a checksum and a record. A checksum covers its own record and, by way of the checksum
before it, all earlier ones: a line that was changed, moved or taken out is noticed. A write that was cut off leaves a
line without an end. No caller was promised that this line is durable, so the reader skips it.
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
"""Bytes before the record of a line."""


class DamagedLineError(ValueError):
    """A line that was written whole is no longer what it was."""


@attrs.define
class Log:
    """The position of the next line, and the checksum on which its own checksum depends.

    Attributes:
        size: Bytes of the lines so far.
        checksum: Checksum of the last line; 0 before the first.
    """

    size: int = 0
    checksum: int = 0

    def line(self, record: Record) -> bytes:
        """Return the next line; `add` it once it is written."""
        # Escapes keep every line in ASCII, also if a message has other characters.
        text = json.dumps(record).encode()
        return b'["%08x", %b]\n' % (zlib.crc32(text, self.checksum), text)

    def add(self, line: bytes) -> None:
        """Count a line that was written."""
        self.size += len(line)
        self.checksum = int(line[2:10], 16)

    def read(self, content: bytes) -> list[Record]:
        """Return the records of all lines that are whole, and count the lines.

        Raises:
            DamagedLineError: A line is not as it was written.
        """
        records: list[Record] = []
        while (end := content.find(b"\n", self.size) + 1) > 0:
            line = content[self.size : end]
            text = line[_BEFORE:-2]
            if line != b'["%08x", %b]\n' % (zlib.crc32(text, self.checksum), text):
                raise DamagedLineError(f"line {len(records) + 1} is not as it was written")
            records.append(cast("Record", json.loads(text)))
            self.add(line)
        return records

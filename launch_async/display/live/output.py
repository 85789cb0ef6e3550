"""A stream for progress that never raises an error: it writes what it can, and stops after the first failure.

The reader of a pipe can end (`| head`), the disk can be full, standard output can be closed, and its encoding can lack
a character. The SDK logs the first failure, and the call continues without output.
"""

from __future__ import annotations

import io
import logging
from typing import Final, TextIO

__all__ = ["Output"]

_LOG: Final = logging.getLogger(__name__)


class Output(io.TextIOBase):
    """Writes to a stream until a write fails.

    Args:
        file: The stream; None if the program has no standard output.
    """

    def __init__(self, file: TextIO | None) -> None:
        self._file = file
        self._raw = None if file is None else _raw(file)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream."""
        return getattr(self._file, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        try:
            return self._file is not None and self._file.isatty()
        except ValueError:  # it is closed
            return False

    def writable(self) -> bool:
        """Return True: text that cannot be written is left out."""
        return True

    def write(self, text: str, /) -> int:
        """Write a text, with escapes for characters that the encoding lacks."""
        if self._file is not None:
            try:
                self._write(self._file, text)
            except Exception as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        if self._file is not None:
            try:
                self._file.flush()
            except Exception as error:
                self._give_up(error)

    def close(self) -> None:
        """Stop writing. The stream stays open, because it belongs to the caller."""
        self._file = None
        super().close()

    def _write(self, file: TextIO, text: str) -> None:
        data = text.encode(self.encoding, "backslashreplace")
        if self._raw is None:
            file.write(data.decode(self.encoding))
            return
        # After a failed write, a buffer would keep the data and report an error when the program ends.
        file.flush()
        view = memoryview(data)
        while view:
            view = view[self._raw.write(view) or 0 :]

    def _give_up(self, error: Exception) -> None:
        self._file = None
        _LOG.warning(
            "Progress output stops, because it failed (%s: %s). The call continues", type(error).__name__, error
        )


def _raw(file: TextIO) -> io.FileIO | None:
    """Return the file below a standard text stream; None for any other stream."""
    buffer = getattr(file, "buffer", None)
    raw = getattr(buffer, "raw", None) if type(file) is io.TextIOWrapper and type(buffer) is io.BufferedWriter else None
    return raw if isinstance(raw, io.FileIO) else None

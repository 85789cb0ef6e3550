"""The file of a tape. Any number of programs append whole lines of JSON to it, one for each exchange."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

from launch_async._file_lock import NoFileLocks, lock

FORMAT: Final = 1
"""Version of the format. Each line begins with it."""
_BEGINNING: Final = b'{"tape":'
_LOCK_WAIT_S: Final = 2.0
_LOCK_STEP_S: Final = 0.005
_CHUNK_BYTES: Final = 64 * 1024


class TapeFile:
    """A tape for appending. It opens the file for each line, so you can move the file between two lines.

    Args:
        path: The file. It is created with mode 0600.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self) -> None:
        """Create the file if it does not exist.

        Raises:
            ValueError: The file is not a tape.
            OSError: The file cannot be written.
        """
        with self._opened():
            pass

    def append(self, line: bytes) -> None:
        """Append a line. After a failure, the file contains no part of the line.

        Raises:
            ValueError: Another program has replaced the tape with a different file.
            OSError: The line cannot be written.
        """
        with self._opened() as (descriptor, size):
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            except OSError:
                if size is not None:
                    with contextlib.suppress(OSError):
                        os.ftruncate(descriptor, size)
                raise

    @contextlib.contextmanager
    def _opened(self) -> Generator[tuple[int, int | None]]:
        """Open and lock the file. Return its descriptor, and its size if it is locked."""
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(self._path, flags, 0o600)
        try:
            kind = os.fstat(descriptor).st_mode
            if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):
                raise OSError(errno.EINVAL, "not a regular file")
            yield descriptor, self._prepared(descriptor) if stat.S_ISREG(kind) else None
        finally:
            os.close(descriptor)

    def _prepared(self, descriptor: int) -> int | None:
        locked = _is_locked(descriptor)
        beginning = _read(descriptor, 0, len(_BEGINNING))
        if beginning not in (b"", _BEGINNING):
            raise ValueError(
                f"The file {str(self._path)!r} exists and is not a tape. A recorder appends only to tapes: choose "
                "another path."
            )
        _keep_private(descriptor)
        return _cut_to_whole_lines(descriptor) if locked else None


def _is_locked(descriptor: int) -> bool:
    """Wait for the lock. Return False on a platform without file locks.

    Raises:
        OSError: Another program has held the lock for too long.
    """
    ends = time.monotonic() + _LOCK_WAIT_S
    try:
        while not lock(descriptor):
            if time.monotonic() > ends:
                raise OSError(errno.EBUSY, "another program has locked it")
            time.sleep(_LOCK_STEP_S)
    except NoFileLocks:
        return False
    return True


def _keep_private(descriptor: int) -> None:
    """Make the file readable only for its owner."""
    if os.name == "posix" and os.fstat(descriptor).st_mode & 0o077:
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o600)


def _cut_to_whole_lines(descriptor: int) -> int:
    """Remove an incomplete last line of a killed program, and return the new size."""
    size = os.fstat(descriptor).st_size
    end = size
    while end:
        begin = max(0, end - _CHUNK_BYTES)
        newline = _read(descriptor, begin, end - begin).rfind(b"\n")
        if newline >= 0:
            end = begin + newline + 1
            break
        end = begin
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def _read(descriptor: int, at: int, size: int) -> bytes:
    os.lseek(descriptor, at, os.SEEK_SET)
    return os.read(descriptor, size)

"""Whether a journal's file is the very one that its run wrote, or a copy that may be older.

Nothing in a file tells that its run went on elsewhere. The file system does: each run notes which file it writes, and
gives the file a time of modification that repeats the checksum of its last line. A copy is another file. Older content
that was put back has another time, or its time is older than the change that put it back; so is that of a file that was
renamed. After a restart of the machine, which may have gone back to an older state of its disks, nothing is taken for
sure. Whatever cannot be told counts as a copy.
"""

from __future__ import annotations

import contextlib
import os
import time
from io import FileIO
from pathlib import Path
from typing import Final

from launch_async._checked_lines import Log

__all__ = ["identity", "is_last_written", "mark_time"]

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_GRAIN: Final = 10**7
"""Nanoseconds of a time that tell of the checksum; what is longer is the time itself."""
_LATE: Final = 5 * _GRAIN
"""Nanoseconds between the two times of a file that is as its run left it, at most."""


def identity(file: FileIO) -> str | None:
    """Return what tells this file, since the machine was started, from every other one; None where nothing does."""
    try:
        boot = _BOOT.read_text().strip()
    except OSError:
        return None
    found = os.fstat(file.fileno())
    return f"{found.st_dev}:{found.st_ino}:{boot}"


def mark_time(file: FileIO, log: Log) -> None:
    """Give the file the time of modification that repeats the checksum of its last line; to be synced."""
    if os.utime not in os.supports_fd:
        return
    now = time.time_ns()
    with contextlib.suppress(OSError):
        os.utime(file.fileno(), ns=(now, now - now % _GRAIN + _part(log)))


def is_last_written(file: FileIO, log: Log) -> bool:
    """Return whether nobody but a run has written the file since its last line."""
    found = os.fstat(file.fileno())
    return found.st_mtime_ns % _GRAIN == _part(log) and abs(found.st_ctime_ns - found.st_mtime_ns) < _LATE


def _part(log: Log) -> int:
    return log.checksum % _GRAIN

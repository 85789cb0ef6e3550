"""Check whether a journal's file is certainly the file that its run wrote last, or may be an older copy.

The content of a file cannot show whether its run continued elsewhere, but the file system can. Each run notes which
file it writes, and sets a time of modification that contains the checksum of the last line. A copy is another file.
Restored older content has another time, or a time before the change that restored it. A renamed file has an older time
of modification than its last change. After a restart of the machine, its disks may be in an older state. If any of
these checks fails, the file counts as a copy.
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

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_MARK_UNIT_NS: Final = 10**7
"""The checksum replaces the nanoseconds of a time below this unit. The rest is the real time."""
_MAX_GAP_NS: Final = 5 * _MARK_UNIT_NS
"""Maximum nanoseconds between the two times of a file that its run wrote last."""


def identity(file: FileIO) -> str | None:
    """Return a text that identifies this file since the machine started; None if the system offers none."""
    try:
        boot = _BOOT_ID.read_text().strip()
    except OSError:
        return None
    found = os.fstat(file.fileno())
    return f"{found.st_dev}:{found.st_ino}:{boot}"


def mark_time(file: FileIO, log: Log) -> None:
    """Set the time of modification that contains the checksum of the last line. The caller syncs the file."""
    if os.utime not in os.supports_fd:
        return
    now = time.time_ns()
    with contextlib.suppress(OSError):
        os.utime(file.fileno(), ns=(now, now - now % _MARK_UNIT_NS + _part(log)))


def is_last_written(file: FileIO, log: Log) -> bool:
    """Return whether nothing but a run has written the file since its last line."""
    found = os.fstat(file.fileno())
    return found.st_mtime_ns % _MARK_UNIT_NS == _part(log) and abs(found.st_ctime_ns - found.st_mtime_ns) < _MAX_GAP_NS


def _part(log: Log) -> int:
    return log.checksum % _MARK_UNIT_NS

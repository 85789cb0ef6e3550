"""A lock on an open file that is gone when the file is closed or its process dies, and not before.

`flock` belongs to the open file: closing another descriptor of the same file, even in the same process, leaves it.
(A lock by `fcntl` would be lost then.) Over NFS, Linux asks the server to lock the file. On Windows a byte far behind
the end is locked, so that other processes can still read the file; that was not tried.

Why no library does this: docs/decisions/0028-file-locks.md.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import Final

__all__ = ["NoFileLocks", "lock", "unlock"]

_TAKEN: Final = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK)


class NoFileLocks(OSError):
    """This platform has no file locks at all."""


def lock(descriptor: int) -> bool:
    """Lock a file that is open for writing, without waiting; return False if somebody else has locked it.

    Raises:
        NoFileLocks: The platform knows neither `flock` nor Windows' locks.
        OSError: The file cannot be locked where it is.
    """
    try:
        _lock(descriptor)
    except ImportError as error:
        raise NoFileLocks(errno.ENOTSUP, "this platform has no file locks") from error
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


def unlock(descriptor: int) -> None:
    """Give a lock back before the file is closed."""
    with contextlib.suppress(OSError):
        _unlock(descriptor)


if sys.platform == "win32":
    _FAR_BEHIND: Final = 0x7FFF0000

    def _lock(descriptor: int) -> None:
        import msvcrt

        os.lseek(descriptor, _FAR_BEHIND, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        import msvcrt

        os.lseek(descriptor, _FAR_BEHIND, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:

    def _lock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)
